//! The last point of each cumulative metric stream, to tell what was added since.
//!
//! Invariants: a request is never told twice: the first point of a stream that began before we
//! did only sets the base; a point that went back counts as a new beginning only if its start
//! time moved, or its counts fell. Streams beyond a limit, on their number or on their size
//! together, are not counted at all rather than counted wrongly; one that has grown too large
//! waits, and is counted since its last point once there is room.

use std::collections::BTreeMap;

use model::Timestamp;
use model::signal::{AnyValue, Attributes};
use serde::{Deserialize, Serialize};

use crate::metric_points::Counts;
use crate::registry::Id;

/// Bounds and buckets of all histograms together, of 8 and 16 bytes: about 32 MB at most. A stock
/// SDK's stream has some 25, or 100 when exponential.
const CELLS_MAX: usize = 2_000_000;

/// Instance, and a hash of the metric's name and all attributes of the stream.
pub(crate) type StreamKey = (Id, u128);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Streams {
    histograms: BTreeMap<StreamKey, Last>,
    /// Bounds and buckets of them together.
    cells: usize,
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
            let cells = self.cells + counts.cells();
            if self.histograms.len() >= limit || cells > CELLS_MAX {
                return Added::OverLimit;
            }
            self.cells = cells;
            let added = if start >= began { Added::Counts(counts.clone()) } else { Added::Nothing };
            self.histograms.insert(key, Last { start, time, counts });
            return added;
        };
        if start < last.start || (start == last.start && time <= last.time) {
            return Added::Nothing;
        }
        let cells = self.cells.saturating_sub(last.counts.cells()) + counts.cells();
        if cells > CELLS_MAX {
            return Added::OverLimit;
        }
        self.cells = cells;
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
        for last in remove_of(&mut self.histograms, instance) {
            self.cells = self.cells.saturating_sub(last.counts.cells());
        }
        remove_of(&mut self.gauges, instance);
    }
}

fn remove_of<T>(streams: &mut BTreeMap<StreamKey, T>, instance: Id) -> Vec<T> {
    let own = streams.range((instance, 0)..=(instance, u128::MAX));
    let keys: Vec<StreamKey> = own.map(|(key, _)| *key).collect();
    keys.iter().filter_map(|key| streams.remove(key)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::HistogramPoint;

    /// A histogram of `buckets` buckets with `count` requests in each.
    fn counts(buckets: usize, count: u64) -> Counts {
        let point = HistogramPoint {
            bucket_counts: vec![count; buckets],
            explicit_bounds: (1..buckets).map(|bound| bound as f64).collect(),
            ..HistogramPoint::default()
        };
        Counts::explicit(&point).unwrap()
    }

    #[test]
    fn histograms_are_bounded_in_size_and_counted_on_once_there_is_room() {
        let mut streams = Streams::default();
        let at = Timestamp::from_secs;
        let tell = |streams: &mut Streams, stream: u128, time, counts: &Counts| {
            let key = (stream as Id / 10, stream);
            match streams.cumulative(key, (at(1), at(time)), counts.clone(), at(1), 20_000) {
                Added::Counts(counts) => Some(counts.count),
                _ => None,
            }
        };
        assert_eq!(tell(&mut streams, 0, 2, &counts(1, 3)), Some(3));
        let large = counts(1_000, 1);
        let told = (1..2_000).filter(|stream| tell(&mut streams, *stream, 2, &large).is_some());
        assert_eq!(told.count(), CELLS_MAX / 1_999);
        assert!(streams.cells <= CELLS_MAX);
        let grown = counts(1_000, 2);
        assert_eq!(tell(&mut streams, 1, 3, &grown), Some(1_000), "no larger than it was");
        assert_eq!(tell(&mut streams, 0, 3, &counts(1, 5)), Some(2));
        streams.forget(1);
        assert!(tell(&mut streams, 1_999, 4, &large).is_some(), "what was forgotten made room");
        for instance in 0..200 {
            streams.forget(instance);
        }
        assert_eq!(streams.cells, 0);
    }
}
