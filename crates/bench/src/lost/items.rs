//! Telemetry whose every item bears a number: spans in their id, points in their value, log records
//! in an attribute. Requests look like a small shop's; the numbers come back from what was decoded.

use model::Timestamp;
use model::signal::{Batch, MetricData, Number};
use model::time::SECOND;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use rand::RngExt;
use rand::rngs::StdRng;

/// Attribute of a log record that holds its number.
pub const NUMBER: &str = "bench.number";
/// Whose items these are.
pub const SERVICE: &str = "till";
/// The gauge whose values are numbers.
pub const METRIC: &str = "stock.level";
const SPAN_TOOK_NS: u64 = 8_000_000;
const BALLAST: &str = "ballast";
const BALLAST_SPANS: usize = 40;
const NOISE_BYTES: usize = 2_000;

/// Consecutive numbers, each used once in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    pub first: u64,
    pub count: u64,
}

impl Numbers {
    pub fn iter(self) -> std::ops::Range<u64> {
        self.first..self.first + self.count
    }
}

/// Server spans of one service that end now; with `failing`, half of them with status 500.
pub fn spans(numbers: Numbers, now: Timestamp, failing: bool) -> ExportTraceServiceRequest {
    let span = |number: u64| {
        let failed = failing && number.is_multiple_of(2);
        let code = if failed { StatusCode::Error } else { StatusCode::Unset };
        Span {
            trace_id: (u128::from(number) | 1 << 96).to_be_bytes().to_vec(),
            span_id: number.to_be_bytes().to_vec(),
            name: "POST /checkout".to_owned(),
            kind: SpanKind::Server.into(),
            start_time_unix_nano: now.0 - SPAN_TOOK_NS,
            end_time_unix_nano: now.0,
            attributes: vec![
                text("http.request.method", "POST"),
                text("http.route", "/checkout"),
                integer("http.response.status_code", if failed { 500 } else { 200 }),
            ],
            status: Some(Status { code: code.into(), ..Status::default() }),
            ..Span::default()
        }
    };
    let spans = numbers.iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: resource(), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// Points of one gauge.
pub fn points(numbers: Numbers, now: Timestamp) -> ExportMetricsServiceRequest {
    let point = |number: u64| NumberDataPoint {
        // A series has one point at a time.
        time_unix_nano: now.0 + number - numbers.first,
        attributes: vec![integer("shelf", (number % 10) as i64)],
        value: Some(number_data_point::Value::AsInt(number as i64)),
        ..NumberDataPoint::default()
    };
    let data_points = numbers.iter().map(point).collect();
    let metrics = vec![Metric {
        name: METRIC.to_owned(),
        unit: "{item}".to_owned(),
        data: Some(metric::Data::Gauge(Gauge { data_points })),
        ..Metric::default()
    }];
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..ScopeMetrics::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: resource(), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }
}

pub fn records(numbers: Numbers, now: Timestamp) -> ExportLogsServiceRequest {
    let record = |number: u64| LogRecord {
        time_unix_nano: now.0,
        observed_time_unix_nano: now.0,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(string(&format!("order {number} taken"))),
        attributes: vec![integer(NUMBER, number as i64)],
        ..LogRecord::default()
    };
    let log_records = numbers.iter().map(record).collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource(), scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }
}

/// Spans of yesterday without numbers, large and of no pattern: they fill the files of a day that
/// is deleted when there is too much.
pub fn ballast(now: Timestamp, generator: &mut StdRng) -> ExportTraceServiceRequest {
    let yesterday = now.0 - 22 * 3_600 * SECOND;
    let mut span = || Span {
        trace_id: generator.random::<u128>().to_be_bytes().to_vec(),
        span_id: generator.random::<u64>().to_be_bytes().to_vec(),
        name: "ballast".to_owned(),
        start_time_unix_nano: yesterday,
        end_time_unix_nano: yesterday + SPAN_TOOK_NS,
        attributes: vec![text("noise", &noise(generator))],
        ..Span::default()
    };
    let spans = (0..BALLAST_SPANS).map(|_| span()).collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..ScopeSpans::default() }];
    let attributes = vec![text("service.name", BALLAST)];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// The numbers of a decoded request. `None` stands for an item without one; ballast has none.
pub fn numbers_in(batch: &Batch) -> Vec<Option<u64>> {
    match batch {
        Batch::Traces(groups) => groups
            .iter()
            .filter(|group| group.resource.attributes.str("service.name") != Some(BALLAST))
            .flat_map(|group| &group.items)
            .map(|span| Some(u64::from_be_bytes(span.span_id)))
            .collect(),
        Batch::Metrics(groups) => groups
            .iter()
            .flat_map(|group| &group.items)
            .flat_map(|metric| match &metric.data {
                MetricData::Gauge(points) => points.as_slice(),
                _ => &[],
            })
            .map(|point| match point.value {
                Some(Number::Int(number)) => u64::try_from(number).ok(),
                _ => None,
            })
            .collect(),
        Batch::Logs(groups) => groups
            .iter()
            .flat_map(|group| &group.items)
            .map(|record| u64::try_from(record.attributes.i64(NUMBER)?).ok())
            .collect(),
    }
}

fn noise(generator: &mut StdRng) -> String {
    (0..NOISE_BYTES).map(|_| char::from(generator.random_range(b'0'..=b'z'))).collect()
}

fn resource() -> Option<Resource> {
    let attributes = vec![
        text("service.name", SERVICE),
        text("service.instance.id", "till-1"),
        text("service.version", "1.0.0"),
    ];
    Some(Resource { attributes, ..Resource::default() })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope { name: "bench".to_owned(), ..InstrumentationScope::default() })
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(string(value)), ..KeyValue::default() }
}

fn integer(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(any_value::Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn string(value: &str) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::Signal;
    use prost::Message;

    #[test]
    fn numbers_survive_encoding_and_the_products_own_decoder() {
        let (numbers, now) = (Numbers { first: 7, count: 3 }, Timestamp::from_secs(1_700_000_000));
        let requests = [
            (Signal::Traces, spans(numbers, now, true).encode_to_vec()),
            (Signal::Metrics, points(numbers, now).encode_to_vec()),
            (Signal::Logs, records(numbers, now).encode_to_vec()),
        ];
        for (signal, body) in requests {
            let encoding = receivers::Encoding::Protobuf;
            let (kind, payload) = server::entry::telemetry(signal, encoding, now, &body);
            let entry = server::entry::decode(kind, &payload).unwrap();
            let engine::Entry::Telemetry { batch, .. } = entry else { panic!("{entry:?}") };
            assert_eq!(numbers_in(&batch), [Some(7), Some(8), Some(9)]);
        }
    }
}
