//! The parts of a view that can be read by themselves: batches in memory, and row groups of files.
//!
//! Files are opened only when a search comes to their time, and row groups that cannot hold a match
//! are left out before any row is read.

use std::ops::Range;

use model::Timestamp;
use model::signal::TraceId;

use super::read;
use crate::Error;
use crate::file::OpenFile;
use crate::query::language::{Hints, Needs, Query};
use crate::query::limits::Gauge;
use crate::query::reading::{Locator, Part, Sources};
use crate::rows::Times;

/// A part that can be read, or a file that is opened when its time comes.
pub struct Unit<'a> {
    /// First and last time, both inclusive.
    pub first: Timestamp,
    pub last: Timestamp,
    rows: u64,
    place: Place<'a>,
}

enum Place<'a> {
    Part(Part<'a>),
    /// By its number among the sources' files.
    Closed(usize),
}

/// The parts of the sources that may hold matches.
pub struct Units<'a> {
    sources: &'a Sources<'a>,
    needs: Needs,
    gauge: &'a Gauge,
    pub units: Vec<Unit<'a>>,
}

impl<'a> Units<'a> {
    pub fn of(
        sources: &'a Sources<'a>,
        query: &Query,
        range: &Range<Timestamp>,
        gauge: &'a Gauge,
    ) -> Result<Units<'a>, Error> {
        let mut units = Vec::new();
        for (number, batch) in sources.hot.iter().enumerate() {
            let rows = batch.num_rows();
            let times = Times::of(batch, "time")?;
            let times = (0..rows).map(|row| times.get(row).unwrap_or_default());
            let Some((first, last)) = bounds(times) else { continue };
            let place = Place::Part(sources.part(Locator::Hot(number))?);
            units.push(Unit { first, last, rows: rows as u64, place });
        }
        for (number, file) in sources.files.iter().enumerate() {
            let (first, last) = file.times();
            units.push(Unit { first, last, rows: file.rows(), place: Place::Closed(number) });
        }
        units.retain(|unit| unit.overlaps(range));
        Ok(Units { sources, needs: Needs::of(query), gauge, units })
    }

    /// How many rows lie in the time, were they spread evenly over each part's.
    pub fn estimate(&self, range: &Range<Timestamp>) -> u64 {
        let rows = self.units.iter().map(|unit| {
            let first = unit.first.max(range.start).as_nanos();
            let end = unit.last.as_nanos().saturating_add(1).min(range.end.as_nanos());
            let all = unit.last.as_nanos().saturating_add(1).saturating_sub(unit.first.as_nanos());
            let part = u128::from(end.saturating_sub(first)) * u128::from(unit.rows);
            u64::try_from(part / u128::from(all.max(1))).unwrap_or(u64::MAX)
        });
        rows.fold(0, u64::saturating_add)
    }

    /// Opens the files that reach into the time: their place is taken by those of their row groups
    /// that may hold matches. Says whether there were any.
    pub fn open(&mut self, range: &Range<Timestamp>) -> Result<bool, Error> {
        let mut opened = false;
        let mut units = Vec::with_capacity(self.units.len());
        for unit in std::mem::take(&mut self.units) {
            match unit.place {
                Place::Closed(number) if unit.overlaps(range) => {
                    opened = true;
                    self.open_one(number, &mut units)?;
                }
                _ => units.push(unit),
            }
        }
        self.units = units;
        Ok(opened)
    }

    fn open_one(&self, number: usize, units: &mut Vec<Unit<'a>>) -> Result<(), Error> {
        let Some(file) = self.sources.files.get(number) else { return Ok(()) };
        let file = file.open()?;
        self.gauge.count_file();
        for group in 0..file.row_groups() {
            // Filters of a remote file are read over the network.
            self.gauge.check()?;
            if self.needs.may_match(&GroupHints { file: &file, group })? {
                let part = Part::of_group(&file, number, group);
                let (first, last) = (part.time_min, part.time_max);
                let rows = file.row_group_rows(group);
                units.push(Unit { first, last, rows, place: Place::Part(part) });
            }
        }
        Ok(())
    }

    pub fn drop_outside(&mut self, range: &Range<Timestamp>) {
        self.units.retain(|unit| unit.overlaps(range));
    }
}

impl Unit<'_> {
    pub fn overlaps(&self, range: &Range<Timestamp>) -> bool {
        self.first < range.end && self.last >= range.start
    }

    pub fn is_within(&self, range: &Range<Timestamp>) -> bool {
        self.first >= range.start && self.last < range.end
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Hands its matching rows of a time to `found`, with the columns asked for, batch by batch.
    /// `found` may narrow the time.
    pub fn read(
        &self,
        read: &read::Read<'_>,
        range: &mut Range<Timestamp>,
        found: &mut read::Take<'_>,
    ) -> Result<(), Error> {
        match &self.place {
            Place::Part(part) => read.part(part, self.is_within(range), range, found),
            // Files that reach into the time were opened before.
            Place::Closed(_) => Ok(()),
        }
    }

    /// Smallest and largest number of severity, where the file tells.
    pub fn severities(&self) -> Option<(i32, i32)> {
        match &self.place {
            Place::Part(part) => part.severities(),
            Place::Closed(_) => None,
        }
    }
}

fn bounds(times: impl Iterator<Item = Timestamp>) -> Option<(Timestamp, Timestamp)> {
    times.fold(None, |bounds, time| {
        let (first, last) = bounds.unwrap_or((time, time));
        Some((first.min(time), last.max(time)))
    })
}

struct GroupHints<'a> {
    file: &'a OpenFile,
    group: usize,
}

impl Hints for GroupHints<'_> {
    fn services(&self) -> Option<(&str, &str)> {
        self.file.row_group_services(self.group)
    }

    fn severities(&self) -> Option<(i32, i32)> {
        self.file.row_group_severities(self.group)
    }

    fn may_hold_trace(&self, id: &TraceId) -> Result<bool, Error> {
        self.file.may_hold_trace(self.group, id)
    }

    fn may_hold_token(&self, hash: u64) -> Result<bool, Error> {
        self.file.may_hold_token(self.group, hash)
    }
}
