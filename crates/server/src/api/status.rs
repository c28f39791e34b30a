//! How things are: Immune itself, objectives, topology; and the few things an admin may tell it.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use engine::Command;
use model::symptom::ObjectiveState;
use model::{Mode, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use storage::store::Pressure;

use super::auth::Principal;
use super::extract::{Json, Path};
use super::incidents::{Done, command};
use super::{App, Error};
use crate::clock;

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ServerStatus")]
pub(crate) struct Status {
    pub version: String,
    pub started: Timestamp,
    pub now: Timestamp,
    /// Last step of the loop.
    pub last_tick: Timestamp,
    pub open_incidents: usize,
    pub healing_mode: Mode,
    pub frozen: Option<Frozen>,
    pub pauses: Vec<remediate::Pause>,
    /// Paging and healing rest until then, after an outage of Immune itself.
    pub catching_up_until: Option<Timestamp>,
    pub agent_connected: bool,
    pub services: usize,
    /// Alerts of other systems that fire.
    pub alerts_firing: usize,
    /// When telemetry arrived last, as far as the loop has come.
    pub last_telemetry: Option<Timestamp>,
    pub telemetry: Vec<Telemetry>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Frozen {
    pub by: String,
    pub reason: String,
    pub at: Timestamp,
}

/// What was taken of one signal over one transport, since the start.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TelemetryTaken")]
pub(crate) struct Telemetry {
    /// `traces`, `metrics`, `logs`.
    pub signal: String,
    /// `grpc`, `http`.
    pub transport: String,
    pub requests: u64,
    /// Spans, data points or log records.
    pub items: u64,
    pub rejected_items: u64,
    pub refused_requests: u64,
}

pub(super) async fn status(State(app): State<App>) -> Result<Json<Status>, Error> {
    Ok(Json(gather(&app).await?))
}

pub(super) async fn gather(app: &App) -> Result<Status, Error> {
    let telemetry = app.counters.snapshot().into_iter().map(|counts| Telemetry {
        signal: counts.signal.as_str().to_owned(),
        transport: counts.transport.as_str().to_owned(),
        requests: counts.requests,
        items: counts.items,
        rejected_items: counts.rejected_items,
        refused_requests: counts.refused.iter().map(|(_, count)| count).sum(),
    });
    let of_the_rest = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: app.started,
        now: clock::now(),
        last_tick: Timestamp::ZERO,
        open_incidents: 0,
        healing_mode: app.config.healing.mode,
        frozen: None,
        pauses: Vec::new(),
        catching_up_until: None,
        agent_connected: app.hands.connected(),
        services: 0,
        alerts_firing: 0,
        last_telemetry: None,
        telemetry: telemetry.collect(),
    };
    let status = app.ask(move |core| {
        let engine = &core.engine;
        Status {
            last_tick: engine.now(),
            open_incidents: engine.open_incidents().count(),
            frozen: engine.healer.frozen().map(frozen_by),
            pauses: engine.healer.pauses().to_vec(),
            catching_up_until: engine.calm_until(),
            services: engine.diagnoser.services().count(),
            alerts_firing: engine.detectors.alerts().filter(|(_, it)| it.ended.is_none()).count(),
            last_telemetry: engine.diagnoser.last_heard(),
            ..of_the_rest
        }
    });
    Ok(status.await?)
}

fn frozen_by(freeze: &remediate::Freeze) -> Frozen {
    Frozen { by: freeze.who.clone(), reason: freeze.reason.clone(), at: freeze.at }
}

/// What is stored, and what does not work.
pub(super) async fn storage(State(app): State<App>) -> Result<Json<storage::store::Status>, Error> {
    let store = app.store.clone();
    let status = tokio::task::spawn_blocking(move || store.status()).await;
    Ok(Json(status.map_err(|_| Error::QueryBroke)?))
}

pub(super) async fn objectives(State(app): State<App>) -> Result<Json<Vec<ObjectiveState>>, Error> {
    Ok(Json(app.ask(|core| core.engine.observed().objectives.clone()).await?))
}

pub(super) async fn relearn(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(objective): Path<String>,
) -> Result<Json<Done>, Error> {
    command(&app, &by, Command::Relearn { objective }).await
}

pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Ready when log and journal can be written and the loop has stepped lately: it recovered, nothing
/// hangs. A loop that is far ahead of the clock is as wrong as one that is late.
pub(super) async fn ready(State(app): State<App>) -> (StatusCode, String) {
    const LATE_MAX: std::time::Duration = std::time::Duration::from_secs(10);
    let not = |why: String| (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"));
    if let Some(why) = app.handle.health().trouble() {
        return not(why);
    }
    // Much telemetry at once passes by itself.
    if let Some(why) = app.store.pressure().filter(|why| !matches!(why, Pressure::Memory { .. })) {
        return not(why.to_string());
    }
    let last = match app.ask(|core| core.engine.now()).await {
        Ok(last) => last,
        Err(error) => return not(error.to_string()),
    };
    let now = clock::now();
    match (now.since(last), last.since(now)) {
        (late, _) if late > LATE_MAX => not("the loop has not stepped for 10 s".to_owned()),
        (_, ahead) if ahead > LATE_MAX => {
            not(format!("the loop is {} s ahead of the clock", ahead.as_secs()))
        }
        _ => (StatusCode::OK, "ok\n".to_owned()),
    }
}
