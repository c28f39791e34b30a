//! Spans, metrics and logs as stock SDKs write them, in the types that receivers hand on.
//!
//! Names of attributes: OpenTelemetry semantic conventions 1.27 (HTTP, databases, messaging),
//! errors as Node's and PostgreSQL's clients name them. What is called is told by its address,
//! as only whoever is called knows its own name. Sampling: "TraceState: Probability Sampling",
//! consistent by trace.

use model::signal::{
    AnyValue, Attributes, LogRecord, Metric, MetricData, Number, NumberPoint, PointHeader, Span,
    SpanKind, SpanStatus, Temporality,
};
use model::{Text, Timestamp};

use super::Told;
use crate::fleet::{Kind, Node, address};
use crate::telemetry::Failure;

/// OTLP span flags: sampled; it is known whether the parent is remote, and it is.
const SAMPLED: u32 = 0x1;
const HAS_REMOTE_PARENT: u32 = 0x300;
const SEVERITY_ERROR: i32 = 17;
/// Randomness of a trace id: its last 56 bits.
const RANDOM_BITS: u32 = 56;

/// Keeps a share of all traces.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    /// Traces with less randomness than this are not kept.
    threshold: u64,
    /// As it is told in the trace state.
    state: Text,
}

impl Sampler {
    pub fn new(share: f64) -> Sampler {
        let all = 1_u64 << RANDOM_BITS;
        let threshold = ((1.0 - share.clamp(1e-6, 1.0)) * all as f64) as u64;
        let state = if threshold == 0 { String::new() } else { format!("ot=th:{threshold:014x}") };
        Sampler { threshold, state: Text::from(state) }
    }

    pub fn keeps(&self, trace: u128) -> bool {
        trace as u64 & ((1 << RANDOM_BITS) - 1) >= self.threshold
    }
}

/// The span of a request that was served. `operation`: `GET /route`.
pub(super) fn request(told: &Told, operation: &str, sampler: &Sampler) -> Span {
    let (method, route) = operation.split_once(' ').unwrap_or(("GET", operation));
    let mut attributes = Attributes::default()
        .with_str("http.request.method", method)
        .with_str("http.route", route)
        .with_str("url.path", route)
        .with_str("url.scheme", "http")
        .with_i64("http.response.status_code", status(told.failure));
    if told.failure.is_some() {
        attributes.push("error.type", text(status(told.failure).to_string()));
    }
    let kind = SpanKind::Server;
    let flags = if told.parent == 0 { SAMPLED } else { SAMPLED | HAS_REMOTE_PARENT };
    Span { flags, ..span(told, Text::from(operation), kind, attributes, sampler) }
}

/// The span of a message of a broker that was worked on.
pub(super) fn message(told: &Told, broker: &str, sampler: &Sampler) -> Span {
    let (system, destination) = broker.split_once('/').unwrap_or((broker, ""));
    let mut attributes = Attributes::default()
        .with_str("messaging.system", system)
        .with_str("messaging.operation.type", "process");
    if !destination.is_empty() {
        attributes = attributes.with_str("messaging.destination.name", destination);
    }
    if told.failure.is_some() {
        attributes.push("error.type", text(status(told.failure).to_string()));
    }
    let name = Text::from(format!("process {destination}"));
    Span { flags: SAMPLED, ..span(told, name, SpanKind::Consumer, attributes, sampler) }
}

/// The span of a call of `callee`, as the caller sees it.
pub(super) fn call(told: &Told, callee: &Node, sampler: &Sampler) -> Span {
    let (mut attributes, name, kind) = match callee.kind {
        Kind::Service => (web(&callee.name), "GET", SpanKind::Client),
        Kind::Database | Kind::Cache => (store(&callee.name), "SELECT", SpanKind::Client),
        Kind::Broker => (broker(&callee.name), "send", SpanKind::Producer),
    };
    let mut message = Text::default();
    match told.failure {
        Some(failure) if is_status(failure) && callee.is_service() => {
            attributes.push("error.type", text(status(Some(failure)).to_string()));
        }
        Some(failure) => {
            let (kind, said) = error(failure);
            attributes.push("error.type", text(kind.to_owned()));
            message = Text::fixed(said);
        }
        None => {}
    }
    let has_answer = told.failure.is_none_or(is_status);
    if has_answer && callee.is_service() {
        attributes.push("http.response.status_code", AnyValue::Int(status(told.failure)));
    }
    let flags = SAMPLED;
    let span = span(told, Text::fixed(name), kind, attributes, sampler);
    Span { flags, status_message: message, ..span }
}

/// What a service writes of a request that failed.
pub(super) fn log(span: &Span) -> LogRecord {
    let code = span.attributes.i64("http.response.status_code").unwrap_or(500);
    LogRecord {
        time_unix_nanos: span.end_unix_nanos,
        observed_time_unix_nanos: span.end_unix_nanos,
        severity_number: SEVERITY_ERROR,
        severity_text: Text::fixed("ERROR"),
        body: text(format!("{} failed with {code}", span.name.as_str())),
        flags: SAMPLED,
        trace_id: span.trace_id,
        span_id: span.span_id,
        ..LogRecord::default()
    }
}

/// Requests in flight, as an up-down counter since the process began.
pub(super) fn in_flight(requests: u64, began: Timestamp, now: Timestamp) -> Metric {
    let attributes =
        Attributes::default().with_str("http.request.method", "GET").with_str("url.scheme", "http");
    let header = PointHeader {
        attributes,
        start_time_unix_nanos: began.0,
        time_unix_nanos: now.0,
        ..PointHeader::default()
    };
    let value = Some(Number::Int(i64::try_from(requests).unwrap_or(i64::MAX)));
    Metric {
        name: Text::fixed("http.server.active_requests"),
        unit: Text::fixed("{request}"),
        data: MetricData::Sum {
            temporality: Temporality::Cumulative,
            monotonic: false,
            points: vec![NumberPoint { header, value }],
        },
        ..Metric::default()
    }
}

fn span(
    told: &Told,
    name: Text,
    kind: SpanKind,
    attributes: Attributes,
    sampler: &Sampler,
) -> Span {
    Span {
        trace_id: told.trace.to_be_bytes(),
        span_id: told.span.to_be_bytes(),
        parent_span_id: told.parent.to_be_bytes(),
        trace_state: sampler.state.clone(),
        name,
        kind,
        start_unix_nanos: told.start,
        end_unix_nanos: told.end,
        attributes,
        status: if told.failure.is_some() { SpanStatus::Error } else { SpanStatus::Unset },
        ..Span::default()
    }
}

fn web(name: &str) -> Attributes {
    let address = address(name);
    Attributes::default()
        .with_str("http.request.method", "GET")
        .with_str("server.address", address.split(':').next().unwrap_or(&address))
        .with_str("url.full", &format!("http://{address}/"))
}

/// `system/namespace`, `system@host:port`, or the mere name of a system.
fn store(name: &str) -> Attributes {
    let attributes = Attributes::default().with_str("db.operation.name", "SELECT");
    if let Some((system, namespace)) = name.split_once('/') {
        return attributes.with_str("db.system.name", system).with_str("db.namespace", namespace);
    }
    let Some((system, address)) = name.split_once('@') else {
        return attributes.with_str("db.system.name", name);
    };
    let attributes = attributes.with_str("db.system.name", system);
    match address.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?))) {
        Some((host, port)) => {
            attributes.with_str("server.address", host).with_i64("server.port", port)
        }
        None => attributes.with_str("server.address", address),
    }
}

fn broker(name: &str) -> Attributes {
    let attributes = Attributes::default().with_str("messaging.operation.type", "send");
    match name.split_once('/') {
        Some((system, destination)) => attributes
            .with_str("messaging.system", system)
            .with_str("messaging.destination.name", destination),
        None => attributes.with_str("messaging.system", name),
    }
}

fn is_status(failure: Failure) -> bool {
    matches!(failure, Failure::Internal | Failure::BadGateway | Failure::Busy)
}

fn status(failure: Option<Failure>) -> i64 {
    match failure {
        None => 200,
        Some(Failure::BadGateway) => 502,
        Some(Failure::Busy) => 503,
        Some(_) => 500,
    }
}

/// `error.type` and the message of a call that got no answer, or not one over HTTP.
fn error(failure: Failure) -> (&'static str, &'static str) {
    match failure {
        Failure::Refused => ("ECONNREFUSED", "connect ECONNREFUSED"),
        Failure::Timeout => ("TimeoutError", "The operation was aborted due to timeout"),
        Failure::Reset => ("ECONNRESET", "socket hang up"),
        Failure::Dns => ("ENOTFOUND", "getaddrinfo ENOTFOUND"),
        Failure::Certificate => ("CERT_HAS_EXPIRED", "certificate has expired"),
        Failure::Full => ("53100", "could not extend file: No space left on device"),
        Failure::Locked => ("55P03", "could not obtain lock on row"),
        Failure::Crowded => ("53300", "sorry, too many clients already"),
        Failure::Internal | Failure::BadGateway | Failure::Busy => ("500", ""),
    }
}

fn text(text: String) -> AnyValue {
    AnyValue::String(Text::from(text))
}
