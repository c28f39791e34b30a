//! Named pauses: what a person keeps healing off, for a while.

use axum::extract::{Extension, State};
use engine::Command;
use model::human::HumanDuration;
use remediate::{Pause, Paused};
use schemars::JsonSchema;
use serde::Deserialize;

use super::auth::Principal;
use super::extract::{Json, Path};
use super::incidents::{Done, command};
use super::plans::REASON_CHARS_MAX;
use super::{App, Error};

/// Those in force, oldest first.
pub(super) async fn list(State(app): State<App>) -> Result<Json<Vec<Pause>>, Error> {
    Ok(Json(app.ask(|core| core.engine.healer.pauses().to_vec()).await?))
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PauseWish")]
pub(super) struct Wish {
    name: String,
    /// `"all"`, `{"target": NAME}` or `{"service": NAME}`.
    what: Paused,
    /// How long.
    #[serde(rename = "for")]
    length: HumanDuration,
    #[serde(default)]
    reason: String,
}

pub(super) async fn pause(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Json(wish): Json<Wish>,
) -> Result<Json<Done>, Error> {
    let Wish { name, what, length, reason } = wish;
    if reason.chars().count() > REASON_CHARS_MAX {
        let message = format!("give the reason in at most {REASON_CHARS_MAX} characters");
        return Err(Error::Invalid(message));
    }
    command(&app, &by, Command::Pause { name, what, length, reason }).await
}

pub(super) async fn resume(
    State(app): State<App>,
    Extension(Principal(by)): Extension<Principal>,
    Path(name): Path<String>,
) -> Result<Json<Done>, Error> {
    command(&app, &by, Command::Resume { name }).await
}
