//! Histogram: how many log records match, by time and severity. Exact.
//!
//! Where every row of a row group counts and all of them fall into one bucket and one class of
//! severity, the file's statistics are the answer and nothing is read.

use std::ops::Range;

use arrow_array::RecordBatch;
use model::Timestamp;
use serde::Serialize;

use super::read::Read;
use super::stored::StoredRows;
use super::units::{Unit, Units};
use crate::Error;
use crate::query::language::{Expression, Query, Severity};
use crate::query::limits::{Limits, Scanned, Stopped};
use crate::query::reading::Sources;

pub const BUCKETS_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Histogram {
    /// Without gaps, the oldest first.
    pub buckets: Vec<Bucket>,
    /// All buckets together.
    pub total: u64,
    /// Why not all was counted: the counts are too low then.
    pub truncated: Option<Stopped>,
    pub scanned: Scanned,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Bucket {
    pub start: Timestamp,
    /// Exclusive.
    pub end: Timestamp,
    pub none: u64,
    pub trace: u64,
    pub debug: u64,
    pub info: u64,
    pub warn: u64,
    pub error: u64,
    pub fatal: u64,
}

impl Bucket {
    fn count(&mut self, severity: Severity) -> &mut u64 {
        match severity {
            Severity::None => &mut self.none,
            Severity::Trace => &mut self.trace,
            Severity::Debug => &mut self.debug,
            Severity::Info => &mut self.info,
            Severity::Warn => &mut self.warn,
            Severity::Error => &mut self.error,
            Severity::Fatal => &mut self.fatal,
        }
    }

    pub fn total(&self) -> u64 {
        let low = self.none + self.trace + self.debug;
        low + self.info + self.warn + self.error + self.fatal
    }
}

/// Counts the matching records of a time in `buckets` parts of equal length; fewer where the time
/// has fewer nanoseconds.
pub fn histogram(
    sources: &Sources<'_>,
    query: &Query,
    range: Range<Timestamp>,
    buckets: usize,
    limits: &Limits,
) -> Result<Histogram, Error> {
    let gauge = sources.gauge(limits);
    let mut counted = Counted::new(&range, buckets);
    let columns = vec!["time", "severity_number", "severity_text"];
    let read = Read::new(query, columns, &gauge);
    let mut count_all = || -> Result<(), Error> {
        let mut units = Units::of(sources, query, &range, &gauge)?;
        units.open(&range)?;
        for unit in &units.units {
            gauge.check()?;
            if *query.expression() == Expression::All && counted.add_unit(unit) {
                continue;
            }
            unit.read(&read, &mut range.clone(), &mut |batch, _| counted.add_batch(&batch))?;
        }
        Ok(())
    };
    let truncated = match count_all() {
        Ok(()) => None,
        Err(Error::Stopped(stopped)) if stopped != Stopped::Cancelled => Some(stopped),
        Err(error) => return Err(error),
    };
    let total = counted.buckets.iter().map(Bucket::total).sum();
    Ok(Histogram { buckets: counted.buckets, total, truncated, scanned: gauge.scanned() })
}

struct Counted {
    range: Range<Timestamp>,
    width: u64,
    buckets: Vec<Bucket>,
}

impl Counted {
    fn new(range: &Range<Timestamp>, buckets: usize) -> Counted {
        let length = range.end.as_nanos().saturating_sub(range.start.as_nanos());
        let width = length.div_ceil(buckets.clamp(1, BUCKETS_MAX) as u64).max(1);
        let starts =
            (0..length.div_ceil(width)).map(|index| range.start.as_nanos() + index * width);
        let buckets = starts.map(|start| Bucket {
            start: Timestamp(start),
            end: Timestamp(start.saturating_add(width)).min(range.end),
            ..Bucket::default()
        });
        Counted { range: range.clone(), width, buckets: buckets.collect() }
    }

    fn bucket(&mut self, time: Timestamp) -> Option<&mut Bucket> {
        let after = time.as_nanos().checked_sub(self.range.start.as_nanos())?;
        self.buckets.get_mut(usize::try_from(after / self.width).ok()?)
    }

    fn add_batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let rows = StoredRows::of(batch)?;
        for row in 0..batch.num_rows() {
            if let Some(bucket) = self.bucket(rows.time(row)) {
                *bucket.count(rows.severity(row)) += 1;
            }
        }
        Ok(())
    }

    /// Counts all rows of a part without reading it, where that can be told.
    fn add_unit(&mut self, unit: &Unit<'_>) -> bool {
        let Some((min, max)) = unit.severities() else { return false };
        // A record without a number may have a text.
        if min <= 0 || !unit.is_within(&self.range) {
            return false;
        }
        let of = |number: i32| Severity::of_number(Severity::number(number, None));
        let start = self.range.start.as_nanos();
        let place = |time: Timestamp| time.as_nanos().saturating_sub(start) / self.width;
        if of(min) != of(max) || place(unit.first) != place(unit.last) {
            return false;
        }
        if let Some(bucket) = self.bucket(unit.first) {
            *bucket.count(of(min)) += unit.rows();
        }
        true
    }
}
