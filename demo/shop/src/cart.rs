//! Carts: what each session means to buy, kept until it is bought or forgotten.

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
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::balancer::{BalancedCall, Balancer};
use crate::lines::{Line, check_lines, segment};
use crate::problem::Problem;
use crate::serve::{ServeArgs, every, serve};
use crate::store::{Query, Store, StoreError};
use crate::telemetry::outbound::Caller;
use crate::transport::Upstream;

/// Carts kept; older ones are forgotten.
const CARTS_MAX: u32 = 20_000;
/// How often old carts are forgotten.
const HOUSEKEEPING_PERIOD: Duration = Duration::from_secs(60);
/// Time for the catalog to know a product.
const PRODUCT_TIMEOUT: Duration = Duration::from_millis(1_500);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS carts (
        session TEXT NOT NULL UNIQUE,
        items   TEXT NOT NULL
    );";

/// `shop cart`
#[derive(Debug, clap::Args)]
pub struct CartArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Folder of the database
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// An instance of the catalog; repeat for each
    #[arg(long, value_name = "URL", required = true)]
    catalog: Vec<Upstream>,
}

/// A session's cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cart {
    /// What is in it, in the order in which it was put there.
    pub items: Vec<Line>,
}

struct Carts {
    store: Store,
    caller: Caller,
    catalog: Balancer,
}

/// Runs the part until it is told to stop.
pub async fn run(args: CartArgs) -> anyhow::Result<()> {
    let store = open(&args.data).context("start the carts")?;
    let kept = store.clone();
    every(HOUSEKEEPING_PERIOD, move || housekeep(kept.clone()));
    let catalog = Balancer::new("catalog", args.catalog);
    serve(&args.serve, routes(Arc::new(Carts { store, caller: Caller::new(), catalog }))).await
}

fn open(data: &std::path::Path) -> Result<Store, StoreError> {
    Store::open(data, "cart", "cart", SCHEMA)
}

fn routes(carts: Arc<Carts>) -> Router {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/carts/{session}", get(show).delete(empty))
        .route("/carts/{session}/items", post(add))
        .with_state(carts)
}

async fn healthz(State(carts): State<Arc<Carts>>) -> Result<&'static str, Problem> {
    carts.store.ping().await?;
    Ok("ok")
}

async fn show(
    State(carts): State<Arc<Carts>>,
    Path(session): Path<String>,
) -> Result<Json<Cart>, Problem> {
    let query = Query { operation: "SELECT", summary: "SELECT carts" };
    let items = carts.store.run(query, move |connection| read(connection, &session)).await?;
    Ok(Json(Cart { items }))
}

async fn add(
    State(carts): State<Arc<Carts>>,
    Path(session): Path<String>,
    line: Result<Json<Line>, JsonRejection>,
) -> Result<(StatusCode, Json<Cart>), Problem> {
    let Json(line) = line?;
    check_lines(std::slice::from_ref(&line))?;
    let session = segment(&session)?.to_owned();
    carts.check_product(&line.sku).await?;
    let query = Query { operation: "BATCH", summary: "SELECT carts INSERT carts" };
    let work = move |connection: &mut Connection| put(connection, &session, line);
    let items = carts.store.run(query, work).await??;
    Ok((StatusCode::CREATED, Json(Cart { items })))
}

async fn empty(
    State(carts): State<Arc<Carts>>,
    Path(session): Path<String>,
) -> Result<StatusCode, Problem> {
    let query = Query { operation: "DELETE", summary: "DELETE carts" };
    let sql = "DELETE FROM carts WHERE session = ?1";
    carts.store.run(query, move |connection| connection.execute(sql, [session])).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Carts {
    async fn check_product(&self, sku: &str) -> Result<(), Problem> {
        let call = BalancedCall {
            method: Method::GET,
            path: &format!("/products/{}", segment(sku)?),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: PRODUCT_TIMEOUT,
        };
        match self.catalog.read(&self.caller, call).await?.status() {
            StatusCode::OK => Ok(()),
            StatusCode::NOT_FOUND => Err(Problem::not_found(format!("no product {sku}"))),
            status => Err(Problem::upstream_answered("catalog", status)),
        }
    }
}

fn read(connection: &mut Connection, session: &str) -> Result<Vec<Line>, rusqlite::Error> {
    let items: Option<String> = connection
        .prepare("SELECT items FROM carts WHERE session = ?1")?
        .query_row([session], |row| row.get(0))
        .optional()?;
    Ok(items.and_then(|items| serde_json::from_str(&items).ok()).unwrap_or_default())
}

/// Puts a line into a cart; the same product again adds to its quantity.
fn put(
    connection: &mut Connection,
    session: &str,
    line: Line,
) -> Result<Result<Vec<Line>, Problem>, rusqlite::Error> {
    let mut items = read(connection, session)?;
    match items.iter_mut().find(|known| known.sku == line.sku) {
        Some(known) => known.quantity += line.quantity,
        None => items.push(line),
    }
    if let Err(problem) = check_lines(&items) {
        return Ok(Err(problem));
    }
    connection.execute(
        "INSERT INTO carts (session, items) VALUES (?1, ?2)
         ON CONFLICT (session) DO UPDATE SET items = ?2",
        params![session, serde_json::to_string(&items).unwrap_or_default()],
    )?;
    Ok(Ok(items))
}

async fn housekeep(store: Store) {
    if let Err(error) = store.keep_newest("carts", CARTS_MAX).await {
        tracing::error!("forget old carts: {}", crate::problem::chain(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(sku: &str, quantity: u32) -> Line {
        Line { sku: sku.to_owned(), quantity }
    }

    #[tokio::test]
    async fn the_same_product_again_adds_to_its_quantity() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = open(folder.path()).expect("open");
        let query = Query { operation: "BATCH", summary: "test" };
        let put_one = |line: Line| store.run(query, move |c| put(c, "s-1", line));
        for more in [line("mug", 2), line("teapot", 1), line("mug", 3)] {
            put_one(more).await.expect("store").expect("good");
        }
        let kept = store.run(query, |c| read(c, "s-1")).await.expect("store");
        assert_eq!(kept, [line("mug", 5), line("teapot", 1)]);
        let too_many = put_one(line("mug", 6)).await.expect("store").expect_err("11 mugs");
        assert_eq!(too_many.status, StatusCode::UNPROCESSABLE_ENTITY);
        let other = store.run(query, |c| read(c, "s-2")).await.expect("store");
        assert_eq!(other, []);
    }
}
