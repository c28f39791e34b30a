//! A stored span as an answer shows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::Timestamp;
use model::signal::{AnyValue, Attributes, Resource, SpanEvent, SpanLink};
use serde::Serialize;
use serde_json::{Map, Value};

use super::filter::{kind_word, status_word};
use crate::query::tree::TreeSpan;
use crate::rows::StoredSpan;

/// Deepest nesting of values that is shown; deeper ones are shown as null.
const DEPTH_MAX: usize = 16;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SpanRecord {
    /// Hexadecimal digits, as all ids.
    pub trace_id: String,
    pub span_id: String,
    /// Absent for a root.
    pub parent_span_id: Option<String>,
    /// Empty where it is not known.
    pub service: String,
    pub instance: Option<String>,
    pub name: String,
    /// "internal", "server", "client", "producer", "consumer", "unspecified"
    pub kind: &'static str,
    /// "unset", "ok", "error"
    pub status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub status_message: String,
    pub start: Timestamp,
    /// The same exactly.
    pub start_unix_nanos: u64,
    pub duration_nanos: u64,
    pub arrival: Timestamp,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace_state: String,
    pub flags: u32,
    pub attributes: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventRecord>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkRecord>,
    /// Name and version of the instrumentation.
    pub scope: String,
    /// Place of its resource's attributes in the answer's `resources`.
    pub resource: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct EventRecord {
    pub time: Timestamp,
    pub name: String,
    pub attributes: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct LinkRecord {
    pub trace_id: String,
    pub span_id: String,
    pub attributes: Map<String, Value>,
}

/// The resources of an answer's spans, each once.
#[derive(Debug, Default)]
pub struct Resources {
    seen: Vec<std::sync::Arc<Resource>>,
    records: Vec<Map<String, Value>>,
}

impl Resources {
    fn number(&mut self, resource: &std::sync::Arc<Resource>) -> u32 {
        let is_it = |seen: &std::sync::Arc<Resource>| {
            std::sync::Arc::ptr_eq(seen, resource) || seen == resource
        };
        // Neighbours mostly share one, and a trace has few.
        let known = self.seen.iter().rposition(is_it);
        let number = known.unwrap_or_else(|| {
            self.seen.push(std::sync::Arc::clone(resource));
            self.records.push(object(&resource.attributes, 0));
            self.records.len() - 1
        });
        number as u32
    }

    pub fn into_records(self) -> Vec<Map<String, Value>> {
        self.records
    }
}

impl SpanRecord {
    pub fn of(stored: &StoredSpan, resources: &mut Resources) -> SpanRecord {
        let span = &stored.span;
        let origin = &stored.resource.attributes;
        let is_root = span.parent_span_id == [0; 8];
        SpanRecord {
            trace_id: hex(&span.trace_id),
            span_id: hex(&span.span_id),
            parent_span_id: (!is_root).then(|| hex(&span.parent_span_id)),
            service: origin.str("service.name").unwrap_or_default().to_owned(),
            instance: origin.str("service.instance.id").map(str::to_owned),
            name: span.name.to_string(),
            kind: kind_word(span.kind),
            status: status_word(span.status),
            status_message: span.status_message.to_string(),
            start: Timestamp(span.start_unix_nanos),
            start_unix_nanos: span.start_unix_nanos,
            duration_nanos: span.end_unix_nanos.saturating_sub(span.start_unix_nanos),
            arrival: stored.arrival,
            trace_state: span.trace_state.to_string(),
            flags: span.flags,
            attributes: object(&span.attributes, 0),
            events: span.events.iter().map(event).collect(),
            links: span.links.iter().map(link).collect(),
            scope: scope(stored),
            resource: resources.number(&stored.resource),
        }
    }
}

fn scope(stored: &StoredSpan) -> String {
    let scope = &stored.scope;
    if scope.version.is_empty() {
        scope.name.to_string()
    } else {
        format!("{} {}", scope.name.as_str(), scope.version.as_str())
    }
}

fn event(event: &SpanEvent) -> EventRecord {
    EventRecord {
        time: Timestamp(event.time_unix_nanos),
        name: event.name.to_string(),
        attributes: object(&event.attributes, 0),
    }
}

fn link(link: &SpanLink) -> LinkRecord {
    LinkRecord {
        trace_id: hex(&link.trace_id),
        span_id: hex(&link.span_id),
        attributes: object(&link.attributes, 0),
    }
}

/// The first of keys that repeat, as everywhere.
fn object(attributes: &Attributes, depth: usize) -> Map<String, Value> {
    let mut object = Map::new();
    for (key, value) in &attributes.0 {
        object.entry(key.to_string()).or_insert_with(|| json(value, depth));
    }
    object
}

fn json(value: &AnyValue, depth: usize) -> Value {
    if depth >= DEPTH_MAX {
        return Value::Null;
    }
    match value {
        AnyValue::Empty => Value::Null,
        AnyValue::String(text) => Value::String(text.to_string()),
        AnyValue::Bool(truth) => Value::Bool(*truth),
        AnyValue::Int(number) => Value::from(*number),
        // JSON has no NaN and no infinity.
        AnyValue::Double(number) if !number.is_finite() => Value::String(number.to_string()),
        AnyValue::Double(number) => Value::from(*number),
        AnyValue::Array(values) => {
            Value::Array(values.iter().map(|value| json(value, depth + 1)).collect())
        }
        AnyValue::Map(map) => Value::Object(object(map, depth + 1)),
        AnyValue::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
    }
}

pub fn hex(id: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value & 15)]);
    id.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// The inverse of [`hex`], of either case.
pub fn id_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    let mut id = [0; N];
    for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let high = char::from(pair[0]).to_digit(16)?;
        let low = char::from(pair[1]).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(id)
}

/// Memory that a span takes while an answer is made of it, about.
pub fn weight(stored: &StoredSpan) -> u64 {
    /// A key with its value, as they came and as JSON.
    const ATTRIBUTE: usize = 200;
    let texts = |attributes: &Attributes| -> usize {
        let text = |value: &AnyValue| value.as_str().map_or(0, str::len);
        attributes.0.iter().map(|(_, value)| ATTRIBUTE + 2 * text(value)).sum()
    };
    let span = &stored.span;
    let events: usize = span.events.iter().map(|event| ATTRIBUTE + texts(&event.attributes)).sum();
    let links: usize = span.links.iter().map(|link| ATTRIBUTE + texts(&link.attributes)).sum();
    let own = size_of::<StoredSpan>() + size_of::<SpanRecord>() + 2 * span.status_message.len();
    (own + texts(&span.attributes) + events + links) as u64
}

/// What the tree looks at.
pub fn tree_span(stored: &StoredSpan) -> TreeSpan<'_> {
    /// Whom a call goes to, the best name first.
    const TARGETS: &[&str] = &[
        "peer.service",
        "server.address",
        "net.peer.name",
        "messaging.destination.name",
        "db.name",
        "db.system.name",
        "db.system",
        "rpc.service",
    ];
    let span = &stored.span;
    let origin = &stored.resource.attributes;
    let exception = span.events.iter().rev().find(|event| event.name.as_str() == "exception");
    let told = |key: &str| {
        let of_event = exception.and_then(|event| event.attributes.str(key));
        of_event.or_else(|| span.attributes.str(key))
    };
    TreeSpan {
        span_id: span.span_id,
        parent_span_id: span.parent_span_id,
        service: origin.str("service.name").unwrap_or_default(),
        instance: origin.str("service.instance.id").unwrap_or_default(),
        name: &span.name,
        kind: span.kind,
        status: span.status,
        start: span.start_unix_nanos,
        end: span.end_unix_nanos,
        target: span.attributes.first_str(TARGETS).unwrap_or_default(),
        status_message: &span.status_message,
        exception_type: told("exception.type")
            .or_else(|| span.attributes.str("error.type"))
            .unwrap_or_default(),
        exception_message: told("exception.message").unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_write() {
        let id = [0, 1, 0x7f, 0x80, 0xff, 9, 10, 0xab];
        assert_eq!(hex(&id), "00017f80ff090aab");
        assert_eq!(id_of::<8>("00017F80ff090aab"), Some(id));
        for text in ["", "00", "00017f80ff090aag", "é0017f80ff090aa"] {
            assert_eq!(id_of::<8>(text), None, "{text}");
        }
    }

    #[test]
    fn values_that_json_cannot_say_become_texts() {
        let mut deep = AnyValue::Int(1);
        for _ in 0..200 {
            deep = AnyValue::Array(vec![deep]);
        }
        assert_eq!(json(&AnyValue::Double(f64::NAN), 0), Value::from("NaN"));
        assert_eq!(json(&AnyValue::Bytes(vec![1, 2]), 0), Value::from("AQI="));
        assert!(json(&deep, 0).to_string().contains("null"));
    }
}
