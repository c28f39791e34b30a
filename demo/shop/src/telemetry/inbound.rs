//! A SERVER span, a duration and an active-request count around every request taken in.
//!
//! Names and attributes follow the HTTP semantic conventions (stable since 1.23). The span is
//! current while the handler runs, so that client spans, database spans and log lines belong to
//! it. A client that goes away ends the span without a status code.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::HeaderMap;
use http::header::HOST;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};

use super::{INSTRUMENTS, SCOPE};
use crate::clock::steady_now;

/// Axum middleware; add it with `Router::route_layer` or `layer` after all routes.
pub async fn observe(request: Request, next: Next) -> Response {
    let started = steady_now();
    let method = method_of(request.method());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let parent = global::get_text_map_propagator(|propagator| {
        propagator.extract(&Headers(request.headers()))
    });
    let name = match &route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    };
    let tracer = global::tracer(SCOPE);
    let span = tracer
        .span_builder(name)
        .with_kind(SpanKind::Server)
        .with_attributes(request_attributes(&request, method, route.as_deref()))
        .start_with_context(&tracer, &parent);
    let context = parent.with_span(span);

    let active = Active::enter(method);
    let response = next.run(request).with_context(context.clone()).await;
    drop(active);

    let status = response.status();
    let mut measured = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
    ];
    measured.extend(route.map(|route| KeyValue::new("http.route", route)));
    record_status(&context, status, &mut measured);
    INSTRUMENTS.server_duration.record(started.elapsed().as_secs_f64(), &measured);
    context.span().end();
    response
}

fn request_attributes(
    request: &Request,
    method: &'static str,
    route: Option<&str>,
) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new("http.request.method", method),
        KeyValue::new("url.path", request.uri().path().to_owned()),
        KeyValue::new("url.scheme", "http"),
        KeyValue::new("network.protocol.version", "1.1"),
    ];
    attributes.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
    attributes.extend(request.uri().query().map(|q| KeyValue::new("url.query", q.to_owned())));
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    if let Some(Ok(authority)) = host.map(str::parse::<http::uri::Authority>) {
        attributes.push(KeyValue::new("server.address", authority.host().to_owned()));
        let port = i64::from(authority.port_u16().unwrap_or(80));
        attributes.push(KeyValue::new("server.port", port));
    }
    attributes
}

/// A server span is an error on 5xx only: 4xx is the caller's.
fn record_status(context: &Context, status: http::StatusCode, measured: &mut Vec<KeyValue>) {
    let span = context.span();
    span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    if status.is_server_error() {
        let error = KeyValue::new("error.type", status.as_u16().to_string());
        measured.push(error.clone());
        span.set_attribute(error);
        span.set_status(Status::error(""));
    }
}

/// The method as an attribute of bounded cardinality.
pub(super) fn method_of(method: &http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}

/// Counts a request as active until it is dropped, also when its client goes away.
struct Active {
    attributes: [KeyValue; 2],
}

impl Active {
    fn enter(method: &'static str) -> Active {
        let attributes =
            [KeyValue::new("http.request.method", method), KeyValue::new("url.scheme", "http")];
        INSTRUMENTS.server_active.add(1, &attributes);
        Active { attributes }
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        INSTRUMENTS.server_active.add(-1, &self.attributes);
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
