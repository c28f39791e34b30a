//! What the fleet tells of itself: counts gathered per copy, sent every few seconds as stock SDKs
//! do, and added up to the points of a tick.
//!
//! This is the fidelity of ticks: no span is ever made. Whole histograms are made of services
//! alone, of which latency limits are learned; of instances and calls only mean durations, which is
//! all that the loop reads of them. Sampling thins what is seen, and what is left is
//! scaled up as `observe` does. That it equals what the observer makes of real spans is tested in
//! `spans`.

use std::time::Duration;

use model::signal::{Attributes, Resource};
use model::tick::{BUCKET, RequestPoint, SeriesKey};
use model::{Entity, Histogram, Timestamp};

use crate::random::{Random, quantile};

/// Stock SDKs send spans so often, and metrics so often.
pub const SPANS_EVERY: u64 = 5;
pub const METRICS_EVERY: u64 = 60;
/// The shipped `observe.late_after`.
const LATE_AFTER: Duration = Duration::from_secs(300);
/// Durations that are drawn of a copy in a second, however many its requests.
const DRAWS: u64 = 8;
/// Latency limits of a service that requests are counted by.
pub(crate) const LIMITS: usize = 2;

/// How a request or call failed, by the words that `observe` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    Internal,
    BadGateway,
    Busy,
    Refused,
    Timeout,
    Reset,
    Dns,
    Certificate,
    Full,
    Locked,
    /// A store that takes no more connections.
    Crowded,
}

pub(crate) const FAILURES: usize = 11;
const WORDS: [&str; FAILURES] = [
    "http_500",
    "http_502",
    "http_503",
    "connection_refused",
    "timeout",
    "connection_reset",
    "dns",
    "tls",
    "53100",
    "55P03",
    "pool_exhausted",
];

impl Failure {
    pub const ALL: [Failure; FAILURES] = [
        Failure::Internal,
        Failure::BadGateway,
        Failure::Busy,
        Failure::Refused,
        Failure::Timeout,
        Failure::Reset,
        Failure::Dns,
        Failure::Certificate,
        Failure::Full,
        Failure::Locked,
        Failure::Crowded,
    ];
}

/// Requests or calls in one bucket of time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    bucket: Timestamp,
    total: u64,
    errors: [u64; FAILURES],
    failed: u64,
    seconds: f64,
    first_error: Option<Timestamp>,
    within: [u64; LIMITS],
    /// Some of it was counted before latency limits were known: `within` means nothing.
    without_limits: bool,
    durations: Histogram,
}

impl Counts {
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    pub fn good(&mut self, count: u64, mean_seconds: f64) {
        self.total += count;
        self.seconds += count as f64 * mean_seconds;
    }

    pub fn bad(&mut self, count: u64, failure: Failure, mean_seconds: f64, at: Timestamp) {
        if count == 0 {
            return;
        }
        self.good(count, mean_seconds);
        self.errors[failure as usize] += count;
        self.failed += count;
        self.first_error = Some(self.first_error.map_or(at, |first| first.min(at)));
    }

    pub fn add_within(&mut self, limit: usize, count: u64) {
        self.within[limit] += count;
    }

    pub fn has_no_limits(&mut self) {
        self.without_limits = true;
    }

    /// Durations of `count` requests, log-normal: one draw from each of `DRAWS` equal parts.
    pub fn draw(&mut self, count: u64, (mu, sigma): (f64, f64), random: &mut Random) {
        let draws = count.min(DRAWS);
        for part in 0..draws {
            let share = (part as f64 + random.uniform()) / draws as f64;
            let seconds = (mu + sigma * quantile(share)).exp();
            self.durations.record(seconds, count as f64 / draws as f64);
        }
    }

    /// `count` requests that took equally long.
    pub fn took(&mut self, count: u64, seconds: f64) {
        if count > 0 {
            self.durations.record(seconds, count as f64);
        }
    }

    fn merge(&mut self, other: &Counts) {
        self.total += other.total;
        self.failed += other.failed;
        self.seconds += other.seconds;
        for (sum, count) in self.errors.iter_mut().zip(other.errors) {
            *sum += count;
        }
        for (sum, count) in self.within.iter_mut().zip(other.within) {
            *sum += count;
        }
        self.first_error = match (self.first_error, other.first_error) {
            (Some(one), Some(two)) => Some(one.min(two)),
            (one, two) => one.or(two),
        };
        self.without_limits |= other.without_limits;
        self.durations.merge(&other.durations);
    }

    /// As `observe` takes the times of a clock that is wrong: none is later than `now`, and what is
    /// too old is not counted.
    pub fn arrive(&mut self, now: Timestamp) {
        if now.since(self.bucket) > LATE_AFTER {
            *self = Counts::default();
        }
        self.bucket = self.bucket.min(now.floor_to(BUCKET));
        self.first_error = self.first_error.map(|first| first.min(now));
    }

    /// What a sampler leaves of it, as raw counts.
    fn thin(&mut self, sampling: f64, random: &mut Random) {
        if sampling >= 1.0 {
            return;
        }
        let before = self.total.max(1) as f64;
        let good = self.total - self.failed;
        let slow = [0, 1].map(|at| random.binomial(good - self.within[at].min(good), sampling));
        let within = random.binomial(self.within[0].min(good), sampling);
        for count in &mut self.errors {
            *count = random.binomial(*count, sampling);
        }
        self.failed = self.errors.iter().sum();
        let kept = within + slow[0];
        self.within = [within, kept.saturating_sub(slow[1].min(slow[0]))];
        self.total = kept + self.failed;
        self.seconds *= self.total as f64 / before;
        if self.failed == 0 {
            self.first_error = None;
        }
    }
}

/// Counts of the present bucket of time and the one before, until they are sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gathered([Counts; 2]);

impl Gathered {
    /// Where requests that end at `at` are counted.
    pub fn at(&mut self, at: Timestamp) -> &mut Counts {
        let bucket = at.floor_to(BUCKET);
        let [present, before] = &mut self.0;
        if present.bucket != bucket {
            *before = std::mem::take(present);
            present.bucket = bucket;
        }
        present
    }

    /// What was gathered, as a sampler leaves it.
    pub fn take(&mut self, sampling: f64, random: &mut Random) -> [Counts; 2] {
        let bucket = self.0[0].bucket;
        let mut taken = std::mem::take(&mut self.0);
        self.0[0].bucket = bucket;
        taken.iter_mut().for_each(|counts| counts.thin(sampling, random));
        taken
    }

    pub fn clear(&mut self) {
        *self = Gathered::default();
    }
}

/// Sums of what several copies sent at once: at most two buckets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums(Vec<Counts>);

impl Sums {
    pub fn add(&mut self, counts: &Counts) {
        if counts.is_empty() {
            return;
        }
        match self.0.iter_mut().find(|sum| sum.bucket == counts.bucket) {
            Some(sum) => sum.merge(counts),
            None => self.0.push(counts.clone()),
        }
    }

    pub fn drain(&mut self) -> impl Iterator<Item = Counts> + '_ {
        self.0.drain(..)
    }
}

impl Counts {
    /// Start of the bucket of time that it counts.
    pub fn bucket(&self) -> Timestamp {
        self.bucket
    }

    /// The point of a service, with its latency limits.
    pub fn service_point(self, series: SeriesKey, limits: &[f64], sampling: f64) -> RequestPoint {
        let good = |(at, limit): (usize, &f64)| (*limit, self.within[at] as f64 / sampling);
        let known = if self.without_limits { &[] } else { limits };
        let within = known.iter().take(LIMITS).enumerate().map(good).collect();
        let point = self.point(series, sampling);
        // A sampler took some of them, and what it left is scaled up.
        let durations = scaled(&self.durations, point.total / self.durations.count().max(1e-9));
        RequestPoint { within, durations, ..point }
    }

    /// The point of anything else.
    pub fn point(&self, series: SeriesKey, sampling: f64) -> RequestPoint {
        let as_told = |count: u64| count as f64 / sampling;
        let mut durations = Histogram::default();
        let mean = self.seconds / (self.total.max(1) as f64);
        durations.record_bucket(mean, as_told(self.total), self.seconds / sampling);
        let kinds = self.errors.iter().enumerate().filter(|(_, count)| **count > 0);
        let mut error_kinds: Vec<(String, f64)> =
            kinds.map(|(at, count)| (WORDS[at].to_owned(), as_told(*count))).collect();
        error_kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        RequestPoint {
            series,
            bucket: self.bucket,
            total: as_told(self.total),
            errors: as_told(self.failed),
            total_raw: self.total,
            errors_raw: self.failed,
            durations,
            within: Vec::new(),
            error_kinds,
            first_error_at: self.first_error,
            exemplar: None,
        }
    }

    /// One operation's share of it, whose requests take as long as the others'.
    pub fn part_point(&self, series: SeriesKey, part: Outcomes, sampling: f64) -> RequestPoint {
        let (good, errors) = part;
        let failed: u64 = errors.iter().sum();
        let total = good + failed;
        let part = Counts {
            bucket: self.bucket,
            total,
            errors,
            failed,
            seconds: self.seconds * total as f64 / self.total.max(1) as f64,
            first_error: self.first_error.filter(|_| failed > 0),
            ..Counts::default()
        };
        part.point(series, sampling)
    }

    /// What became of its requests.
    pub fn outcomes(&self) -> Outcomes {
        (self.total - self.failed, self.errors)
    }
}

fn scaled(durations: &Histogram, times: f64) -> Histogram {
    let mut scaled = Histogram::default();
    if times == 1.0 {
        scaled.merge(durations);
        return scaled;
    }
    let mut sum_seconds = durations.sum_seconds() * times;
    for (bound, weight) in durations.buckets() {
        scaled.record_bucket(bound, weight * times, std::mem::take(&mut sum_seconds));
    }
    scaled
}

/// Requests that went well, and those that failed by kind.
pub(crate) type Outcomes = (u64, [u64; FAILURES]);

/// The share of each operation in what became of all requests together.
pub(crate) fn split(
    operations: &[(Entity, f64)],
    (mut good, mut failed): Outcomes,
    random: &mut Random,
) -> Vec<Outcomes> {
    let mut left = 1.0;
    let part = |(_, share): &(Entity, f64)| {
        let of_left = share / left;
        let mut take = |all: &mut u64| {
            let taken = random.binomial(*all, of_left);
            *all -= taken;
            taken
        };
        left = (left - share).max(1e-9);
        (take(&mut good), failed.each_mut().map(take))
    };
    operations.iter().map(part).collect()
}

/// What an SDK says of the process that it runs in.
pub(crate) fn resource(service: &str, instance: &str, version: u32, pid: u32) -> Resource {
    let attributes = Attributes::default()
        .with_str("service.name", service)
        .with_str("service.instance.id", instance)
        .with_str("service.version", &format!("v{version}"))
        .with_i64("process.pid", i64::from(pid));
    Resource { attributes }
}
