//! Errors of the API: one shape, `{"error": "…"}`, one place that picks the status.

use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use storage::query::Stopped;

use super::extract::Json;
use crate::{driver, journal};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Invalid(String),
    /// The body or the path could not be read.
    #[error("{message}")]
    Unread { status: StatusCode, message: String },
    /// The request is fine, the state of things is not.
    #[error("{0}")]
    Conflict(String),
    #[error("a bearer token is needed: set the header `Authorization: Bearer TOKEN`")]
    Unauthenticated,
    #[error("{0}")]
    Forbidden(String),
    #[error(transparent)]
    Driver(#[from] driver::Error),
    #[error("too many queries run at the moment")]
    TooManyQueries,
    #[error("too many streams are open at the moment")]
    TooManyStreams,
    #[error(transparent)]
    Query(#[from] storage::Error),
    #[error("the query broke off; the server's log says why")]
    QueryBroke,
    #[error("the journal cannot be used")]
    Journal(#[from] journal::Error),
}

/// The one shape of all errors.
#[derive(Serialize, JsonSchema)]
pub(super) struct Failure {
    /// What was wrong, and what to do.
    pub error: String,
}

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::Unread { status, .. } => *status,
            Error::Conflict(_) => StatusCode::CONFLICT,
            Error::Unauthenticated => StatusCode::UNAUTHORIZED,
            Error::Forbidden(_) => StatusCode::FORBIDDEN,
            Error::Driver(_) | Error::TooManyQueries | Error::TooManyStreams => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Error::Query(storage::Error::BadQuery { .. }) => StatusCode::BAD_REQUEST,
            Error::Query(storage::Error::Stopped(Stopped::Deadline)) => StatusCode::GATEWAY_TIMEOUT,
            // It would not do better the next time.
            Error::Query(storage::Error::Stopped(_)) => StatusCode::UNPROCESSABLE_ENTITY,
            Error::Query(_) | Error::QueryBroke => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Journal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = Json(Failure { error: format!("{:#}", anyhow::Error::new(self)) });
        let mut response = (status, body).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = header::HeaderValue::from_static("1");
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if status == StatusCode::UNAUTHORIZED {
            let bearer = header::HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

pub(super) async fn no_such_route(uri: Uri) -> Error {
    Error::NotFound(format!("there is nothing at {}", uri.path()))
}

pub(super) async fn wrong_method(method: Method, uri: Uri) -> Response {
    let error = format!("{method} is not something that {} takes", uri.path());
    let body = Json(Failure { error });
    (StatusCode::METHOD_NOT_ALLOWED, body).into_response()
}
