//! The gateway: the storefront page, its API proxied to the parts, payments balanced.
//!
//! Whole bodies pass through unchanged with their status. Nothing is cached. Reads of the catalog
//! go to its next instance where one refuses connections; nothing else is repeated. Operators see
//! and change which payment instances get requests at `/admin/payments`.

mod admin;

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

use crate::balancer::{BalancedCall, Balancer};
use crate::lines::segment;
use crate::payment::IDEMPOTENCY_KEY;
use crate::problem::Problem;
use crate::serve::{ServeArgs, serve_with};
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
    /// An instance of the catalog; repeat for each
    #[arg(long, value_name = "URL", required = true)]
    catalog: Vec<Upstream>,
    /// Where the carts are
    #[arg(long, value_name = "URL")]
    cart: Upstream,
    /// Where checkout is
    #[arg(long, value_name = "URL")]
    checkout: Upstream,
    /// An instance of payment; repeat for each
    #[arg(long, value_name = "URL", required = true)]
    payment: Vec<Upstream>,
}

struct Gateway {
    caller: Caller,
    catalog: Balancer,
    cart: Upstream,
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
        catalog: Balancer::new("catalog", args.catalog),
        cart: args.cart,
        checkout: args.checkout,
        payments: Balancer::new("payment", args.payment),
    };
    let gateway = Arc::new(gateway);
    serve_with(&args.serve, routes(gateway.clone()), admin::routes(gateway)).await
}

fn routes(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/", get(storefront))
        .route("/healthz", get(healthz))
        .route("/api/products", get(products))
        .route("/api/products/{sku}", get(product))
        .route("/api/carts/{session}", get(cart))
        .route("/api/carts/{session}/items", post(add_to_cart))
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
    gateway.browse("/products").await
}

async fn product(
    State(gateway): State<Arc<Gateway>>,
    Path(sku): Path<String>,
) -> Result<Response, Problem> {
    gateway.browse(&format!("/products/{}", segment(&sku)?)).await
}

async fn order(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    gateway.read("checkout", &gateway.checkout, &format!("/orders/{}", segment(&id)?)).await
}

async fn cart(
    State(gateway): State<Arc<Gateway>>,
    Path(session): Path<String>,
) -> Result<Response, Problem> {
    gateway.read("cart", &gateway.cart, &format!("/carts/{}", segment(&session)?)).await
}

async fn add_to_cart(
    State(gateway): State<Arc<Gateway>>,
    Path(session): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let passing = Passing {
        name: "cart",
        upstream: &gateway.cart,
        method: Method::POST,
        path: &format!("/carts/{}/items", segment(&session)?),
        headers: &headers,
        body,
        timeout: USER_TIMEOUT,
    };
    gateway.pass(passing).await
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
    async fn browse(&self, path: &str) -> Result<Response, Problem> {
        let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
        let call = BalancedCall { method, path, headers, body, timeout: USER_TIMEOUT };
        Ok(passed_out(self.catalog.read(&self.caller, call).await?))
    }

    async fn read(&self, name: &str, upstream: &Upstream, path: &str) -> Result<Response, Problem> {
        let (method, body, timeout) = (Method::GET, Bytes::new(), USER_TIMEOUT);
        let headers = &HeaderMap::new();
        self.pass(Passing { name, upstream, method, path, headers, body, timeout }).await
    }

    async fn pass(&self, passing: Passing<'_>) -> Result<Response, Problem> {
        let Passing { name, upstream, method, path, headers, body, timeout } = passing;
        let headers = only(headers, &PASSED_IN);
        let call = Call { name, upstream, method, path, headers, body, timeout };
        Ok(passed_out(self.caller.call(call).await?))
    }
}

fn passed_out(answer: http::Response<Bytes>) -> Response {
    let (head, body) = answer.into_parts();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = head.status;
    *response.headers_mut() = only(&head.headers, &PASSED_OUT);
    response
}

fn only(headers: &HeaderMap, names: &[HeaderName]) -> HeaderMap {
    let passed = names.iter().filter_map(|name| Some((name.clone(), headers.get(name)?.clone())));
    passed.collect()
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
}
