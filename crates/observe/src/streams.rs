//! The last point of each cumulative metric stream, to tell what was added since.
//!
//! Invariants: a request is never told twice: the first point of a stream that began before we
//! did only sets the base; a point that went back counts as a new beginning only if its start
//! time moved, or its counts fell. Streams beyond the limit are not counted at all rather than
//! counted wrongly.

use std::collections::BTreeMap;

use model::Timestamp;
use model::signal::{AnyValue, Attributes};
use serde::{Deserialize, Serialize};

use crate::metric_points::Counts;
use crate::registry::Id;

/// Instance, and a hash of the metric's name and all attributes of the stream.
pub(crate) type StreamKey = (Id, u128);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Streams {
    histograms: BTreeMap<StreamKey, Last>,
    gauges: BTreeMap<StreamKey, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Last {
    start: Timestamp,
    time: Timestamp,
    counts: Counts,
}

/// What a cumulative point adds.
pub(crate) enum Added {
    Nothing,
    Counts(Counts),
    /// The stream began anew.
    Restarted(Counts),
    OverLimit,
}

impl Streams {
    /// `began`: when we began to listen; a stream younger than that is known from its first
    /// request.
    pub(crate) fn cumulative(
        &mut self,
        key: StreamKey,
        (start, time): (Timestamp, Timestamp),
        counts: Counts,
        began: Timestamp,
        limit: usize,
    ) -> Added {
        let Some(last) = self.histograms.get_mut(&key) else {
            if self.histograms.len() >= limit {
                return Added::OverLimit;
            }
            let added = if start >= began { Added::Counts(counts.clone()) } else { Added::Nothing };
            self.histograms.insert(key, Last { start, time, counts });
            return added;
        };
        if start < last.start || (start == last.start && time <= last.time) {
            return Added::Nothing;
        }
        let difference = if start > last.start { None } else { counts.minus(&last.counts) };
        // Some SDKs move the start of a stream without losing its counts; no request may be told
        // twice then.
        let went_on = start > last.start && start <= last.time;
        let added = match difference {
            Some(difference) => Added::Counts(difference),
            None if went_on => counts.minus(&last.counts).map_or(Added::Nothing, Added::Counts),
            None => Added::Restarted(counts.clone()),
        };
        *last = Last { start, time, counts };
        added
    }

    /// Sets, or for deltas moves, a gauge. False when there is no room for it.
    pub(crate) fn gauge(
        &mut self,
        key: StreamKey,
        value: f64,
        is_delta: bool,
        limit: usize,
    ) -> bool {
        if !self.gauges.contains_key(&key) && self.gauges.len() >= limit {
            return false;
        }
        let held = self.gauges.entry(key).or_insert(0.0);
        *held = if is_delta { *held + value } else { value };
        true
    }

    /// Sum of an instance's gauges.
    pub(crate) fn gauge_sum(&self, instance: Id) -> f64 {
        self.gauges.range((instance, 0)..=(instance, u128::MAX)).map(|(_, value)| value).sum()
    }

    pub(crate) fn forget(&mut self, instance: Id) {
        remove_of(&mut self.histograms, instance);
        remove_of(&mut self.gauges, instance);
    }
}

fn remove_of<T>(streams: &mut BTreeMap<StreamKey, T>, instance: Id) {
    let own = streams.range((instance, 0)..=(instance, u128::MAX));
    let keys: Vec<StreamKey> = own.map(|(key, _)| *key).collect();
    for key in keys {
        streams.remove(&key);
    }
}

/// A stream's identity: FNV-1a over the metric's name and the attributes sorted by name.
pub(crate) fn identity(metric: &str, attributes: &Attributes) -> u128 {
    let mut hash = Fnv::new();
    hash.bytes(metric.as_bytes());
    let mut sorted: Vec<_> = attributes.0.iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, value) in sorted {
        hash.bytes(name.as_bytes());
        hash.value(value);
    }
    hash.0
}

struct Fnv(u128);

impl Fnv {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    fn new() -> Self {
        Fnv(Fnv::OFFSET)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain((bytes.len() as u64).to_le_bytes().iter()) {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(Fnv::PRIME);
        }
    }

    /// Nested values cannot identify a stream of the metrics read here; they count as one.
    fn value(&mut self, value: &AnyValue) {
        match value {
            AnyValue::String(text) => self.bytes(text.as_bytes()),
            AnyValue::Int(number) => self.bytes(&number.to_le_bytes()),
            AnyValue::Double(number) => self.bytes(&number.to_bits().to_le_bytes()),
            AnyValue::Bool(flag) => self.bytes(&[u8::from(*flag)]),
            _ => self.bytes(&[]),
        }
    }
}
