//! One request: faults, the upstream, faults again.

use std::convert::Infallible;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::sleep;

use super::fault::{Fault, Replacement};
use super::headers::remove_hop_by_hop;
use super::proxy::Shared;

pub type Body = BoxBody<Bytes, hyper::Error>;

/// By which fault a request was answered.
const FAULT: header::HeaderName = header::HeaderName::from_static("x-immune-fault");

/// Answers a request, by the upstream (another than the proxy's where `meant` says so) or by a
/// fault.
pub async fn forward(
    shared: &Shared,
    meant: Option<&str>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    if request.method() == Method::CONNECT {
        let text = "this proxy leads to one upstream: CONNECT is not for it\n";
        return Ok(answer(StatusCode::NOT_IMPLEMENTED, text.to_owned()));
    }
    let (faults, delay) = shared.drawn(request.method(), request.uri().path());
    if !delay.is_zero() {
        sleep(delay).await;
    }
    if let Some((fault, status)) = aborting(&faults) {
        let mut response = answer(status, format!("fault injected: {}\n", fault.name));
        if let Ok(name) = HeaderValue::from_str(&fault.name) {
            response.headers_mut().insert(FAULT, name);
        }
        return Ok(response);
    }
    let is_head = request.method() == Method::HEAD;
    let upstream = meant.map_or_else(|| shared.upstream(), str::to_owned);
    let request = match outgoing(request, &faults, &upstream) {
        Ok(request) => request,
        Err(why) => return Ok(answer(StatusCode::BAD_GATEWAY, why)),
    };
    match shared.client.request(request).await {
        Ok(response) => Ok(incoming(response, &faults, is_head)),
        Err(error) => {
            let why = format!("upstream {upstream} does not answer: {}\n", chain(&error));
            Ok(answer(StatusCode::BAD_GATEWAY, why))
        }
    }
}

fn aborting(faults: &[std::sync::Arc<Fault>]) -> Option<(&Fault, StatusCode)> {
    faults.iter().find_map(|fault| {
        let status = StatusCode::from_u16(fault.abort?).ok()?;
        Some((fault.as_ref(), status))
    })
}

/// The request as the upstream gets it.
fn outgoing(
    request: Request<Incoming>,
    faults: &[std::sync::Arc<Fault>],
    upstream: &str,
) -> Result<Request<Body>, String> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = format!("http://{upstream}{path}").parse::<Uri>();
    head.uri = uri.map_err(|_| format!("upstream {upstream} is no host and port\n"))?;
    head.version = Version::HTTP_11;
    remove_hop_by_hop(&mut head.headers);
    let mut body = body.boxed();
    for fault in faults {
        fault.request_headers.apply(&mut head.headers);
        if let Some(replacement) = &fault.request_body {
            body = replaced(&mut head.headers, replacement);
        }
    }
    Ok(Request::from_parts(head, body))
}

/// The answer as the client gets it.
fn incoming(
    response: Response<Incoming>,
    faults: &[std::sync::Arc<Fault>],
    is_head: bool,
) -> Response<Body> {
    let (mut head, body) = response.into_parts();
    head.version = Version::HTTP_11;
    remove_hop_by_hop(&mut head.headers);
    let has_body = !is_head
        && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        && !head.status.is_informational();
    let mut body = body.boxed();
    for fault in faults {
        fault.response_headers.apply(&mut head.headers);
        if let Some(replacement) = fault.response_body.as_ref().filter(|_| has_body) {
            body = replaced(&mut head.headers, replacement);
        }
    }
    Response::from_parts(head, body)
}

/// The other body, and headers that fit it.
fn replaced(headers: &mut HeaderMap, replacement: &Replacement) -> Body {
    for name in [header::CONTENT_ENCODING, header::CONTENT_RANGE, header::TRAILER] {
        headers.remove(name);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(replacement.text.len()));
    if let Some(Ok(kind)) = replacement.content_type.as_deref().map(HeaderValue::from_str) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    full(replacement.text.clone())
}

fn answer(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}

fn full(text: String) -> Body {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
}

/// An error with what it came from.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
