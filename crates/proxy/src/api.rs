//! Toxiproxy's HTTP API, to the letter: routes, codes, bodies, error texts; and beside it, under
//! `/http-proxies`, that of the HTTP proxies.
//!
//! Browsers are refused, as Toxiproxy refuses them, so that no web page can open ports here.

mod answer;

mod http_proxies;

mod metrics;

mod proxies;

mod toxics;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::{HeaderName, HeaderValue, StatusCode, header};

use self::answer::{no_content, plain};
use crate::error::Error;
use crate::http::HttpProxies;
use crate::proxies::Proxies;

/// The version of Toxiproxy whose behaviour this is, with ours behind the plus sign.
pub const VERSION: &str = concat!("2.12.0+immune.", env!("CARGO_PKG_VERSION"));

const REQUEST_ID: HeaderName = HeaderName::from_static("x-toxiproxy-request-id");

/// What the routes share.
pub struct Shared {
    pub proxies: Proxies,
    pub http_proxies: HttpProxies,
    pub requests: AtomicU64,
}

type App = Arc<Shared>;

/// All routes.
pub fn router(shared: App) -> Router {
    Router::new()
        .route("/reset", post(reset))
        .route("/version", get(version))
        .route("/metrics", get(metrics::metrics))
        .route("/proxies", get(proxies::list).post(proxies::create))
        .route("/populate", post(proxies::populate))
        .route(
            "/proxies/{proxy}",
            get(proxies::show).post(proxies::update).patch(proxies::update).delete(proxies::remove),
        )
        .route("/proxies/{proxy}/toxics", get(toxics::list).post(toxics::create))
        .route(
            "/proxies/{proxy}/toxics/{toxic}",
            get(toxics::show).post(toxics::update).patch(toxics::update).delete(toxics::remove),
        )
        .route("/http-proxies", get(http_proxies::list).post(http_proxies::create))
        .route(
            "/http-proxies/{proxy}",
            get(http_proxies::show).patch(http_proxies::update).delete(http_proxies::remove),
        )
        .route("/http-proxies/{proxy}/faults", post(http_proxies::add_fault))
        .route("/http-proxies/{proxy}/faults/{fault}", delete(http_proxies::remove_fault))
        .route_layer(from_fn(refuse_browsers))
        .route_layer(from_fn_with_state(Arc::clone(&shared), number))
        .fallback(async || plain(StatusCode::NOT_FOUND, "404 page not found\n"))
        .method_not_allowed_fallback(async || StatusCode::METHOD_NOT_ALLOWED)
        .with_state(shared)
}

async fn reset(State(app): State<App>) -> Result<Response, Error> {
    app.proxies.reset().await?;
    app.http_proxies.reset().await?;
    Ok(no_content())
}

async fn version() -> Response {
    let json = HeaderValue::from_static("application/json;charset=utf-8");
    let body = format!("{{\"version\": \"{VERSION}\"}}\n");
    ([(header::CONTENT_TYPE, json)], body).into_response()
}

async fn refuse_browsers(request: Request, next: Next) -> Response {
    let agent = request.headers().get(header::USER_AGENT);
    if agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/")) {
        return plain(StatusCode::FORBIDDEN, "User agent not allowed\n");
    }
    next.run(request).await
}

/// Each answer bears a number, by which it is known in reports.
async fn number(State(app): State<App>, request: Request, next: Next) -> Response {
    let number = app.requests.fetch_add(1, Ordering::Relaxed);
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::from_str(&format!("{number:020}")) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
