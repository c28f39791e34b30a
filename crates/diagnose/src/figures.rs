//! Recent figures of services, instances and edges: what "now" is compared with "before" on.
//!
//! Ten-second buckets of the last 30 min: 10 min before a trouble began can then still be read for
//! 20 min after. Operations are not kept (their service and edges are). Bounded by `SERIES_MAX`
//! series; at the bound, series heard of least recently make room, and what found none is counted.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::tick::{BUCKET, RequestPoint, SeriesKey};
use model::{Entity, Timestamp};
use serde::{Deserialize, Serialize};

/// How far back figures go.
pub const RETENTION: Duration = Duration::from_secs(30 * 60);
/// A bucket that claims to lie further ahead than this is not believed.
const AHEAD_MAX: Duration = Duration::from_secs(60);
const SERIES_MAX: usize = 4_000;
const KINDS_MAX: usize = 8;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    series: BTreeMap<SeriesKey, VecDeque<Bucket>>,
    swept: Timestamp,
    /// Points that found no room or were not believable.
    left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Bucket {
    start: Timestamp,
    total: f64,
    errors: f64,
    total_raw: u64,
    errors_raw: u64,
    seconds: f64,
    failures: Option<Box<Failures>>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Failures {
    kinds: Vec<(String, f64)>,
    /// Hex id, or empty.
    trace_id: String,
    first_at: Option<Timestamp>,
}

/// Figures of one or several series over a span of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sum {
    pub total: f64,
    pub errors: f64,
    pub total_raw: u64,
    pub errors_raw: u64,
    pub seconds: f64,
    pub kinds: BTreeMap<String, f64>,
    pub trace_id: String,
    pub first_error_at: Option<Timestamp>,
    /// Start of the first and of the last bucket that holds anything.
    pub first_bucket: Option<Timestamp>,
    pub last_bucket: Option<Timestamp>,
}

impl Sum {
    pub fn mean_seconds(&self) -> Option<f64> {
        (self.total > 0.0).then(|| self.seconds / self.total)
    }

    /// Counts that were really seen: what statistics may rest on.
    pub fn seen(&self) -> (f64, f64) {
        if self.total_raw > 0 {
            (self.total_raw as f64, self.errors_raw as f64)
        } else {
            (self.total, self.errors)
        }
    }

    /// Adds what was summed elsewhere.
    pub fn merge(&mut self, other: &Sum) {
        self.total += other.total;
        self.errors += other.errors;
        self.total_raw = self.total_raw.saturating_add(other.total_raw);
        self.errors_raw = self.errors_raw.saturating_add(other.errors_raw);
        self.seconds += other.seconds;
        self.first_bucket = earlier(self.first_bucket, other.first_bucket);
        self.last_bucket = self.last_bucket.max(other.last_bucket);
        for (kind, count) in &other.kinds {
            *self.kinds.entry(kind.clone()).or_default() += count;
        }
        if self.trace_id.is_empty() {
            self.trace_id.clone_from(&other.trace_id);
        }
        self.first_error_at = earlier(self.first_error_at, other.first_error_at);
    }

    fn add(&mut self, bucket: &Bucket) {
        self.total += bucket.total;
        self.errors += bucket.errors;
        self.total_raw = self.total_raw.saturating_add(bucket.total_raw);
        self.errors_raw = self.errors_raw.saturating_add(bucket.errors_raw);
        self.seconds += bucket.seconds;
        self.first_bucket = earlier(self.first_bucket, Some(bucket.start));
        self.last_bucket = self.last_bucket.max(Some(bucket.start));
        let Some(failures) = &bucket.failures else { return };
        for (kind, count) in &failures.kinds {
            *self.kinds.entry(kind.clone()).or_default() += count;
        }
        if self.trace_id.is_empty() {
            self.trace_id.clone_from(&failures.trace_id);
        }
        self.first_error_at = earlier(self.first_error_at, failures.first_at);
    }
}

impl Figures {
    pub fn take(&mut self, point: &RequestPoint, now: Timestamp) {
        if matches!(point.series, SeriesKey::Operation(_)) {
            return;
        }
        let start = point.bucket.floor_to(BUCKET);
        if start > now + AHEAD_MAX || now.since(start) > RETENTION {
            self.left_out += 1;
            return;
        }
        if !self.series.contains_key(&point.series) && self.series.len() >= SERIES_MAX {
            self.make_room();
        }
        let buckets = self.series.entry(point.series.clone()).or_default();
        let at = buckets.partition_point(|bucket| bucket.start < start);
        if buckets.get(at).is_none_or(|bucket| bucket.start != start) {
            buckets.insert(at, Bucket::new(start));
        }
        buckets[at].add(point);
    }

    /// Drops what is older than the retention; does its work once per bucket of time.
    pub fn forget(&mut self, now: Timestamp) {
        let this_bucket = now.floor_to(BUCKET);
        if this_bucket == self.swept {
            return;
        }
        self.swept = this_bucket;
        let oldest = now - RETENTION;
        self.series.retain(|_, buckets| {
            while buckets.front().is_some_and(|bucket| bucket.start < oldest) {
                buckets.pop_front();
            }
            !buckets.is_empty()
        });
    }

    /// Sums `keys` over buckets that start in `[from, until)`.
    pub fn sum<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a SeriesKey>,
        from: Timestamp,
        until: Timestamp,
    ) -> Sum {
        let mut sum = Sum::default();
        for buckets in keys.into_iter().filter_map(|key| self.series.get(key)) {
            let first = buckets.partition_point(|bucket| bucket.start < from);
            for bucket in buckets.iter().skip(first).take_while(|bucket| bucket.start < until) {
                sum.add(bucket);
            }
        }
        sum
    }

    /// Requests in each bucket of `key` from `from` on, oldest first.
    pub fn totals(&self, key: &SeriesKey, from: Timestamp) -> Vec<(Timestamp, f64)> {
        let buckets = self.series.get(key).into_iter().flatten();
        let wanted = buckets.filter(|bucket| bucket.start >= from);
        wanted.map(|bucket| (bucket.start, bucket.total)).collect()
    }

    /// Has this service ever been seen to serve (within the retention)?
    pub fn knows_service(&self, service: &Entity) -> bool {
        self.series.contains_key(&SeriesKey::Service(service.clone()))
    }

    /// Points that found no room or were not believable, and series that made room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn make_room(&mut self) {
        let oldest = self
            .series
            .iter()
            .min_by_key(|(_, buckets)| buckets.back().map(|bucket| bucket.start))
            .map(|(key, _)| key.clone());
        if let Some(key) = oldest {
            self.series.remove(&key);
            self.left_out += 1;
        }
    }
}

impl Bucket {
    fn new(start: Timestamp) -> Self {
        Bucket {
            start,
            total: 0.0,
            errors: 0.0,
            total_raw: 0,
            errors_raw: 0,
            seconds: 0.0,
            failures: None,
        }
    }

    fn add(&mut self, point: &RequestPoint) {
        self.total += count(point.total);
        self.errors += count(point.errors);
        self.total_raw = self.total_raw.saturating_add(point.total_raw);
        self.errors_raw = self.errors_raw.saturating_add(point.errors_raw);
        self.seconds += count(point.durations.sum_seconds());
        if point.errors <= 0.0 {
            return;
        }
        let failures = self.failures.get_or_insert_default();
        for (kind, weight) in &point.error_kinds {
            if let Some((_, sum)) = failures.kinds.iter_mut().find(|(known, _)| known == kind) {
                *sum += count(*weight);
            } else if failures.kinds.len() < KINDS_MAX {
                failures.kinds.push((kind.clone(), count(*weight)));
            }
        }
        if let Some(exemplar) = point.exemplar.as_ref().filter(|exemplar| exemplar.error) {
            failures.trace_id.clone_from(&exemplar.trace_id);
        }
        failures.first_at = earlier(failures.first_at, point.first_error_at);
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// A count as it may be: finite and not negative, whatever arrived.
fn count(value: f64) -> f64 {
    if value.is_finite() { value.max(0.0) } else { 0.0 }
}
