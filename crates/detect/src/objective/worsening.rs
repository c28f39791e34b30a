//! Trouble that is known and becomes clearly worse: one of two instances is down, now both are.
//!
//! The same test as for sudden harm, against the share that already was bad when the symptom was
//! raised. That share is counted for `MEASURE_FOR` after the alarm, since the alarm itself came
//! from the first moments; what grows within that time is one trouble growing. Later it only falls:
//! trouble that became better and then worse again is worse again.
//!
//! Clearly worse is `WORSE_ODDS` times the odds of a request to be bad: 1 % → 7 %, 20 % → 67 %, 50
//! % → 89 %. Above `NOTHING_WORSE` there is nothing to tell any more. Batches of a bad instance
//! come in turn with those of a good one, so the bad requests must span more than a batch.

use std::time::Duration;

use model::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Fast;
use crate::inspections::fast_burn::{Cusum, Increment, Odds, Spread};
use crate::rings::Rings;

const MEASURE_FOR: Duration = Duration::from_secs(30);
const MEASURE_REQUESTS_MIN: f64 = 20.0;

const WORSE_ODDS: f64 = 8.0;
const NOTHING_WORSE: f64 = 0.7;

/// More than one batch of telemetry spans.
const SPREAD_MIN: Duration = Duration::from_secs(6);

/// The share is taken anew from so much time without signs of worse.
const CALM: Duration = Duration::from_secs(600);

/// Standard errors that the measured share may be too low by.
const DOUBT: f64 = 2.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worsening {
    /// The share is measured, or was last taken, from here on.
    since: Timestamp,
    /// At least so large a share was bad at the alarm.
    at_least: f64,
    bad: f64,
    total: f64,
    /// What is no worse.
    known: Option<f64>,
    cusum: Cusum,
}

impl Worsening {
    pub fn from(at_least: f64, now: Timestamp) -> Self {
        Worsening {
            since: now,
            at_least,
            bad: 0.0,
            total: 0.0,
            known: None,
            cusum: Cusum::default(),
        }
    }

    pub fn take(&mut self, increment: &Increment, per_second: f64, fast: &Fast) {
        match self.known {
            Some(known) if known <= NOTHING_WORSE => {
                let odds = odds(known);
                let limit = odds.threshold(per_second, fast.false_pages_per_year);
                self.cusum.take(increment, &odds, limit);
            }
            Some(_) => {}
            None => {
                self.bad += increment.bad;
                self.total += increment.total;
            }
        }
    }

    /// After the requests of a tick: since when it is worse, told once.
    pub fn judge(
        &mut self,
        rings: &Rings,
        per_second: f64,
        fast: &Fast,
        allowed: f64,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let Some(known) = self.known else {
            let enough = self.total >= MEASURE_REQUESTS_MIN;
            if enough && now.since(self.since) >= MEASURE_FOR {
                let measured = doubtful(self.bad / self.total, self.total);
                self.know(measured.max(self.at_least).max(allowed), now);
            }
            return None;
        };
        if self.cusum.run().is_none() && now.since(self.since) >= CALM {
            let calm = rings.sum(CALM, self.since);
            let measured = calm.ratio().map_or(known, |ratio| doubtful(ratio, calm.total));
            self.know(measured.max(allowed).min(known), now);
            return None;
        }
        let limit = odds(known).threshold(per_second, fast.false_pages_per_year);
        let run = self.cusum.alarm(limit, fast, per_second, Spread::AtLeast(SPREAD_MIN))?;
        let (since, ratio) = (run.onset, (run.bad / run.total.max(1.0)).min(1.0));
        *self = Worsening::from(ratio.max(known), now);
        Some(since)
    }

    fn know(&mut self, share: f64, now: Timestamp) {
        self.known = Some(share);
        self.since = now;
        self.cusum.reset();
    }
}

fn odds(known: f64) -> Odds {
    let known = known.clamp(1e-6, NOTHING_WORSE);
    let odds = WORSE_ODDS * known / (1.0 - known);
    Odds::between(known, odds / (1.0 + odds))
}

/// The largest share that may well be behind a measured one.
fn doubtful(ratio: f64, total: f64) -> f64 {
    let ratio = ratio.clamp(0.0, 1.0);
    ratio + DOUBT * (ratio * (1.0 - ratio) / total.max(1.0)).sqrt()
}
