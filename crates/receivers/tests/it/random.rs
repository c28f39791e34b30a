//! Random valid requests, made of a list of random bytes so that proptest can shrink them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link},
};

/// Turns bytes into choices; once they are used up, every choice is the smallest.
pub struct Dice<'a>(pub &'a [u8]);

impl Dice<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            None => 0,
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
        }
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    fn u64(&mut self) -> u64 {
        match self.below(4) {
            0 => 0,
            1 => u64::from(self.byte()),
            2 => u64::MAX - u64::from(self.byte()),
            _ => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
        }
    }

    fn i32(&mut self) -> i32 {
        self.u64() as i32
    }

    /// Finite: JSON made by `opentelemetry-proto` cannot tell the others.
    fn f64(&mut self) -> f64 {
        let value = f64::from_bits(self.u64());
        if value.is_finite() { value } else { f64::from(self.byte()) / 7.0 }
    }

    fn text(&mut self) -> String {
        const LETTERS: [char; 8] = ['a', '.', '"', '\\', '\n', 'é', '日', '🦀'];
        let length = self.below(6);
        (0..length).map(|_| LETTERS[self.below(8) as usize]).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.many(5, Self::byte)
    }

    fn many<T>(&mut self, bound: u8, mut one: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = self.below(bound);
        (0..length).map(|_| one(self)).collect()
    }

    fn maybe<T>(&mut self, one: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) != 0).then(|| one(self))
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|at| self.byte() | u8::from(at == 0)).collect()
    }

    fn maybe_id(&mut self, length: usize) -> Vec<u8> {
        self.maybe(|dice| dice.id(length)).unwrap_or_default()
    }

    fn any_value(&mut self, depth: u8) -> AnyValue {
        let value = match self.below(if depth == 0 { 6 } else { 8 }) {
            0 => Some(Value::StringValue(self.text())),
            1 => Some(Value::BoolValue(self.below(2) == 1)),
            2 => Some(Value::IntValue(self.u64() as i64)),
            3 => Some(Value::DoubleValue(self.f64())),
            4 => Some(Value::BytesValue(self.bytes())),
            5 => None,
            6 => Some(Value::ArrayValue(ArrayValue {
                values: self.many(4, |dice| dice.any_value(depth - 1)),
            })),
            _ => Some(Value::KvlistValue(KeyValueList { values: self.attributes(depth - 1) })),
        };
        AnyValue { value }
    }

    fn attributes(&mut self, depth: u8) -> Vec<KeyValue> {
        self.many(4, |dice| KeyValue {
            key: dice.text(),
            value: dice.maybe(|dice| dice.any_value(depth)),
            ..KeyValue::default()
        })
    }

    fn resource(&mut self) -> Resource {
        Resource { attributes: self.attributes(2), ..Resource::default() }
    }

    fn scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.text(),
            version: self.text(),
            attributes: self.attributes(1),
            dropped_attributes_count: self.i32() as u32,
        }
    }

    pub fn traces(&mut self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest {
            resource_spans: self.many(3, |dice| ResourceSpans {
                resource: dice.maybe(Self::resource),
                scope_spans: dice.many(3, |dice| ScopeSpans {
                    scope: dice.maybe(Self::scope),
                    spans: dice.many(4, Self::span),
                    schema_url: dice.text(),
                }),
                schema_url: dice.text(),
            }),
        }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.text(),
            parent_span_id: self.maybe_id(8),
            flags: self.i32() as u32,
            name: self.text(),
            kind: i32::from(self.below(8)),
            start_time_unix_nano: self.u64(),
            end_time_unix_nano: self.u64(),
            attributes: self.attributes(3),
            dropped_attributes_count: self.i32() as u32,
            events: self.many(3, |dice| Event {
                time_unix_nano: dice.u64(),
                name: dice.text(),
                attributes: dice.attributes(1),
                dropped_attributes_count: 0,
            }),
            dropped_events_count: 0,
            links: self.many(3, |dice| Link {
                trace_id: dice.maybe_id(16),
                span_id: dice.maybe_id(8),
                trace_state: dice.text(),
                attributes: dice.attributes(1),
                dropped_attributes_count: 1,
                flags: dice.i32() as u32,
            }),
            dropped_links_count: 3,
            status: self
                .maybe(|dice| Status { message: dice.text(), code: i32::from(dice.below(4)) }),
        }
    }

    pub fn logs(&mut self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest {
            resource_logs: self.many(3, |dice| ResourceLogs {
                resource: dice.maybe(Self::resource),
                scope_logs: dice.many(3, |dice| ScopeLogs {
                    scope: dice.maybe(Self::scope),
                    log_records: dice.many(5, Self::log_record),
                    schema_url: dice.text(),
                }),
                schema_url: dice.text(),
            }),
        }
    }

    fn log_record(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.u64(),
            observed_time_unix_nano: self.u64(),
            severity_number: i32::from(self.below(25)),
            severity_text: self.text(),
            body: self.maybe(|dice| dice.any_value(3)),
            attributes: self.attributes(2),
            dropped_attributes_count: 9,
            flags: self.i32() as u32,
            trace_id: self.maybe_id(16),
            span_id: self.maybe_id(8),
            event_name: self.text(),
        }
    }

    pub fn metrics(&mut self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest {
            resource_metrics: self.many(3, |dice| metrics::ResourceMetrics {
                resource: dice.maybe(Self::resource),
                scope_metrics: dice.many(3, |dice| metrics::ScopeMetrics {
                    scope: dice.maybe(Self::scope),
                    metrics: dice.many(6, Self::metric),
                    schema_url: dice.text(),
                }),
                schema_url: dice.text(),
            }),
        }
    }

    fn metric(&mut self) -> metrics::Metric {
        use metrics::metric::Data;
        let temporality = i32::from(self.below(3));
        let data = match self.below(6) {
            0 => None,
            1 => Some(Data::Gauge(metrics::Gauge { data_points: self.many(4, Self::number) })),
            2 => Some(Data::Sum(metrics::Sum {
                data_points: self.many(4, Self::number),
                aggregation_temporality: temporality,
                is_monotonic: self.below(2) == 1,
            })),
            3 => Some(Data::Histogram(metrics::Histogram {
                data_points: self.many(4, Self::histogram),
                aggregation_temporality: temporality,
            })),
            4 => Some(Data::ExponentialHistogram(metrics::ExponentialHistogram {
                data_points: self.many(4, Self::exponential),
                aggregation_temporality: temporality,
            })),
            _ => Some(Data::Summary(metrics::Summary { data_points: self.many(4, Self::summary) })),
        };
        metrics::Metric {
            name: format!("m{}", self.text()),
            description: self.text(),
            unit: self.text(),
            metadata: self.attributes(1),
            data,
        }
    }

    fn number(&mut self) -> metrics::NumberDataPoint {
        use metrics::number_data_point::Value;
        let value = match self.below(3) {
            0 => None,
            1 => Some(Value::AsDouble(self.f64())),
            _ => Some(Value::AsInt(self.u64() as i64)),
        };
        metrics::NumberDataPoint {
            attributes: self.attributes(2),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            exemplars: self.many(3, Self::exemplar),
            flags: u32::from(value.is_none() || self.below(8) == 7),
            value,
        }
    }

    fn exemplar(&mut self) -> metrics::Exemplar {
        use metrics::exemplar::Value;
        metrics::Exemplar {
            filtered_attributes: self.attributes(1),
            time_unix_nano: self.u64(),
            span_id: self.maybe_id(8),
            trace_id: self.maybe_id(16),
            value: Some(match self.below(2) {
                0 => Value::AsDouble(self.f64()),
                _ => Value::AsInt(self.u64() as i64),
            }),
        }
    }

    fn histogram(&mut self) -> metrics::HistogramDataPoint {
        let buckets = self.below(5);
        let counts: Vec<u64> = (0..buckets).map(|_| self.u64()).collect();
        metrics::HistogramDataPoint {
            attributes: self.attributes(1),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.maybe(Self::f64),
            explicit_bounds: (1..buckets).map(|bound| f64::from(bound) / 8.0).collect(),
            bucket_counts: counts,
            exemplars: self.many(2, Self::exemplar),
            flags: u32::from(self.below(2)),
            min: self.maybe(Self::f64),
            max: self.maybe(Self::f64),
        }
    }

    fn exponential(&mut self) -> metrics::ExponentialHistogramDataPoint {
        use metrics::exponential_histogram_data_point::Buckets;
        let buckets = |dice: &mut Self| Buckets {
            offset: i32::from(dice.byte() as i8),
            bucket_counts: dice.many(6, Self::u64),
        };
        metrics::ExponentialHistogramDataPoint {
            attributes: self.attributes(1),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.maybe(Self::f64),
            scale: i32::from(self.byte() as i8),
            zero_count: self.u64(),
            positive: self.maybe(buckets),
            negative: self.maybe(buckets),
            flags: u32::from(self.below(2)),
            exemplars: self.many(2, Self::exemplar),
            min: self.maybe(Self::f64),
            max: self.maybe(Self::f64),
            zero_threshold: self.f64(),
        }
    }

    fn summary(&mut self) -> metrics::SummaryDataPoint {
        metrics::SummaryDataPoint {
            attributes: self.attributes(1),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.f64(),
            quantile_values: self.many(4, |dice| metrics::summary_data_point::ValueAtQuantile {
                quantile: dice.f64(),
                value: dice.f64(),
            }),
            flags: 0,
        }
    }
}
