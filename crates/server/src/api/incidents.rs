//! Incidents and the journal.

use axum::extract::{Extension, State};
use engine::Command;
use model::{Incident, IncidentId, IncidentState};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::auth::Principal;
use super::extract::{Json, Path, Query};
use super::{App, Error, off_the_loop};
use crate::journal::{self, Journal};

const EVENTS_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    /// `open`, `mitigated`, `resolved`; absent: all.
    state: Option<IncidentState>,
}

/// Newest first, those that the loop still holds.
pub(super) async fn list(
    State(app): State<App>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Vec<Incident>>, Error> {
    let mut incidents: Vec<Incident> =
        app.ask(|core| core.engine.diagnoser.incidents().cloned().collect()).await?;
    incidents.retain(|incident| query.state.is_none_or(|state| incident.state == state));
    incidents.sort_by_key(|incident| std::cmp::Reverse(incident.id));
    Ok(Json(incidents))
}

pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<Json<Incident>, Error> {
    let held = app.ask(move |core| core.engine.diagnoser.incident(IncidentId(id)).cloned()).await?;
    let incident = match held {
        Some(incident) => Some(incident),
        None => journal(&app, move |journal| journal.last_incident(id)).await?,
    };
    incident.map(Json).ok_or_else(|| Error::NotFound(format!("there is no incident {id}")))
}

pub(super) async fn events(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<Json<Vec<Box<RawValue>>>, Error> {
    raw(journal(&app, move |journal| journal.events_of(id, EVENTS_MAX)).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    #[serde(default)]
    after: u64,
}

/// The journal, oldest first, from after a number on; at most 1,000 lines, fewer
/// where they are very long.
pub(super) async fn all_events(
    State(app): State<App>,
    Query(query): Query<EventsQuery>,
) -> Result<Json<Vec<Box<RawValue>>>, Error> {
    raw(journal(&app, move |journal| journal.events_after(query.after, EVENTS_MAX)).await?)
}

async fn journal<T: Send + 'static>(
    app: &App,
    question: impl FnOnce(&Journal) -> Result<T, journal::Error> + Send + 'static,
) -> Result<T, Error> {
    let journal = app.journal.clone();
    off_the_loop(move || question(&journal)).await
}

fn raw(lines: Vec<String>) -> Result<Json<Vec<Box<RawValue>>>, Error> {
    let values: Result<_, _> = lines.into_iter().map(RawValue::from_string).collect();
    values.map(Json).map_err(|error| Error::Journal(error.into()))
}

pub(super) async fn acknowledge(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Error> {
    command(&app, &by, Command::Acknowledge { incident: IncidentId(id) }).await
}

/// Ends an incident whose recovery nothing will ever prove.
pub(super) async fn close(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Error> {
    command(&app, &by, Command::Close { incident: IncidentId(id) }).await
}

/// Gives a command and answers what came of it.
pub(super) async fn command(app: &App, by: &str, command: Command) -> Result<Json<Value>, Error> {
    match app.handle.command(by, command).await? {
        Ok(done) => Ok(Json(serde_json::json!({ "result": done }))),
        Err(refused) => Err(Error::Conflict(refused)),
    }
}
