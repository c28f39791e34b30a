//! A firing symptom of an objective, and how it ends.
//!
//! It ends when users' figures were well for the configured hold: from the last bad moment on (by
//! event time, taken late: the end of its bucket), no relapse, good requests up to the end of the
//! hold. An isolated error is not a relapse: the fast tier's test, restarted at the last bad
//! moment, must stay below half of its threshold. D-1: without requests it stays.
//!
//! Well is what was usual before: where the hour before the onset had bad requests too, and the
//! trouble stands out from them, recovery asks for no more than that (`Usual`).

use std::time::Duration;

use model::symptom::Symptom;
use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::worsening::Worsening;
use crate::config::Fast;
use crate::inspections::fast_burn::{Increment, Odds};
use crate::rings::Rings;
use crate::standing::Hold;

/// Which tier raised it; decides what else must be over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tier {
    Fast,
    /// Index into the pairs of windows.
    Burn(usize),
}

/// Telemetry comes in batches of 5 s: a recovery is believed when the next batches were good too.
const SETTLE: Duration = Duration::from_secs(10);

/// Good requests that must be seen in the hold.
const GOOD_MIN: f64 = 5.0;

/// Bad requests in a hold, as a multiple of what is allowed, that are still chance; and how many
/// always are.
const OVER_BUDGET: f64 = 2.0;
const OVER_USUAL: f64 = 1.5;
const ISOLATED: f64 = 1.0;

/// Trouble stands out from what was before when its share is so many times larger.
const STANDS_OUT: f64 = 3.0;

/// The share of bad requests to which an entity recovers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// What is allowed, or what was before the trouble where that is more.
    pub share: f64,
    /// A hold may have so much, by chance.
    limit: f64,
}

impl Usual {
    /// `before` and `during`: shares of bad requests before the onset and since.
    pub fn of(allowed: f64, before: Option<f64>, during: f64) -> Self {
        let before = before.filter(|before| during >= STANDS_OUT * before).unwrap_or(0.0);
        let limit = (OVER_BUDGET * allowed).max(OVER_USUAL * before);
        Usual { share: allowed.max(before), limit }
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Firing {
    pub symptom: Symptom,
    pub tier: Tier,
    /// Users' figures look well.
    pub recovering: bool,
    /// By event time, and by arrival.
    last_bad: Timestamp,
    last_bad_arrival: Timestamp,
    hold: Option<Hold>,
    /// Level of the test, and bad and all requests, since the hold began.
    level: f64,
    held_bad: f64,
    held_total: f64,
    usual: Usual,
    worsening: Worsening,
    /// When it last became worse, after the alarm.
    pub worse: Option<Timestamp>,
}

impl Firing {
    pub fn new(tier: Tier, symptom: Symptom, usual: Usual, now: Timestamp) -> Self {
        Firing {
            worsening: Worsening::from(symptom.measured, now),
            worse: None,
            usual,
            symptom,
            tier,
            recovering: false,
            last_bad: now,
            last_bad_arrival: now,
            hold: None,
            level: 0.0,
            held_bad: 0.0,
            held_total: 0.0,
        }
    }

    pub fn last_bad(&self) -> Timestamp {
        self.last_bad
    }

    /// `evidence` is (bad, good) as the fast tier weighs them, at so many requests per second.
    pub fn take(
        &mut self,
        increment: &Increment,
        evidence: (f64, f64),
        per_second: f64,
        fast: &Fast,
        now: Timestamp,
    ) {
        let odds = Odds::of(1.0 - self.usual.share);
        let gain = evidence.0 * odds.bad + evidence.1 * odds.good;
        let relapse = odds.threshold(per_second, fast.false_pages_per_year) / 2.0;
        self.worsening.take(increment, per_second, fast);
        let end = increment.bucket_end().min(now);
        let good = (increment.total - increment.bad).max(0.0);
        let over_budget = increment.bad > self.usual.share * increment.total;
        if increment.bad > 0.0 || self.hold.is_none() {
            self.symptom.bad += increment.bad;
            self.symptom.total += increment.total;
        }
        match &mut self.hold {
            Some(hold) => {
                self.level = (self.level + gain).max(0.0);
                hold.see(end, good);
                self.held_bad += increment.bad;
                self.held_total += increment.total;
                if self.level >= relapse {
                    self.relapse(end, now);
                }
            }
            None if over_budget => {
                self.last_bad = self.last_bad.max(end);
                self.last_bad_arrival = now;
            }
            // What ended before the last bad moment and only arrives now tells nothing of recovery.
            None if end >= self.last_bad => {
                let mut hold = Hold::starting(self.last_bad);
                hold.see(end, good);
                self.hold = Some(hold);
                self.level = 0.0;
                self.held_bad = increment.bad;
                self.held_total = increment.total;
            }
            None => {}
        }
    }

    /// Tells anew of trouble that became clearly worse.
    pub fn notice_worse(
        &mut self,
        rings: &Rings,
        per_second: f64,
        fast: &Fast,
        allowed: f64,
        now: Timestamp,
    ) {
        if let Some(since) = self.worsening.judge(rings, per_second, fast, allowed, now) {
            self.worse = Some(since);
            self.symptom.detected = now;
            self.relapse(now, now);
        }
    }

    /// It was bad again, or still, at `at`.
    pub fn relapse(&mut self, at: Timestamp, now: Timestamp) {
        self.last_bad = self.last_bad.max(at);
        self.hold = None;
        self.level = 0.0;
        self.last_bad_arrival = now;
    }

    /// Says whether figures look well by now. A hold that is full but over budget begins anew: a
    /// share of bad requests too low for the test, yet well over what is allowed, is not recovery.
    pub fn settle(&mut self, clear_after: Duration, now: Timestamp) {
        let within_budget = self.held_bad <= (self.usual.limit * self.held_total).max(ISOLATED);
        if self.full(clear_after) && !within_budget {
            self.relapse(now, now);
        }
        let settled = now.since(self.last_bad_arrival) >= SETTLE;
        self.recovering = settled && within_budget && self.hold.is_some();
        self.symptom.recovering_since =
            self.hold.as_ref().filter(|_| self.recovering).map(|hold| hold.since);
    }

    fn full(&self, clear_after: Duration) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.held(clear_after, GOOD_MIN))
    }

    pub fn held(&self, clear_after: Duration, now: Timestamp) -> bool {
        self.recovering && self.full(clear_after) && now >= self.last_bad + clear_after
    }
}
