//! Plans, and the hand on the brake.

use axum::extract::{Extension, State};
use engine::Command;
use model::{Plan, PlanId};
use serde::Deserialize;
use serde_json::Value;

use super::auth::Principal;
use super::extract::{Json, Path};
use super::incidents::command;
use super::{App, Error};

/// Newest first.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<Plan>>, Error> {
    let mut plans: Vec<Plan> =
        app.ask(|core| core.engine.healer.plans().cloned().collect()).await?;
    plans.sort_by_key(|plan| std::cmp::Reverse(plan.id));
    Ok(Json(plans))
}

pub(super) async fn one(State(app): State<App>, Path(id): Path<u64>) -> Result<Json<Plan>, Error> {
    let plan = app.ask(move |core| core.engine.plan(PlanId(id)).cloned()).await?;
    plan.map(Json).ok_or_else(|| Error::NotFound(format!("there is no plan {id}")))
}

/// What each remedy has proven so far.
pub(super) async fn autonomy(State(app): State<App>) -> Result<Json<Vec<remediate::Track>>, Error> {
    Ok(Json(app.ask(|core| core.engine.healer.autonomy().cloned().collect()).await?))
}

pub(super) async fn approve(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Error> {
    command(&app, &by, Command::Approve { plan: PlanId(id) }).await
}

pub(super) async fn deny(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Value>, Error> {
    command(&app, &by, Command::Deny { plan: PlanId(id) }).await
}

pub(super) const REASON_CHARS_MAX: usize = 500;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Freeze {
    #[serde(default)]
    reason: String,
}

/// Stops healing: first the executor itself, then the loop.
pub(super) async fn freeze(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Json(freeze): Json<Freeze>,
) -> Result<Json<Value>, Error> {
    if freeze.reason.chars().count() > REASON_CHARS_MAX {
        let message = format!("give the reason in at most {REASON_CHARS_MAX} characters");
        return Err(Error::Invalid(message));
    }
    app.hands.freeze(&by, &freeze.reason);
    command(&app, &by, Command::Freeze { reason: freeze.reason }).await
}

pub(super) async fn thaw(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
) -> Result<Json<Value>, Error> {
    let done = command(&app, &by, Command::Thaw).await?;
    app.hands.thaw(&by);
    Ok(done)
}
