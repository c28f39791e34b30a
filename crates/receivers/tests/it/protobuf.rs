//! What the protobuf reader accepts and refuses, message by message.

use model::signal::{AnyValue, Batch, MetricData, Number, Signal};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1 as metrics;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use receivers::decode::NESTING_MAX;
use receivers::{DecodeError, Decoded, decode_protobuf};

/// A length-prefixed field.
pub fn field(number: u8, inside: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    prost::encoding::encode_varint(inside.len() as u64, &mut bytes);
    bytes.extend_from_slice(inside);
    bytes
}

/// A request with one item in one scope of one resource.
pub fn request(item: &[u8]) -> Vec<u8> {
    field(1, &field(2, &field(2, item)))
}

fn spans(spans: Vec<Span>) -> Decoded {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    decode_protobuf(Signal::Traces, &body).unwrap()
}

fn span(trace_id: Vec<u8>, span_id: Vec<u8>) -> Span {
    Span { trace_id, span_id, ..Default::default() }
}

fn data(data: metrics::metric::Data) -> Decoded {
    let metric = metrics::Metric { name: "m".into(), data: Some(data), ..Default::default() };
    let scope_metrics = vec![metrics::ScopeMetrics { metrics: vec![metric], ..Default::default() }];
    let resource_metrics = vec![metrics::ResourceMetrics { scope_metrics, ..Default::default() }];
    let body = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    decode_protobuf(Signal::Metrics, &body).unwrap()
}

fn error(signal: Signal, body: &[u8]) -> String {
    decode_protobuf(signal, body).unwrap_err().to_string()
}

#[test]
fn an_empty_request_is_an_empty_batch() {
    for &signal in Signal::ALL {
        let decoded = decode_protobuf(signal, b"").unwrap();
        assert!(decoded.batch.is_empty());
        assert_eq!((decoded.batch.signal(), decoded.rejected), (signal, 0));
    }
}

#[test]
fn spans_with_wrong_identifiers_are_rejected_one_by_one() {
    let decoded = spans(vec![
        span(vec![1; 16], vec![1; 8]),
        span(vec![1; 15], vec![1; 8]),
        span(vec![0; 16], vec![1; 8]),
        span(vec![1; 16], vec![]),
        span(vec![], vec![1; 8]),
        span(vec![1; 16], vec![1; 9]),
        Span { parent_span_id: vec![1; 7], ..span(vec![1; 16], vec![1; 8]) },
        Span { parent_span_id: vec![0; 8], ..span(vec![2; 16], vec![2; 8]) },
    ]);
    assert_eq!((decoded.batch.len(), decoded.rejected), (2, 6));
    assert_eq!(
        decoded.message,
        "6 of 8 spans rejected; the first: a trace id has 15 bytes instead of 16"
    );
}

#[test]
fn histograms_of_contradictory_shape_are_rejected_one_by_one() {
    let point = |counts: &[u64], bounds: &[f64]| metrics::HistogramDataPoint {
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        ..Default::default()
    };
    let decoded = data(metrics::metric::Data::Histogram(metrics::Histogram {
        data_points: vec![
            point(&[], &[]),
            point(&[3], &[]),
            point(&[1, 2], &[0.5]),
            point(&[1, 2], &[0.5, 1.0]),
            point(&[], &[0.5]),
            point(&[1, 2, 3], &[1.0, 1.0]),
            point(&[1, 2], &[f64::NAN]),
        ],
        aggregation_temporality: 2,
    }));
    assert_eq!((decoded.batch.len(), decoded.rejected), (3, 4));
    assert!(decoded.message.contains("2 bucket counts for 2 bounds, not 3"), "{}", decoded.message);
}

#[test]
fn a_point_without_value_needs_the_flag_that_says_so() {
    let point = |flags, value| metrics::NumberDataPoint { flags, value, ..Default::default() };
    let value = Some(metrics::number_data_point::Value::AsInt(7));
    let gauge =
        metrics::Gauge { data_points: vec![point(0, None), point(1, None), point(1, value)] };
    let decoded = data(metrics::metric::Data::Gauge(gauge));
    assert_eq!(decoded.rejected, 1);
    let Batch::Metrics(groups) = &decoded.batch else { panic!("not metrics") };
    let MetricData::Gauge(points) = &groups[0].items[0].data else { panic!("not a gauge") };
    assert_eq!(points.iter().map(|point| point.value).collect::<Vec<_>>(), [None, None]);
}

#[test]
fn an_exemplar_without_value_is_dropped_and_the_sender_is_told() {
    let value = Some(metrics::number_data_point::Value::AsInt(7));
    let exemplars = vec![metrics::Exemplar::default()];
    let point = metrics::NumberDataPoint { exemplars, value, ..Default::default() };
    let gauge = metrics::Gauge { data_points: vec![point] };
    let decoded = data(metrics::metric::Data::Gauge(gauge));
    assert_eq!((decoded.batch.len(), decoded.rejected), (1, 0));
    assert!(decoded.message.contains("exemplars"), "{}", decoded.message);
}

#[test]
fn a_metric_without_name_loses_its_points() {
    let point = [field(7, b""), vec![0x31], vec![0; 8]].concat();
    let decoded = decode_protobuf(Signal::Metrics, &request(&field(5, &field(1, &point)))).unwrap();
    assert_eq!((decoded.batch.len(), decoded.rejected), (0, 1));
}

#[test]
fn repeated_numbers_may_be_packed_or_not() {
    let unpacked: Vec<u8> = [
        field(1, b"m"),
        field(
            10,
            &field(
                1,
                &field(
                    8,
                    &[
                        0x10, 5, // bucket_counts, unpacked
                        0x12, 2, 6, 0x80, // packed, and cut short: refused below
                    ],
                ),
            ),
        ),
    ]
    .concat();
    assert!(error(Signal::Metrics, &request(&unpacked)).contains("ends within a varint"));
    let mixed: Vec<u8> =
        [field(1, b"m"), field(10, &field(1, &field(8, &[0x10, 5, 0x12, 2, 6, 7, 0x10, 8])))]
            .concat();
    let decoded = decode_protobuf(Signal::Metrics, &request(&mixed)).unwrap();
    let Batch::Metrics(groups) = &decoded.batch else { panic!("not metrics") };
    let MetricData::ExponentialHistogram { points, .. } = &groups[0].items[0].data else {
        panic!("not an exponential histogram")
    };
    assert_eq!(points[0].positive.bucket_counts, [5, 6, 7, 8]);
}

#[test]
fn pieces_of_a_message_are_merged_and_the_last_of_a_oneof_wins() {
    let gauge = |value: i64| {
        let point = [vec![0x31], value.to_le_bytes().to_vec()].concat();
        field(5, &field(1, &point))
    };
    let summary = field(11, b"");
    let metric = [field(1, b"m"), summary, gauge(1), gauge(2)].concat();
    let decoded = decode_protobuf(Signal::Metrics, &request(&metric)).unwrap();
    let Batch::Metrics(groups) = &decoded.batch else { panic!("not metrics") };
    let MetricData::Gauge(points) = &groups[0].items[0].data else { panic!("not a gauge") };
    let values: Vec<_> = points.iter().filter_map(|point| point.value).collect();
    assert_eq!(values, [Number::Int(1), Number::Int(2)]);
    let judge = ExportMetricsServiceRequest::decode(&request(&metric)[..]).unwrap();
    assert_eq!(crate::oracle::metrics(&judge), decoded.batch);
}

#[test]
fn unknown_fields_and_groups_are_skipped() {
    let unknown = [
        vec![0xF8, 0x07, 0x80, 0x01], // field 127, varint
        vec![0xF9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8],
        vec![0xFA, 0x07, 3, 0xFF, 0xFF, 0xFF],
        vec![0xFD, 0x07, 1, 2, 3, 4],
        // group 20 { field 1 varint, group 21 { field 2 bytes } }
        vec![0xA3, 0x01, 0x08, 0x01, 0xAB, 0x01, 0x12, 1, b'x', 0xAC, 0x01, 0xA4, 0x01],
    ]
    .concat();
    let record = [field(3, b"INFO"), unknown].concat();
    let decoded = decode_protobuf(Signal::Logs, &request(&record)).unwrap();
    let Batch::Logs(groups) = &decoded.batch else { panic!("not logs") };
    assert_eq!(groups[0].items[0].severity_text, "INFO");
}

#[test]
fn a_resource_after_its_scopes_still_holds_for_them() {
    let resource = field(1, &field(1, &[field(1, b"k"), field(2, &field(1, b"v"))].concat()));
    let scopes = field(2, &field(2, &field(3, b"INFO")));
    let decoded = decode_protobuf(Signal::Logs, &field(1, &[scopes, resource].concat())).unwrap();
    let Batch::Logs(groups) = &decoded.batch else { panic!("not logs") };
    assert_eq!(groups[0].resource.attributes.str("k"), Some("v"));
}

#[test]
fn values_may_nest_to_the_bound_and_no_deeper() {
    let nested = |levels: usize| {
        let mut value = field(1, b"x");
        for _ in 0..levels {
            value = field(5, &field(1, &value));
        }
        request(&field(5, &value))
    };
    let decoded = decode_protobuf(Signal::Logs, &nested(NESTING_MAX)).unwrap();
    let Batch::Logs(groups) = &decoded.batch else { panic!("not logs") };
    let mut value = &groups[0].items[0].body;
    while let AnyValue::Array(elements) = value {
        value = &elements[0];
    }
    assert_eq!(value, &AnyValue::String("x".into()));
    assert!(error(Signal::Logs, &nested(NESTING_MAX + 1)).contains("nested deeper than 32"));
    assert!(error(Signal::Logs, &nested(5_000)).contains("nested deeper than 32"));
}

#[test]
fn tiny_items_that_stand_for_much_memory_are_refused() {
    // Two bytes each; every record would take two hundred.
    let records: Vec<u8> = [0x12, 0x00].repeat(1 << 20);
    let body = field(1, &field(2, &records));
    let error = decode_protobuf(Signal::Logs, &body).unwrap_err();
    assert_eq!(error, DecodeError::TooDense { bytes: body.len() });
    // Real requests are far from the bound: the densest the generated types make of real-looking
    // values.
    let value =
        Some(opentelemetry_proto::tonic::common::v1::AnyValue { value: Some(Value::IntValue(1)) });
    let attribute = opentelemetry_proto::tonic::common::v1::KeyValue {
        key: "k".into(),
        value,
        ..Default::default()
    };
    let dense = Span { attributes: vec![attribute; 8], ..span(vec![1; 16], vec![1; 8]) };
    assert_eq!(spans(vec![dense; 20_000]).batch.len(), 20_000);
}

#[test]
fn errors_say_where_and_what() {
    let body = request(&field(5, &[0xC3, 0x28]));
    let message = error(Signal::Traces, &body);
    assert!(message.contains("at byte 8: field 5: text is not UTF-8"), "{message}");
    let wrong_type = request(&[0x38, 0x01]);
    let message = error(Signal::Traces, &wrong_type);
    assert!(message.contains("field 7 has the wrong wire type"), "{message}");
}

#[test]
fn kinds_that_are_unknown_are_read_as_unspecified() {
    let decoded = spans(vec![Span { kind: 77, ..span(vec![1; 16], vec![1; 8]) }]);
    let Batch::Traces(groups) = &decoded.batch else { panic!("not traces") };
    assert_eq!(groups[0].items[0].kind, model::signal::SpanKind::Unspecified);
}
