//! Reads the items back out of the input log, with the reader and decoder that a replay uses.

use std::path::Path;

use anyhow::{Context, Result};
use engine::Entry;
use storage::Reader;

use super::items::{Numbers, numbers_in};

/// How often each number was found.
#[derive(Debug)]
pub struct Found {
    times: Vec<u8>,
    pub entries: u64,
    /// Log entries that cannot be read.
    pub gaps: u64,
    /// Items without a number, or with one that was never given out.
    pub strangers: u64,
    /// Number of the first entry that is still there.
    pub first: u64,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub acknowledged: u64,
    /// Acknowledged, and not there.
    pub missing: u64,
    /// There more than once.
    pub duplicates: u64,
    /// There, although the acknowledgement never came.
    pub extra: u64,
}

/// Reads the whole log of a stopped server.
pub fn read(data: &Path, numbered: u64) -> Result<Found> {
    let mut found = Found {
        times: vec![0; numbered as usize + 1],
        entries: 0,
        gaps: 0,
        strangers: 0,
        first: 0,
    };
    let mut reader = Reader::open(&data.join("log"), 1)?;
    for record in reader.by_ref() {
        let record = record?;
        if found.entries == 0 {
            found.first = record.seq;
        }
        found.entries += 1;
        let entry = server::entry::decode(record.kind, &record.payload)
            .with_context(|| format!("log entry {}", record.seq))?;
        if let Entry::Telemetry { batch, .. } = entry {
            let ours = numbers_in(&batch).into_iter();
            ours.for_each(|number| found.note(number));
        }
    }
    found.gaps = reader.gaps().iter().map(|(first, last)| last - first + 1).sum();
    Ok(found)
}

impl Found {
    fn note(&mut self, number: Option<u64>) {
        let place = number.filter(|number| *number > 0).map(|number| number as usize);
        match place.and_then(|place| self.times.get_mut(place)) {
            Some(times) => *times = times.saturating_add(1),
            None => self.strangers += 1,
        }
    }

    pub fn tally(&self, acknowledged: &[Numbers]) -> Tally {
        Tally::of(&self.times, acknowledged)
    }
}

impl Tally {
    /// From how often each number is there.
    pub fn of(times: &[u8], acknowledged: &[Numbers]) -> Tally {
        let mut tally = Tally::default();
        let mut was_acknowledged = vec![false; times.len()];
        for number in acknowledged.iter().flat_map(|numbers| numbers.iter()) {
            was_acknowledged[number as usize] = true;
        }
        for (times, acknowledged) in times.iter().zip(was_acknowledged) {
            tally.acknowledged += u64::from(acknowledged);
            tally.missing += u64::from(acknowledged && *times == 0);
            tally.extra += u64::from(!acknowledged && *times > 0);
            tally.duplicates += u64::from(*times > 1);
        }
        tally
    }

    pub fn is_whole(&self) -> bool {
        self.missing == 0 && self.duplicates == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_duplicate_and_extra_items_are_told_apart() {
        let mut found = Found { times: vec![0; 6], entries: 0, gaps: 0, strangers: 0, first: 0 };
        for number in [Some(1), Some(2), Some(2), Some(5), Some(9), None] {
            found.note(number);
        }
        let tally = found.tally(&[Numbers { first: 1, count: 3 }]);
        let expected = Tally { acknowledged: 3, missing: 1, duplicates: 1, extra: 1 };
        assert_eq!((tally, found.strangers), (expected, 2));
    }
}
