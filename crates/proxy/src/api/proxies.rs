//! `/proxies` and `/populate`.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;

use super::App;
use super::answer::{answer, body, no_content, object};
use crate::error::Error;
use crate::proxies::Populated;
use crate::proxy::{View, Wanted};

pub(super) async fn list(State(app): State<App>) -> Result<Response, Error> {
    let mut all = BTreeMap::new();
    for proxy in app.proxies.all().await {
        all.insert(proxy.name.clone(), proxy.view().await);
    }
    answer(StatusCode::OK, &all)
}

pub(super) async fn create(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let proxy = app.proxies.add(wanted(request).await?).await?;
    answer(StatusCode::CREATED, &proxy.view().await)
}

/// What was populated; an error stands beside it.
#[derive(Serialize)]
struct Answer {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// `null` where there is none.
    proxies: Option<Vec<View>>,
}

pub(super) async fn populate(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let Populated { proxies, error } = app.proxies.populate(&body(request).await?).await;
    let status = error.as_ref().map(|error| error.status);
    let code = status.and_then(|status| StatusCode::from_u16(status).ok());
    let populated = Answer {
        error: error.map(|error| error.message),
        status,
        proxies: (!proxies.is_empty()).then_some(proxies),
    };
    answer(code.unwrap_or(StatusCode::CREATED), &populated)
}

pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    answer(StatusCode::OK, &app.proxies.named(&name).await?.view().await)
}

pub(super) async fn update(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let proxy = app.proxies.named(&name).await?;
    proxy.update(wanted(request).await?).await?;
    answer(StatusCode::OK, &proxy.view().await)
}

pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    app.proxies.remove(&name).await?;
    Ok(no_content())
}

async fn wanted(request: Request) -> Result<Wanted, Error> {
    Wanted::read(&object(request, "Proxy").await?).map_err(Error::bad_request_body)
}
