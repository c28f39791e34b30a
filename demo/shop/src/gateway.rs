//! The gateway: the storefront page, its API proxied to the parts, payments balanced.
//!
//! Whole bodies pass through unchanged with their status. Nothing is retried or cached.

mod balancer;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{Html, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, Method};

use self::balancer::Balancer;
use crate::payment::IDEMPOTENCY_KEY;
use crate::problem::Problem;
use crate::serve::{ServeArgs, serve};
use crate::telemetry::outbound::{Call, Caller};
use crate::transport::Upstream;

/// Time for a part to answer a user's request.
const USER_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for a payment instance; shorter than checkout's patience with the balancer.
const PAYMENT_TIMEOUT: Duration = Duration::from_secs(2);

/// Request headers that pass through; the rest ends here.
const PASSED_IN: [HeaderName; 2] = [CONTENT_TYPE, HeaderName::from_static(IDEMPOTENCY_KEY)];
/// Response headers that pass through.
const PASSED_OUT: [HeaderName; 2] = [CONTENT_TYPE, RETRY_AFTER];

const STOREFRONT: &str = include_str!("gateway/storefront.html");

/// `shop gateway`
#[derive(Debug, clap::Args)]
pub struct GatewayArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Where the catalog is
    #[arg(long, value_name = "URL")]
    catalog: Upstream,
    /// Where checkout is
    #[arg(long, value_name = "URL")]
    checkout: Upstream,
    /// An instance of payment; repeat for each
    #[arg(long, value_name = "URL", required = true)]
    payment: Vec<Upstream>,
}

struct Gateway {
    caller: Caller,
    catalog: Upstream,
    checkout: Upstream,
    payments: Balancer,
}

/// One exchange to pass on.
struct Passing<'a> {
    name: &'a str,
    upstream: &'a Upstream,
    method: Method,
    path: &'a str,
    headers: &'a HeaderMap,
    body: Bytes,
    timeout: Duration,
}

/// Runs the part until it is told to stop.
pub async fn run(args: GatewayArgs) -> anyhow::Result<()> {
    let gateway = Gateway {
        caller: Caller::new(),
        catalog: args.catalog,
        checkout: args.checkout,
        payments: Balancer::new(args.payment),
    };
    serve(&args.serve, routes(Arc::new(gateway))).await
}

fn routes(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/", get(storefront))
        .route("/healthz", get(healthz))
        .route("/api/products", get(products))
        .route("/api/products/{sku}", get(product))
        .route("/api/checkout", post(checkout))
        .route("/api/orders/{id}", get(order))
        .route("/internal/payments", post(payment))
        .with_state(gateway)
}

async fn storefront() -> Html<&'static str> {
    Html(STOREFRONT)
}

async fn healthz() -> &'static str {
    "ok"
}

async fn products(State(gateway): State<Arc<Gateway>>) -> Result<Response, Problem> {
    gateway.read("catalog", &gateway.catalog, "/products").await
}

async fn product(
    State(gateway): State<Arc<Gateway>>,
    Path(sku): Path<String>,
) -> Result<Response, Problem> {
    gateway.read("catalog", &gateway.catalog, &format!("/products/{}", segment(&sku)?)).await
}

async fn order(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    gateway.read("checkout", &gateway.checkout, &format!("/orders/{}", segment(&id)?)).await
}

async fn checkout(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let passing = Passing {
        name: "checkout",
        upstream: &gateway.checkout,
        method: Method::POST,
        path: "/orders",
        headers: &headers,
        body,
        timeout: USER_TIMEOUT,
    };
    gateway.pass(passing).await
}

async fn payment(
    State(gateway): State<Arc<Gateway>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let passing = Passing {
        name: "payment",
        upstream: gateway.payments.next(),
        method: Method::POST,
        path: "/payments",
        headers: &headers,
        body,
        timeout: PAYMENT_TIMEOUT,
    };
    gateway.pass(passing).await
}

impl Gateway {
    async fn read(&self, name: &str, upstream: &Upstream, path: &str) -> Result<Response, Problem> {
        let (method, body, timeout) = (Method::GET, Bytes::new(), USER_TIMEOUT);
        let headers = &HeaderMap::new();
        self.pass(Passing { name, upstream, method, path, headers, body, timeout }).await
    }

    async fn pass(&self, passing: Passing<'_>) -> Result<Response, Problem> {
        let Passing { name, upstream, method, path, headers, body, timeout } = passing;
        let headers = only(headers, &PASSED_IN);
        let call = Call { name, upstream, method, path, headers, body, timeout };
        let (head, body) = self.caller.call(call).await?.into_parts();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = head.status;
        *response.headers_mut() = only(&head.headers, &PASSED_OUT);
        Ok(response)
    }
}

fn only(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let passed = names.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
    passed.collect()
}

/// A name from the path that may be written into another path.
fn segment(name: &str) -> Result<&str, Problem> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.bytes().all(plain) { Ok(name) } else { Err(Problem::not_found("no such name")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_listed_headers_pass() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("content-type", "application/json"), ("cookie", "session=1")] {
            headers.insert(name, value.parse().expect("header value"));
        }
        let passed = only(&headers, &PASSED_IN);
        assert_eq!(passed.len(), 1);
        assert_eq!(passed[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn a_name_cannot_reach_another_path() {
        assert!(segment("o-12ab").is_ok());
        for name in ["../reservations", "a/b", "a?b", "a b"] {
            assert!(segment(name).is_err(), "{name:?} was accepted");
        }
    }
}
