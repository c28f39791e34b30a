//! Telemetry at rest: Parquet files of one table and one day, written once and never changed.
//!
//! [`write`] sorts what was in memory and writes a file for each day; [`merge`] joins files into a
//! larger one; [`OpenFile`] answers from one. Rows are sorted by (service, time), samples by
//! (metric, service, series, time), so that what is asked together lies together. Log records are
//! sorted so within their row group, and row groups follow each other in time: what the services of
//! one trace said lies in one row group, which holds the trace's id once. A file holds its
//! own indexes: statistics of row groups and pages, a Bloom filter over trace ids in the form that
//! Parquet knows, and one over the words of log records that other readers do not see.
//!
//! Invariants: a file is either whole under its name or not there (`durable`); a damaged file gives
//! an error that names it, never a panic and never wrong rows in silence where Parquet can tell.
//!
//! Not here: which files there are and which may go (`catalog`).

pub mod bloom;

mod footer;
mod gather;
mod merge;
mod open;
mod pages;
mod properties;
mod repeated;
mod scan;
mod sort;
mod source;
mod write;
mod writer;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use model::Timestamp;

pub use merge::merge;
pub use open::OpenFile;
pub use scan::{Keep, Projection, RowFilter, Scan};
pub use source::{LocalFile, Source};
pub use write::write;

/// Days since 1970, UTC. Prints as `2026-11-22`.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Day(pub u32);

const DAY_NANOS: u64 = 86_400 * model::time::SECOND;

impl Day {
    pub fn of(time: Timestamp) -> Day {
        // A u64 of nanoseconds is 213,503 days at most.
        Day((time.as_nanos() / DAY_NANOS) as u32)
    }

    pub fn start(self) -> Timestamp {
        Timestamp(u64::from(self.0).saturating_mul(DAY_NANOS))
    }

    /// Start of the day after.
    pub fn end(self) -> Timestamp {
        Timestamp((u64::from(self.0) + 1).saturating_mul(DAY_NANOS))
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Day> {
        Timestamp::parse_rfc3339(&format!("{text}T00:00:00Z")).map(Day::of)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.start().to_string();
        f.write_str(text.split('T').next().unwrap_or(&text))
    }
}

/// How files are written.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of zstd: 1 for files that will soon be merged, 3 for those that stay.
    pub level: i32,
    /// How long the table is kept: what is older than that when it arrives belongs to the day of
    /// its arrival, for it would otherwise be deleted at once or keep an old day alive.
    pub keep: Duration,
    /// Rows of a row group; `None` for what suits the table.
    pub row_group_rows: Option<usize>,
    /// Rows of a data page, at most.
    pub page_rows: usize,
}

impl Options {
    pub const PAGE_ROWS: usize = 8_192;

    pub fn fresh(keep: Duration) -> Options {
        Options { level: 1, keep, row_group_rows: None, page_rows: Options::PAGE_ROWS }
    }

    pub fn merged(keep: Duration) -> Options {
        Options { level: 3, ..Options::fresh(keep) }
    }
}

/// What a finished file holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Written {
    pub path: PathBuf,
    pub day: Day,
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
    /// First and last time of its rows, both inclusive. Of samples: of their points.
    pub time_min: Timestamp,
    pub time_max: Timestamp,
    /// Spans, log records or points.
    pub points: u64,
}
