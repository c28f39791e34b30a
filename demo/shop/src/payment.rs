//! Payment: charges a card once per idempotency key and remembers every charge.
//!
//! Several instances run side by side, each with its own database.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::card::Card;
use crate::problem::Problem;
use crate::serve::{ServeArgs, every, serve};
use crate::store::{Query, Store};

/// Header that makes a charge repeatable.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Charges kept; older ones are forgotten.
const CHARGES_MAX: u32 = 20_000;
/// How often old charges are forgotten.
const HOUSEKEEPING_PERIOD: Duration = Duration::from_secs(60);
/// Largest charge.
const AMOUNT_CENTS_MAX: i64 = 100_000_000;
/// Longest idempotency key, in bytes.
const KEY_BYTES_MAX: usize = 64;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS charges (
        id           INTEGER PRIMARY KEY,
        key          TEXT NOT NULL UNIQUE,
        amount_cents INTEGER NOT NULL,
        last_four    TEXT NOT NULL,
        declined     INTEGER NOT NULL
    );";

/// `shop payment`
#[derive(Debug, clap::Args)]
pub struct PaymentArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Folder of the database, whose file is named after the instance
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

/// What checkout asks for.
#[derive(Debug, Serialize, Deserialize)]
pub struct ChargeRequest {
    /// How much.
    pub amount_cents: i64,
    /// Card number.
    pub card: String,
}

/// A charge that went through.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Charge {
    /// Number of the charge at this instance.
    pub id: i64,
    /// How much.
    pub amount_cents: i64,
    /// What may be shown of the card.
    pub last_four: String,
}

/// Runs the part until it is told to stop.
pub async fn run(args: PaymentArgs) -> anyhow::Result<()> {
    let file = args.serve.instance.as_deref().unwrap_or("payment-1");
    let store = Store::open(&args.data, file, "payment", SCHEMA).context("start payment")?;
    let kept = store.clone();
    every(HOUSEKEEPING_PERIOD, move || housekeep(kept.clone()));
    serve(&args.serve, routes(store)).await
}

fn routes(store: Store) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/payments", post(charge)).with_state(store)
}

async fn healthz(State(store): State<Store>) -> Result<&'static str, Problem> {
    store.ping().await?;
    Ok("ok")
}

async fn charge(
    State(store): State<Store>,
    headers: HeaderMap,
    request: Result<Json<ChargeRequest>, JsonRejection>,
) -> Result<(StatusCode, Json<Charge>), Problem> {
    let Json(request) = request?;
    let key = headers.get(IDEMPOTENCY_KEY).and_then(|key| key.to_str().ok());
    let Some(key) = key.filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX) else {
        let detail = format!("send {IDEMPOTENCY_KEY} with at most {KEY_BYTES_MAX} bytes");
        return Err(Problem::invalid(detail));
    };
    if !(1..=AMOUNT_CENTS_MAX).contains(&request.amount_cents) {
        return Err(Problem::invalid(format!("amount_cents is 1 to {AMOUNT_CENTS_MAX}")));
    }
    let Some(card) = Card::parse(&request.card) else {
        return Err(Problem::invalid("not a card number"));
    };
    let key = key.to_owned();
    let query = Query { operation: "BATCH", summary: "INSERT charges SELECT charges" };
    let amount_cents = request.amount_cents;
    store.run(query, move |connection| record(connection, &key, amount_cents, &card)).await?
}

/// Charges once per key; a repeated key gets the earlier answer.
fn record(
    connection: &mut Connection,
    key: &str,
    amount_cents: i64,
    card: &Card,
) -> Result<Result<(StatusCode, Json<Charge>), Problem>, rusqlite::Error> {
    let transaction = connection.transaction()?;
    let inserted = transaction
        .prepare(
            "INSERT INTO charges (key, amount_cents, last_four, declined)
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO NOTHING",
        )?
        .execute(params![key, amount_cents, card.last_four(), card.is_declined()])?;
    let kept: Option<(Charge, bool)> = transaction
        .prepare("SELECT id, amount_cents, last_four, declined FROM charges WHERE key = ?1")?
        .query_row([key], |row| {
            let charge =
                Charge { id: row.get(0)?, amount_cents: row.get(1)?, last_four: row.get(2)? };
            Ok((charge, row.get(3)?))
        })
        .optional()?;
    transaction.commit()?;
    let Some((charge, declined)) = kept else {
        return Ok(Err(Problem::not_found("the charge is gone")));
    };
    if charge.amount_cents != amount_cents {
        return Ok(Err(Problem::invalid("this key belongs to a charge of another amount")));
    }
    if declined {
        return Ok(Err(Problem::declined("the issuer declined the card")));
    }
    let status = if inserted == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok(Ok((status, Json(charge))))
}

async fn housekeep(store: Store) {
    if let Err(error) = store.keep_newest("charges", CHARGES_MAX).await {
        tracing::error!("forget old charges: {}", crate::problem::chain(&error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn charged(
        store: &Store,
        key: &str,
        amount_cents: i64,
        card: &str,
    ) -> Result<(StatusCode, Charge), Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, key.parse().expect("header value"));
        let request = ChargeRequest { amount_cents, card: card.to_owned() };
        let (status, Json(charge)) =
            charge(State(store.clone()), headers, Ok(Json(request))).await?;
        Ok((status, charge))
    }

    #[tokio::test]
    async fn a_repeated_key_charges_once() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path(), "p", "payment", SCHEMA).expect("open");
        let (status, first) = charged(&store, "o-1", 500, "4242424242424242").await.expect("new");
        assert_eq!(status, StatusCode::CREATED);
        let (status, again) = charged(&store, "o-1", 500, "4242424242424242").await.expect("old");
        assert_eq!((status, again), (StatusCode::OK, first));
        let other = charged(&store, "o-1", 900, "4242424242424242").await;
        assert_eq!(other.expect_err("other amount").status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[tokio::test]
    async fn a_declined_card_is_declined_again() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path(), "p", "payment", SCHEMA).expect("open");
        for _ in 0..2 {
            let declined = charged(&store, "o-2", 500, "4000000000000002").await;
            assert_eq!(declined.expect_err("declined").status, StatusCode::PAYMENT_REQUIRED);
        }
    }

    #[tokio::test]
    async fn senseless_charges_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path(), "p", "payment", SCHEMA).expect("open");
        let long = "k".repeat(65);
        let good = "4242424242424242";
        for (key, amount, card) in [("", 1, good), (&long, 1, good), ("k", 0, good), ("k", 1, "1")]
        {
            let refused = charged(&store, key, amount, card).await;
            assert_eq!(refused.expect_err("refused").status, StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
}
