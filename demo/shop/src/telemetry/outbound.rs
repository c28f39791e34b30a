//! Calls to other parts of the shop: a CLIENT span, `traceparent`, a duration around each.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use opentelemetry::propagation::Injector;
use opentelemetry::trace::{SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};

use super::inbound::method_of;
use super::{INSTRUMENTS, SCOPE};
use crate::clock::steady_now;
use crate::problem::Problem;
use crate::transport::{Failure, FailureKind, Transport, Upstream};

/// What calls are made through.
#[derive(Clone)]
pub struct Caller {
    transport: Transport,
}

/// One call.
pub struct Call<'a> {
    /// Name of the upstream for messages, such as `payment`.
    pub name: &'a str,
    /// Where it goes.
    pub upstream: &'a Upstream,
    /// Request method.
    pub method: Method,
    /// Path at the upstream, with its query.
    pub path: &'a str,
    /// Headers beside `host` and `traceparent`.
    pub headers: HeaderMap,
    /// Request body.
    pub body: Bytes,
    /// Time until the whole answer must be there.
    pub timeout: Duration,
}

impl Caller {
    /// A caller with its own connection pool.
    pub fn new() -> Caller {
        Caller { transport: Transport::new() }
    }

    /// Makes the call. Any whole answer is `Ok`, whatever its status.
    pub async fn call(&self, call: Call<'_>) -> Result<Response<Bytes>, Problem> {
        let started = steady_now();
        let url = call.upstream.url(call.path);
        let url = url.map_err(|error| Problem::invalid(format!("{}: {error}", call.name)))?;
        let measured = vec![
            KeyValue::new("http.request.method", method_of(&call.method)),
            KeyValue::new("server.address", call.upstream.host().to_owned()),
            KeyValue::new("server.port", i64::from(call.upstream.port())),
        ];
        let context = start_span(&measured, &url);
        let mut request = Request::new(Full::new(call.body));
        *request.method_mut() = call.method;
        *request.uri_mut() = url;
        *request.headers_mut() = call.headers;
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&context, &mut Headers(request.headers_mut()));
        });
        let outcome = self.transport.exchange(request, call.timeout).await;
        end_span(&context, started, measured, &outcome);
        outcome.map_err(|failure| {
            tracing::warn!(
                upstream = call.name,
                "call to {} {} failed: {failure}",
                call.name,
                call.upstream
            );
            Problem::upstream_failed(call.name, &failure)
        })
    }
}

fn start_span(measured: &[KeyValue], url: &Uri) -> Context {
    let mut attributes = measured.to_vec();
    let method = attributes[0].value.to_string();
    attributes.push(KeyValue::new("url.full", url.to_string()));
    let tracer = global::tracer(SCOPE);
    let builder = tracer.span_builder(method);
    let span = builder.with_kind(SpanKind::Client).with_attributes(attributes).start(&tracer);
    Context::current_with_span(span)
}

/// A client span is an error on 4xx, 5xx and wherever no whole answer came.
fn end_span(
    context: &Context,
    started: Instant,
    mut measured: Vec<KeyValue>,
    outcome: &Result<Response<Bytes>, Failure>,
) {
    let span = context.span();
    match outcome {
        Ok(response) => {
            let status = response.status();
            let code = KeyValue::new("http.response.status_code", i64::from(status.as_u16()));
            span.set_attribute(code.clone());
            measured.push(code);
            if status.is_client_error() || status.is_server_error() {
                let error = KeyValue::new("error.type", status.as_u16().to_string());
                span.set_attribute(error.clone());
                measured.push(error);
                span.set_status(Status::error(""));
            }
        }
        Err(failure) => {
            let error = KeyValue::new("error.type", error_type(failure.kind));
            span.set_attribute(error.clone());
            measured.push(error);
            span.set_status(Status::error(failure.to_string()));
        }
    }
    INSTRUMENTS.client_duration.record(started.elapsed().as_secs_f64(), &measured);
    span.end();
}

fn error_type(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Connect => "connect_error",
        FailureKind::Timeout => "timeout",
        FailureKind::Reset => "connection_reset",
        FailureKind::Other => "_OTHER",
    }
}

struct Headers<'a>(&'a mut HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let pair = (HeaderName::try_from(key), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = pair {
            self.0.insert(name, value);
        }
    }
}
