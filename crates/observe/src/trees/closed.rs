//! Which traces had their tree closed lately, so that a late span is known for one.
//!
//! A table with one place for each of 65,536 hashes: a newer trace takes the place of an older
//! one, so the memory is bounded, and what it forgets first is mostly what is oldest. A trace that
//! was forgotten opens a new tree: its spans are evidence of less, nothing is counted wrongly.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const PLACES: usize = 1 << 16;

/// A trace's identity in 64 well-mixed bits; never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceKey(u64);

impl TraceKey {
    pub(super) fn new(trace: u128) -> TraceKey {
        let (high, low) = ((trace >> 64) as u64, trace as u64);
        // SplitMix64's finalizer over both halves: ids that differ in one place only stay apart.
        let mixed = high.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) ^ low;
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        TraceKey((mixed ^ (mixed >> 31)).max(1))
    }

    /// Is it among the one in 2^`bits` traces that are kept?
    pub(super) fn is_kept(self, bits: u8) -> bool {
        self.0 & ((1 << bits) - 1) == 0
    }

    fn place(self) -> usize {
        (self.0 >> 48) as usize
    }
}

/// Empty until the first trace, then `PLACES` long; zero is an empty place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Closed(Vec<u64>);

impl Closed {
    pub(super) fn put(&mut self, trace: TraceKey) {
        if self.0.is_empty() {
            self.0.resize(PLACES, 0);
        }
        self.0[trace.place()] = trace.0;
    }

    pub(super) fn contains(&self, trace: TraceKey) -> bool {
        self.0.get(trace.place()).is_some_and(|held| *held == trace.0)
    }
}

impl Serialize for Closed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let held: Vec<u64> = self.0.iter().copied().filter(|key| *key != 0).collect();
        held.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Closed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut closed = Closed::default();
        for key in Vec::<u64>::deserialize(deserializer)? {
            closed.put(TraceKey(key.max(1)));
        }
        Ok(closed)
    }
}
