//! OTLP/HTTP: `POST /v1/traces`, `/v1/metrics`, `/v1/logs`, protobuf or JSON, answered in kind.
//!
//! Statuses are those of the specification: 200 (also in part), 400, 401, 403 (host or origin),
//! 404, 405, 408, 413, 415, 429 and 503 with `Retry-After`. All errors carry a
//! `google.rpc.Status`. Who may speak to us at all (host, origin) is decided in `guard`.

mod guard;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::any;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use http_body_util::BodyExt;
use model::signal::Signal;
use tonic::Code;

use self::guard::Guard;
use crate::compression::Compression;
use crate::counters::Transport;
use crate::intake::{Admission, Export, Failure, Intake, Taken};
use crate::reply;
use crate::sink::{Encoding, Refusal};

/// Of a request that is refused before its body was read, so much is read and thrown away: a
/// client that is still sending over HTTP/1.1 would otherwise see a broken connection instead of
/// the answer.
const DRAIN_BYTES_MAX: usize = 8 << 20;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

const PATHS: &[(&str, Signal)] =
    &[("/v1/traces", Signal::Traces), ("/v1/metrics", Signal::Metrics), ("/v1/logs", Signal::Logs)];

/// The three endpoints. `loopback` says whether the listener is bound to a loopback address.
pub(crate) fn router(intake: &Arc<Intake>, loopback: bool) -> Router {
    let guard = Arc::new(Guard::new(intake.config(), loopback));
    let mut router = Router::new();
    for &(path, signal) in PATHS {
        let export =
            move |state: State<Arc<Intake>>, request: Request| answer(state, signal, request);
        router = router.route(path, any(export));
    }
    let check = from_fn_with_state((Arc::clone(&guard), Arc::clone(intake)), guard::check);
    router
        .fallback(not_found)
        .with_state(Arc::clone(intake))
        .layer(guard::cors(&guard))
        .layer(check)
}

fn signal_of(path: &str) -> Option<Signal> {
    PATHS.iter().find(|(each, _)| *each == path).map(|(_, signal)| *signal)
}

async fn answer(State(intake): State<Arc<Intake>>, signal: Signal, request: Request) -> Response {
    let kind = encoding(request.headers()).unwrap_or(Encoding::Json);
    match receive(&intake, signal, request).await {
        Ok((encoding, taken)) => {
            respond(StatusCode::OK, encoding, reply::success(signal, encoding, &taken))
        }
        Err(failure) => {
            intake.refuse(signal, Transport::Http, &failure);
            refuse(kind, &failure)
        }
    }
}

async fn receive(
    intake: &Intake,
    signal: Signal,
    request: Request,
) -> Result<(Encoding, Taken), Failure> {
    let (parts, mut body) = request.into_parts();
    match read(intake, signal, &parts, &mut body).await {
        Ok((export, admission)) => {
            let encoding = export.encoding;
            Ok((encoding, intake.take(export, admission).await?))
        }
        Err(failure) => {
            let slow = matches!(failure, Failure::TooSlow(_));
            if parts.version < Version::HTTP_2 && !slow {
                drain(body).await;
            }
            Err(failure)
        }
    }
}

/// Checks all that the head of a request tells before anything of its body is read.
async fn read(
    intake: &Intake,
    signal: Signal,
    parts: &http::request::Parts,
    body: &mut Body,
) -> Result<(Export, Admission), Failure> {
    intake.authenticate(&parts.headers)?;
    if parts.method != Method::POST {
        return Err(Failure::WrongMethod);
    }
    let encoding = encoding(&parts.headers)?;
    let compression = compression(&parts.headers)?;
    let limit = intake.body_limit(compression);
    if declared_length(&parts.headers).is_some_and(|length| length > limit as u64) {
        return Err(Failure::TooLarge { limit });
    }
    let mut admission = intake.admit()?;
    let body = intake.read_body(body, limit, &mut admission).await?;
    let transport = Transport::Http;
    Ok((Export { signal, transport, encoding, compression, body }, admission))
}

/// The encoding that the content type names; parameters such as `charset` do not matter.
fn encoding(headers: &HeaderMap) -> Result<Encoding, Failure> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-protobuf") {
        Ok(Encoding::Protobuf)
    } else if essence.eq_ignore_ascii_case("application/json") {
        Ok(Encoding::Json)
    } else {
        Err(Failure::Unsupported(format!(
            "the content type is `{essence}`; send application/x-protobuf or application/json"
        )))
    }
}

fn compression(headers: &HeaderMap) -> Result<Compression, Failure> {
    let unsupported = |name: &str| {
        let accepted = Compression::ACCEPTED;
        Failure::Unsupported(format!("the content encoding is `{name}`; send one of {accepted}"))
    };
    let mut compression = Compression::None;
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value.to_str().map_err(|_| unsupported("?"))?;
        for name in value.split(',') {
            match Compression::from_name(name).ok_or_else(|| unsupported(value))? {
                Compression::None => {}
                _ if compression != Compression::None => return Err(unsupported(value)),
                one => compression = one,
            }
        }
    }
    Ok(compression)
}

fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn drain(mut body: Body) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DRAIN_BYTES_MAX {
                break;
            }
        }
    };
    // Whatever the outcome: the answer goes out now.
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, reading).await;
}

async fn not_found() -> Response {
    let failure = Failure::Unsupported(
        "nothing is here; OTLP is received at /v1/traces, /v1/metrics and /v1/logs".to_owned(),
    );
    let body = reply::status(Encoding::Json, Code::NotFound, &failure);
    respond(StatusCode::NOT_FOUND, Encoding::Json, body)
}

fn refuse(encoding: Encoding, failure: &Failure) -> Response {
    let body = reply::status(encoding, reply::code(failure), failure);
    let mut response = respond(http_status(failure), encoding, body);
    let mut header = |name: HeaderName, value: HeaderValue| {
        response.headers_mut().insert(name, value);
    };
    match failure {
        Failure::Unauthenticated => header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")),
        Failure::WrongMethod => header(ALLOW, HeaderValue::from_static("POST, OPTIONS")),
        Failure::Unsupported(_) => {
            header(ACCEPT_ENCODING, HeaderValue::from_static(Compression::ACCEPTED));
        }
        Failure::TooSlow(_) => header(CONNECTION, HeaderValue::from_static("close")),
        _ => {}
    }
    if let Some(retry_after) = failure.retry_after() {
        // Whole seconds, rounded up, at least one.
        let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
        header(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    response
}

fn http_status(failure: &Failure) -> StatusCode {
    match failure {
        Failure::Unauthenticated => StatusCode::UNAUTHORIZED,
        Failure::Forbidden(_) => StatusCode::FORBIDDEN,
        Failure::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
        Failure::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Failure::TooLarge { .. }
        | Failure::TooLargeDecompressed { .. }
        | Failure::TooLargeDecoded { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Failure::BadData(_) => StatusCode::BAD_REQUEST,
        Failure::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
        Failure::Refused(Refusal::Overloaded { .. }) => StatusCode::TOO_MANY_REQUESTS,
        Failure::Busy | Failure::Refused(Refusal::Unavailable { .. }) => {
            StatusCode::SERVICE_UNAVAILABLE
        }
    }
}

fn respond(status: StatusCode, encoding: Encoding, body: Bytes) -> Response {
    let content_type = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
