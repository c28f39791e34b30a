//! One objective of one entity: what was counted, both tiers' state, and the symptom while it
//! fires.
//!
//! Either tier raises the one symptom of an objective. A page overrides a ticket; a learned latency
//! limit makes tickets, and pages only of requests that users take for hanging. It ends as `firing`
//! says, and is told of anew as `worsening` says. About 4 KB each, whatever the traffic.

mod definition;

mod firing;

mod summary;

mod worsening;

use std::time::Duration;

use model::Entity;
use model::symptom::{Health, ObjectiveState, Severity, Symptom, SymptomKey, SymptomKind};
use model::tick::{BUCKET, Exemplar, RequestPoint};
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

pub use definition::{DEFAULT_AVAILABILITY, DEFAULT_LATENCY, Definition, definitions_for};
use firing::{Firing, Tier, Usual};
use summary::summary;

use crate::config::Config;
use crate::inspections::burn_rate::{self, Budget};
use crate::inspections::fast_burn::{self, Cusum, Increment, Odds, Run, Spread};
use crate::inspections::latency::{self, Learner};
use crate::rate::Rate;
use crate::rings::Rings;

/// Requests that must have been seen before an objective is said to be well.
const LEARNING_REQUESTS: f64 = 20.0;

/// Kinds of error that are kept of a trouble.
const ERROR_KINDS_MAX: usize = 8;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The longest window that is kept.
const BUDGET_WINDOW: Duration = Duration::from_secs(3 * 86_400);

/// What is known about the entity's service as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    pub now: Timestamp,
    /// Last arrival of anything from the service.
    pub heard: Option<Timestamp>,
    /// The service is part of an open incident: nothing is to be learned.
    pub in_incident: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tracker {
    pub definition: Definition,
    entity: Entity,
    first_seen: Timestamp,
    /// Last arrival of requests.
    last_requests: Option<Timestamp>,
    requests: f64,
    rate: Rate,
    rings: Rings,
    cusum: Cusum,
    /// Of a learned limit: the same for requests slower than the limit of a page.
    hanging: Cusum,
    /// Of the trouble that is or may be coming.
    error_kinds: Vec<(String, f64)>,
    exemplar: Option<Exemplar>,
    firing: Option<Firing>,
    cleared_at: Timestamp,
    last_bad: Option<Timestamp>,
    learner: Learner,
}

impl Tracker {
    pub fn new(definition: Definition, entity: Entity, now: Timestamp) -> Self {
        Tracker {
            definition,
            entity,
            first_seen: now,
            last_requests: None,
            requests: 0.0,
            rate: Rate::default(),
            rings: Rings::new(now),
            cusum: Cusum::default(),
            hanging: Cusum::default(),
            error_kinds: Vec::new(),
            exemplar: None,
            firing: None,
            cleared_at: Timestamp::ZERO,
            last_bad: None,
            learner: Learner::default(),
        }
    }

    /// Time passes, before the requests of a tick are taken.
    pub fn pass(&mut self, now: Timestamp, elapsed: Duration) {
        self.rings.advance(now);
        self.rate.pass(elapsed.as_secs_f64());
    }

    /// Takes the requests of one point.
    pub fn take(&mut self, point: &RequestPoint, config: &Config, around: Surroundings) {
        let now = around.now;
        let mut increment = counted(point, now);
        let mut hanging = None;
        if increment.total <= 0.0 {
            return;
        }
        if self.definition.kind == SymptomKind::LatencyBurn {
            self.learn(point, config, around);
            let Some(threshold) = self.definition.threshold_seconds else {
                self.last_requests = Some(now);
                return;
            };
            match latency::increment(point, threshold, increment) {
                Some(slow) if slow.total > 0.0 => {
                    let limit = self.definition.page_seconds;
                    hanging = limit.and_then(|limit| latency::increment(point, limit, increment));
                    increment = slow;
                }
                _ => return,
            }
        }
        self.last_requests = Some(now);
        self.requests += increment.total;
        self.rate.add(increment.total_raw);
        self.rings.add(increment.bucket, increment.bad, increment.total);
        let odds = Odds::of(self.definition.objective);
        let threshold = self.threshold(&odds, config);
        let was_calm = self.cusum.run().is_none();
        self.cusum.take(&increment, &odds, threshold);
        if let Some(hanging) = hanging {
            self.hanging.take(&hanging, &odds, threshold);
        }
        if increment.bad > 0.0 {
            if was_calm && self.firing.is_none() {
                self.error_kinds.clear();
                self.exemplar = None;
            }
            self.note_errors(point);
        }
        if let Some(firing) = &mut self.firing {
            let evidence = self.cusum.evidence(&increment);
            firing.take(&increment, evidence, self.rate.per_second(), &config.fast, now);
            self.last_bad = self.last_bad.max(Some(firing.last_bad()));
        } else if self.cusum.level() >= threshold / 2.0 && increment.bad > 0.0 {
            self.last_bad = self.last_bad.max(Some(increment.bucket_end().min(now)));
        }
    }

    /// After all requests of a tick: raises, updates or ends the symptom. `Some` when it ended.
    pub fn conclude(&mut self, config: &Config, now: Timestamp) -> Option<SymptomKey> {
        let allowed = 1.0 - self.definition.objective;
        self.raise(config, now);
        let firing = self.firing.as_mut()?;
        if let Tier::Burn(pair) = firing.tier
            && burn_rate::still_burning(&self.rings, pair, allowed)
        {
            firing.relapse(now, now);
        }
        firing.notice_worse(&self.rings, self.rate.per_second(), &config.fast, allowed, now);
        firing.settle(config.clear_after.0, now);
        if firing.held(config.clear_after.0, now) {
            let key = firing.symptom.key();
            self.firing = None;
            self.cusum.reset();
            self.hanging.reset();
            self.cleared_at = now;
            return Some(key);
        }
        self.describe();
        None
    }

    fn raise(&mut self, config: &Config, now: Timestamp) {
        let is_latency = self.definition.kind == SymptomKind::LatencyBurn;
        if is_latency && !config.inspects(&latency::SPEC) {
            return;
        }
        let firing_severity = self.firing.as_ref().map(|firing| firing.symptom.severity);
        if firing_severity == Some(Severity::Page) {
            return;
        }
        if let Some((severity, run)) = self.sudden(config) {
            if firing_severity.is_none_or(|standing| standing < severity) {
                let (onset, bad, total) = (run.onset, run.bad, run.total);
                let symptom = self.symptom(severity, onset, now, bad, total);
                self.fire(Tier::Fast, symptom, now);
            }
            return;
        }
        // What is sudden and not yet known to last is not judged by what it takes of the budget.
        let limit = self.threshold(&Odds::of(self.definition.objective), config);
        if self.cusum.level() >= limit {
            return;
        }
        let budget = Budget {
            allowed: 1.0 - self.definition.objective,
            first_seen: self.first_seen,
            cleared_at: self.cleared_at,
        };
        if !config.burn.enabled || !config.inspects(&burn_rate::SPEC) {
            return;
        }
        let Some((pair, long)) = burn_rate::judge(&self.rings, now, &budget, &config.burn) else {
            return;
        };
        let severity = burn_rate::PAIRS[pair].severity.min(self.severity_max());
        if firing_severity.is_some_and(|standing| standing >= severity) {
            return;
        }
        let window = burn_rate::PAIRS[pair].long;
        let onset = self.rings.first_bad(window).unwrap_or(now).max(self.first_seen.min(now));
        let symptom = self.symptom(severity, onset, now, long.bad, long.total);
        self.fire(Tier::Burn(pair), symptom, now);
    }

    /// The fast tier's alarm.
    fn sudden(&self, config: &Config) -> Option<(Severity, Run)> {
        // Most objectives are calm most of the time.
        if self.cusum.level() <= 0.0 || !config.inspects(&fast_burn::SPEC) {
            return None;
        }
        let per_second = self.rate.per_second();
        let limit = self.threshold(&Odds::of(self.definition.objective), config);
        let spread = match self.definition.kind {
            SymptomKind::LatencyBurn => Spread::OfBuckets(latency::SPREAD_MIN),
            _ => Spread::NoBurst,
        };
        let alarm = |cusum: &Cusum| cusum.alarm(limit, &config.fast, per_second, spread);
        let run = alarm(&self.cusum)?;
        let hangs = self.definition.learned && alarm(&self.hanging).is_some();
        Some((if hangs { Severity::Page } else { self.severity_max() }, run))
    }

    /// What was learned is evidence, no promise: it makes tickets.
    fn severity_max(&self) -> Severity {
        if self.definition.learned { Severity::Ticket } else { Severity::Page }
    }

    fn fire(&mut self, tier: Tier, symptom: Symptom, now: Timestamp) {
        self.last_bad = self.last_bad.max(Some(now));
        let allowed = 1.0 - self.definition.objective;
        let before = match tier {
            Tier::Fast => self.rings.before(symptom.onset, HOUR).ratio(),
            // Its onset is where its window begins; nothing is before it.
            Tier::Burn(_) => None,
        };
        let usual = Usual::of(allowed, before, symptom.measured);
        self.firing = Some(Firing::new(tier, symptom, usual, now));
    }

    fn threshold(&self, odds: &Odds, config: &Config) -> f64 {
        odds.threshold(self.rate.per_second(), config.fast.false_pages_per_year)
    }

    fn learn(&mut self, point: &RequestPoint, config: &Config, around: Surroundings) {
        if !self.definition.learned || self.definition.threshold_seconds.is_some() {
            return;
        }
        if around.in_incident {
            self.learner.pause();
            return;
        }
        self.learner.take(point, around.now);
        if let Some(limits) = self.learner.limits(&config.default_slo.latency) {
            self.definition.threshold_seconds = Some(limits.slow);
            self.definition.page_seconds = Some(limits.hanging);
            self.learner = Learner::default();
        }
    }

    /// Forgets a learned threshold, and with it a symptom that was judged by it (returned).
    pub fn relearn(&mut self, now: Timestamp) -> Option<SymptomKey> {
        let definition =
            Definition { threshold_seconds: None, page_seconds: None, ..self.definition.clone() };
        let ended = self.end();
        *self = Tracker::new(definition, self.entity.clone(), now);
        ended
    }

    /// Ends the symptom without recovery, because nobody asks any more.
    pub fn end(&mut self) -> Option<SymptomKey> {
        self.firing.take().map(|firing| firing.symptom.key())
    }

    pub fn firing(&self) -> Option<&Symptom> {
        self.firing.as_ref().map(|firing| &firing.symptom)
    }

    pub fn last_requests(&self) -> Timestamp {
        self.last_requests.unwrap_or(self.first_seen)
    }

    fn note_errors(&mut self, point: &RequestPoint) {
        if self.definition.kind == SymptomKind::AvailabilityBurn {
            for (kind, count) in &point.error_kinds {
                add_kind(&mut self.error_kinds, kind, amount(*count));
            }
        }
        let telling = |exemplar: &&Exemplar| {
            exemplar.error == (self.definition.kind == SymptomKind::AvailabilityBurn)
        };
        if let Some(exemplar) = point.exemplar.as_ref().filter(telling)
            && self.exemplar.is_none()
        {
            self.exemplar = Some(exemplar.clone());
        }
    }

    fn symptom(
        &self,
        severity: Severity,
        onset: Timestamp,
        now: Timestamp,
        bad: f64,
        total: f64,
    ) -> Symptom {
        Symptom {
            entity: self.entity.clone(),
            kind: self.definition.kind,
            source: self.definition.source.clone(),
            severity,
            onset,
            detected: now,
            recovering_since: None,
            measured: if total > 0.0 { (bad / total).min(1.0) } else { 0.0 },
            threshold: 1.0 - self.definition.objective,
            unit: "ratio".to_owned(),
            bad,
            total,
            error_kinds: self.error_kinds.clone(),
            exemplar: self.exemplar.clone(),
            summary: String::new(),
        }
    }

    /// Keeps the symptom's figures current while the trouble lasts, and as they were once it is
    /// over.
    fn describe(&mut self) {
        let Some(firing) = &mut self.firing else { return };
        let symptom = &mut firing.symptom;
        if firing.recovering && !symptom.summary.is_empty() {
            return;
        }
        let recent = self.rings.sum(MINUTE, symptom.onset.floor_to(BUCKET));
        if firing.tier == Tier::Fast
            && let Some(ratio) = recent.ratio()
        {
            symptom.measured = ratio;
        }
        if symptom.error_kinds != self.error_kinds {
            symptom.error_kinds.clone_from(&self.error_kinds);
        }
        if symptom.exemplar.is_none() {
            symptom.exemplar.clone_from(&self.exemplar);
        }
        let last_minute = recent.ratio().unwrap_or(symptom.measured);
        symptom.summary =
            summary(symptom, &self.definition, firing.tier, firing.worse, last_minute);
    }

    /// How the entity fares by users' figures.
    pub fn state(&self, config: &Config, around: Surroundings) -> ObjectiveState {
        let minute = self.rings.sum(MINUTE, Timestamp::ZERO);
        ObjectiveState {
            source: self.definition.source.clone(),
            entity: self.entity.clone(),
            kind: self.definition.kind,
            objective: self.definition.objective,
            threshold_seconds: self.definition.threshold_seconds,
            health: self.health(config, around),
            good_ratio_1m: minute.ratio().map(|bad| 1.0 - bad),
            requests_1m: minute.total,
            burn: burn_rate::shown(&self.rings, 1.0 - self.definition.objective),
            budget_left: self.budget_left(around.now),
            last_bad: self.last_bad,
        }
    }

    /// Share of the budget of three days that is left. The time before the first request counts as
    /// well served at the same rate: a young service has its whole budget.
    fn budget_left(&self, now: Timestamp) -> Option<f64> {
        let sum = self.rings.sum(BUDGET_WINDOW, Timestamp::ZERO);
        let age = now.since(self.first_seen).clamp(BUCKET, BUDGET_WINDOW);
        let expected = sum.total * BUDGET_WINDOW.as_secs_f64() / age.as_secs_f64();
        let allowed = expected * (1.0 - self.definition.objective);
        (allowed > 0.0).then(|| 1.0 - sum.bad / allowed)
    }

    fn health(&self, config: &Config, around: Surroundings) -> Health {
        let older = |time: Option<Timestamp>, limit: Duration| {
            time.is_none_or(|time| around.now.since(time) > limit)
        };
        if older(around.heard, config.no_data_after.0) {
            Health::NoData
        } else if older(self.last_requests, config.no_traffic_after.0) {
            Health::NoTraffic
        } else if self.firing.as_ref().is_some_and(|firing| !firing.recovering) {
            Health::Burning
        } else if self.requests < LEARNING_REQUESTS {
            Health::Learning
        } else {
            Health::Well
        }
    }
}

/// A point's requests, with everything that arithmetic could choke on taken out.
fn counted(point: &RequestPoint, now: Timestamp) -> Increment {
    let bucket = point.bucket.min(now.floor_to(BUCKET));
    let total = amount(point.total);
    let bad = amount(point.errors).min(total);
    let bad_at = point.first_error_at.unwrap_or(bucket).min(now).max(bucket);
    let total_raw = point.total_raw as f64;
    let bad_raw = (point.errors_raw as f64).min(total_raw);
    Increment { bucket, bad_at, bad, total, bad_raw, total_raw }
}

/// A count that can be added up: finite, not negative, not absurd.
pub fn amount(count: f64) -> f64 {
    if count.is_finite() { count.clamp(0.0, 1e12) } else { 0.0 }
}

fn add_kind(kinds: &mut Vec<(String, f64)>, kind: &str, count: f64) {
    if let Some(known) = kinds.iter_mut().find(|(known, _)| known == kind) {
        known.1 += count;
    } else if kinds.len() < ERROR_KINDS_MAX {
        kinds.push((kind.to_owned(), count));
    }
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
}
