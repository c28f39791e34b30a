//! What operators do at the gateway: see the payment instances, take one out, bring it back.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::get;
use serde::Deserialize;

use super::Gateway;
use crate::balancer::{self, Instance};
use crate::problem::Problem;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    state: balancer::State,
}

pub(super) fn routes(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/admin/payments", get(list))
        .route("/admin/payments/{name}", get(show).put(change))
        .with_state(gateway)
}

async fn list(State(gateway): State<Arc<Gateway>>) -> Json<Vec<Instance>> {
    Json(gateway.payments.instances())
}

async fn show(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
) -> Result<Json<Instance>, Problem> {
    gateway.payment(&name).map(Json)
}

async fn change(
    State(gateway): State<Arc<Gateway>>,
    Path(name): Path<String>,
    change: Result<Json<Change>, JsonRejection>,
) -> Result<Json<Instance>, Problem> {
    let Json(Change { state }) = change?;
    gateway.payments.set(&name, state);
    let instance = gateway.payment(&name)?;
    tracing::info!(instance = name, "payment instance is {:?} now", instance.state);
    Ok(Json(instance))
}

impl Gateway {
    fn payment(&self, name: &str) -> Result<Instance, Problem> {
        let found = self.payments.instances().into_iter().find(|instance| instance.name == name);
        found.ok_or_else(|| Problem::not_found(format!("no payment instance {name}")))
    }
}
