//! The fast tier: a Bernoulli CUSUM per objective, for sudden harm.
//!
//! Each request is a trial. `p0` is the share of bad requests that the objective allows, `p1` the
//! share at which the budget burns `HARM_FACTOR` times too fast (at most one half). The level is `S
//! = max(0, S + bad·ln(p1/p0) + good·ln((1-p1)/(1-p0)))` (E. S. Page, "Continuous inspection
//! schemes", Biometrika 1954; M. R. Reynolds and Z. G. Stoumbos, "A CUSUM chart for monitoring a
//! proportion when inspecting continuously", J. Quality Technology 1999). It rises only above a
//! share of about five times `p0`, so an objective that is just kept, or missed by little, leaves
//! it at zero.
//!
//! Threshold: with `I = p0·ln(p0/p1) + (1-p0)·ln((1-p0)/(1-p1))` the mean run length between false
//! alarms is about `(e^h - h - 1) / I` requests (Wald's identity; D. Siegmund, "Sequential
//! Analysis", 1985, without the overshoot, which only lengthens it). We solve it for the requests
//! that come in `1 / false_pages_per_year` years at the observed rate.
//!
//! Real errors come in clusters, which the model does not know. So besides the level an alarm needs
//! a minimum of bad requests that span a second or more. A point tells only of its first bad
//! request; where that shows no span, so many bad requests suffice that a second cannot hold them.
//!
//! The onset is the first bad request since the level last left zero (the likeliest change point).

use std::time::Duration;

use model::Timestamp;
use model::tick::BUCKET;
use serde::{Deserialize, Serialize};

use super::Spec;
use crate::config::Fast;

pub const SPEC: Spec = Spec {
    id: "fast_burn",
    title: "Sudden harm",
    unit: "ratio",
    default: "14.4 times the allowed share of bad requests, 0.1 false pages a year",
    documentation: "Notices within seconds that requests fail, or are slow, many times more often \
        than the objective allows. Calibrated in false pages per objective and year at the \
        service's own rate of requests (`fast.false_pages_per_year`); never fires below \
        `fast.bad_requests_min` bad requests, nor on a single short burst of them.",
};

/// A burn of the budget this many times too fast is harm.
pub const HARM_FACTOR: f64 = 14.4;

/// Bad requests that cannot all be of one short burst, although no span of them is seen: so many
/// times the minimum, and all requests of so many seconds.
const OVERWHELMING: f64 = 3.0;
const OVERWHELMING_SECONDS: f64 = 4.0;

/// Bad requests within less time than this are a burst: a pause, a connection made anew, a leader
/// elected. It is over before anybody could look.
const BURST: Duration = Duration::from_secs(4);

/// The level is kept at most so many times the limit.
const LEVEL_CAP: f64 = 1.25;

/// Bad requests at the limit that came longer ago are of another trouble: two batches of telemetry,
/// and the bucket that they are known by.
const HIGH_KEPT: Duration = Duration::from_secs(20);

/// Assumed rate of requests at least; keeps the threshold sane where there is hardly any traffic.
const REQUESTS_PER_SECOND_MIN: f64 = 0.1;

const SECONDS_PER_YEAR: f64 = 365.25 * 86_400.0;

/// What one request says for harm, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Odds {
    pub bad: f64,
    /// Negative.
    pub good: f64,
    /// Mean loss of level per request while the objective is just kept.
    information: f64,
}

impl Odds {
    pub fn of(objective: f64) -> Self {
        let allowed = (1.0 - objective).clamp(1e-7, 0.49);
        Odds::between(allowed, (HARM_FACTOR * allowed).min(0.5))
    }

    /// For harm at the share `harm` where `allowed` is no harm; both within (0, 1), harm larger.
    pub fn between(allowed: f64, harm: f64) -> Self {
        let bad = (harm / allowed).ln();
        let good = ((1.0 - harm) / (1.0 - allowed)).ln();
        Odds { bad, good, information: -(allowed * bad + (1.0 - allowed) * good) }
    }

    /// The level that is an alarm.
    pub fn threshold(&self, requests_per_second: f64, false_pages_per_year: f64) -> f64 {
        let rate = requests_per_second.clamp(REQUESTS_PER_SECOND_MIN, 1e9);
        let run_length = rate * SECONDS_PER_YEAR / false_pages_per_year.max(1e-6);
        let target = run_length * self.information;
        // e^h = target + h + 1; the right side hardly moves, so a few rounds settle it.
        let mut level = (target + 1.0).ln();
        for _ in 0..4 {
            level = (target + level + 1.0).ln();
        }
        level
    }
}

/// Requests of one objective in one point of a tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Increment {
    /// Start of the event-time bucket.
    pub bucket: Timestamp,
    /// When the first bad one ended, as far as is known.
    pub bad_at: Timestamp,
    pub bad: f64,
    pub total: f64,
    /// As really seen, before sampling was undone.
    pub bad_raw: f64,
    pub total_raw: f64,
}

impl Increment {
    pub fn bucket_end(&self) -> Timestamp {
        self.bucket + BUCKET
    }
}

/// The trouble that may be coming, since the level left zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub onset: Timestamp,
    pub bad: f64,
    pub total: f64,
    bad_seen: f64,
    /// Latest start of anything bad in a point.
    last_bad: Timestamp,
}

/// Time that bad requests must span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// More than one short burst can.
    NoBurst,
    /// Whatever their number, and without a moment in which all was well.
    AtLeast(Duration),
    /// Of requests that are known by their bucket only: a burst at the border of two spans a
    /// bucket, so they must be more than a burst can hold, or span twice as much.
    OfBuckets(Duration),
}

/// The state of the test.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    level: f64,
    run: Option<Run>,
    /// Onset of the run that first reached the limit, and last bad request at the limit. Instances
    /// tell of themselves in turn, so that one that is ill among many is told of between others
    /// that take the level back to zero.
    high: Option<(Timestamp, Timestamp)>,
    /// Bad requests really seen per bad request counted, last known (see `evidence`).
    seen_share: Option<f64>,
}

impl Cusum {
    /// Takes requests. The level hardly exceeds `limit`: the latest requests decide whether it is
    /// still reached, and a long outage is not remembered for long.
    pub fn take(&mut self, increment: &Increment, odds: &Odds, limit: f64) {
        let (bad, good) = self.evidence(increment);
        let cap = limit * LEVEL_CAP;
        self.level = (self.level + bad * odds.bad + good * odds.good).clamp(0.0, cap);
        if self.high.is_some_and(|(_, last)| increment.bucket_end() > last + HIGH_KEPT) {
            self.high = None;
        }
        if self.level <= 0.0 {
            self.run = None;
            return;
        }
        let run = self.run.get_or_insert(Run {
            onset: increment.bad_at,
            bad: 0.0,
            total: 0.0,
            bad_seen: 0.0,
            last_bad: increment.bad_at,
        });
        run.bad += increment.bad;
        run.total += increment.total;
        if increment.bad > 0.0 {
            run.bad_seen += increment.bad_raw;
            run.onset = run.onset.min(increment.bad_at);
            run.last_bad = run.last_bad.max(increment.bad_at);
            if self.level >= limit {
                let (first, last) = self.high.unwrap_or((run.onset, run.last_bad));
                self.high = Some((first.min(run.onset), last.max(run.last_bad)));
            }
        }
    }

    /// (bad, good) as statistical evidence: as many as were really seen, in the proportion that was
    /// counted.
    ///
    /// Uniform sampling gives back the raw counts. A sampler that keeps all errors and few
    /// successes would look like an outage by raw counts alone; scaled by the sampling of the *bad*
    /// requests it does not.
    pub fn evidence(&mut self, increment: &Increment) -> (f64, f64) {
        let counted_good = (increment.total - increment.bad).max(0.0);
        if increment.bad > 0.0 {
            let share = (increment.bad_raw / increment.bad).clamp(0.0, 1.0);
            self.seen_share = Some(share);
            return (increment.bad * share, counted_good * share);
        }
        let raw_share = increment.total_raw / increment.total.max(increment.total_raw).max(1.0);
        (0.0, counted_good * self.seen_share.unwrap_or(raw_share))
    }

    /// The run, when it is an alarm at the entity's usual rate of requests.
    pub fn alarm(&self, limit: f64, fast: &Fast, per_second: f64, spread: Spread) -> Option<Run> {
        let mut run = self.run.clone()?;
        if let Some((first, _)) = self.high.filter(|_| !matches!(spread, Spread::AtLeast(_))) {
            run.onset = run.onset.min(first);
        }
        let bad_min = fast.bad_requests_min as f64;
        let overwhelming =
            (OVERWHELMING * bad_min).max(OVERWHELMING_SECONDS * per_second) <= run.bad_seen;
        let seen = run.last_bad.since(run.onset);
        let spread_enough = match spread {
            Spread::NoBurst => seen >= BURST || overwhelming,
            Spread::AtLeast(least) => seen >= least,
            Spread::OfBuckets(least) => seen >= 2 * least || (seen >= least && overwhelming),
        };
        (self.level >= limit && run.bad_seen >= bad_min && spread_enough).then_some(run)
    }

    pub fn level(&self) -> f64 {
        self.level
    }

    /// Onset of what may be coming, if anything.
    pub fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    pub fn reset(&mut self) {
        self.level = 0.0;
        self.run = None;
        self.high = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Lcg;

    fn one(bad: bool) -> Increment {
        let count = f64::from(u8::from(bad));
        Increment {
            bucket: Timestamp::ZERO,
            bad_at: Timestamp::ZERO,
            bad: count,
            total: 1.0,
            bad_raw: count,
            total_raw: 1.0,
        }
    }

    /// Mean number of requests until the level reaches `threshold`, at a share `bad_ratio`.
    fn run_length(objective: f64, bad_ratio: f64, threshold: f64, runs: u32) -> f64 {
        let odds = Odds::of(objective);
        let mut random = Lcg::new(7);
        let mut requests = 0u64;
        for _ in 0..runs {
            let mut cusum = Cusum::default();
            while cusum.level() < threshold {
                cusum.take(&one(random.uniform() < bad_ratio), &odds, 1e9);
                requests += 1;
            }
        }
        requests as f64 / f64::from(runs)
    }

    #[test]
    fn the_run_length_in_control_is_at_least_what_is_promised_and_not_absurdly_more() {
        for objective in [0.95, 0.99, 0.999] {
            let odds = Odds::of(objective);
            for promised in [2_000.0, 20_000.0] {
                // The threshold for a rate and a number of pages such that this is the promise.
                let threshold = odds.threshold(1.0, SECONDS_PER_YEAR / promised);
                let measured = run_length(objective, 1.0 - objective, threshold, 60);
                assert!(measured >= 0.9 * promised, "{objective} {promised}: {measured}");
                assert!(measured <= 60.0 * promised, "{objective} {promised}: {measured}");
            }
        }
    }

    #[test]
    fn harm_is_noticed_within_few_requests() {
        let odds = Odds::of(0.99);
        let threshold = odds.threshold(5.0, 0.1);
        assert!((15.0..24.0).contains(&threshold), "{threshold}");
        assert!(run_length(0.99, 1.0, threshold, 5) <= 9.0);
        assert!(run_length(0.99, 0.5, threshold, 200) <= 20.0);
        assert!(run_length(0.99, 0.25, threshold, 200) <= 50.0);
    }

    #[test]
    fn a_sampler_that_keeps_all_errors_does_not_look_like_an_outage() {
        let odds = Odds::of(0.99);
        let mut cusum = Cusum::default();
        for _ in 0..1000 {
            let kept =
                Increment { bad: 1.0, total: 1001.0, bad_raw: 1.0, total_raw: 11.0, ..one(true) };
            cusum.take(&kept, &odds, 1e9);
            let quiet = Increment { total: 500.0, total_raw: 5.0, ..one(false) };
            cusum.take(&quiet, &odds, 1e9);
        }
        assert_eq!(cusum.level(), 0.0);
    }
}
