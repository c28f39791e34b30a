//! Incidents and the journal.

use axum::extract::{Extension, State};
use engine::Command;
use model::{Incident, IncidentId, IncidentState};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::auth::Principal;
use super::extract::{Json, Path, Query};
use super::parameters::Parameters;
use super::{App, Error, off_the_loop};
use crate::journal::{self, Journal};

const EVENTS_MAX: usize = 1_000;

type Pairs = Query<Vec<(String, String)>>;

const STATES: [(&str, IncidentState); 3] = [
    ("open", IncidentState::Open),
    ("mitigated", IncidentState::Mitigated),
    ("resolved", IncidentState::Resolved),
];

/// Newest first, those that the loop still holds.
pub(super) async fn list(
    State(app): State<App>,
    pairs: Pairs,
) -> Result<Json<Vec<Incident>>, Error> {
    let mut given = Parameters::from(pairs);
    let state = given.word("state", &STATES)?;
    given.finish()?;
    let mut incidents: Vec<Incident> =
        app.ask(|core| core.engine.diagnoser.incidents().cloned().collect()).await?;
    incidents.retain(|incident| state.is_none_or(|state| incident.state == state));
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
) -> Result<Json<Lines>, Error> {
    raw(journal(&app, move |journal| journal.events_of(id, EVENTS_MAX)).await?)
}

/// Journal lines as they were written.
#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Lines(#[schemars(with = "Vec<engine::Event>")] Vec<Box<RawValue>>);

/// The journal, oldest first, from after a number on; at most 1,000 lines, fewer
/// where they are very long.
pub(super) async fn all_events(State(app): State<App>, pairs: Pairs) -> Result<Json<Lines>, Error> {
    let mut given = Parameters::from(pairs);
    let after = given.parsed("after")?.unwrap_or(0);
    given.finish()?;
    raw(journal(&app, move |journal| journal.events_after(after, EVENTS_MAX)).await?)
}

async fn journal<T: Send + 'static>(
    app: &App,
    question: impl FnOnce(&Journal) -> Result<T, journal::Error> + Send + 'static,
) -> Result<T, Error> {
    let journal = app.journal.clone();
    off_the_loop(move || question(&journal)).await
}

fn raw(lines: Vec<String>) -> Result<Json<Lines>, Error> {
    let values: Result<_, _> = lines.into_iter().map(RawValue::from_string).collect();
    values.map(|values| Json(Lines(values))).map_err(|error| Error::Journal(error.into()))
}

pub(super) async fn acknowledge(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Done>, Error> {
    command(&app, &by, Command::Acknowledge { incident: IncidentId(id) }).await
}

/// Ends an incident whose recovery nothing will ever prove.
pub(super) async fn close(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Done>, Error> {
    command(&app, &by, Command::Close { incident: IncidentId(id) }).await
}

/// What came of a command.
#[derive(Serialize, JsonSchema)]
pub(super) struct Done {
    pub result: String,
}

/// Gives a command and answers what came of it.
pub(super) async fn command(app: &App, by: &str, command: Command) -> Result<Json<Done>, Error> {
    match app.handle.command(by, command).await? {
        Ok(result) => Ok(Json(Done { result })),
        Err(refused) => Err(Error::Conflict(refused)),
    }
}
