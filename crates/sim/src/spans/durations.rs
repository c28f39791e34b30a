//! Durations of single requests, of which the world knows only how they are spread.
//!
//! One is drawn from each of as many equal parts as there are requests, so that few of them already
//! have the spread and the mean of many.

use crate::answers::beyond;
use crate::random::{Random, quantile};

/// Shares of a distribution beyond which nobody looks.
const SHARE_MIN: f64 = 1e-9;
const NEAR_SECONDS: f64 = 2e-9;

/// Adds `count` durations in seconds, ascending, log-normal, longer than `from` and at most `to`.
pub(super) fn draw(
    (from, to, count): (f64, f64, u64),
    (mu, sigma): (f64, f64),
    random: &mut Random,
    durations: &mut Vec<f64>,
) {
    let at_most = |limit: f64| if limit > 0.0 { 1.0 - beyond(limit, (mu, sigma)) } else { 0.0 };
    let low = at_most(from);
    let high = if to.is_finite() { at_most(to) } else { 1.0 };
    let start = durations.len();
    for part in 0..count {
        let within = (part as f64 + random.uniform()) / count as f64;
        let share = (low + (high - low) * within).clamp(SHARE_MIN, 1.0 - SHARE_MIN);
        let seconds = (mu + sigma * quantile(share)).exp();
        // Never so near to a limit that rounding to nanoseconds could carry it over.
        durations.push(seconds.min(to - NEAR_SECONDS).max(from + NEAR_SECONDS));
    }
    durations[start..].sort_by(f64::total_cmp);
}

/// `count` durations in seconds, ascending, of mean `seconds`; each has `delay` in it.
pub(super) fn with_mean(
    count: u64,
    (seconds, delay): (f64, f64),
    sigma: f64,
    random: &mut Random,
) -> Vec<f64> {
    let mut durations = Vec::new();
    draw((0.0, f64::INFINITY, count), (0.0, sigma), random, &mut durations);
    let mean = durations.iter().sum::<f64>() / durations.len().max(1) as f64;
    let times = (seconds - delay).max(0.0) / mean.max(1e-12);
    durations.iter_mut().for_each(|duration| *duration = delay + *duration * times);
    durations
}
