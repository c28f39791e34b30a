//! Completions of one operation or call: their share, their rhythm, and when their absence is no
//! chance.
//!
//! What is learned stands still while a symptom stands. The reasons are in the parent module.

use std::time::Duration;

use model::Timestamp;
use model::entity::EntityKind;
use model::tick::SeriesKey;
use serde::{Deserialize, Serialize};

use crate::config::Stalled;
use crate::rate::Rate;
use crate::service::Service;
use crate::standing::Standing;

/// `e^-x` is one in a million.
const SURPRISE_MIN: f64 = 13.8;

/// Completions per second, and the time over which, for an abrupt end to count.
const ABRUPT_RATE: f64 = 1.0;
const ABRUPT_LEARNED: Duration = Duration::from_secs(1800);
const ABRUPT_SILENCE: Duration = Duration::from_secs(30);
const ABRUPT_LONGER_THAN_EVER: f64 = 4.0;

/// The longest silence fades with this memory.
const SILENCE_MEMORY_SECONDS: f64 = 86_400.0;

/// The silence must be so many times the longest one known.
pub const LONGER_THAN_EVER: f64 = 3.0;

/// Completions of one operation, or of calls from the service to one other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    first_seen: Timestamp,
    /// Or when watching was resumed.
    pub last_arrival: Timestamp,
    pub last_end: Timestamp,
    completions: f64,
    own: Rate,
    /// Completions of the service, for the share; and those since the last of the flow.
    of_service: Rate,
    since_last: f64,
    pub longest_silence_seconds: f64,
    /// Completions taken in this tick.
    arrived: f64,
    clusters: Clusters,
    pub standing: Option<Standing>,
}

impl Flow {
    pub fn new(now: Timestamp) -> Self {
        Flow {
            first_seen: now,
            last_arrival: now,
            last_end: now,
            completions: 0.0,
            own: Rate::default(),
            of_service: Rate::default(),
            since_last: 0.0,
            longest_silence_seconds: 0.0,
            arrived: 0.0,
            clusters: Clusters::default(),
            standing: None,
        }
    }

    pub fn pass(&mut self, seconds: f64) {
        self.arrived = 0.0;
        let keep = SILENCE_MEMORY_SECONDS / (SILENCE_MEMORY_SECONDS + seconds);
        self.longest_silence_seconds *= keep;
        // What is learned stands still while it is judged to be in trouble.
        if self.standing.is_none() {
            self.own.pass(seconds);
            self.of_service.pass(seconds);
        }
    }

    pub fn take(&mut self, count: f64, end: Timestamp, now: Timestamp) {
        self.arrived += count;
        self.completions += count;
        self.last_end = self.last_end.max(end).min(now);
        let silence = now.since(self.last_arrival).as_secs_f64();
        self.last_arrival = now;
        match &mut self.standing {
            Some(standing) if end > standing.symptom.onset => standing.see_good(end, count),
            Some(_) => {}
            None => {
                self.longest_silence_seconds = self.longest_silence_seconds.max(silence);
                self.own.add(count);
            }
        }
    }

    /// After the requests of a tick: `arrived` completions of the service came in it.
    pub fn compare(&mut self, arrived: f64, now: Timestamp) {
        if self.standing.is_none() {
            self.of_service.add(arrived);
            self.clusters.take(self.arrived, now);
        }
        if self.arrived > 0.0 {
            self.since_last = 0.0;
        } else {
            self.since_last += arrived;
        }
    }

    /// Completions of this flow per completion of the service.
    fn share(&self) -> f64 {
        self.own.count() / self.of_service.count().max(1.0)
    }

    /// Completions that should have come since the last, when their absence cannot be chance.
    pub fn missing(&self, config: &Stalled, now: Timestamp) -> Option<f64> {
        let learned = self.last_arrival.since(self.first_seen);
        let silence = now.since(self.last_arrival);
        let expected = self.share() * self.since_last;
        let cannot_be_chance = learned >= config.learn_for.0
            && self.completions >= config.learn_completions as f64
            && silence >= config.share_silent_for.0
            && silence.as_secs_f64() >= LONGER_THAN_EVER * self.longest_silence_seconds
            && expected >= SURPRISE_MIN;
        cannot_be_chance.then_some(expected)
    }

    pub fn ended_abruptly(
        &self,
        series: &SeriesKey,
        missing: f64,
        service: &Service,
        now: Timestamp,
    ) -> bool {
        let silence = now.since(self.last_arrival);
        let silence_seconds = silence.as_secs_f64();
        let steady = self.own.per_second() >= ABRUPT_RATE
            && self.last_arrival.since(self.first_seen) >= ABRUPT_LEARNED
            && silence >= ABRUPT_SILENCE
            && silence_seconds >= ABRUPT_LONGER_THAN_EVER * self.longest_silence_seconds
            && missing / self.clusters.ratio() >= SURPRISE_MIN;
        let SeriesKey::Edge { callee, .. } = series else { return steady };
        let known = !matches!(callee.kind, EntityKind::Peer | EntityKind::Instance);
        let usual = service.rate.per_second() * silence_seconds;
        let needed_it = self.share().min(1.0);
        steady && known && self.since_last <= usual * (1.0 - needed_it / 2.0)
    }
}

/// How clustered completions are: mean and mean square of the counts per minute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Clusters {
    began: Option<Timestamp>,
    count: f64,
    minutes: f64,
    mean: f64,
    mean_square: f64,
}

/// Minutes that the clustering is judged by.
const MINUTES_MAX: f64 = 120.0;

impl Clusters {
    fn take(&mut self, count: f64, now: Timestamp) {
        let began = *self.began.get_or_insert(now);
        if now.since(began) >= Duration::from_secs(60) {
            self.minutes = (self.minutes + 1.0).min(MINUTES_MAX);
            self.mean += (self.count - self.mean) / self.minutes;
            self.mean_square += (self.count * self.count - self.mean_square) / self.minutes;
            self.began = Some(now);
            self.count = 0.0;
        }
        self.count += count;
    }

    /// Variance by mean; 1 for requests that come independently of each other, more for clustered
    /// ones.
    fn ratio(&self) -> f64 {
        let variance = self.mean_square - self.mean * self.mean;
        if self.mean > 0.0 { (variance / self.mean).max(1.0) } else { 1.0 }
    }
}
