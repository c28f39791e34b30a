//! Alerts of other systems: taking what Alertmanager posts, and what they mean here.

use axum::extract::{Extension, State};
use detect::alert::Told;
use engine::Entry;
use model::{Entity, Severity, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Principal;
use super::extract::{AlertmanagerMessage, Json};
use super::{App, Error};
use crate::clock;

/// What was taken of a message.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AlertsTaken")]
pub(super) struct Taken {
    /// Alerts that were taken.
    alerts: usize,
    /// Alerts that were not sent (`truncatedAlerts`), or too many to be taken.
    left_out: u64,
}

/// Durable once it is answered; the same message again changes nothing.
pub(super) async fn alertmanager(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    AlertmanagerMessage(body): AlertmanagerMessage,
) -> Result<Json<Taken>, Error> {
    // Without tokens nobody has a name.
    let told_by = if app.config.api.tokens.any() { by.as_str() } else { "alertmanager" };
    let read = receivers::alertmanager::parse(&body, clock::now(), told_by)
        .map_err(|error| Error::Invalid(format!("{:#}", anyhow::Error::new(error))))?;
    let taken = Taken { alerts: read.reports.len(), left_out: read.left_out };
    if taken.left_out > 0 {
        tracing::warn!(by = told_by, left_out = taken.left_out, "alerts were left out");
    }
    app.handle.logged(Entry::Alerts { reports: read.reports, left_out: read.left_out }).await?;
    Ok(Json(taken))
}

/// One alert of another system, and what it means here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AlertTold")]
pub(crate) struct Alert {
    pub fingerprint: String,
    pub name: String,
    /// Whose trouble it is.
    pub entity: Entity,
    /// Telemetry tells of the entity, or a rule names it; else labels alone do.
    pub is_mapped: bool,
    pub severity: Severity,
    /// Empty where no label tells.
    pub instance: String,
    /// By the clock of who told it.
    pub starts_at: Timestamp,
    pub last_told: Timestamp,
    /// Name of the token, or `alertmanager` where there are none.
    pub told_by: String,
    /// Over since then; null while it fires.
    pub ended: Option<Timestamp>,
    pub summary: String,
    pub runbook_url: String,
    pub generator_url: String,
}

/// Those that fire first, then those that ended within the last hour.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<Alert>>, Error> {
    let told = |(fingerprint, told): (&String, &Told)| {
        let told = told.clone();
        Alert {
            fingerprint: fingerprint.clone(),
            name: told.name,
            entity: told.entity,
            is_mapped: told.is_mapped,
            severity: told.severity,
            instance: told.instance,
            starts_at: told.starts_at,
            last_told: told.last_told,
            told_by: told.told_by,
            ended: told.ended,
            summary: told.summary,
            runbook_url: told.runbook_url,
            generator_url: told.generator_url,
        }
    };
    let asked = app.ask(move |core| core.engine.detectors.alerts().map(told).collect());
    let mut alerts: Vec<Alert> = asked.await?;
    alerts.sort_by_key(|alert| {
        let newest = std::cmp::Reverse(alert.ended.unwrap_or(alert.starts_at));
        (alert.ended.is_some(), std::cmp::Reverse(alert.severity), newest)
    });
    Ok(Json(alerts))
}
