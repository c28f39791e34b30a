//! Telemetry in the shapes in which stock SDKs send it.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use model::signal::{
    Attributes, Group, InstrumentationScope, Metric, MetricData, Number, NumberPoint, PointHeader,
    Resource, Span, SpanKind, Temporality,
};

/// What an SDK says of the process that it runs in.
pub(super) fn resource(service: &str, instance: &str, version: &str, pid: u32) -> Arc<Resource> {
    let attributes = Attributes::default()
        .with_str("service.name", service)
        .with_str("service.instance.id", instance)
        .with_str("service.version", version)
        .with_i64("process.pid", i64::from(pid));
    Arc::new(Resource { attributes })
}

pub(super) fn group<T>(resource: &Arc<Resource>, items: Vec<T>) -> Group<T> {
    Group { resource: resource.clone(), scope: InstrumentationScope::default(), items }
}

pub(super) fn span(
    trace: u64,
    id: u64,
    parent: u64,
    kind: SpanKind,
    end: Timestamp,
    duration: Duration,
    attributes: Attributes,
) -> Span {
    let mut trace_id = [0; 16];
    trace_id[8..].copy_from_slice(&trace.to_be_bytes());
    Span {
        trace_id,
        span_id: id.to_be_bytes(),
        parent_span_id: parent.to_be_bytes(),
        kind,
        start_unix_nanos: (end - duration).0,
        end_unix_nanos: end.0,
        attributes,
        ..Span::default()
    }
}

pub(super) fn active_requests(now: Timestamp, value: i64) -> Metric {
    let header = PointHeader { time_unix_nanos: now.0, ..PointHeader::default() };
    let point = NumberPoint { header, value: Some(Number::Int(value)) };
    Metric {
        name: "http.server.active_requests".into(),
        unit: "{request}".into(),
        data: MetricData::Sum {
            temporality: Temporality::Cumulative,
            monotonic: false,
            points: vec![point],
        },
        ..Metric::default()
    }
}
