//! Windows of the same length over a time.
//!
//! Window `k` is `[from + k·step, from + (k+1)·step)` and bears the time of its start.

use std::time::Duration;

use model::Timestamp;

use crate::Error;

/// Most windows of an answer, as many as Prometheus gives.
pub const WINDOWS_MAX: u64 = 11_000;

#[derive(Clone, Copy, Debug)]
pub struct Grid {
    from: u64,
    step: u64,
    windows: u64,
}

impl Grid {
    /// Windows at multiples of `step`, so that the same question a moment later has the same ones.
    pub fn new(from: Timestamp, to: Timestamp, step: Duration) -> Result<Grid, Error> {
        let bad = |reason: String| Error::BadQuery { reason };
        let step_nanos = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
        if step_nanos == 0 {
            return Err(bad("the step is zero".to_owned()));
        }
        if from >= to {
            return Err(bad(format!("the time from {from} to {to} is empty")));
        }
        let from = from.floor_to(step).as_nanos();
        let windows = (to.as_nanos() - from).div_ceil(step_nanos);
        if windows > WINDOWS_MAX {
            let reason = format!(
                "{windows} steps are more than the {WINDOWS_MAX} allowed; ask for a longer step"
            );
            return Err(bad(reason));
        }
        Ok(Grid { from, step: step_nanos, windows })
    }

    pub fn windows(&self) -> usize {
        // At most `WINDOWS_MAX`.
        self.windows as usize
    }

    /// Start of a window.
    pub fn time(&self, window: usize) -> Timestamp {
        Timestamp(self.from.saturating_add(self.step.saturating_mul(window as u64)))
    }

    /// End of the last window.
    pub fn end(&self) -> Timestamp {
        self.time(self.windows())
    }

    /// The window that a time is in.
    pub fn window_of(&self, time: u64) -> Option<usize> {
        let window = time.checked_sub(self.from)? / self.step;
        (window < self.windows).then_some(window as usize)
    }

    pub fn step_nanos(&self) -> u64 {
        self.step
    }

    pub fn step_seconds(&self) -> f64 {
        self.step as f64 / model::time::SECOND as f64
    }

    /// Calls `each` with the windows that the time after `start` until `end` touches: which part of
    /// that time lies in it, and how many nanoseconds. A time without length is in one window.
    pub fn spread(&self, start: u64, end: u64, mut each: impl FnMut(usize, f64, u64)) {
        if start >= end {
            if let Some(window) = self.window_of(end) {
                each(window, 1.0, 0);
            }
            return;
        }
        let length = (end - start) as f64;
        let mut at = start.max(self.from);
        while at < end {
            let Some(window) = self.window_of(at) else { break };
            let window_end = self.time(window).as_nanos().saturating_add(self.step);
            let until = end.min(window_end);
            each(window, (until - at) as f64 / length, until - at);
            at = until;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_begin_at_multiples_of_the_step() {
        let time = Timestamp::from_secs;
        let grid = Grid::new(time(125), time(181), Duration::from_secs(60)).unwrap();
        assert_eq!((grid.windows(), grid.time(0)), (2, time(120)));
        assert_eq!(grid.window_of(time(180).as_nanos()), Some(1));
        assert_eq!(grid.window_of(time(240).as_nanos()), None);
        assert_eq!(grid.window_of(time(119).as_nanos()), None);
        let step = Duration::from_secs(1);
        assert!(Grid::new(time(5), time(5), step).is_err());
        assert!(Grid::new(time(6), time(5), step).is_err());
        assert!(Grid::new(time(0), time(WINDOWS_MAX + 1), step).is_err());
        assert!(Grid::new(time(0), time(5), Duration::ZERO).is_err());
    }
}
