//! What is configured and from where; who asks; which tokens there are.

use axum::extract::{Extension, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::{Held, Principal};
use super::extract::Json;
use super::{App, Error, Role};
use crate::config::Setting;

#[derive(Serialize, JsonSchema)]
pub(super) struct Configuration {
    /// The file that was read; null without one.
    file: Option<String>,
    /// Every value in force, in the order of the reference; secrets are covered.
    settings: Vec<Setting>,
}

/// Who asks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Me {
    /// As it is journalled; `local` where no tokens are configured.
    pub name: String,
    pub role: Role,
    /// Any are configured.
    pub tokens: bool,
}

/// A token, without its secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "TokenHolder")]
pub(super) struct Holder {
    name: String,
    role: Role,
}

pub(super) async fn configuration(State(app): State<App>) -> Result<Json<Configuration>, Error> {
    let asked = app.clone();
    let work = move || asked.origins.settings(&asked.config);
    let settings = tokio::task::spawn_blocking(work).await.map_err(|_| Error::QueryBroke)?;
    let file = app.origins.file().map(|file| file.display().to_string());
    Ok(Json(Configuration { file, settings }))
}

pub(super) async fn me(
    State(app): State<App>,
    Extension(Principal(name)): Extension<Principal>,
    Extension(Held(role)): Extension<Held>,
) -> Result<Json<Me>, Error> {
    Ok(Json(Me { name, role, tokens: app.config.api.tokens.any() }))
}

/// Strongest first.
pub(super) async fn tokens(State(app): State<App>) -> Result<Json<Vec<Holder>>, Error> {
    let tokens = &app.config.api.tokens;
    let lists = [
        (&tokens.admin, Role::Admin),
        (&tokens.approve, Role::Approve),
        (&tokens.read, Role::Read),
        (&tokens.ingest, Role::Ingest),
    ];
    let holders = lists.into_iter().flat_map(|(list, role)| {
        list.iter().map(move |token| Holder { name: token.name.clone(), role })
    });
    Ok(Json(holders.collect()))
}
