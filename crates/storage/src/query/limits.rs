//! What one query may take: time, memory and rows; and whether its caller still waits.
//!
//! A query asks [`Gauge::check`] before each batch of rows and charges what it reads and keeps. It
//! is told to stop in data ([`Stopped`]), so that a search can hand over what it has found so far.
//! All of it works through a shared reference: closures and iterators of one query share a gauge.
//!
//! Deliberately no clock of its own: the caller gives a function that tells the time.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use model::Timestamp;
use serde::Serialize;

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What one query may take.
#[derive(Clone)]
pub struct Limits {
    pub now: Now,
    pub deadline: Timestamp,
    /// Set when nobody waits for the answer any more.
    pub cancelled: Arc<AtomicBool>,
    /// Bytes of results and of rows in work that are held at once.
    pub memory_bytes: u64,
    /// Rows that are looked at.
    pub rows: u64,
}

/// What a query has taken so far.
#[derive(Debug)]
pub struct Gauge {
    limits: Limits,
    rows: AtomicU64,
    held_bytes: AtomicU64,
    files: AtomicU64,
    row_groups: AtomicU64,
    missing_files: u64,
}

/// How much was looked at for an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Scanned {
    /// Files that had to be opened.
    pub files: u64,
    /// Row groups of which pages were read.
    pub row_groups: u64,
    /// Rows of which at least one column was read.
    pub rows: u64,
    /// Files of the time asked for that cannot be found: what they hold is not in the answer.
    pub missing_files: u64,
}

/// Why a query ended before it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stopped {
    #[error("the query was cancelled")]
    Cancelled,
    #[error("the query took too long; ask for a shorter time, or for less")]
    Deadline,
    #[error("the query needs more than the {bytes} bytes allowed; ask for a shorter time or less")]
    Memory { bytes: u64 },
    #[error("the query looked at more than the {rows} rows allowed; ask for a shorter time")]
    Rows { rows: u64 },
}

impl Limits {
    /// Limits that end `time` from now.
    pub fn new(now: Now, time: Duration, memory_bytes: u64, rows: u64) -> Limits {
        let deadline = now() + time;
        Limits { now, deadline, cancelled: Arc::default(), memory_bytes, rows }
    }

    /// Of a query to a view that lacks so many files.
    pub fn gauge(&self, missing_files: u64) -> Gauge {
        Gauge {
            limits: self.clone(),
            rows: AtomicU64::new(0),
            held_bytes: AtomicU64::new(0),
            files: AtomicU64::new(0),
            row_groups: AtomicU64::new(0),
            missing_files,
        }
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("deadline", &self.deadline)
            .field("cancelled", &self.cancelled)
            .field("memory_bytes", &self.memory_bytes)
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

impl Gauge {
    /// To be asked at least every ten milliseconds of work.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.limits.cancelled.load(Ordering::Relaxed) {
            return Err(Stopped::Cancelled);
        }
        if (self.limits.now)() >= self.limits.deadline {
            return Err(Stopped::Deadline);
        }
        Ok(())
    }

    /// Charges rows that were read, and checks.
    pub fn charge_rows(&self, rows: u64) -> Result<(), Stopped> {
        let before = self.rows.fetch_add(rows, Ordering::Relaxed);
        if before.saturating_add(rows) > self.limits.rows {
            return Err(Stopped::Rows { rows: self.limits.rows });
        }
        self.check()
    }

    /// Charges memory that stays held until [`Gauge::release`].
    pub fn hold(&self, bytes: u64) -> Result<(), Stopped> {
        let before = self.held_bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limits.memory_bytes {
            return Err(Stopped::Memory { bytes: self.limits.memory_bytes });
        }
        Ok(())
    }

    /// Gives back what was held.
    pub fn release(&self, bytes: u64) {
        let give = |held: u64| Some(held.saturating_sub(bytes));
        // The closure never declines, so there is nothing to see in the result.
        let _ = self.held_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, give);
    }

    pub fn count_file(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_row_group(&self) {
        self.row_groups.fetch_add(1, Ordering::Relaxed);
    }

    pub fn scanned(&self) -> Scanned {
        Scanned {
            files: self.files.load(Ordering::Relaxed),
            row_groups: self.row_groups.load(Ordering::Relaxed),
            rows: self.rows.load(Ordering::Relaxed),
            missing_files: self.missing_files,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(clock: &Arc<AtomicU64>) -> Limits {
        let clock = Arc::clone(clock);
        let now: Now = Arc::new(move || Timestamp(clock.load(Ordering::Relaxed)));
        Limits::new(now, Duration::from_nanos(10), 100, 5)
    }

    #[test]
    fn a_query_stops_at_its_deadline() {
        let clock = Arc::new(AtomicU64::new(7));
        let gauge = limits(&clock).gauge(0);
        assert_eq!(gauge.check(), Ok(()));
        clock.store(17, Ordering::Relaxed);
        assert_eq!(gauge.check(), Err(Stopped::Deadline));
    }

    #[test]
    fn a_query_stops_when_nobody_waits_for_it() {
        let limits = limits(&Arc::default());
        let gauge = limits.gauge(0);
        limits.cancelled.store(true, Ordering::Relaxed);
        assert_eq!(gauge.check(), Err(Stopped::Cancelled));
    }

    #[test]
    fn rows_and_memory_are_bounded_and_memory_is_given_back() {
        let gauge = limits(&Arc::default()).gauge(0);
        assert_eq!(gauge.charge_rows(5), Ok(()));
        assert_eq!(gauge.charge_rows(1), Err(Stopped::Rows { rows: 5 }));
        assert_eq!(gauge.hold(100), Ok(()));
        assert_eq!(gauge.hold(1), Err(Stopped::Memory { bytes: 100 }));
        gauge.release(50);
        gauge.release(1000);
        assert_eq!(gauge.hold(100), Ok(()));
        assert_eq!(gauge.scanned().rows, 6);
    }
}
