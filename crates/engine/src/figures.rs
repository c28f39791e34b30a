//! Rates, errors and durations of the last minutes, of all that is counted: for people who look.
//! Nothing in the loop reads them.
//!
//! Counts are kept by 10 s, durations by the minute, both by when the requests ended. A window ends
//! with the last 10 s of which stock SDKs have told by now; durations of a window are those of all
//! minutes that it touches.
//!
//! Not part of the state that is saved: after a restart they fill again within their window.
//! Bounded by `SERIES_MAX` series; at the bound new ones are left out until old ones are forgotten,
//! and counted.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::tick::{BUCKET, RequestPoint, SeriesKey};
use model::{Histogram, Tick, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest window; what is older is forgotten.
pub const WINDOW_MAX: Duration = Duration::from_secs(5 * 60);
/// The shortest.
pub const WINDOW_MIN: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
/// Stock SDKs send what ended every 5 s.
const TOLD_WITHIN: Duration = Duration::from_secs(5);
/// A bucket that claims to lie further ahead than this is not believed.
const AHEAD_MAX: Duration = Duration::from_secs(60);
const SERIES_MAX: usize = 20_000;

/// Requests, errors and durations over a window.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Red {
    pub requests_per_s: f64,
    /// Share of requests that failed, 0–1; null where there were none.
    pub error_ratio: Option<f64>,
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
    /// Requests in the window.
    pub requests: f64,
}

#[derive(Clone, Debug, Default)]
pub struct Figures {
    series: BTreeMap<SeriesKey, Row>,
    now: Timestamp,
    swept: Timestamp,
    left_out: u64,
}

/// Oldest first.
#[derive(Clone, Debug, Default)]
struct Row {
    counts: VecDeque<Count>,
    durations: VecDeque<(Timestamp, Histogram)>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    start: Timestamp,
    total: f64,
    errors: f64,
}

impl Figures {
    pub fn step(&mut self, tick: &Tick) {
        self.now = tick.now;
        for point in &tick.requests {
            self.take(point);
        }
        if self.swept != tick.now.floor_to(BUCKET) {
            self.swept = tick.now.floor_to(BUCKET);
            self.forget(tick.now - (WINDOW_MAX + MINUTE));
        }
    }

    /// Of several series together; of none: no requests.
    pub fn red<'a>(&self, keys: impl IntoIterator<Item = &'a SeriesKey>, window: Duration) -> Red {
        let window = window.clamp(WINDOW_MIN, WINDOW_MAX);
        let until = (self.now - TOLD_WITHIN).floor_to(BUCKET);
        let from = until - window;
        let (mut total, mut errors, mut durations) = (0.0, 0.0, Histogram::default());
        for row in keys.into_iter().filter_map(|key| self.series.get(key)) {
            for count in row.counts.iter().filter(|it| from <= it.start && it.start < until) {
                total += count.total;
                errors += count.errors;
            }
            let minutes = row.durations.iter();
            minutes
                .filter(|(start, _)| from < *start + MINUTE && *start < until)
                .for_each(|(_, told)| durations.merge(told));
        }
        let some = total > 0.0;
        Red {
            requests_per_s: total / window.as_secs_f64(),
            error_ratio: some.then(|| (errors / total).min(1.0)),
            p50_seconds: durations.quantile(0.5).filter(|_| some),
            p95_seconds: durations.quantile(0.95).filter(|_| some),
            requests: total,
        }
    }

    /// Points of series for which there was no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Series that were counted lately, sorted.
    pub fn keys(&self) -> impl Iterator<Item = &SeriesKey> {
        self.series.keys()
    }

    fn take(&mut self, point: &RequestPoint) {
        let start = point.bucket.floor_to(BUCKET);
        if start > self.now + AHEAD_MAX || self.now.since(start) > WINDOW_MAX {
            return;
        }
        if !self.series.contains_key(&point.series) && self.series.len() >= SERIES_MAX {
            self.left_out += 1;
            return;
        }
        self.series.entry(point.series.clone()).or_default().add(start, point);
    }

    fn forget(&mut self, before: Timestamp) {
        self.series.retain(|_, row| {
            while row.counts.front().is_some_and(|count| count.start < before) {
                row.counts.pop_front();
            }
            while row.durations.front().is_some_and(|(start, _)| *start < before) {
                row.durations.pop_front();
            }
            !row.counts.is_empty()
        });
    }
}

impl Row {
    fn add(&mut self, start: Timestamp, point: &RequestPoint) {
        let at = self.counts.partition_point(|count| count.start < start);
        if self.counts.get(at).is_none_or(|count| count.start != start) {
            self.counts.insert(at, Count { start, total: 0.0, errors: 0.0 });
        }
        self.counts[at].total += finite(point.total);
        self.counts[at].errors += finite(point.errors);
        let minute = start.floor_to(MINUTE);
        let at = self.durations.partition_point(|(start, _)| *start < minute);
        if self.durations.get(at).is_none_or(|(start, _)| *start != minute) {
            self.durations.insert(at, (minute, Histogram::default()));
        }
        self.durations[at].1.merge(&point.durations);
    }
}

/// A count as it may be, whatever arrived.
fn finite(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use model::{Entity, Scope};

    use super::*;

    fn key() -> SeriesKey {
        SeriesKey::Service(Entity::service(&Scope::default(), "orders"))
    }

    fn tick(now_s: u64, bucket_s: u64, total: f64, errors: f64, seconds: f64) -> Tick {
        let mut durations = Histogram::default();
        durations.record(seconds, total);
        let point = RequestPoint {
            series: key(),
            bucket: Timestamp::from_secs(bucket_s),
            total,
            errors,
            total_raw: total as u64,
            errors_raw: errors as u64,
            durations,
            within: Vec::new(),
            error_kinds: Vec::new(),
            first_error_at: None,
            exemplar: None,
        };
        Tick { now: Timestamp::from_secs(now_s), requests: vec![point], ..Tick::default() }
    }

    #[test]
    fn a_window_ends_where_everything_has_been_told() {
        let mut figures = Figures::default();
        figures.step(&tick(6000, 5990, 10.0, 5.0, 0.1));
        figures.step(&tick(6001, 6000, 90.0, 0.0, 3.0));
        assert_eq!(figures.red([&key()], MINUTE), Red::default(), "the last 10 s may be missing");
        figures.step(&Tick { now: Timestamp::from_secs(6005), ..Tick::default() });
        let red = figures.red([&key()], MINUTE);
        assert_eq!((red.requests, red.error_ratio), (10.0, Some(0.5)));
        assert!((red.requests_per_s - 10.0 / 60.0).abs() < 1e-9);
        assert!(red.p50_seconds.is_some_and(|p50| (0.1..0.11).contains(&p50)));
        figures.step(&Tick { now: Timestamp::from_secs(6015), ..Tick::default() });
        let red = figures.red([&key()], MINUTE);
        assert_eq!((red.requests, red.error_ratio), (100.0, Some(0.05)));
        assert!(red.p95_seconds.is_some_and(|p95| (3.0..3.3).contains(&p95)));
    }

    #[test]
    fn what_is_old_is_forgotten_and_what_is_not_believable_is_left_out() {
        let mut figures = Figures::default();
        figures.step(&tick(6000, 5600, 1.0, 0.0, 0.1));
        figures.step(&tick(6000, 6100, 1.0, 0.0, 0.1));
        figures.step(&tick(6000, 5990, f64::NAN, f64::INFINITY, 0.1));
        assert_eq!(figures.red([&key()], WINDOW_MAX).requests, 0.0);
        figures.step(&tick(6000, 5980, 1.0, 0.0, 0.1));
        assert_eq!(figures.keys().count(), 1);
        figures.step(&Tick { now: Timestamp::from_secs(7000), ..Tick::default() });
        assert_eq!(figures.keys().count(), 0);
    }
}
