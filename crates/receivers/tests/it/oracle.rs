//! The judge: `opentelemetry-proto`'s generated types converted to a batch, field by field.

use std::sync::Arc;

use model::Text;
use model::signal::{
    AnyValue, Attributes, Batch, Exemplar, ExponentialBuckets, ExponentialPoint, Group,
    HistogramPoint, InstrumentationScope, LogRecord, Metric, MetricData, Number, NumberPoint,
    PointHeader, Resource, Span, SpanEvent, SpanKind, SpanLink, SpanStatus, SummaryPoint,
    Temporality,
};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1 as common;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1 as logs;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1 as resource;
use opentelemetry_proto::tonic::trace::v1 as trace;

pub fn traces(request: &ExportTraceServiceRequest) -> Batch {
    let mut groups = Vec::new();
    for resource_spans in &request.resource_spans {
        for scope_spans in &resource_spans.scope_spans {
            let items = scope_spans.spans.iter().map(span).collect();
            push(&mut groups, &resource_spans.resource, &scope_spans.scope, items);
        }
    }
    Batch::Traces(groups)
}

pub fn metrics(request: &ExportMetricsServiceRequest) -> Batch {
    let mut groups = Vec::new();
    for resource_metrics in &request.resource_metrics {
        for scope_metrics in &resource_metrics.scope_metrics {
            let items = scope_metrics.metrics.iter().map(metric).collect();
            push(&mut groups, &resource_metrics.resource, &scope_metrics.scope, items);
        }
    }
    Batch::Metrics(groups)
}

pub fn logs(request: &ExportLogsServiceRequest) -> Batch {
    let mut groups = Vec::new();
    for resource_logs in &request.resource_logs {
        for scope_logs in &resource_logs.scope_logs {
            let items = scope_logs.log_records.iter().map(log_record).collect();
            push(&mut groups, &resource_logs.resource, &scope_logs.scope, items);
        }
    }
    Batch::Logs(groups)
}

fn push<T>(
    groups: &mut Vec<Group<T>>,
    resource: &Option<resource::Resource>,
    scope: &Option<common::InstrumentationScope>,
    items: Vec<T>,
) {
    if items.is_empty() {
        return;
    }
    let resource = resource.clone().unwrap_or_default();
    let scope = scope.clone().unwrap_or_default();
    groups.push(Group {
        resource: Arc::new(Resource { attributes: attributes(&resource.attributes) }),
        scope: InstrumentationScope {
            name: scope.name.into(),
            version: scope.version.into(),
            attributes: attributes(&scope.attributes),
        },
        items,
    });
}

fn attributes(pairs: &[common::KeyValue]) -> Attributes {
    Attributes(pairs.iter().map(|pair| (Text::from(&pair.key), any_value(&pair.value))).collect())
}

fn any_value(value: &Option<common::AnyValue>) -> AnyValue {
    match value.as_ref().and_then(|value| value.value.as_ref()) {
        None | Some(Value::StringValueStrindex(_)) => AnyValue::Empty,
        Some(Value::StringValue(text)) => AnyValue::String(text.clone().into()),
        Some(Value::BoolValue(value)) => AnyValue::Bool(*value),
        Some(Value::IntValue(value)) => AnyValue::Int(*value),
        Some(Value::DoubleValue(value)) => AnyValue::Double(*value),
        Some(Value::ArrayValue(array)) => AnyValue::Array(
            array.values.iter().map(|value| any_value(&Some(value.clone()))).collect(),
        ),
        Some(Value::KvlistValue(list)) => AnyValue::Map(attributes(&list.values)),
        Some(Value::BytesValue(bytes)) => AnyValue::Bytes(bytes.clone()),
    }
}

fn id<const N: usize>(bytes: &[u8]) -> [u8; N] {
    if bytes.is_empty() { [0; N] } else { bytes.try_into().unwrap() }
}

fn span(span: &trace::Span) -> Span {
    let status = span.status.clone().unwrap_or_default();
    Span {
        trace_id: id(&span.trace_id),
        span_id: id(&span.span_id),
        parent_span_id: id(&span.parent_span_id),
        trace_state: span.trace_state.clone().into(),
        flags: span.flags,
        name: span.name.clone().into(),
        kind: match span.kind() {
            trace::span::SpanKind::Unspecified => SpanKind::Unspecified,
            trace::span::SpanKind::Internal => SpanKind::Internal,
            trace::span::SpanKind::Server => SpanKind::Server,
            trace::span::SpanKind::Client => SpanKind::Client,
            trace::span::SpanKind::Producer => SpanKind::Producer,
            trace::span::SpanKind::Consumer => SpanKind::Consumer,
        },
        start_unix_nanos: span.start_time_unix_nano,
        end_unix_nanos: span.end_time_unix_nano,
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        status: match status.code() {
            trace::status::StatusCode::Unset => SpanStatus::Unset,
            trace::status::StatusCode::Ok => SpanStatus::Ok,
            trace::status::StatusCode::Error => SpanStatus::Error,
        },
        status_message: status.message.into(),
    }
}

fn event(event: &trace::span::Event) -> SpanEvent {
    SpanEvent {
        time_unix_nanos: event.time_unix_nano,
        name: event.name.clone().into(),
        attributes: attributes(&event.attributes),
    }
}

fn link(link: &trace::span::Link) -> SpanLink {
    SpanLink {
        trace_id: id(&link.trace_id),
        span_id: id(&link.span_id),
        trace_state: link.trace_state.clone().into(),
        flags: link.flags,
        attributes: attributes(&link.attributes),
    }
}

fn log_record(record: &logs::LogRecord) -> LogRecord {
    LogRecord {
        time_unix_nanos: record.time_unix_nano,
        observed_time_unix_nanos: record.observed_time_unix_nano,
        severity_number: record.severity_number,
        severity_text: record.severity_text.clone().into(),
        body: any_value(&record.body),
        attributes: attributes(&record.attributes),
        flags: record.flags,
        trace_id: id(&record.trace_id),
        span_id: id(&record.span_id),
        event_name: record.event_name.clone().into(),
    }
}

fn metric(metric: &metrics::Metric) -> Metric {
    use metrics::metric::Data;
    let data = match &metric.data {
        None => MetricData::Empty,
        Some(Data::Gauge(gauge)) => {
            MetricData::Gauge(gauge.data_points.iter().map(number_point).collect())
        }
        Some(Data::Sum(sum)) => MetricData::Sum {
            temporality: temporality(sum.aggregation_temporality),
            monotonic: sum.is_monotonic,
            points: sum.data_points.iter().map(number_point).collect(),
        },
        Some(Data::Histogram(histogram)) => MetricData::Histogram {
            temporality: temporality(histogram.aggregation_temporality),
            points: histogram.data_points.iter().map(histogram_point).collect(),
        },
        Some(Data::ExponentialHistogram(histogram)) => MetricData::ExponentialHistogram {
            temporality: temporality(histogram.aggregation_temporality),
            points: histogram.data_points.iter().map(exponential_point).collect(),
        },
        Some(Data::Summary(summary)) => {
            MetricData::Summary(summary.data_points.iter().map(summary_point).collect())
        }
    };
    Metric {
        name: metric.name.clone().into(),
        description: metric.description.clone().into(),
        unit: metric.unit.clone().into(),
        data,
    }
}

fn temporality(number: i32) -> Temporality {
    match number {
        1 => Temporality::Delta,
        2 => Temporality::Cumulative,
        _ => Temporality::Unspecified,
    }
}

fn exemplar(exemplar: &metrics::Exemplar) -> Exemplar {
    use metrics::exemplar::Value;
    Exemplar {
        filtered_attributes: attributes(&exemplar.filtered_attributes),
        time_unix_nanos: exemplar.time_unix_nano,
        value: match exemplar.value.unwrap() {
            Value::AsDouble(value) => Number::Double(value),
            Value::AsInt(value) => Number::Int(value),
        },
        trace_id: id(&exemplar.trace_id),
        span_id: id(&exemplar.span_id),
    }
}

fn number_point(point: &metrics::NumberDataPoint) -> NumberPoint {
    use metrics::number_data_point::Value;
    let value = point.value.map(|value| match value {
        Value::AsDouble(value) => Number::Double(value),
        Value::AsInt(value) => Number::Int(value),
    });
    NumberPoint {
        header: PointHeader {
            attributes: attributes(&point.attributes),
            start_time_unix_nanos: point.start_time_unix_nano,
            time_unix_nanos: point.time_unix_nano,
            flags: point.flags,
            exemplars: point.exemplars.iter().map(exemplar).collect(),
        },
        value: value.filter(|_| point.flags & 1 == 0),
    }
}

fn histogram_point(point: &metrics::HistogramDataPoint) -> HistogramPoint {
    HistogramPoint {
        header: PointHeader {
            attributes: attributes(&point.attributes),
            start_time_unix_nanos: point.start_time_unix_nano,
            time_unix_nanos: point.time_unix_nano,
            flags: point.flags,
            exemplars: point.exemplars.iter().map(exemplar).collect(),
        },
        count: point.count,
        sum: point.sum,
        bucket_counts: point.bucket_counts.clone(),
        explicit_bounds: point.explicit_bounds.clone(),
        min: point.min,
        max: point.max,
    }
}

fn exponential_point(point: &metrics::ExponentialHistogramDataPoint) -> ExponentialPoint {
    let buckets = |buckets: &Option<metrics::exponential_histogram_data_point::Buckets>| {
        let buckets = buckets.clone().unwrap_or_default();
        ExponentialBuckets { offset: buckets.offset, bucket_counts: buckets.bucket_counts }
    };
    ExponentialPoint {
        header: PointHeader {
            attributes: attributes(&point.attributes),
            start_time_unix_nanos: point.start_time_unix_nano,
            time_unix_nanos: point.time_unix_nano,
            flags: point.flags,
            exemplars: point.exemplars.iter().map(exemplar).collect(),
        },
        count: point.count,
        sum: point.sum,
        scale: point.scale,
        zero_count: point.zero_count,
        zero_threshold: point.zero_threshold,
        positive: buckets(&point.positive),
        negative: buckets(&point.negative),
        min: point.min,
        max: point.max,
    }
}

fn summary_point(point: &metrics::SummaryDataPoint) -> SummaryPoint {
    SummaryPoint {
        header: PointHeader {
            attributes: attributes(&point.attributes),
            start_time_unix_nanos: point.start_time_unix_nano,
            time_unix_nanos: point.time_unix_nano,
            flags: point.flags,
            exemplars: Vec::new(),
        },
        count: point.count,
        sum: point.sum,
        quantiles: point.quantile_values.iter().map(|pair| (pair.quantile, pair.value)).collect(),
    }
}
