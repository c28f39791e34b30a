//! axum's extractors with our errors: what cannot be read is told in the one shape that all errors
//! have.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::Stream;
use model::experiment::Experiment;
use serde::Serialize;

use super::Error;

/// A JSON body, in and out.
pub(super) struct Json<T>(pub T);

/// The variable parts of a path.
pub(super) struct Path<T>(pub T);

/// What follows the question mark.
pub(super) struct Query<T>(pub T);

/// A body that is an experiment file (YAML or JSON), whatever its content type says.
pub(super) struct ExperimentFile(pub Experiment);

/// A body that Alertmanager posted, whatever its content type says; not read yet.
pub(super) struct AlertmanagerMessage(pub Bytes);

/// An answer that goes on: server-sent events, whose data are JSON of this type.
pub(super) struct Events<T> {
    events: Response,
    data: PhantomData<fn() -> T>,
}

/// Figures in Prometheus' text format.
pub(super) struct Figures(pub String);

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(value)) => Ok(Json(value)),
            Err(rejection) => Err(unread(rejection.status(), rejection.body_text())),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: serde::de::DeserializeOwned + Send,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Path(value)),
            Err(rejection) => Err(unread(rejection.status(), rejection.body_text())),
        }
    }
}

impl<S: Send + Sync, T: serde::de::DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Query(value)),
            Err(rejection) => Err(unread(rejection.status(), rejection.body_text())),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for ExperimentFile {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let text = String::from_request(request, state).await;
        let text = text.map_err(|rejection| unread(rejection.status(), rejection.body_text()))?;
        let experiment = chaos::parse(&text);
        experiment.map(ExperimentFile).map_err(|error| Error::Invalid(error.to_string()))
    }
}

impl<S: Send + Sync> FromRequest<S> for AlertmanagerMessage {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match Bytes::from_request(request, state).await {
            Ok(body) => Ok(AlertmanagerMessage(body)),
            Err(rejection) => Err(unread(rejection.status(), rejection.body_text())),
        }
    }
}

impl<T> Events<T> {
    /// Each event's data has to be the JSON of a `T`. What keeps an idle connection open is added.
    pub(super) fn new(
        events: impl Stream<Item = Result<Event, Infallible>> + Send + 'static,
    ) -> Self {
        let events = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
        Events { events, data: PhantomData }
    }
}

impl<T> IntoResponse for Events<T> {
    fn into_response(self) -> Response {
        self.events
    }
}

impl IntoResponse for Figures {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "text/plain; version=0.0.4")], self.0).into_response()
    }
}

/// Refuses a body that is announced as too large before any of it is awaited.
pub(super) async fn refuse_large(request: Request, next: Next) -> Result<Response, Error> {
    let announced = request.headers().get(CONTENT_LENGTH).and_then(|n| n.to_str().ok());
    let bytes: Option<u64> = announced.and_then(|bytes| bytes.parse().ok());
    if bytes.is_some_and(|bytes| bytes > super::BODY_BYTES_MAX as u64) {
        return Err(unread(StatusCode::PAYLOAD_TOO_LARGE, String::new()));
    }
    Ok(next.run(request).await)
}

/// Nothing is taken for another kind of content than it says to be.
pub(super) async fn as_said(mut response: Response) -> Response {
    let value = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, value);
    response
}

/// JSON that reads but does not fit is as bad as JSON that does not read: 400 for both.
fn unread(status: StatusCode, message: String) -> Error {
    match status {
        StatusCode::UNPROCESSABLE_ENTITY => Error::Invalid(message),
        StatusCode::PAYLOAD_TOO_LARGE => Error::Unread {
            status,
            message: format!(
                "the body is larger than the {} KiB allowed",
                super::BODY_BYTES_MAX >> 10
            ),
        },
        status => Error::Unread { status, message },
    }
}
