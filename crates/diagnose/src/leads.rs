//! Leads: calls from one node to another that got worse when the trouble began.
//!
//! "Worse" is judged against the edge's own ten minutes before, never against a fixed limit: an
//! edge that always fails one call in ten leads nowhere. Four ways of being worse:
//!
//! - **fails**: the share of failed calls rose. Likelihood-ratio (G) test of two proportions,
//!   one-sided, `G >= 10.83` (chi-squared, one degree of freedom, p = 0.001; Dunning, "Accurate
//!   methods for the statistics of surprise and coincidence", 1993), with floors: at least 3 failed
//!   calls, a rise of at least 5 percentage points and a share at least twice that of before. The
//!   stretch before is credited with `PRIOR_CALLS` more calls of which 1 % failed, so that an edge
//!   without a past can be judged.
//! - **missing**: the caller still serves, and makes at most a fifth of the calls that it used to
//!   make per request (at least 10 were to be expected). So looks a client that cannot even
//!   connect, where only calls on a connection leave spans. Also when the caller's requests never
//!   end.
//! - **slow**: the mean duration at least doubled and rose by 50 ms.
//! - **stopped**: the calls ended altogether, seen from the callee that is no longer asked.

use std::time::Duration;

use model::tick::{BUCKET, SeriesKey};
use model::{Entity, Timestamp};

use crate::figures::Sum;
use crate::known::Known;

/// How long before onset the figures of "before" begin.
pub const BEFORE: Duration = Duration::from_secs(600);
const G_MIN: f64 = 10.83;
const FAILED_MIN: f64 = 3.0;
const RISE_MIN: f64 = 0.05;
const RISE_FACTOR_MIN: f64 = 2.0;
const PRIOR_CALLS: f64 = 20.0;
const PRIOR_FAILED: f64 = 0.2;
const MISSING_SHARE_MAX: f64 = 0.2;
const EXPECTED_MIN: f64 = 10.0;
const SLOW_FACTOR_MIN: f64 = 2.0;
const SLOW_RISE_MIN_SECONDS: f64 = 0.05;
const SLOW_CALLS_MIN: f64 = 5.0;

/// The two stretches of time that are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// When the harm began.
    pub onset: Timestamp,
    pub now: Timestamp,
    /// What was before this is not compared with: an earlier harm began or ended here.
    pub after: Option<Timestamp>,
}

impl Window {
    /// Start of the bucket in which the harm began.
    pub fn from(&self) -> Timestamp {
        self.onset.floor_to(BUCKET)
    }

    pub fn during(&self, known: &Known, keys: &[SeriesKey]) -> Sum {
        known.figures.sum(keys, self.from(), Timestamp(u64::MAX))
    }

    /// The bucket just before onset is left out: deeper calls may have failed a little earlier.
    pub fn before(&self, known: &Known, keys: &[SeriesKey]) -> Sum {
        known.figures.sum(keys, self.before_from(), self.from() - BUCKET)
    }

    /// Ratio of the two stretches' lengths, as far as figures can tell.
    pub fn growth(&self) -> f64 {
        let during = self.now.since(self.from()).as_secs_f64();
        let before = (self.from() - BUCKET).since(self.before_from()).as_secs_f64();
        if before > 0.0 { during / before } else { 0.0 }
    }

    fn before_from(&self) -> Timestamp {
        let earliest = self.from() - BEFORE;
        self.after.map_or(earliest, |after| earliest.max(after))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    Fails,
    Missing,
    Slow,
    Stopped,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    pub caller: Entity,
    pub callee: Entity,
    pub harm: Harm,
    pub since: Timestamp,
    pub during: Sum,
    pub before: Sum,
    /// How long before the harm `before` begins.
    pub compared: Duration,
    /// The caller itself does not finish requests: whether it makes these calls is not known.
    pub caller_hangs: bool,
    /// Calls that were to be expected, for those missing or stopped.
    pub expected: f64,
    /// Failed requests that the caller served meanwhile.
    pub caller_errors: f64,
}

impl Lead {
    /// True when these calls are too few to be the reason of the caller's failures.
    pub fn explains_little(&self) -> bool {
        self.harm == Harm::Fails
            && self.caller_errors >= EXPECTED_MIN
            && self.during.errors < MISSING_SHARE_MAX * self.caller_errors
    }
}

/// Calls from `caller` to `callee`, if they fail more than before.
pub fn failing(known: &Known, window: Window, caller: &Entity, callee: &Entity) -> Option<Lead> {
    let keys = known.topology.calls(caller, callee);
    let during = window.during(known, keys);
    let before = window.before(known, keys);
    raised(before.seen(), during.seen())
        .then(|| lead(known, window, (caller, callee), Harm::Fails, (during, before)))
}

/// Calls that `caller` no longer makes although it still serves, or (`hangs`) no longer ends
/// anything.
pub fn missing(
    known: &Known,
    window: Window,
    (caller, callee): (&Entity, &Entity),
    hangs: bool,
) -> Option<Lead> {
    let keys = known.topology.calls(caller, callee);
    let during = window.during(known, keys);
    let before = window.before(known, keys);
    let served = [SeriesKey::Service(caller.clone())];
    let served_before = window.before(known, &served).total;
    let served_during = window.during(known, &served).total;
    let growth = if hangs {
        window.growth()
    } else if served_before > 0.0 {
        served_during / served_before
    } else {
        0.0
    };
    let expected = before.total * growth;
    if expected < EXPECTED_MIN || during.total > MISSING_SHARE_MAX * expected {
        return None;
    }
    let mut lead = lead(known, window, (caller, callee), Harm::Missing, (during, before));
    lead.expected = expected;
    Some(lead)
}

/// Calls that take much longer than before.
pub fn slow(known: &Known, window: Window, caller: &Entity, callee: &Entity) -> Option<Lead> {
    let keys = known.topology.calls(caller, callee);
    let during = window.during(known, keys);
    let before = window.before(known, keys);
    if during.total < SLOW_CALLS_MIN || before.total < SLOW_CALLS_MIN {
        return None;
    }
    let (now, then) = (during.mean_seconds()?, before.mean_seconds()?);
    (now >= SLOW_FACTOR_MIN * then && now - then >= SLOW_RISE_MIN_SECONDS)
        .then(|| lead(known, window, (caller, callee), Harm::Slow, (during, before)))
}

/// Calls from `caller` that no longer reach `callee`, in time, whatever the caller does.
pub fn stopped(known: &Known, window: Window, caller: &Entity, callee: &Entity) -> Option<Lead> {
    let keys = known.topology.calls(caller, callee);
    let during = window.during(known, keys);
    let before = window.before(known, keys);
    let expected = before.total * window.growth();
    if expected < EXPECTED_MIN || during.total > MISSING_SHARE_MAX * expected {
        return None;
    }
    let mut lead = lead(known, window, (caller, callee), Harm::Stopped, (during, before));
    lead.expected = expected;
    Some(lead)
}

fn lead(
    known: &Known,
    window: Window,
    (caller, callee): (&Entity, &Entity),
    harm: Harm,
    (during, before): (Sum, Sum),
) -> Lead {
    let served = window.during(known, &[SeriesKey::Service(caller.clone())]);
    Lead {
        caller: caller.clone(),
        callee: callee.clone(),
        harm,
        since: window.from(),
        during,
        before,
        compared: window.from().since(window.before_from()),
        caller_hangs: false,
        expected: 0.0,
        caller_errors: served.errors,
    }
}

/// Did the share of failures clearly rise? Pairs are (all, failed).
fn raised((before, before_failed): (f64, f64), (during, failed): (f64, f64)) -> bool {
    if failed < FAILED_MIN || during <= 0.0 {
        return false;
    }
    let failed = failed.min(during);
    let before = before + PRIOR_CALLS;
    let before_failed = (before_failed + PRIOR_FAILED).min(before);
    let (ratio_before, ratio) = (before_failed / before, failed / during);
    ratio >= ratio_before + RISE_MIN
        && ratio >= RISE_FACTOR_MIN * ratio_before
        && g_statistic((before, before_failed), (during, failed)) >= G_MIN
}

/// Twice the log-likelihood ratio of "two proportions" against "one".
fn g_statistic(one: (f64, f64), other: (f64, f64)) -> f64 {
    let pooled = (one.1 + other.1) / (one.0 + other.0);
    let term = |count: f64, share: f64, pooled: f64| {
        if count > 0.0 && pooled > 0.0 { count * (share / pooled).ln() } else { 0.0 }
    };
    let side = |(all, failed): (f64, f64)| {
        let share = failed / all;
        term(failed, share, pooled) + term(all - failed, 1.0 - share, 1.0 - pooled)
    };
    2.0 * (side(one) + side(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_calls_failing_is_a_rise_and_a_stray_error_is_none() {
        assert!(raised((1204.0, 0.0), (60.0, 29.0)));
        assert!(raised((0.0, 0.0), (4.0, 4.0)), "an edge without a past that only fails");
        assert!(!raised((1204.0, 12.0), (60.0, 2.0)));
        assert!(!raised((1204.0, 120.0), (60.0, 7.0)), "it always failed one call in ten");
        assert!(!raised((0.0, 0.0), (6.0, 3.0)), "too little to tell");
    }
}
