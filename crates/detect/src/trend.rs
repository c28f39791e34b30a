//! Where does a level go? A robust straight line through its past, and how sure that is.
//!
//! Readings are thinned to one a step, and the step doubles each time that the memory is full: so a
//! level that fills in an hour and one that fills in days are told by the same 64 readings, in 0.6
//! KB. The slope is the median of all slopes between two of them (H. Theil, 1950; P. K. Sen,
//! "Estimates of the regression coefficient based on Kendall's tau", JASA 1968), and it is believed
//! when nearly all of them rise (Kendall's tau) and both halves rise alike: a level that jumped
//! once, or that goes up and down, does not.
//!
//! What is emptied from time to time (logs that are rotated, memory that is collected) begins anew
//! with each fall, and is believed only above where it fell before.

use std::time::Duration;

use model::Timestamp;
use model::time::SECOND;
use serde::{Deserialize, Serialize};

/// Readings that are remembered.
const KEPT: usize = 64;
/// Readings come each minute or more often; the memory covers an hour at first.
const STEP_SECONDS: u32 = 60;
/// And two months at last.
const STEP_SECONDS_MAX: u32 = 86_400;
/// Readings that a line needs.
const READINGS_MIN: usize = 15;
/// Share of rising pairs that a line needs; a tau of 0.7.
const RISING_MIN: f64 = 0.85;
/// The slower half rises at least so much as fast as the whole.
const HALVES_MIN: f64 = 0.4;
/// A fall by so much is no noise: something was emptied.
const FALL_MIN: f32 = 0.05;
/// A line is believed for so many times the time that it was seen.
const BEYOND: f64 = 4.0;

/// The past of one level, as shares of 0–1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Trend {
    began: Timestamp,
    step: u32,
    /// Seconds since `began`, and the share.
    readings: Vec<(u32, f32)>,
    /// Highest share since the last fall, and from which it ever fell.
    peak: f32,
    fell_from: f32,
}

/// A line that is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Share a second.
    pub slope: f64,
    /// Until all is used.
    pub left: Duration,
    /// Share of pairs of readings that rise.
    pub rising: f64,
    /// Over so long.
    pub seen_for: Duration,
}

impl Trend {
    /// Takes a reading; false when it came too soon after the one before to be kept.
    pub fn take(&mut self, share: f64, at: Timestamp) -> bool {
        let share = share.clamp(0.0, 1.0) as f32;
        if self.readings.is_empty() {
            (self.began, self.step) = (at, STEP_SECONDS);
        }
        self.peak = self.peak.max(share);
        if share < self.peak - FALL_MIN {
            let fell_from = self.fell_from.max(self.peak);
            *self = Trend { began: at, step: STEP_SECONDS, fell_from, ..Trend::default() };
            self.peak = share;
        }
        let seconds = u32::try_from(at.since(self.began).as_secs()).unwrap_or(u32::MAX);
        let due = self.readings.last().map_or(0, |(last, _)| last.saturating_add(self.step));
        // A second of grace: exporters are not exact.
        if seconds.saturating_add(1) < due {
            return false;
        }
        if self.readings.len() >= KEPT {
            let mut index = 0;
            self.readings.retain(|_| {
                index += 1;
                index % 2 == 0
            });
            self.step = (self.step * 2).min(STEP_SECONDS_MAX);
        }
        self.readings.push((seconds, share));
        true
    }

    /// When all is used, if the past tells.
    pub fn line(&self) -> Option<Line> {
        let (first, last) = (self.readings.first()?, self.readings.last()?);
        let share = f64::from(last.1);
        // What was emptied at this level before will be emptied again.
        if self.readings.len() < READINGS_MIN || last.1 <= self.fell_from + FALL_MIN / 2.0 {
            return None;
        }
        let (slope, rising) = median_slope(&self.readings)?;
        let (older, newer) = self.readings.split_at(self.readings.len() / 2);
        let slower = median_slope(older)?.0.min(median_slope(newer)?.0);
        if slope <= 0.0 || rising < RISING_MIN || slower < HALVES_MIN * slope {
            return None;
        }
        let seen_for = Duration::from_secs(u64::from(last.0 - first.0));
        let left = (1.0 - share) / slope;
        let is_near = left <= BEYOND * seen_for.as_secs_f64();
        let left = Duration::from_nanos((left * SECOND as f64) as u64);
        is_near.then_some(Line { slope, left, rising, seen_for })
    }
}

/// Median of the slopes of all pairs, and which share of them rises; `None` of too few.
fn median_slope(readings: &[(u32, f32)]) -> Option<(f64, f64)> {
    let mut slopes = Vec::with_capacity(readings.len() * readings.len() / 2);
    for (at, (from, low)) in readings.iter().enumerate() {
        for (to, high) in &readings[at + 1..] {
            if to > from {
                slopes.push(f64::from(high - low) / f64::from(to - from));
            }
        }
    }
    let middle = slopes.len().checked_sub(1)? / 2;
    let rising = slopes.iter().filter(|slope| **slope > 0.0).count() as f64;
    let share = rising / slopes.len() as f64;
    let (_, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
    Some((*median, share))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When all is used, in minutes after the last of readings each minute.
    fn check(minutes: u64, share: impl Fn(u64) -> f64, expected: Option<f64>) {
        let mut trend = Trend::default();
        for minute in 0..minutes {
            trend.take(share(minute), Timestamp::from_secs(1_000_000 + 60 * minute));
        }
        assert!(trend.readings.len() <= KEPT);
        let left = trend.line().map(|line| line.left.as_secs_f64() / 60.0);
        let fits = match (left, expected) {
            (Some(left), Some(expected)) => (left / expected - 1.0).abs() < 0.15,
            (left, expected) => left.is_none() && expected.is_none(),
        };
        assert!(fits, "{left:?} where {expected:?} was expected");
    }

    /// Something between −1 and 1.
    fn noise(minute: u64) -> f64 {
        ((minute.wrapping_mul(2_654_435_761) % 1_000) as f64) / 500.0 - 1.0
    }

    #[test]
    fn a_level_that_rises_is_told_when_it_is_used_up_whatever_the_pace() {
        check(40, |minute| 0.5 + 0.005 * minute as f64, Some(61.0));
        check(40, |minute| 0.5 + 0.005 * minute as f64 + 0.004 * noise(minute), Some(61.0));
        check(3_000, |minute| 0.3 + 0.0002 * minute as f64 + 0.004 * noise(minute), Some(500.0));
    }

    #[test]
    fn what_stays_jumps_swings_or_falls_goes_nowhere() {
        check(600, |minute| 0.9 + 0.02 * noise(minute), None);
        check(600, |minute| if minute < 300 { 0.4 } else { 0.9 }, None);
        check(600, |minute| 0.6 + 0.3 * ((minute as f64) / 40.0).sin(), None);
        check(600, |minute| 0.9 - 0.001 * minute as f64, None);
        check(10, |minute| 0.5 + 0.04 * minute as f64, None);
    }

    #[test]
    fn a_line_is_not_believed_much_longer_than_it_was_seen() {
        check(20, |minute| 0.1 + 0.0005 * minute as f64, None);
    }

    #[test]
    fn what_is_emptied_now_and_then_is_told_of_only_beyond_where_that_was() {
        let saw = |minute: u64| 0.3 + 0.01 * (minute % 50) as f64;
        check(290, saw, None);
        check(
            345,
            |minute| {
                if minute < 250 { saw(minute) } else { saw(0) + 0.006 * (minute - 250) as f64 }
            },
            Some(23.0),
        );
    }

    #[test]
    fn a_trend_takes_less_than_a_kilobyte() {
        let mut trend = Trend::default();
        for minute in 0..1_000 {
            trend.take(0.5, Timestamp::from_secs(60 * minute));
        }
        let heap = trend.readings.capacity() * size_of::<(u32, f32)>();
        assert!(heap + size_of::<Trend>() <= 1_024, "{heap}");
    }
}
