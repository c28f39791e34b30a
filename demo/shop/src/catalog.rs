//! The catalog: what the shop sells and for how much.
//!
//! Stock is the inventory's: a product is shown without it when the inventory does not answer.
//! Two builds of the catalog can be deployed ([`Build`]): what is running is what the release file
//! names at start.

mod build;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::Router;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde::{Deserialize, Serialize};

use self::build::Build;
use crate::inventory::Stock;
use crate::lines::{Line, check_lines, segment};
use crate::problem::Problem;
use crate::serve::{ServeArgs, serve_with};
use crate::store::{Query, Store, StoreError};
use crate::telemetry::outbound::{Call, Caller};
use crate::transport::Upstream;

/// Time for the inventory; a product can be shown without its stock.
const STOCK_TIMEOUT: Duration = Duration::from_millis(500);

const SCHEMA: &str = include_str!("catalog/schema.sql");
const SEED: &str = include_str!("catalog/seed.sql");

/// `shop catalog`
#[derive(Debug, clap::Args)]
pub struct CatalogArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Folder of the database, whose file is named after the instance
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Where the inventory is
    #[arg(long, value_name = "URL")]
    inventory: Upstream,
    /// File that names the version to run, as `shop release` writes it [default: 1.4.0]
    #[arg(long, value_name = "FILE")]
    release_file: Option<PathBuf>,
}

/// Something to buy.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Product {
    sku: String,
    name: String,
    description: String,
    price_cents: i64,
    /// Unknown while the inventory does not answer, and in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    stock: Option<i64>,
}

#[derive(Serialize)]
struct Products {
    products: Vec<Product>,
}

/// What checkout asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct QuoteRequest {
    /// What is to be bought.
    pub items: Vec<Line>,
}

/// What checkout gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Quote {
    /// Price of all items.
    pub total_cents: i64,
}

struct Catalog {
    store: Store,
    caller: Caller,
    inventory: Upstream,
    build: Build,
}

impl CatalogArgs {
    /// The version that runs, for telemetry.
    pub fn version(&self) -> Option<String> {
        Some(Build::chosen(self.release_file.as_deref()).ok()?.version().to_owned())
    }
}

/// Runs the part until it is told to stop.
pub async fn run(args: CatalogArgs) -> anyhow::Result<()> {
    let build = Build::chosen(args.release_file.as_deref()).context("start the catalog")?;
    let file = args.serve.instance.as_deref().unwrap_or("catalog");
    let store = open(&args.data, file).context("start the catalog")?;
    tracing::info!("catalog {}", build.version());
    let catalog = Catalog { store, caller: Caller::new(), inventory: args.inventory, build };
    let version = serde_json::json!({ "version": build.version() });
    let admin = Router::new().route("/admin/build", get(|| async { Json(version) }));
    serve_with(&args.serve, routes(Arc::new(catalog)), admin).await
}

fn open(data: &std::path::Path, file: &str) -> Result<Store, StoreError> {
    Store::open(data, file, "catalog", &format!("{SCHEMA}{SEED}"))
}

fn routes(catalog: Arc<Catalog>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/products", get(products))
        .route("/products/{sku}", get(product))
        .route("/quotes", post(quote))
        .with_state(catalog)
}

async fn healthz(State(catalog): State<Arc<Catalog>>) -> Result<&'static str, Problem> {
    catalog.store.ping().await?;
    Ok("ok")
}

async fn products(State(catalog): State<Arc<Catalog>>) -> Result<Json<Products>, Problem> {
    let query = Query { operation: "SELECT", summary: "SELECT products" };
    let products = catalog
        .store
        .run(query, |connection| {
            let sql = "SELECT sku, name, description, price_cents FROM products ORDER BY place";
            connection.prepare(sql)?.query_map([], read_product)?.collect()
        })
        .await?;
    Ok(Json(Products { products }))
}

async fn product(
    State(catalog): State<Arc<Catalog>>,
    Path(sku): Path<String>,
) -> Result<Json<Product>, Problem> {
    let query = Query { operation: "SELECT", summary: "SELECT products" };
    let (wanted, price) = (sku.clone(), catalog.build.price());
    let product = catalog
        .store
        .run(query, move |connection| {
            let sql =
                format!("SELECT sku, name, description, {price} FROM products WHERE sku = ?1");
            connection.prepare(&sql)?.query_row([wanted], read_product).optional()
        })
        .await?;
    let mut product = product.ok_or_else(|| Problem::not_found(format!("no product {sku}")))?;
    product.stock = catalog.stock(&sku).await;
    Ok(Json(product))
}

async fn quote(
    State(catalog): State<Arc<Catalog>>,
    request: Result<Json<QuoteRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Quote>), Problem> {
    let Json(request) = request?;
    check_lines(&request.items)?;
    let query = Query { operation: "SELECT", summary: "SELECT products" };
    let price = catalog.build.price();
    let work = move |connection: &mut Connection| total(connection, price, &request.items);
    let total_cents = catalog.store.run(query, work).await??;
    Ok((StatusCode::CREATED, Json(Quote { total_cents })))
}

fn total(
    connection: &mut Connection,
    price: &str,
    items: &[Line],
) -> Result<Result<i64, Problem>, rusqlite::Error> {
    let mut statement =
        connection.prepare(&format!("SELECT {price} FROM products WHERE sku = ?1"))?;
    let mut total_cents = 0;
    for Line { sku, quantity } in items {
        let found: Option<i64> = statement.query_row([sku], |row| row.get(0)).optional()?;
        let Some(price_cents) = found else {
            return Ok(Err(Problem::not_found(format!("no product {sku}"))));
        };
        total_cents += price_cents * i64::from(*quantity);
    }
    Ok(Ok(total_cents))
}

impl Catalog {
    /// What the inventory says; nothing where it says nothing.
    async fn stock(&self, sku: &str) -> Option<i64> {
        let call = Call {
            name: "inventory",
            upstream: &self.inventory,
            method: Method::GET,
            path: &format!("/stock/{}", segment(sku).ok()?),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: STOCK_TIMEOUT,
        };
        // A failed call has logged itself.
        let answer = self.caller.call(call).await.ok()?;
        let stock: Stock = serde_json::from_slice(answer.body()).ok()?;
        Some(stock.stock)
    }
}

fn read_product(row: &Row<'_>) -> Result<Product, rusqlite::Error> {
    Ok(Product {
        sku: row.get(0)?,
        name: row.get(1)?,
        description: row.get(2)?,
        price_cents: row.get(3)?,
        stock: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(folder: &std::path::Path, version: &str) -> State<Arc<Catalog>> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let nobody = format!("http://{}", free.local_addr().expect("address"));
        let build = Build::named(version).expect("a known version");
        let (store, caller) = (open(folder, "catalog").expect("open"), Caller::new());
        let inventory = nobody.parse().expect("good URL");
        State(Arc::new(Catalog { store, caller, inventory, build }))
    }

    async fn quoted(catalog: &State<Arc<Catalog>>, sku: &str) -> Result<i64, Problem> {
        let items = vec![Line { sku: sku.to_owned(), quantity: 2 }];
        let (_, Json(quote)) = quote(catalog.clone(), Ok(Json(QuoteRequest { items }))).await?;
        Ok(quote.total_cents)
    }

    #[tokio::test]
    async fn a_product_is_shown_without_stock_when_the_inventory_is_silent() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let catalog = catalog(folder.path(), "1.4.0");
        let Json(mug) = product(catalog.clone(), Path("mug".to_owned())).await.expect("a mug");
        assert_eq!((mug.price_cents, mug.stock), (1800, None));
        assert_eq!(quoted(&catalog, "mug").await, Ok(3600));
        let unknown = quoted(&catalog, "yacht").await.expect_err("no such product");
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn the_build_whose_migration_was_forgotten_lists_products_and_prices_none() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let catalog = catalog(folder.path(), "1.5.0");
        assert!(products(catalog.clone()).await.is_ok());
        let failed = quoted(&catalog, "mug").await.expect_err("no such column");
        assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
        let failed = product(catalog, Path("mug".to_owned())).await.expect_err("no such column");
        assert_eq!(failed.status, StatusCode::INTERNAL_SERVER_ERROR);
    }
}
