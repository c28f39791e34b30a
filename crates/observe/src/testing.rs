//! Builders for tests: telemetry as short as it can be told.

use std::sync::Arc;

use model::signal::{
    AnyValue, Attributes, Batch, Group, InstrumentationScope, Metric, Resource, Span, SpanKind,
    SpanStatus,
};
use model::tick::{RequestPoint, SeriesKey};
use model::{Entity, Scope, Tick, Timestamp};

use crate::{Config, Observer};

/// Some time in November 2026, at the start of a bucket.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_795_350_790);

/// `seconds` after `START`.
pub(crate) fn at(seconds: f64) -> Timestamp {
    Timestamp(START.as_nanos().wrapping_add_signed((seconds * 1e9) as i64))
}

pub(crate) fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    let mut attributes = Attributes::default();
    for (name, value) in pairs {
        let value = match value.parse() {
            Ok(number) => AnyValue::Int(number),
            Err(_) => AnyValue::String((*value).into()),
        };
        attributes.push(name, value);
    }
    attributes
}

pub(crate) fn resource(service: &str, more: &[(&str, &str)]) -> Arc<Resource> {
    let mut attributes = attributes(more);
    attributes.push("service.name", AnyValue::String(service.into()));
    Arc::new(Resource { attributes })
}

/// A span of `kind` that ended `end` seconds after `START` and took 100 ms. `ids` are (trace,
/// span, parent).
pub(crate) fn span(kind: SpanKind, ids: (u8, u8, u8), end: f64, pairs: &[(&str, &str)]) -> Span {
    let id = |number: u8| if number == 0 { [0; 8] } else { [number; 8] };
    Span {
        trace_id: [ids.0; 16],
        span_id: id(ids.1),
        parent_span_id: id(ids.2),
        kind,
        start_unix_nanos: at(end).as_nanos() - 100_000_000,
        end_unix_nanos: at(end).as_nanos(),
        attributes: attributes(pairs),
        ..Span::default()
    }
}

pub(crate) fn failed(mut span: Span, message: &str) -> Span {
    span.status = SpanStatus::Error;
    span.status_message = message.into();
    span
}

fn group<T>(resource: &Arc<Resource>, items: Vec<T>) -> Group<T> {
    Group { resource: resource.clone(), scope: InstrumentationScope::default(), items }
}

pub(crate) fn traces(resource: &Arc<Resource>, spans: Vec<Span>) -> Batch {
    Batch::Traces(vec![group(resource, spans)])
}

pub(crate) fn metrics(resource: &Arc<Resource>, metrics: Vec<Metric>) -> Batch {
    Batch::Metrics(vec![group(resource, metrics)])
}

pub(crate) fn logs(resource: &Arc<Resource>) -> Batch {
    Batch::Logs(vec![group(resource, vec![model::signal::LogRecord::default()])])
}

/// An observer that has been listening for a while.
pub(crate) fn observer() -> Observer {
    let mut observer = Observer::new(Config::default());
    observer.tick(0, START);
    observer
}

pub(crate) fn service(name: &str) -> Entity {
    Entity::service(&Scope::default(), name)
}

pub(crate) fn edge(caller: &str, callee: Entity) -> SeriesKey {
    SeriesKey::Edge { caller: service(caller), callee }
}

/// Requests and errors of one series over all buckets of a tick.
pub(crate) fn counts(tick: &Tick, series: &SeriesKey) -> (f64, f64) {
    let points = tick.requests.iter().filter(|point| point.series == *series);
    points.fold((0.0, 0.0), |sum, point| (sum.0 + point.total, sum.1 + point.errors))
}

pub(crate) fn point<'a>(tick: &'a Tick, series: &SeriesKey) -> &'a RequestPoint {
    tick.requests.iter().find(|point| point.series == *series).expect("the series has a point")
}
