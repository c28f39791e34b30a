//! Attribute values as JSON that can be read back without loss (`rows::json`).
//!
//! What JSON cannot say is an object with one key that begins with `$`: `{"$bytes": base64}`,
//! `{"$double": "NaN"}`; a map whose own first key begins so is `{"$map": …}`. Doubles always
//! have a point or an exponent, so that integers remain integers. Keys may repeat, as they came.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::signal::{AnyValue, Attributes, InstrumentationScope, SpanEvent, SpanLink};
use model::signal::{Exemplar, ExponentialBuckets, ExponentialPoint, Number};

/// Quoted and escaped.
pub fn text(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    if text.as_bytes().iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        // Writing to a vector cannot fail.
        let _ = serde_json::to_writer(out, text);
    }
}

pub fn value(out: &mut Vec<u8>, value: &AnyValue) {
    match value {
        AnyValue::Empty => out.extend_from_slice(b"null"),
        AnyValue::String(string) => text(out, string),
        AnyValue::Bool(truth) => out.extend_from_slice(if *truth { b"true" } else { b"false" }),
        AnyValue::Int(number) => integer(out, *number),
        AnyValue::Double(number) => double(out, *number),
        AnyValue::Array(values) => array(out, values),
        AnyValue::Map(map) if is_special(map) => {
            out.extend_from_slice(b"{\"$map\":");
            object(out, map);
            out.push(b'}');
        }
        AnyValue::Map(map) => object(out, map),
        AnyValue::Bytes(bytes) => {
            out.extend_from_slice(b"{\"$bytes\":\"");
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.extend_from_slice(b"\"}");
        }
    }
}

/// Whether a map might be taken for one of the special values.
fn is_special(map: &Attributes) -> bool {
    map.0.first().is_some_and(|(key, _)| key.starts_with('$'))
}

pub fn integer(out: &mut Vec<u8>, number: i64) {
    let _ = write!(out, "{number}");
}

/// A double inside of JSON.
pub fn double(out: &mut Vec<u8>, number: f64) {
    if number.is_finite() {
        let _ = serde_json::to_writer(out, &number);
    } else {
        let _ = write!(out, "{{\"$double\":\"{number}\"}}");
    }
}

pub fn array(out: &mut Vec<u8>, values: &[AnyValue]) {
    list(out, values, value);
}

pub fn object(out: &mut Vec<u8>, attributes: &Attributes) {
    out.push(b'{');
    for (index, (key, attribute)) in attributes.0.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        text(out, key);
        out.push(b':');
        value(out, attribute);
    }
    out.push(b'}');
}

/// Nothing for a scope that says nothing.
pub fn scope(out: &mut Vec<u8>, scope: &InstrumentationScope) {
    out.extend_from_slice(b"{\"name\":");
    text(out, &scope.name);
    if !scope.version.is_empty() {
        out.extend_from_slice(b",\"version\":");
        text(out, &scope.version);
    }
    end_with_attributes(out, &scope.attributes);
}

pub fn events(out: &mut Vec<u8>, events: &[SpanEvent]) {
    list(out, events, |out, event| {
        let _ = write!(out, "{{\"time\":{},\"name\":", event.time_unix_nanos);
        text(out, &event.name);
        end_with_attributes(out, &event.attributes);
    });
}

pub fn links(out: &mut Vec<u8>, links: &[SpanLink]) {
    list(out, links, |out, link| {
        out.extend_from_slice(b"{\"trace_id\":");
        hex(out, &link.trace_id);
        out.extend_from_slice(b",\"span_id\":");
        hex(out, &link.span_id);
        if !link.trace_state.is_empty() {
            out.extend_from_slice(b",\"trace_state\":");
            text(out, &link.trace_state);
        }
        if link.flags != 0 {
            let _ = write!(out, ",\"flags\":{}", link.flags);
        }
        end_with_attributes(out, &link.attributes);
    });
}

pub fn exemplars(out: &mut Vec<u8>, exemplars: &[Exemplar]) {
    list(out, exemplars, |out, exemplar| {
        let _ = write!(out, "{{\"time\":{},\"value\":", exemplar.time_unix_nanos);
        match exemplar.value {
            Number::Int(number) => integer(out, number),
            Number::Double(number) => double(out, number),
        }
        if exemplar.trace_id != [0; 16] {
            out.extend_from_slice(b",\"trace_id\":");
            hex(out, &exemplar.trace_id);
        }
        if exemplar.span_id != [0; 8] {
            out.extend_from_slice(b",\"span_id\":");
            hex(out, &exemplar.span_id);
        }
        end_with_attributes(out, &exemplar.filtered_attributes);
    });
}

/// What of an exponential histogram's point has no column.
pub fn exponential(out: &mut Vec<u8>, point: &ExponentialPoint) {
    let _ = write!(out, "{{\"scale\":{},\"zero_count\":{}", point.scale, point.zero_count);
    if point.zero_threshold.to_bits() != 0 {
        out.extend_from_slice(b",\"zero_threshold\":");
        double(out, point.zero_threshold);
    }
    buckets(out, "positive", &point.positive);
    buckets(out, "negative", &point.negative);
    out.push(b'}');
}

fn buckets(out: &mut Vec<u8>, name: &str, buckets: &ExponentialBuckets) {
    if *buckets == ExponentialBuckets::default() {
        return;
    }
    let _ = write!(out, ",\"{name}\":{{\"offset\":{},\"counts\":", buckets.offset);
    list(out, &buckets.bucket_counts, |out, count| {
        let _ = write!(out, "{count}");
    });
    out.push(b'}');
}

fn end_with_attributes(out: &mut Vec<u8>, attributes: &Attributes) {
    if !attributes.0.is_empty() {
        out.extend_from_slice(b",\"attributes\":");
        object(out, attributes);
    }
    out.push(b'}');
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn hex(out: &mut Vec<u8>, id: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in id {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out.push(b'"');
}

/// The letter of a value's type, and the value as the map `attributes` has it.
pub fn typed(out: &mut Vec<u8>, value: &AnyValue) -> u8 {
    match value {
        AnyValue::String(text) => {
            out.extend_from_slice(text.as_bytes());
            b's'
        }
        AnyValue::Int(number) => {
            integer(out, *number);
            b'i'
        }
        AnyValue::Double(number) => {
            let _ = write!(out, "{number:?}");
            b'd'
        }
        AnyValue::Bool(truth) => {
            out.extend_from_slice(if *truth { b"true" } else { b"false" });
            b'b'
        }
        AnyValue::Array(values) => {
            array(out, values);
            b'a'
        }
        AnyValue::Map(map) => {
            object(out, map);
            b'm'
        }
        AnyValue::Bytes(bytes) => {
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            b'x'
        }
        AnyValue::Empty => b'e',
    }
}
