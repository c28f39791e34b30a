//! What a part of the shop answers when it cannot do what was asked.
//!
//! One place maps trouble to HTTP: upstream failures to 502, upstream timeouts to 504, trouble of
//! one's own to 500; what the user got wrong to 4xx. The body is `{"error": code, "detail": text}`.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::store::StoreError;
use crate::transport::{Failure, FailureKind};

/// The word for an upstream to which no connection came about.
const UNREACHABLE: &str = "upstream_unreachable";

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// HTTP status of the answer.
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: &'static str,
    /// Sentence for people.
    pub detail: String,
}

impl Problem {
    /// A problem with `status`, the word `code` and a `detail` for people.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Problem {
        Problem { status, code, detail: detail.into() }
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 409: not enough in stock.
    pub fn out_of_stock(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::CONFLICT, "out_of_stock", detail)
    }

    /// 422: the request makes no sense.
    pub fn invalid(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail)
    }

    /// 402: the card was refused.
    pub fn declined(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::PAYMENT_REQUIRED, "declined", detail)
    }

    /// The exchange with `upstream` failed: 504 after a timeout, 502 otherwise.
    pub fn upstream_failed(upstream: &str, failure: &Failure) -> Problem {
        let detail = format!("{upstream}: {failure}");
        match failure.kind {
            FailureKind::Timeout => {
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", detail)
            }
            FailureKind::Connect => Problem::new(StatusCode::BAD_GATEWAY, UNREACHABLE, detail),
            _ => Problem::new(StatusCode::BAD_GATEWAY, "upstream_failed", detail),
        }
    }

    /// Whether a call never reached anybody, so that repeating it elsewhere is safe.
    pub fn is_unreachable(&self) -> bool {
        self.code == UNREACHABLE
    }

    /// `upstream` answered, but with a status that nobody can work with.
    pub fn upstream_answered(upstream: &str, status: StatusCode) -> Problem {
        let detail = format!("{upstream} answered {}", status.as_u16());
        match status {
            StatusCode::GATEWAY_TIMEOUT => Problem::new(status, "upstream_timeout", detail),
            _ => Problem::new(StatusCode::BAD_GATEWAY, "upstream_failed", detail),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Problem {
        tracing::error!("{}", chain(&error));
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store_failed", "the database failed")
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Problem {
        Problem::invalid(rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.code, "detail": self.detail }))).into_response()
    }
}

/// The answer of any part to a path that it does not serve.
pub async fn no_such_path() -> Problem {
    Problem::not_found("no such path")
}

/// An error with its sources, outermost first.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
