//! The catalog: products, their stock, and reservations of it.
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
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::serve::{ServeArgs, every, serve};
use crate::store::{Query, Store, StoreError};

/// How often sold products are delivered anew.
const DELIVERY_PERIOD: Duration = Duration::from_secs(30);
/// Reservations kept; older ones are forgotten.
const RESERVATIONS_MAX: u32 = 20_000;
/// Lines of one order.
pub const LINES_MAX: usize = 20;
/// Pieces of one product in one order.
pub const QUANTITY_MAX: u32 = 10;

const SCHEMA: &str = include_str!("catalog/schema.sql");
const SEED: &str = include_str!("catalog/seed.sql");

/// `shop catalog`
#[derive(Debug, clap::Args)]
pub struct CatalogArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Folder of the database
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// Something to buy.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Product {
    sku: String,
    name: String,
    description: String,
    price_cents: i64,
    stock: i64,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Which product.
    pub sku: String,
    /// How many pieces.
    pub quantity: u32,
}

/// What checkout asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReservationRequest {
    /// The order that the items are for; reserving twice for one order reserves once.
    pub order_id: String,
    /// The items, all of them or none.
    pub items: Vec<Line>,
}

/// What checkout gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    /// Price of all items.
    pub total_cents: i64,
}

#[derive(Serialize)]
struct Products {
    products: Vec<Product>,
}

/// Runs the part until it is told to stop.
pub async fn run(args: CatalogArgs) -> anyhow::Result<()> {
    let store = open(&args.data).context("start the catalog")?;
    let kept = store.clone();
    every(DELIVERY_PERIOD, move || housekeep(kept.clone()));
    serve(&args.serve, routes(store)).await
}

fn open(data: &std::path::Path) -> Result<Store, StoreError> {
    Store::open(data, "catalog", "catalog", &format!("{SCHEMA}{SEED}"))
}

fn routes(store: Store) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/products", get(products))
        .route("/products/{sku}", get(product))
        .route("/reservations", post(reserve))
        .route("/reservations/{order_id}", delete(release))
        .with_state(store)
}

async fn healthz(State(store): State<Store>) -> Result<&'static str, Problem> {
    store.ping().await?;
    Ok("ok")
}

async fn products(State(store): State<Store>) -> Result<Json<Products>, Problem> {
    let query = Query { operation: "SELECT", summary: "SELECT products" };
    let products = store
        .run(query, |connection| {
            let sql = "SELECT sku, name, description, price_cents, stock FROM products
                       ORDER BY place";
            connection.prepare(sql)?.query_map([], read_product)?.collect()
        })
        .await?;
    Ok(Json(Products { products }))
}

async fn product(
    State(store): State<Store>,
    Path(sku): Path<String>,
) -> Result<Json<Product>, Problem> {
    let query = Query { operation: "SELECT", summary: "SELECT products" };
    let wanted = sku.clone();
    let product = store
        .run(query, move |connection| {
            let sql = "SELECT sku, name, description, price_cents, stock FROM products
                       WHERE sku = ?1";
            connection.prepare(sql)?.query_row([wanted], read_product).optional()
        })
        .await?;
    product.map(Json).ok_or_else(|| Problem::not_found(format!("no product {sku}")))
}

async fn reserve(
    State(store): State<Store>,
    request: Result<Json<ReservationRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Reservation>), Problem> {
    let Json(request) = request?;
    check_lines(&request.items)?;
    let query = Query { operation: "BATCH", summary: "UPDATE products INSERT reservations" };
    let reservation = store.run(query, move |connection| take(connection, &request)).await??;
    Ok((StatusCode::CREATED, Json(reservation)))
}

async fn release(
    State(store): State<Store>,
    Path(order_id): Path<String>,
) -> Result<StatusCode, Problem> {
    let query = Query { operation: "BATCH", summary: "UPDATE products DELETE reservations" };
    store.run(query, move |connection| put_back(connection, &order_id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses orders that make no sense, the same way for catalog and checkout.
pub fn check_lines(lines: &[Line]) -> Result<(), Problem> {
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err(Problem::invalid(format!("an order has 1 to {LINES_MAX} items")));
    }
    for line in lines {
        if line.quantity == 0 || line.quantity > QUANTITY_MAX {
            let detail = format!("{}: the quantity is 1 to {QUANTITY_MAX}", line.sku);
            return Err(Problem::invalid(detail));
        }
    }
    Ok(())
}

/// Takes the items off the stock, all or none.
fn take(
    connection: &mut Connection,
    request: &ReservationRequest,
) -> Result<Result<Reservation, Problem>, rusqlite::Error> {
    let transaction = connection.transaction()?;
    let earlier = transaction
        .query_row(
            "SELECT total_cents FROM reservations WHERE order_id = ?1",
            [&request.order_id],
            |row| row.get(0),
        )
        .optional()?;
    if let Some(total_cents) = earlier {
        return Ok(Ok(Reservation { total_cents }));
    }
    let mut total_cents = 0;
    for Line { sku, quantity } in &request.items {
        let found: Option<(i64, i64)> = transaction
            .prepare("SELECT price_cents, stock FROM products WHERE sku = ?1")?
            .query_row([sku], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((price_cents, stock)) = found else {
            return Ok(Err(Problem::not_found(format!("no product {sku}"))));
        };
        if stock < i64::from(*quantity) {
            return Ok(Err(Problem::out_of_stock(format!("{stock} of {sku} left"))));
        }
        transaction
            .prepare("UPDATE products SET stock = stock - ?2 WHERE sku = ?1")?
            .execute(params![sku, quantity])?;
        total_cents += price_cents * i64::from(*quantity);
    }
    let items = serde_json::to_string(&request.items).unwrap_or_default();
    transaction.execute(
        "INSERT INTO reservations (order_id, items, total_cents) VALUES (?1, ?2, ?3)",
        params![request.order_id, items, total_cents],
    )?;
    transaction.commit()?;
    Ok(Ok(Reservation { total_cents }))
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
            .prepare("UPDATE products SET stock = stock + ?2 WHERE sku = ?1")?
            .execute(params![sku, quantity])?;
    }
    transaction.commit()
}

async fn housekeep(store: Store) {
    let delivery = Query { operation: "UPDATE", summary: "UPDATE products" };
    let delivered = store
        .run(delivery, |connection| {
            let sql = "UPDATE products SET stock = stock_full WHERE stock < stock_full / 2";
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

fn read_product(row: &Row<'_>) -> Result<Product, rusqlite::Error> {
    Ok(Product {
        sku: row.get(0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        price_cents: row.get(3)?,
        stock: row.get(4)?,
    })
}

#[cfg(test)]
mod tests;
