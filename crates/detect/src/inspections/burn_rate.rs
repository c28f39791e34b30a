//! The burn-rate tier: four pairs of windows, for slow harm (Google, "The Site Reliability
//! Workbook", chapter 5, "Multiwindow, multi-burn-rate alerts").
//!
//! A pair fires when both its windows burn the budget faster than its factor. Two changes against
//! the book:
//! - a minimum of *bad* requests, because with little traffic one failed request is a huge ratio;
//! - the ratio is taken of the requests *expected* in the full window (the long-run rate times its
//!   length) where fewer came, so that neither the first minutes of a service's life nor a quiet
//!   night can fill an hour's window by themselves. What is sudden is the fast tier's business
//!   anyway.
//!
//! After a symptom ended, its bad requests no longer count in the short windows.

use std::time::Duration;

use model::symptom::Severity;
use model::time::Timestamp;

use super::Spec;
use super::fast_burn::HARM_FACTOR;
use crate::config::Burn;
use crate::rings::{Rings, Sum};

pub const SPEC: Spec = Spec {
    id: "burn_rate",
    title: "Slow harm",
    unit: "ratio",
    default: "14.4x over 1 h and 5 min, 6x over 6 h and 30 min (page); 3x over 1 d and 2 h, \
        1x over 3 d and 6 h (ticket)",
    documentation: "Notices that the error budget is spent too fast over hours or days. Both \
        windows of a pair must exceed the factor, with at least `burn.bad_requests_min` bad \
        requests in the long one. Where fewer requests came than the service's long-run rate lets \
        expect, the expected number counts.",
};

/// Two windows and how fast the budget must burn over both.
#[derive(Debug, PartialEq)]
pub struct Pair {
    pub long: Duration,
    pub short: Duration,
    pub factor: f64,
    pub severity: Severity,
}

const HOUR: Duration = Duration::from_secs(3600);

/// Most urgent first.
pub const PAIRS: [Pair; 4] = [
    Pair {
        long: HOUR,
        short: Duration::from_secs(300),
        factor: HARM_FACTOR,
        severity: Severity::Page,
    },
    Pair {
        long: Duration::from_secs(6 * 3600),
        short: Duration::from_secs(1800),
        factor: 6.0,
        severity: Severity::Page,
    },
    Pair {
        long: Duration::from_secs(86_400),
        short: Duration::from_secs(2 * 3600),
        factor: 3.0,
        severity: Severity::Ticket,
    },
    Pair {
        long: LONGEST,
        short: Duration::from_secs(6 * 3600),
        factor: 1.0,
        severity: Severity::Ticket,
    },
];

const LONGEST: Duration = Duration::from_secs(3 * 86_400);

/// Bad requests that the short window must hold: one may be chance.
const SHORT_BAD_MIN: f64 = 2.0;

/// What the windows are judged against.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Allowed share of bad requests.
    pub allowed: f64,
    pub first_seen: Timestamp,
    /// Bad requests before this were already told of.
    pub cleared_at: Timestamp,
}

/// Index into `PAIRS` of the most urgent pair that fires, and its long window.
pub fn judge(rings: &Rings, now: Timestamp, budget: &Budget, burn: &Burn) -> Option<(usize, Sum)> {
    let age = now.since(budget.first_seen).clamp(Duration::from_secs(1), LONGEST);
    let everything = rings.sum(LONGEST, Timestamp::ZERO);
    if everything.bad < burn.bad_requests_min as f64 {
        return None;
    }
    let long_run_rate = everything.total / age.as_secs_f64();
    let burning = |window: Duration, sum: Sum, factor: f64| {
        let expected = sum.total.max(long_run_rate * window.as_secs_f64());
        sum.bad > factor * budget.allowed * expected
    };
    PAIRS.iter().enumerate().find_map(|(at, pair)| {
        let long = rings.sum(pair.long, Timestamp::ZERO);
        let short = rings.sum(pair.short, budget.cleared_at);
        let fires = long.bad >= burn.bad_requests_min as f64
            && short.bad >= SHORT_BAD_MIN
            && burning(pair.long, long, pair.factor)
            && burning(pair.short, short, pair.factor);
        fires.then_some((at, long))
    })
}

/// True while the short window of the pair that raised a symptom still burns; only that ends it.
pub fn still_burning(rings: &Rings, pair: usize, allowed: f64) -> bool {
    let Some(pair) = PAIRS.get(pair) else { return false };
    let short = rings.sum(pair.short, Timestamp::ZERO);
    short.ratio().is_some_and(|ratio| ratio > pair.factor * allowed)
}

/// Burn of the budget over the windows that are shown: 5 min, 1 h, 6 h, 3 d; as it was, not as
/// expected.
pub fn shown(rings: &Rings, allowed: f64) -> [Option<f64>; 4] {
    let windows = [PAIRS[0].short, PAIRS[0].long, PAIRS[1].long, PAIRS[3].long];
    windows.map(|window| rings.sum(window, Timestamp::ZERO).ratio().map(|ratio| ratio / allowed))
}
