//! Telemetry in the shapes in which stock SDKs send it.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use model::level::Resource as Level;
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

/// Of a pool of connections.
const POOL_MAX: f64 = 20.0;

/// How much is used, by the metrics that tell it.
pub(super) fn level(resource: Level, share: f64) -> Vec<Metric> {
    let pool = ("db.client.connection.pool.name", "main");
    let used = ("db.client.connection.state", "used");
    let disk = ("system.filesystem.mountpoint", "/data");
    let heap = ("jvm.memory.pool.name", "heap");
    match resource {
        Level::Cpu => vec![gauge("process.cpu.utilization", &[("cpu.mode", "user")], share)],
        Level::Memory => vec![
            gauge("jvm.memory.used", &[heap], share * (1 << 30) as f64),
            gauge("jvm.memory.limit", &[heap], (1 << 30) as f64),
        ],
        Level::Disk => vec![gauge("system.filesystem.utilization", &[disk], share)],
        Level::Pool => vec![
            gauge("db.client.connection.count", &[pool, used], (share * POOL_MAX).round()),
            gauge("db.client.connection.max", &[pool], POOL_MAX),
        ],
    }
}

fn gauge(name: &str, attributes: &[(&str, &str)], value: f64) -> Metric {
    let all = attributes.iter();
    let attributes =
        all.fold(Attributes::default(), |all, (name, value)| all.with_str(name, value));
    let header = PointHeader { attributes, ..PointHeader::default() };
    let point = NumberPoint { header, value: Some(Number::Double(value)) };
    Metric { name: name.into(), data: MetricData::Gauge(vec![point]), ..Metric::default() }
}
