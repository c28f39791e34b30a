//! Plans, and the hand on the brake.

use axum::extract::{Extension, State};
use engine::{Command, Core};
use model::{Plan, PlanId};
use remediate::Outlook;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Principal;
use super::extract::{Json, Path};
use super::incidents::{Done, command};
use super::{App, Error};

/// A plan, and what lies ahead of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct PlanOutlook {
    #[serde(flatten)]
    pub plan: Plan,
    #[serde(flatten)]
    pub outlook: Outlook,
}

fn ahead(core: &Core, plan: &Plan) -> Option<PlanOutlook> {
    let outlook = core.engine.healer.outlook(plan.id)?;
    Some(PlanOutlook { plan: plan.clone(), outlook })
}

/// Newest first.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<PlanOutlook>>, Error> {
    let mut plans: Vec<PlanOutlook> = app
        .ask(|core| core.engine.healer.plans().filter_map(|plan| ahead(core, plan)).collect())
        .await?;
    plans.sort_by_key(|ahead| std::cmp::Reverse(ahead.plan.id));
    Ok(Json(plans))
}

pub(super) async fn one(
    State(app): State<App>,
    Path(id): Path<u64>,
) -> Result<Json<PlanOutlook>, Error> {
    let plan = app.ask(move |core| core.engine.plan(PlanId(id)).and_then(|plan| ahead(core, plan)));
    plan.await?.map(Json).ok_or_else(|| Error::NotFound(format!("there is no plan {id}")))
}

/// What each remedy has proven so far.
pub(super) async fn autonomy(State(app): State<App>) -> Result<Json<Vec<remediate::Track>>, Error> {
    Ok(Json(app.ask(|core| core.engine.healer.autonomy().cloned().collect()).await?))
}

pub(super) async fn approve(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Done>, Error> {
    command(&app, &by, Command::Approve { plan: PlanId(id) }).await
}

pub(super) async fn deny(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(id): Path<u64>,
) -> Result<Json<Done>, Error> {
    command(&app, &by, Command::Deny { plan: PlanId(id) }).await
}

pub(super) const REASON_CHARS_MAX: usize = 500;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FreezeWish")]
pub(super) struct Freeze {
    #[serde(default)]
    reason: String,
}

/// Stops healing: first the executor itself, then the loop.
pub(super) async fn freeze(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Json(freeze): Json<Freeze>,
) -> Result<Json<Done>, Error> {
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
) -> Result<Json<Done>, Error> {
    let done = command(&app, &by, Command::Thaw).await?;
    app.hands.thaw(&by);
    Ok(done)
}
