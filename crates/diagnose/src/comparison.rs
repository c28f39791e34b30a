//! Is one stretch of requests clearly worse than another: do more of them fail, or take longer?
//!
//! Failing is judged by a likelihood-ratio (G) test of two proportions, one-sided, `G >= 10.83`
//! (chi-squared, one degree of freedom, p = 0.001; Dunning, "Accurate methods for the statistics
//! of surprise and coincidence", 1993), with floors: at least 3 failures, a rise of at least 5
//! percentage points and a share at least twice that of the other stretch. The other stretch is
//! credited with `PRIOR_CALLS` more calls of which 1 % failed, so that a call without a past can
//! be judged. Slower is a mean duration that at least doubled and rose by 50 ms.

use crate::figures::Sum;

const G_MIN: f64 = 10.83;
const FAILED_MIN: f64 = 3.0;
const RISE_MIN: f64 = 0.05;
const RISE_FACTOR_MIN: f64 = 2.0;
const PRIOR_CALLS: f64 = 20.0;
const PRIOR_FAILED: f64 = 0.2;
const SLOW_FACTOR_MIN: f64 = 2.0;
const SLOW_RISE_MIN_SECONDS: f64 = 0.05;
const SLOW_CALLS_MIN: f64 = 5.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worse {
    Fails,
    Slower,
}

/// Is `during` worse than `before`?
pub fn worse(before: &Sum, during: &Sum) -> Option<Worse> {
    if fails_more(before, during) {
        Some(Worse::Fails)
    } else if is_slower(before, during) {
        Some(Worse::Slower)
    } else {
        None
    }
}

/// Did the share of failures clearly rise?
pub fn fails_more(before: &Sum, during: &Sum) -> bool {
    raised(before.seen(), during.seen())
}

pub fn is_slower(before: &Sum, during: &Sum) -> bool {
    if during.total < SLOW_CALLS_MIN || before.total < SLOW_CALLS_MIN {
        return false;
    }
    let (Some(then), Some(now)) = (before.mean_seconds(), during.mean_seconds()) else {
        return false;
    };
    now >= SLOW_FACTOR_MIN * then && now - then >= SLOW_RISE_MIN_SECONDS
}

/// Pairs are (all, failed).
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
        assert!(raised((0.0, 0.0), (4.0, 4.0)), "a call without a past that only fails");
        assert!(!raised((1204.0, 12.0), (60.0, 2.0)));
        assert!(!raised((1204.0, 120.0), (60.0, 7.0)), "it always failed one call in ten");
        assert!(!raised((0.0, 0.0), (6.0, 3.0)), "too little to tell");
    }
}
