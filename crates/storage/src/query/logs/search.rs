//! Search: the newest or the oldest log records that match, page by page.
//!
//! The time is worked through in slices from its newest (or oldest) end. A slice is read whole,
//! from all parts that reach into it, so what is found in it is in the right order whatever lies
//! where; with enough found, nothing older is read. Slices begin small, for the common word that
//! fills a page at once, and grow, for the rare one that fills none.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{BooleanArray, RecordBatch};
use model::Timestamp;
use serde::Serialize;

use super::LogEntry;
use super::cursor::{Cursor, Key, Order};
use super::read::Read;
use super::units::Units;
use crate::Error;
use crate::query::language::Query;
use crate::query::limits::{Gauge, Limits, Scanned, Stopped};
use crate::query::reading::{Sources, filtered};
use crate::rows::{self, Times};

/// Most records of a page.
pub const PAGE_RECORDS_MAX: usize = 10_000;
/// Rows that a slice should have: at first, how much more each time, and at last.
const SLICE_ROWS_MIN: u64 = 8_192;
const SLICE_GROWTH: u64 = 4;
/// A search that runs out of time goes on after its last whole slice, so slices stay small.
const SLICE_ROWS_MAX: u64 = 2 << 20;
/// Found rows that are kept, for each that is wanted, before the surplus is dropped.
const SURPLUS: usize = 4;

pub struct Search<'a> {
    pub query: &'a Query,
    /// The end is exclusive.
    pub range: Range<Timestamp>,
    pub order: Order,
    /// Records of the page.
    pub limit: usize,
    /// `next` of the page before.
    pub cursor: Option<Cursor>,
}

#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct LogPage {
    pub records: Vec<LogEntry>,
    /// Where the next page begins; absent when there is no more.
    pub next: Option<Cursor>,
    /// Why the page is not full although there may be more; `next` goes on from there.
    pub truncated: Option<Stopped>,
    pub scanned: Scanned,
}

/// Searches a view of the table of log records.
pub fn search_logs(
    sources: &Sources<'_>,
    search: &Search<'_>,
    limits: &Limits,
) -> Result<LogPage, Error> {
    let gauge = sources.gauge(limits);
    let mut range = search.range.clone();
    if let Some(cursor) = &search.cursor {
        let after = Timestamp(cursor.key.time.as_nanos().saturating_add(1));
        match search.order {
            Order::Newest => range.end = range.end.min(after),
            Order::Oldest => range.start = range.start.max(cursor.key.time),
        }
    }
    let mut run = Run {
        search,
        wanted: search.limit.clamp(1, PAGE_RECORDS_MAX) + 1,
        rest: range,
        found: Vec::new(),
        gauge: &gauge,
    };
    let stopped = match run.slices(sources) {
        Ok(()) => None,
        Err(Error::Stopped(stopped)) if stopped != Stopped::Cancelled => Some(stopped),
        Err(error) => return Err(error),
    };
    run.page(stopped)
}

struct Run<'a> {
    search: &'a Search<'a>,
    /// One more than the page holds, which tells whether there is another.
    wanted: usize,
    /// What is still to be read.
    rest: Range<Timestamp>,
    /// Of whole slices, in order.
    found: Vec<(Key, LogEntry)>,
    gauge: &'a Arc<Gauge>,
}

impl Run<'_> {
    fn slices(&mut self, sources: &Sources<'_>) -> Result<(), Error> {
        let read = Read::new(self.search.query, Vec::new(), self.gauge);
        let mut units = Units::of(sources, self.search.query, &self.rest, self.gauge)?;
        let mut rows = SLICE_ROWS_MIN.max(self.wanted as u64);
        while self.rest.start < self.rest.end && self.found.len() < self.wanted {
            self.gauge.check()?;
            let slice = self.slice(&units, rows);
            rows = rows.saturating_mul(SLICE_GROWTH).min(SLICE_ROWS_MAX);
            if units.open(&slice)? {
                // The slice may be larger now that row groups fell away.
                continue;
            }
            let found = self.read_slice(&units, &read, &slice)?;
            self.found.extend(found);
            match self.search.order {
                Order::Newest => self.rest.end = slice.start,
                Order::Oldest => self.rest.start = slice.end,
            }
            units.drop_outside(&self.rest);
            if units.units.is_empty() {
                self.rest.start = self.rest.end;
            }
        }
        Ok(())
    }

    /// The part of the rest, from its first end on, that has about so many rows.
    fn slice(&self, units: &Units<'_>, rows: u64) -> Range<Timestamp> {
        let rest = &self.rest;
        let slice = |nanos: u64| match self.search.order {
            Order::Newest => Timestamp(rest.end.as_nanos() - nanos)..rest.end,
            Order::Oldest => rest.start..Timestamp(rest.start.as_nanos() + nanos),
        };
        let all = rest.end.as_nanos() - rest.start.as_nanos();
        if units.estimate(rest) <= rows {
            return rest.clone();
        }
        let (mut fits, mut exceeds) = (1, all);
        while fits + 1 < exceeds {
            let middle = fits + (exceeds - fits) / 2;
            if units.estimate(&slice(middle)) <= rows {
                fits = middle;
            } else {
                exceeds = middle;
            }
        }
        slice(fits)
    }

    /// All that is found in a slice, in order; the last ones may be missing when there is more than
    /// enough.
    fn read_slice(
        &self,
        units: &Units<'_>,
        read: &Read<'_>,
        slice: &Range<Timestamp>,
    ) -> Result<Vec<(Key, LogEntry)>, Error> {
        let mut rows_found = Found {
            order: self.search.order,
            wanted: self.wanted - self.found.len(),
            cursor: self.search.cursor.map(|cursor| cursor.key.time),
            batches: Vec::new(),
            rows: 0,
            gauge: self.gauge,
        };
        let mut range = slice.clone();
        let mut parts: Vec<_> = units.units.iter().filter(|unit| unit.overlaps(slice)).collect();
        // What is found first narrows the time for the others.
        match self.search.order {
            Order::Newest => parts.sort_by_key(|unit| std::cmp::Reverse(unit.last)),
            Order::Oldest => parts.sort_by_key(|unit| unit.first),
        }
        for unit in parts {
            unit.read(read, &mut range, &mut |batch, range| rows_found.push(batch, range))?;
        }
        rows_found.cut(&mut range)?;
        let mut found = Vec::with_capacity(rows_found.rows);
        for batch in &rows_found.batches {
            for stored in rows::logs(batch)? {
                let entry = LogEntry::of_stored(&stored);
                found.push((Key { time: entry.time, order: entry.order() }, entry));
            }
        }
        rows_found.release();
        found.sort_by(|(left, _), (right, _)| self.search.order.compare(left, right));
        self.skip_given(&mut found);
        Ok(found)
    }

    /// Leaves out what earlier pages gave.
    fn skip_given(&self, found: &mut Vec<(Key, LogEntry)>) {
        let Some(cursor) = &self.search.cursor else { return };
        let mut same = 0;
        found.retain(|(key, _)| {
            same += u32::from(*key == cursor.key);
            match self.search.order.compare(key, &cursor.key) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => same > cursor.given,
                std::cmp::Ordering::Greater => true,
            }
        });
    }

    fn page(mut self, stopped: Option<Stopped>) -> Result<LogPage, Error> {
        let more = self.found.len() >= self.wanted;
        self.found.truncate(self.wanted - 1);
        let next = match self.found.last() {
            Some((last, _)) if more => Some(self.after(*last)),
            _ => stopped.and_then(|_| self.at_rest()),
        };
        Ok(LogPage {
            records: self.found.into_iter().map(|(_, entry)| entry).collect(),
            next,
            truncated: stopped.filter(|_| !more),
            scanned: self.gauge.scanned(),
        })
    }

    fn after(&self, last: Key) -> Cursor {
        let same = self.found.iter().filter(|(key, _)| *key == last).count();
        let before = self.search.cursor.filter(|cursor| cursor.key == last);
        let given = u32::try_from(same).unwrap_or(u32::MAX);
        let given = given.saturating_add(before.map_or(0, |cursor| cursor.given));
        Cursor { key: last, given }
    }

    /// Where a search that was stopped goes on.
    fn at_rest(&self) -> Option<Cursor> {
        if self.rest.start >= self.rest.end {
            return None;
        }
        let time = match self.search.order {
            Order::Newest => Timestamp(self.rest.end.as_nanos() - 1),
            Order::Oldest => self.rest.start,
        };
        // Nothing of the rest was given, unless this is where the page before ended.
        let same = self.search.cursor.filter(|cursor| cursor.key.time == time);
        Some(same.unwrap_or(Cursor::at(time)))
    }
}

/// The first rows found, in whole batches.
struct Found<'a> {
    order: Order,
    wanted: usize,
    /// Rows of this time may have been given before: they count for nothing.
    cursor: Option<Timestamp>,
    batches: Vec<RecordBatch>,
    rows: usize,
    gauge: &'a Gauge,
}

impl Found<'_> {
    fn push(&mut self, batch: RecordBatch, range: &mut Range<Timestamp>) -> Result<(), Error> {
        self.gauge.hold(batch.get_array_memory_size() as u64)?;
        self.rows += batch.num_rows();
        self.batches.push(batch);
        if self.rows > self.wanted.saturating_mul(SURPLUS) {
            self.cut(range)?;
        }
        Ok(())
    }

    /// Drops rows that are beyond those wanted, and narrows the time to those that are not.
    fn cut(&mut self, range: &mut Range<Timestamp>) -> Result<(), Error> {
        let mut times = BTreeMap::new();
        for batch in &self.batches {
            let column = Times::of(batch, "time")?;
            for row in 0..batch.num_rows() {
                *times.entry(column.get(row).unwrap_or_default()).or_insert(0_usize) += 1;
            }
        }
        let mut count = 0;
        let mut enough = |(time, rows): (&Timestamp, &usize)| {
            count += if self.cursor == Some(*time) { 0 } else { *rows };
            (count >= self.wanted).then_some(*time)
        };
        let last = match self.order {
            Order::Newest => times.iter().rev().find_map(&mut enough),
            Order::Oldest => times.iter().find_map(&mut enough),
        };
        let Some(last) = last else { return Ok(()) };
        match self.order {
            Order::Newest => range.start = range.start.max(last),
            Order::Oldest => {
                let end = Timestamp(last.as_nanos().saturating_add(1));
                range.end = range.end.min(end);
            }
        }
        self.keep(range)
    }

    fn keep(&mut self, range: &Range<Timestamp>) -> Result<(), Error> {
        let batches = std::mem::take(&mut self.batches);
        for batch in batches {
            let bytes = batch.get_array_memory_size() as u64;
            let times = Times::of(&batch, "time")?;
            let kept = (0..batch.num_rows())
                .map(|row| Some(range.contains(&times.get(row).unwrap_or_default())));
            let kept: BooleanArray = kept.collect();
            let all = kept.true_count() == batch.num_rows();
            let batch = if all { batch } else { filtered(&batch, &kept)? };
            self.gauge.release(bytes);
            if batch.num_rows() > 0 {
                self.gauge.hold(batch.get_array_memory_size() as u64)?;
                self.batches.push(batch);
            }
        }
        self.rows = self.batches.iter().map(RecordBatch::num_rows).sum();
        Ok(())
    }

    fn release(&mut self) {
        let bytes = self.batches.iter().map(|batch| batch.get_array_memory_size() as u64);
        self.gauge.release(bytes.sum());
    }
}
