//! What the JSON reader accepts and refuses, and what its errors say.

use std::path::Path;

use model::signal::{AnyValue, Batch, MetricData, Number, Signal, Temporality};
use receivers::decode::NESTING_MAX;
use receivers::{Decoded, decode_json};

fn span(fields: &str) -> String {
    const ID: &str = "0102030405060708";
    let span = format!(r#"{{"traceId":"{ID}{ID}","spanId":"{ID}"{fields}}}"#);
    format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#)
}

fn body(value: &str) -> String {
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{value}}}]}}]}}]}}"#)
}

fn gauge(point: &str) -> String {
    let metric = format!(r#"{{"name":"m","gauge":{{"dataPoints":[{point}]}}}}"#);
    format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{metric}]}}]}}]}}"#)
}

fn read(signal: Signal, text: &str) -> Decoded {
    decode_json(signal, text.as_bytes()).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn read_body(value: &str) -> AnyValue {
    let Batch::Logs(groups) = read(Signal::Logs, &body(value)).batch else { panic!("not logs") };
    groups[0].items[0].body.clone()
}

fn read_number(point: &str) -> Option<Number> {
    let Batch::Metrics(groups) = read(Signal::Metrics, &gauge(point)).batch else {
        panic!("not metrics")
    };
    let MetricData::Gauge(points) = &groups[0].items[0].data else { panic!("not a gauge") };
    points[0].value
}

#[track_caller]
fn refused(signal: Signal, text: &str, expected: &str) {
    let error = decode_json(signal, text.as_bytes()).expect_err(text).to_string();
    assert!(error.contains(expected), "`{error}` does not say `{expected}`");
}

#[test]
fn a_name_where_an_enum_number_belongs_is_refused_with_its_place() {
    refused(
        Signal::Traces,
        &span(r#","kind":"SPAN_KIND_SERVER""#),
        "resourceSpans[0].scopeSpans[0].spans[0].kind: expected an integer, found \
         \"SPAN_KIND_SERVER\"",
    );
    refused(Signal::Traces, &span(r#","status":{"code":"2"}"#), "status.code: expected an integer");
}

#[test]
fn numbers_of_64_bits_are_read_exactly_bare_or_as_strings() {
    for (text, expected) in [
        (r#""18446744073709551615""#, u64::MAX),
        ("18446744073709551615", u64::MAX),
        ("1544712660300000001", 1_544_712_660_300_000_001),
        ("1e3", 1000),
        ("5.0", 5),
        (r#""5""#, 5),
    ] {
        let decoded = read(Signal::Traces, &span(&format!(r#","startTimeUnixNano":{text}"#)));
        let Batch::Traces(groups) = decoded.batch else { panic!("not traces") };
        assert_eq!(groups[0].items[0].start_unix_nanos, expected, "{text}");
    }
    for text in ["1.5", "-1", r#""""#, r#""+5""#, r#"" 5""#, "18446744073709551616", "1e30", "{}"] {
        let text = span(&format!(r#","startTimeUnixNano":{text}"#));
        refused(Signal::Traces, &text, "startTimeUnixNano: expected an integer");
    }
    assert_eq!(read_number(r#"{"asInt":"-9223372036854775808"}"#), Some(Number::Int(i64::MIN)));
}

#[test]
fn doubles_may_be_the_three_words() {
    let double = |text: &str| match read_number(&format!(r#"{{"asDouble":{text}}}"#)) {
        Some(Number::Double(value)) => value,
        other => panic!("{other:?}"),
    };
    assert!(double(r#""NaN""#).is_nan());
    assert_eq!(double(r#""Infinity""#), f64::INFINITY);
    assert_eq!(double(r#""-Infinity""#), f64::NEG_INFINITY);
    assert_eq!(double("1e-7"), 1e-7);
    assert_eq!(double(r#""0.1""#), 0.1);
    for text in [r#""nan""#, r#""inf""#, "1e999", "NaN", r#""1.""#, "true"] {
        let point = gauge(&format!(r#"{{"asDouble":{text}}}"#));
        refused(Signal::Metrics, &point, "dataPoints[0].asDouble: expected a number");
    }
}

#[test]
fn values_of_every_type_are_read() {
    assert_eq!(read_body(r#"{"stringValue":"a\"\u00e9\ud83e\udd80\n"}"#), text("a\"é🦀\n"));
    assert_eq!(read_body(r#"{"boolValue":false}"#), AnyValue::Bool(false));
    assert_eq!(read_body(r#"{"intValue":"-5"}"#), AnyValue::Int(-5));
    assert_eq!(read_body(r#"{"bytesValue":"_-8="}"#), AnyValue::Bytes(vec![0xFF, 0xEF]));
    assert_eq!(read_body(r#"{"bytesValue":"/+8"}"#), AnyValue::Bytes(vec![0xFF, 0xEF]));
    assert_eq!(read_body("{}"), AnyValue::Empty);
    assert_eq!(read_body("null"), AnyValue::Empty);
    assert_eq!(read_body(r#"{"stringValue":null,"intValue":1}"#), AnyValue::Int(1));
    assert_eq!(read_body(r#"{"arrayValue":{}}"#), AnyValue::Array(Vec::new()));
    for (value, expected) in [
        (r#"{"stringValue":5}"#, "body.stringValue: expected a string, found 5"),
        (r#"{"stringValue":"\ud800"}"#, "surrogate"),
        (r#"{"bytesValue":"a"}"#, "body.bytesValue: expected a base64 string"),
        (r#"{"bytesValue":"===="}"#, "body.bytesValue: expected a base64 string"),
        (r#"{"stringValue":"a","intValue":1}"#, "body.intValue: a value has one type"),
        (r#"{"arrayValue":{"values":[null]}}"#, "values[0]: expected an object, found null"),
    ] {
        refused(Signal::Logs, &body(value), expected);
    }
}

fn text(text: &str) -> AnyValue {
    AnyValue::String(text.into())
}

#[test]
fn unknown_and_snake_case_keys_are_ignored_and_known_ones_count_once() {
    let decoded = read(
        Signal::Traces,
        &span(r#","start_time_unix_nano":"x","later":{"a":[1,{"b":null}]},"name":"n""#),
    );
    let Batch::Traces(groups) = decoded.batch else { panic!("not traces") };
    assert_eq!((groups[0].items[0].start_unix_nanos, &*groups[0].items[0].name), (0, "n"));
    refused(Signal::Traces, &span(r#","name":"a","name":"b""#), "name: this key is given twice");
}

#[test]
fn identifiers_are_hexadecimal_of_either_case() {
    let decoded = read(Signal::Traces, &span(r#","parentSpanId":"aBcDeF0102030405""#));
    let Batch::Traces(groups) = decoded.batch else { panic!("not traces") };
    assert_eq!(groups[0].items[0].parent_span_id, [0xAB, 0xCD, 0xEF, 1, 2, 3, 4, 5]);
    let decoded = read(Signal::Traces, &span(r#","parentSpanId":"abcd""#));
    assert_eq!((decoded.batch.len(), decoded.rejected), (0, 1));
    for id in ["abc", "zz", "q83vASNFZ4k="] {
        let text = span(&format!(r#","parentSpanId":"{id}""#));
        refused(Signal::Traces, &text, "parentSpanId: expected a hexadecimal string");
    }
}

#[test]
fn a_metric_of_two_kinds_is_refused() {
    let text = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"gauge":{},"sum":{}}]}]}]}"#;
    refused(Signal::Metrics, text, "metrics[0].sum: a metric has one kind");
}

#[test]
fn what_is_not_json_is_refused() {
    for text in
        ["", " ", "[]", "null", "{", "{}x", "{\"a\":1,}", "{'a':1}", "{\"a\":01}", "\u{feff}{}"]
    {
        refused(Signal::Logs, text, "expected");
    }
    assert!(decode_json(Signal::Logs, b"{\"a\":\"\xFF\"}").is_err());
    refused(Signal::Logs, "{\"a\":\"\n\"}", "control character");
    assert!(read(Signal::Logs, " {\r\n\t} ").batch.is_empty());
}

#[test]
fn values_may_nest_to_the_bound_and_no_deeper() {
    let nested = |levels: usize| {
        let (open, close) = (r#"{"kvlistValue":{"values":[{"key":"k","value":"#, "}]}}");
        format!("{}{}{}", open.repeat(levels), r#"{"boolValue":true}"#, close.repeat(levels))
    };
    assert!(matches!(read_body(&nested(NESTING_MAX)), AnyValue::Map(_)));
    refused(Signal::Logs, &body(&nested(NESTING_MAX + 1)), "nested deeper than 32");
    refused(Signal::Logs, &body(&nested(10_000)), "nested deeper than");
    let unknown = format!("{{\"x\":{}", "[".repeat(100_000));
    refused(Signal::Logs, &unknown, "nested deeper than");
}

#[test]
fn the_examples_of_the_specification_are_read_in_full() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/otlp");
    if !folder.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", folder.display());
        eprintln!("skipped: {} is missing", folder.display());
        return;
    }
    for (name, signal, items) in [
        ("trace.json", Signal::Traces, 1),
        ("metrics.json", Signal::Metrics, 4),
        ("logs.json", Signal::Logs, 1),
        ("events.json", Signal::Logs, 1),
    ] {
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        let decoded = read(signal, &text);
        assert_eq!((decoded.batch.len(), decoded.rejected), (items, 0), "{name}");
        let judge = match signal {
            Signal::Traces => crate::oracle::traces(&serde_json::from_str(&text).unwrap()),
            Signal::Metrics => crate::oracle::metrics(&serde_json::from_str(&text).unwrap()),
            Signal::Logs => crate::oracle::logs(&serde_json::from_str(&text).unwrap()),
        };
        assert_eq!(decoded.batch, judge, "{name}");
    }
    let text = std::fs::read_to_string(folder.join("metrics.json")).unwrap();
    let Batch::Metrics(groups) = read(Signal::Metrics, &text).batch else { panic!("not metrics") };
    let MetricData::ExponentialHistogram { temporality, points } = &groups[0].items[3].data else {
        panic!("not an exponential histogram")
    };
    assert_eq!((*temporality, points[0].count), (Temporality::Delta, 3));
    assert_eq!(points[0].positive.bucket_counts, [0, 2]);
}
