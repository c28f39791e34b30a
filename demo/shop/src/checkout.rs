//! Checkout: takes an order (a cart, or items as they are), asks what it costs, reserves it,
//! charges the card, and says how it ended.
//!
//! An order is written down before anything is asked of others and after every answer
//! ([`order::OrderState`]), so that a killed process leaves no order in doubt without a trace. A
//! failed or declined charge releases the reservation. No retries: who pays decides again.

mod order;
mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;

use self::order::{Order, Orders};
use crate::balancer::Balancer;
use crate::card::Card;
use crate::lines::{Line, check_lines, segment};
use crate::problem::Problem;
use crate::serve::{ServeArgs, every, serve};
use crate::telemetry::outbound::Caller;
use crate::transport::Upstream;

/// Orders kept; older ones are forgotten.
const ORDERS_MAX: u32 = 20_000;
/// How often old orders are forgotten.
const HOUSEKEEPING_PERIOD: Duration = Duration::from_secs(60);

/// `shop checkout`
#[derive(Debug, clap::Args)]
pub struct CheckoutArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Folder of the database
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// An instance of the catalog; repeat for each
    #[arg(long, value_name = "URL", required = true)]
    catalog: Vec<Upstream>,
    /// Where the inventory is
    #[arg(long, value_name = "URL")]
    inventory: Upstream,
    /// Where the carts are
    #[arg(long, value_name = "URL")]
    cart: Upstream,
    /// Where payments go: one instance, or the gateway's balancer (http://GATEWAY/internal)
    #[arg(long, value_name = "URL")]
    payment: Upstream,
}

/// What the storefront sends.
#[derive(Debug, Deserialize)]
struct OrderRequest {
    /// A session whose cart is bought …
    cart: Option<String>,
    /// … or the items themselves.
    #[serde(default)]
    items: Vec<Line>,
    card: String,
}

#[derive(Clone)]
struct Checkout {
    orders: Orders,
    caller: Caller,
    catalog: Arc<Balancer>,
    inventory: Upstream,
    cart: Upstream,
    payment: Upstream,
}

/// Runs the part until it is told to stop.
pub async fn run(args: CheckoutArgs) -> anyhow::Result<()> {
    let orders = Orders::open(&args.data).context("start checkout")?;
    let kept = orders.clone();
    every(HOUSEKEEPING_PERIOD, move || housekeep(kept.clone()));
    let checkout = Checkout {
        orders,
        caller: Caller::new(),
        catalog: Arc::new(Balancer::new("catalog", args.catalog)),
        inventory: args.inventory,
        cart: args.cart,
        payment: args.payment,
    };
    serve(&args.serve, routes(checkout)).await
}

fn routes(checkout: Checkout) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/orders", post(place))
        .route("/orders/{id}", get(show))
        .with_state(checkout)
}

async fn healthz(State(checkout): State<Checkout>) -> Result<&'static str, Problem> {
    checkout.orders.ping().await?;
    Ok("ok")
}

async fn place(
    State(checkout): State<Checkout>,
    request: Result<Json<OrderRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let Json(request) = request?;
    match &request.cart {
        Some(session) if request.items.is_empty() => drop(segment(session)?),
        Some(_) => return Err(Problem::invalid("buy a cart or items, not both")),
        None => check_lines(&request.items)?,
    }
    if Card::parse(&request.card).is_none() {
        return Err(Problem::invalid("not a card number"));
    }
    // In a task of its own: a user who closes the page must not leave an order half done.
    let context = opentelemetry::Context::current();
    let placing = async move { checkout.order(request).await };
    let placing = opentelemetry::trace::FutureExt::with_context(placing, context);
    let order = tokio::spawn(placing).await.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "unfinished", "the order was cut short")
    })??;
    Ok((StatusCode::CREATED, Json(order)))
}

async fn show(
    State(checkout): State<Checkout>,
    Path(id): Path<String>,
) -> Result<Json<Order>, Problem> {
    let order = checkout.orders.find(&id).await?;
    order.map(Json).ok_or_else(|| Problem::not_found(format!("no order {id}")))
}

async fn housekeep(orders: Orders) {
    if let Err(error) = orders.keep_newest(ORDERS_MAX).await {
        tracing::error!("forget old orders: {}", crate::problem::chain(&error));
    }
}
