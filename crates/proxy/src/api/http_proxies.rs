//! `/http-proxies`: ours, in the manner of `/proxies`. Unknown fields are refused.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::App;
use super::answer::{answer, body, no_content};
use crate::error::Error;

pub(super) async fn list(State(app): State<App>) -> Result<Response, Error> {
    let mut all = BTreeMap::new();
    for proxy in app.http_proxies.all().await {
        all.insert(proxy.name.clone(), proxy.view().await);
    }
    answer(StatusCode::OK, &all)
}

pub(super) async fn create(State(app): State<App>, request: Request) -> Result<Response, Error> {
    let proxy = app.http_proxies.add(read(request).await?).await?;
    answer(StatusCode::CREATED, &proxy.view().await)
}

pub(super) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    answer(StatusCode::OK, &app.http_proxies.named(&name).await?.view().await)
}

pub(super) async fn update(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let proxy = app.http_proxies.named(&name).await?;
    proxy.update(read(request).await?).await?;
    answer(StatusCode::OK, &proxy.view().await)
}

pub(super) async fn remove(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    app.http_proxies.remove(&name).await?;
    Ok(no_content())
}

pub(super) async fn add_fault(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let proxy = app.http_proxies.named(&name).await?;
    answer(StatusCode::OK, &proxy.add_fault(read(request).await?)?)
}

pub(super) async fn remove_fault(
    State(app): State<App>,
    Path((name, fault)): Path<(String, String)>,
) -> Result<Response, Error> {
    app.http_proxies.named(&name).await?.remove_fault(&fault)?;
    Ok(no_content())
}

async fn read<T: DeserializeOwned>(request: Request) -> Result<T, Error> {
    let body = body(request).await?;
    serde_json::from_slice(&body).map_err(|error| Error::bad_request_body(error.to_string()))
}
