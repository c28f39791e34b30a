//! The inventory: what is in stock, and reservations of it.
//!
//! A reservation takes its items off the stock in one transaction, all or none; releasing it puts
//! them back. What was sold is delivered anew every [`DELIVERY_PERIOD`], so that a demo can run
//! for days; a product whose `stock_full` is zero stays sold out.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{delete, get, post};
use http::StatusCode;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::lines::{Line, check_lines};
use crate::problem::Problem;
use crate::serve::{ServeArgs, every, serve};
use crate::store::{Query, Store, StoreError};

/// How often sold products are delivered anew.
const DELIVERY_PERIOD: Duration = Duration::from_secs(30);
/// Reservations kept; older ones are forgotten.
const RESERVATIONS_MAX: u32 = 20_000;

const SCHEMA: &str = include_str!("inventory/schema.sql");

/// `shop inventory`
#[derive(Debug, clap::Args)]
pub struct InventoryArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Folder of the database
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// What checkout asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReservationRequest {
    /// The order that the items are for; reserving twice for one order reserves once.
    pub order_id: String,
    /// The items, all of them or none.
    pub items: Vec<Line>,
}

/// How much there is of one product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stock {
    /// Pieces that can be sold.
    pub stock: i64,
}

/// Runs the part until it is told to stop.
pub async fn run(args: InventoryArgs) -> anyhow::Result<()> {
    let store = open(&args.data).context("start the inventory")?;
    let kept = store.clone();
    every(DELIVERY_PERIOD, move || housekeep(kept.clone()));
    serve(&args.serve, routes(store)).await
}

fn open(data: &std::path::Path) -> Result<Store, StoreError> {
    Store::open(data, "inventory", "inventory", SCHEMA)
}

fn routes(store: Store) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/stock/{sku}", get(stock))
        .route("/reservations", post(reserve))
        .route("/reservations/{order_id}", delete(release))
        .with_state(store)
}

async fn healthz(State(store): State<Store>) -> Result<&'static str, Problem> {
    store.ping().await?;
    Ok("ok")
}

async fn stock(
    State(store): State<Store>,
    Path(sku): Path<String>,
) -> Result<Json<Stock>, Problem> {
    let query = Query { operation: "SELECT", summary: "SELECT stock" };
    let wanted = sku.clone();
    let found = store
        .run(query, move |connection| {
            let sql = "SELECT stock FROM stock WHERE sku = ?1";
            connection.prepare(sql)?.query_row([wanted], |row| row.get(0)).optional()
        })
        .await?;
    let found = found.map(|stock| Json(Stock { stock }));
    found.ok_or_else(|| Problem::not_found(format!("no product {sku}")))
}

async fn reserve(
    State(store): State<Store>,
    request: Result<Json<ReservationRequest>, JsonRejection>,
) -> Result<StatusCode, Problem> {
    let Json(request) = request?;
    check_lines(&request.items)?;
    let query = Query { operation: "BATCH", summary: "UPDATE stock INSERT reservations" };
    store.run(query, move |connection| take(connection, &request)).await??;
    Ok(StatusCode::CREATED)
}

async fn release(
    State(store): State<Store>,
    Path(order_id): Path<String>,
) -> Result<StatusCode, Problem> {
    let query = Query { operation: "BATCH", summary: "UPDATE stock DELETE reservations" };
    store.run(query, move |connection| put_back(connection, &order_id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes the items off the stock, all or none.
fn take(
    connection: &mut Connection,
    request: &ReservationRequest,
) -> Result<Result<(), Problem>, rusqlite::Error> {
    let transaction = connection.transaction()?;
    let earlier = transaction
        .query_row(
            "SELECT rowid FROM reservations WHERE order_id = ?1",
            [&request.order_id],
            |row| row.get::<_, i64>(0),
        )
        .optional()?;
    if earlier.is_some() {
        return Ok(Ok(()));
    }
    for Line { sku, quantity } in &request.items {
        let found: Option<i64> = transaction
            .prepare("SELECT stock FROM stock WHERE sku = ?1")?
            .query_row([sku], |row| row.get(0))
            .optional()?;
        let Some(stock) = found else {
            return Ok(Err(Problem::not_found(format!("no product {sku}"))));
        };
        if stock < i64::from(*quantity) {
            return Ok(Err(Problem::out_of_stock(format!("{stock} of {sku} left"))));
        }
        transaction
            .prepare("UPDATE stock SET stock = stock - ?2 WHERE sku = ?1")?
            .execute(params![sku, quantity])?;
    }
    let items = serde_json::to_string(&request.items).unwrap_or_default();
    transaction.execute(
        "INSERT INTO reservations (order_id, items) VALUES (?1, ?2)",
        params![request.order_id, items],
    )?;
    transaction.commit()?;
    Ok(Ok(()))
}

/// Puts the items of a reservation back; nothing happens where there is none.
fn put_back(connection: &mut Connection, order_id: &str) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    let items: Option<String> = transaction
        .query_row(
            "DELETE FROM reservations WHERE order_id = ?1 RETURNING items",
            [order_id],
            |r| r.get(0),
        )
        .optional()?;
    let lines: Vec<Line> =
        items.and_then(|items| serde_json::from_str(&items).ok()).unwrap_or_default();
    for Line { sku, quantity } in lines {
        transaction
            .prepare("UPDATE stock SET stock = stock + ?2 WHERE sku = ?1")?
            .execute(params![sku, quantity])?;
    }
    transaction.commit()
}

async fn housekeep(store: Store) {
    let delivery = Query { operation: "UPDATE", summary: "UPDATE stock" };
    let delivered = store
        .run(delivery, |connection| {
            let sql = "UPDATE stock SET stock = stock_full WHERE stock < stock_full / 2";
            connection.execute(sql, [])
        })
        .await;
    match delivered {
        Ok(0) => {}
        Ok(products) => tracing::info!("delivery: {products} products are in full stock again"),
        Err(error) => tracing::error!("delivery: {}", crate::problem::chain(&error)),
    }
    if let Err(error) = store.keep_newest("reservations", RESERVATIONS_MAX).await {
        tracing::error!("forget old reservations: {}", crate::problem::chain(&error));
    }
}

#[cfg(test)]
mod tests;
