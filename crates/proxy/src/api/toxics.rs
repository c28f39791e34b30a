//! `/proxies/{proxy}/toxics`.

use axum::extract::{Path, Request, State};
use axum::response::Response;
use http::StatusCode;

use super::App;
use super::answer::{answer, no_content, object};
use crate::error::Error;

pub(super) async fn list(
    State(app): State<App>,
    Path(name): Path<String>,
) -> Result<Response, Error> {
    let proxy = app.proxies.named(&name).await?;
    answer(StatusCode::OK, &proxy.toxics().all().collect::<Vec<_>>())
}

pub(super) async fn create(
    State(app): State<App>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Error> {
    let proxy = app.proxies.named(&name).await?;
    let toxic = proxy.add_toxic(&object(request, "Toxic").await?).await?;
    answer(StatusCode::OK, &toxic)
}

pub(super) async fn show(
    State(app): State<App>,
    Path((name, toxic)): Path<(String, String)>,
) -> Result<Response, Error> {
    let toxics = app.proxies.named(&name).await?.toxics();
    answer(StatusCode::OK, toxics.named(&toxic)?)
}

pub(super) async fn update(
    State(app): State<App>,
    Path((name, toxic)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Error> {
    let proxy = app.proxies.named(&name).await?;
    proxy.toxics().named(&toxic)?;
    let toxic = proxy.update_toxic(&toxic, &object(request, "Toxic").await?).await?;
    answer(StatusCode::OK, &toxic)
}

pub(super) async fn remove(
    State(app): State<App>,
    Path((name, toxic)): Path<(String, String)>,
) -> Result<Response, Error> {
    app.proxies.named(&name).await?.remove_toxic(&toxic).await?;
    Ok(no_content())
}
