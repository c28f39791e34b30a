//! How things are: Immune itself, objectives, topology; and the few things an admin may tell it.

use axum::extract::{Extension, State};
use axum::http::StatusCode;
use engine::{Command, Entry};
use model::symptom::ObjectiveState;
use model::{Change, ChangeKind, Entity, Scope, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::store::Pressure;

use super::auth::Principal;
use super::extract::{Json, Path};
use super::incidents::command;
use super::{App, Error};
use crate::clock;

#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    started: Timestamp,
    now: Timestamp,
    /// Last step of the loop.
    last_tick: Timestamp,
    open_incidents: usize,
    healing_mode: &'static str,
    frozen: Option<Frozen>,
    pauses: Vec<remediate::Pause>,
    /// Paging and healing rest until then, after an outage of Immune itself.
    catching_up_until: Option<Timestamp>,
    agent_connected: bool,
    services: usize,
    telemetry: Vec<Telemetry>,
}

#[derive(Serialize)]
struct Frozen {
    by: String,
    reason: String,
}

#[derive(Serialize)]
struct Telemetry {
    signal: &'static str,
    transport: &'static str,
    requests: u64,
    items: u64,
    rejected_items: u64,
    refused_requests: u64,
}

pub(super) async fn status(State(app): State<App>) -> Result<Json<Status>, Error> {
    let (last_tick, open_incidents, frozen, pauses, catching_up_until, services) = app
        .ask(|core| {
            let engine = &core.engine;
            let frozen = engine.healer.frozen();
            let frozen = frozen.map(|f| Frozen { by: f.who.clone(), reason: f.reason.clone() });
            let services = engine.diagnoser.services().count();
            let open = engine.open_incidents().count();
            let pauses = engine.healer.pauses().to_vec();
            (engine.now(), open, frozen, pauses, engine.calm_until(), services)
        })
        .await?;
    let telemetry = app.counters.snapshot().into_iter().map(|counts| Telemetry {
        signal: counts.signal.as_str(),
        transport: counts.transport.as_str(),
        requests: counts.requests,
        items: counts.items,
        rejected_items: counts.rejected_items,
        refused_requests: counts.refused.iter().map(|(_, count)| count).sum(),
    });
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        started: app.started,
        now: clock::now(),
        last_tick,
        open_incidents,
        healing_mode: app.config.healing.mode.as_str(),
        frozen,
        pauses,
        catching_up_until,
        agent_connected: app.hands.connected(),
        services,
        telemetry: telemetry.collect(),
    }))
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

#[derive(Serialize)]
pub(super) struct Topology {
    services: Vec<Entity>,
    edges: Vec<Edge>,
}

#[derive(Serialize)]
struct Edge {
    caller: Entity,
    callee: Entity,
}

pub(super) async fn topology(State(app): State<App>) -> Result<Json<Topology>, Error> {
    let topology = app.ask(|core| {
        let diagnoser = &core.engine.diagnoser;
        let edge = |(caller, callee): (&Entity, &Entity)| Edge {
            caller: caller.clone(),
            callee: callee.clone(),
        };
        Topology {
            services: diagnoser.services().cloned().collect(),
            edges: diagnoser.edges().map(edge).collect(),
        }
    });
    Ok(Json(topology.await?))
}

pub(super) async fn relearn(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(objective): Path<String>,
) -> Result<Json<Value>, Error> {
    command(&app, &by, Command::Relearn { objective }).await
}

/// A change that somebody made, told by whoever made it.
#[derive(Deserialize)]
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

const SUMMARY_CHARS_MAX: usize = 500;
const NAME_BYTES_MAX: usize = 255;
/// Clocks differ a little; a change announced for later is none yet.
const AHEAD_MAX: std::time::Duration = std::time::Duration::from_secs(60);

pub(super) async fn change(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Json(new): Json<NewChange>,
) -> Result<Json<Value>, Error> {
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
    Ok(Json(serde_json::json!({ "result": "taken" })))
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
