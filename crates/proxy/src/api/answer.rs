//! Bodies in and out. Errors go out as Go's `http.Error` sends them: JSON and a newline, but said
//! to be plain text.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use crate::error::Error;
use crate::json::Object;

/// Largest request body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// A body has to have arrived by then.
const BODY_TIME_MAX: Duration = Duration::from_secs(15);

pub(super) async fn body(request: Request) -> Result<Bytes, Error> {
    let reading = to_bytes(request.into_body(), BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_TIME_MAX, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            Err(Error::new(413, format!("bad request body: over {BODY_BYTES_MAX} bytes")))
        }
        Err(_) => Err(Error::new(408, "bad request body: it did not arrive in time")),
    }
}

/// The object that a request holds.
pub(super) async fn object(request: Request, type_name: &'static str) -> Result<Object, Error> {
    Object::read(&body(request).await?, type_name).map_err(Error::bad_request_body)
}

pub(super) fn answer(status: StatusCode, value: &impl Serialize) -> Result<Response, Error> {
    let body = serde_json::to_vec(value).map_err(|error| Error::internal(error.to_string()))?;
    let json = HeaderValue::from_static("application/json");
    Ok((status, [(header::CONTENT_TYPE, json)], body).into_response())
}

pub(super) fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

pub(super) fn plain(status: StatusCode, text: impl Into<String>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (status, headers, text.into()).into_response()
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status);
        let text = json!({ "error": self.message, "status": self.status });
        plain(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), format!("{text}\n"))
    }
}
