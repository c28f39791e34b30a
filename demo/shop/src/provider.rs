//! The card network that payments are authorised by: somebody else's service.
//!
//! It sends no telemetry, and nothing that watches the shop may touch it. Keeps nothing.

use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use crate::card::Card;
use crate::problem::Problem;
use crate::serve::{ServeArgs, serve};

/// `shop provider`
#[derive(Debug, clap::Args)]
pub struct ProviderArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// What payment asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuthorizationRequest {
    /// How much.
    pub amount_cents: i64,
    /// Card number.
    pub card: String,
}

/// What payment gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authorization {
    /// False when the issuer declined the card.
    pub approved: bool,
}

/// Runs the part until it is told to stop.
pub async fn run(args: ProviderArgs) -> anyhow::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/authorizations", post(authorize));
    serve(&args.serve, routes).await
}

async fn authorize(
    request: Result<Json<AuthorizationRequest>, JsonRejection>,
) -> Result<Json<Authorization>, Problem> {
    let Json(request) = request?;
    let card = Card::parse(&request.card).ok_or_else(|| Problem::invalid("not a card number"))?;
    Ok(Json(Authorization { approved: !card.is_declined() }))
}
