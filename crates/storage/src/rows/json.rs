//! Reads back what `columns::json` writes, without loss.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::signal::{AnyValue, Attributes, Exemplar, ExponentialBuckets, ExponentialPoint};
use model::signal::{InstrumentationScope, Number, SpanEvent, SpanLink};
use model::text::Text;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value by its letter (`schema`). What cannot be read is the text itself.
pub fn value_of(stored: &str, letter: u8) -> AnyValue {
    let value = match letter {
        b'i' => stored.parse().ok().map(AnyValue::Int),
        b'd' => stored.parse().ok().map(AnyValue::Double),
        b'b' => stored.parse().ok().map(AnyValue::Bool),
        b'a' => read::<Value>(stored).map(|value| value.0),
        b'm' => attributes_of(stored).map(AnyValue::Map),
        b'x' => STANDARD.decode(stored).ok().map(AnyValue::Bytes),
        b'e' if stored.is_empty() => Some(AnyValue::Empty),
        _ => None,
    };
    value.unwrap_or_else(|| AnyValue::String(Text::from(stored)))
}

/// A JSON object of attributes: the column `resource` and the like.
pub fn attributes_of(json: &str) -> Option<Attributes> {
    read::<Object>(json).map(|object| object.0)
}

pub(super) fn scope_of(json: &str) -> Option<InstrumentationScope> {
    #[derive(Deserialize)]
    struct Scope {
        name: Text,
        #[serde(default)]
        version: Text,
        #[serde(default)]
        attributes: Object,
    }
    let Scope { name, version, attributes } = read(json)?;
    Some(InstrumentationScope { name, version, attributes: attributes.0 })
}

pub(super) fn events_of(json: &str) -> Option<Vec<SpanEvent>> {
    #[derive(Deserialize)]
    struct Event {
        time: u64,
        name: Text,
        #[serde(default)]
        attributes: Object,
    }
    let event = |event: Event| SpanEvent {
        time_unix_nanos: event.time,
        name: event.name,
        attributes: event.attributes.0,
    };
    Some(read::<Vec<Event>>(json)?.into_iter().map(event).collect())
}

pub(super) fn links_of(json: &str) -> Option<Vec<SpanLink>> {
    #[derive(Deserialize)]
    struct Link {
        trace_id: Hex<16>,
        span_id: Hex<8>,
        #[serde(default)]
        trace_state: Text,
        #[serde(default)]
        flags: u32,
        #[serde(default)]
        attributes: Object,
    }
    let link = |link: Link| SpanLink {
        trace_id: link.trace_id.0,
        span_id: link.span_id.0,
        trace_state: link.trace_state,
        flags: link.flags,
        attributes: link.attributes.0,
    };
    Some(read::<Vec<Link>>(json)?.into_iter().map(link).collect())
}

pub(super) fn exemplars_of(json: &str) -> Option<Vec<Exemplar>> {
    #[derive(Deserialize)]
    struct Stored {
        time: u64,
        value: Value,
        trace_id: Option<Hex<16>>,
        span_id: Option<Hex<8>>,
        #[serde(default)]
        attributes: Object,
    }
    let exemplar = |stored: Stored| Exemplar {
        time_unix_nanos: stored.time,
        value: match stored.value.0 {
            AnyValue::Int(number) => Number::Int(number),
            AnyValue::Double(number) => Number::Double(number),
            _ => Number::Double(f64::NAN),
        },
        trace_id: stored.trace_id.map_or([0; 16], |id| id.0),
        span_id: stored.span_id.map_or([0; 8], |id| id.0),
        filtered_attributes: stored.attributes.0,
    };
    Some(read::<Vec<Stored>>(json)?.into_iter().map(exemplar).collect())
}

/// Fills in what of an exponential histogram's point is JSON.
pub(super) fn exponential_of(json: &str, point: &mut ExponentialPoint) -> Option<()> {
    #[derive(Deserialize, Default)]
    struct Buckets {
        offset: i32,
        counts: Vec<u64>,
    }
    #[derive(Deserialize)]
    struct Stored {
        scale: i32,
        zero_count: u64,
        zero_threshold: Option<Value>,
        #[serde(default)]
        positive: Buckets,
        #[serde(default)]
        negative: Buckets,
    }
    let buckets = |buckets: Buckets| ExponentialBuckets {
        offset: buckets.offset,
        bucket_counts: buckets.counts,
    };
    let stored = read::<Stored>(json)?;
    point.scale = stored.scale;
    point.zero_count = stored.zero_count;
    if let Some(Value(AnyValue::Double(threshold))) = stored.zero_threshold {
        point.zero_threshold = threshold;
    }
    point.positive = buckets(stored.positive);
    point.negative = buckets(stored.negative);
    Some(())
}

fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Option<T> {
    serde_json::from_str(json).ok()
}

/// An identifier in hexadecimal digits.
struct Hex<const N: usize>([u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Hex<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?;
        let wrong = || D::Error::custom(format!("expected {} hexadecimal digits", N * 2));
        if text.len() != N * 2 {
            return Err(wrong());
        }
        let mut id = [0; N];
        for (byte, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
        }
        Ok(Hex(id))
    }
}

/// A map of attributes: never one of the special values.
#[derive(Default)]
struct Object(Attributes);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = map.next_entry::<Text, Value>()? {
                    entries.push((key, value.0));
                }
                Ok(Object(Attributes(entries)))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Any attribute value.
struct Value(AnyValue);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyVisitor).map(Value)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = AnyValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value")
    }

    fn visit_unit<E>(self) -> Result<AnyValue, E> {
        Ok(AnyValue::Empty)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<AnyValue, E> {
        Ok(AnyValue::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<AnyValue, E> {
        Ok(AnyValue::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<AnyValue, E> {
        i64::try_from(number).map(AnyValue::Int).map_err(E::custom)
    }

    fn visit_f64<E>(self, number: f64) -> Result<AnyValue, E> {
        Ok(AnyValue::Double(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<AnyValue, E> {
        Ok(AnyValue::String(Text::from(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AnyValue, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element::<Value>()? {
            values.push(value.0);
        }
        Ok(AnyValue::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Text>()? {
            if entries.is_empty() && key.as_str() == "$map" {
                let object: Object = map.next_value()?;
                return end_of(map, AnyValue::Map(object.0));
            }
            entries.push((key, map.next_value::<Value>()?.0));
        }
        Ok(special(&entries).unwrap_or(AnyValue::Map(Attributes(entries))))
    }
}

/// A special value's object has nothing after its one key.
fn end_of<'de, A: MapAccess<'de>>(mut map: A, value: AnyValue) -> Result<AnyValue, A::Error> {
    match map.next_key::<Text>()? {
        None => Ok(value),
        Some(_) => Err(A::Error::custom("a special value has one key")),
    }
}

fn special(entries: &[(Text, AnyValue)]) -> Option<AnyValue> {
    let [(key, AnyValue::String(text))] = entries else { return None };
    match key.as_str() {
        "$bytes" => STANDARD.decode(text.as_str()).ok().map(AnyValue::Bytes),
        "$double" => text.parse().ok().map(AnyValue::Double),
        _ => None,
    }
}
