//! Payment: charges a card once per idempotency key and remembers every charge.
//!
//! Whether the issuer agrees is asked of the card network ([`crate::provider`]) where one is given;
//! else the public test numbers decide.
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
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::card::Card;
use crate::problem::Problem;
use crate::provider::{Authorization, AuthorizationRequest};
use crate::serve::{ServeArgs, every, serve};
use crate::store::{Query, Store};
use crate::telemetry::outbound::{Call, Caller};
use crate::transport::Upstream;

/// Header that makes a charge repeatable.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Charges kept; older ones are forgotten.
const CHARGES_MAX: u32 = 20_000;
/// How often old charges are forgotten.
const HOUSEKEEPING_PERIOD: Duration = Duration::from_secs(60);
/// Time for the card network; shorter than the balancer's patience with this part.
const AUTHORIZE_TIMEOUT: Duration = Duration::from_millis(1_500);
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
    /// Where the card network is
    #[arg(long, value_name = "URL")]
    provider: Option<Upstream>,
}

#[derive(Clone)]
struct Payment {
    store: Store,
    caller: Caller,
    provider: Option<Upstream>,
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
    let payment = Payment { store, caller: Caller::new(), provider: args.provider };
    serve(&args.serve, routes(payment)).await
}

fn routes(payment: Payment) -> Router {
    let routes = Router::new().route("/healthz", get(healthz)).route("/payments", post(charge));
    routes.with_state(payment)
}

async fn healthz(State(payment): State<Payment>) -> Result<&'static str, Problem> {
    payment.store.ping().await?;
    Ok("ok")
}

async fn charge(
    State(payment): State<Payment>,
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
    let declined = !payment.authorize(request).await?;
    let card = Charged { last_four: card.last_four().to_owned(), declined };
    let work = move |connection: &mut Connection| record(connection, &key, amount_cents, &card);
    payment.store.run(query, work).await?
}

/// What is kept of a card, and what its issuer said.
struct Charged {
    last_four: String,
    declined: bool,
}

impl Payment {
    /// Whether the issuer agrees.
    async fn authorize(&self, request: ChargeRequest) -> Result<bool, Problem> {
        let ChargeRequest { amount_cents, card } = request;
        let Some(provider) = &self.provider else {
            return Ok(Card::parse(&card).is_some_and(|card| !card.is_declined()));
        };
        let request = AuthorizationRequest { amount_cents, card };
        let body = serde_json::to_vec(&request).unwrap_or_default();
        let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let call = Call {
            name: "provider",
            upstream: provider,
            method: Method::POST,
            path: "/authorizations",
            headers: HeaderMap::from_iter([json]),
            body: body.into(),
            timeout: AUTHORIZE_TIMEOUT,
        };
        let response = self.caller.call(call).await?;
        let answer: Option<Authorization> = serde_json::from_slice(response.body()).ok();
        match (response.status(), answer) {
            (StatusCode::OK, Some(answer)) => Ok(answer.approved),
            (status, _) => Err(Problem::upstream_answered("provider", status)),
        }
    }
}

/// Charges once per key; a repeated key gets the earlier answer.
fn record(
    connection: &mut Connection,
    key: &str,
    amount_cents: i64,
    card: &Charged,
) -> Result<Result<(StatusCode, Json<Charge>), Problem>, rusqlite::Error> {
    let transaction = connection.transaction()?;
    let inserted = transaction
        .prepare(
            "INSERT INTO charges (key, amount_cents, last_four, declined)
             VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key) DO NOTHING",
        )?
        .execute(params![key, amount_cents, card.last_four, card.declined])?;
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

    fn payment(folder: &std::path::Path) -> Payment {
        let store = Store::open(folder, "p", "payment", SCHEMA).expect("open");
        Payment { store, caller: Caller::new(), provider: None }
    }

    async fn charged(
        payment: &Payment,
        key: &str,
        amount_cents: i64,
        card: &str,
    ) -> Result<(StatusCode, Charge), Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, key.parse().expect("header value"));
        let request = ChargeRequest { amount_cents, card: card.to_owned() };
        let (status, Json(charge)) =
            charge(State(payment.clone()), headers, Ok(Json(request))).await?;
        Ok((status, charge))
    }

    #[tokio::test]
    async fn a_repeated_key_charges_once() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let payment = payment(folder.path());
        let (status, first) = charged(&payment, "o-1", 500, "4242424242424242").await.expect("new");
        assert_eq!(status, StatusCode::CREATED);
        let (status, again) = charged(&payment, "o-1", 500, "4242424242424242").await.expect("old");
        assert_eq!((status, again), (StatusCode::OK, first));
        let other = charged(&payment, "o-1", 900, "4242424242424242").await;
        assert_eq!(other.expect_err("other amount").status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[tokio::test]
    async fn a_declined_card_is_declined_again() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let payment = payment(folder.path());
        for _ in 0..2 {
            let declined = charged(&payment, "o-2", 500, "4000000000000002").await;
            assert_eq!(declined.expect_err("declined").status, StatusCode::PAYMENT_REQUIRED);
        }
    }

    #[tokio::test]
    async fn senseless_charges_are_refused() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let payment = payment(folder.path());
        let long = "k".repeat(65);
        let good = "4242424242424242";
        for (key, amount, card) in [("", 1, good), (&long, 1, good), ("k", 0, good), ("k", 1, "1")]
        {
            let refused = charged(&payment, key, amount, card).await;
            assert_eq!(refused.expect_err("refused").status, StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
}
