//! Changes: what was told or inferred, and telling of one.

use axum::extract::{Extension, State};
use engine::{Entry, EventKind};
use model::{CauseKind, Change, ChangeKind, Entity, IncidentId, Scope, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Principal;
use super::extract::{Json, Query};
use super::incidents::Done;
use super::parameters::Parameters;
use super::{App, Error, off_the_loop};
use crate::clock;

const SUMMARY_CHARS_MAX: usize = 500;
const NAME_BYTES_MAX: usize = 255;
/// Clocks differ a little; a change announced for later is none yet.
const AHEAD_MAX: std::time::Duration = std::time::Duration::from_secs(60);
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;

#[derive(Serialize, JsonSchema)]
pub(super) struct Changes {
    /// Newest first.
    changes: Vec<ToldChange>,
    /// There are more than these.
    truncated: bool,
}

#[derive(Serialize, JsonSchema)]
struct ToldChange {
    /// Line of the journal.
    seq: u64,
    #[serde(flatten)]
    change: Change,
    /// Incidents that the loop holds and whose first cause it is.
    blamed_by: Vec<IncidentId>,
}

pub(super) async fn list(
    State(app): State<App>,
    pairs: Query<Vec<(String, String)>>,
) -> Result<Json<Changes>, Error> {
    let mut given = Parameters::from(pairs);
    let (from, to) = given.range()?;
    let limit = given.parsed("limit")?.unwrap_or(LIMIT_DEFAULT);
    given.finish()?;
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(Error::Invalid(format!("`limit`: write 1 to {LIMIT_MAX}")));
    }
    let journal = app.journal.clone();
    // One is journalled once it has been made, or shortly before.
    let lines = off_the_loop(move || journal.lines_since(from - AHEAD_MAX, "change", LIMIT_MAX));
    let lines = lines.await?;
    let mut truncated = lines.len() == LIMIT_MAX;
    let mut told: Vec<(u64, Change)> = Vec::new();
    for event in lines {
        if let EventKind::Change { change } = event.kind
            && (from..to).contains(&change.at)
        {
            told.push((event.seq, change));
        }
    }
    told.sort_by_key(|(seq, change)| std::cmp::Reverse((change.at, *seq)));
    truncated |= told.len() > limit;
    told.truncate(limit);
    let blamed = app.ask(move |core| {
        let diagnoser = &core.engine.diagnoser;
        let told = told.into_iter().map(|(seq, change)| {
            let node = diagnoser.node(&change.entity);
            let incidents = diagnoser.incidents().filter(|incident| {
                incident.causes.first().is_some_and(|cause| {
                    cause.kind == CauseKind::Change
                        && cause.onset == change.at
                        && diagnoser.node(&cause.entity) == node
                })
            });
            let blamed_by = incidents.map(|incident| incident.id).collect();
            ToldChange { seq, change, blamed_by }
        });
        told.collect()
    });
    Ok(Json(Changes { changes: blamed.await?, truncated }))
}

/// A change that somebody made, told by whoever made it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewChange {
    service: String,
    #[serde(default = "default_environment")]
    environment: String,
    kind: ChangeKind,
    summary: String,
    /// Absent: now.
    at: Option<Timestamp>,
}

fn default_environment() -> String {
    "default".to_owned()
}

pub(super) async fn tell(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Json(new): Json<NewChange>,
) -> Result<Json<Done>, Error> {
    let named = |name: &str| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    if !named(&new.service) || !named(&new.environment) {
        let message = format!("name service and environment in 1 to {NAME_BYTES_MAX} bytes");
        return Err(Error::Invalid(message));
    }
    if new.summary.chars().count() > SUMMARY_CHARS_MAX {
        let message = format!("sum the change up in at most {SUMMARY_CHARS_MAX} characters");
        return Err(Error::Invalid(message));
    }
    let now = clock::now();
    let at = new.at.unwrap_or(now);
    if at > now + AHEAD_MAX {
        let message = format!("`at` is {at}, but it is {now}; tell of a change once it is made");
        return Err(Error::Invalid(message));
    }
    let scope = Scope { environment: new.environment, ..Scope::default() };
    let change = Change {
        at,
        kind: new.kind,
        entity: Entity::service(&scope, &new.service),
        summary: new.summary,
        source: format!("api ({by})"),
    };
    app.handle.ordered(Entry::Change(change)).await?.ok();
    Ok(Json(Done { result: "taken".to_owned() }))
}
