//! Leads: calls from one node to another that got worse when the trouble began.
//!
//! "Worse" is judged against the edge's own ten minutes before, never against a fixed limit: an
//! edge that always fails one call in ten leads nowhere. Three ways of being worse:
//!
//! - **fails**: the share of failed calls rose (`comparison`).
//! - **missing**: the caller still serves, worse than before, and makes at most a fifth of the
//!   calls that it used to make per request (at least 10 were to be expected). So looks a client
//!   that cannot even connect, where only calls on a connection leave spans. Also when the caller's
//!   requests never end. A caller that serves as well as ever is asked for something else.
//! - **slow**: calls take clearly longer (`comparison`).

use std::time::Duration;

use model::tick::{BUCKET, SeriesKey};
use model::{Entity, EntityKind, Timestamp};

use crate::comparison;
use crate::failure::{self, Answer};
use crate::figures::Sum;
use crate::known::Known;
use crate::pieces::Rule;

/// How long before onset the figures of "before" begin.
pub const BEFORE: Duration = Duration::from_secs(600);
const MISSING_SHARE_MAX: f64 = 0.2;
const EXPECTED_MIN: f64 = 10.0;

/// The two stretches of time that are compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// When the harm began.
    pub onset: Timestamp,
    pub now: Timestamp,
    /// What was before this is not compared with: an earlier harm began or ended here.
    pub after: Option<Timestamp>,
    /// Users were well again so briefly that it is compared with what was before this.
    pub calm_until: Option<Timestamp>,
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
        known.figures.sum(keys, self.before_from(), self.calm_end() - BUCKET)
    }

    /// Ratio of the two stretches' lengths, as far as figures can tell.
    pub fn growth(&self) -> f64 {
        let during = self.now.since(self.from()).as_secs_f64();
        let before = (self.calm_end() - BUCKET).since(self.before_from()).as_secs_f64();
        if before > 0.0 { during / before } else { 0.0 }
    }

    /// Where the time that is compared with ends, but for a bucket.
    pub fn calm_end(&self) -> Timestamp {
        self.calm_until.map_or(self.from(), |until| until.floor_to(BUCKET))
    }

    /// Where the time that is compared with begins.
    pub fn before_from(&self) -> Timestamp {
        let earliest = self.calm_end() - BEFORE;
        self.after.map_or(earliest, |after| earliest.max(after))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    Fails,
    Missing,
    Slow,
}

/// Why missing calls may say nothing of the callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The caller does not finish requests: whether it makes these calls is not known.
    Hangs,
    /// The caller refuses requests before it makes a call.
    Refuses,
    /// Whether the caller itself is asked is not known: calls to it are missing too.
    NotAsked,
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
    /// Why these calls may be missing by the caller's own doing.
    pub doubt: Option<Doubt>,
    /// Calls that were to be expected, for those missing.
    pub expected: f64,
    /// Failed requests that the caller served meanwhile.
    pub caller_errors: f64,
}

impl Lead {
    /// What the failures tell of the callee, how many of them tell it, and of how many.
    pub fn answer(&self) -> (Answer, f64, f64) {
        failure::answer(&self.during, self.callee.kind == EntityKind::Database)
    }

    /// The callee is alive and refuses what it is asked: a wrong statement is the caller's doing.
    pub fn is_callers_doing(&self) -> bool {
        let is_database = self.callee.kind == EntityKind::Database;
        self.harm == Harm::Fails && is_database && self.answer().0 == Answer::Other
    }

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
    (known.follows(Rule::FollowFailing) && comparison::fails_more(&before, &during))
        .then(|| lead(known, window, (caller, callee), Harm::Fails, (during, before)))
}

/// Calls that `caller` no longer makes although it still serves, worse than before, or (`hangs`)
/// no longer ends anything.
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
    let served_before = window.before(known, &served);
    let served_during = window.during(known, &served);
    let is_worse = comparison::fails_more(&served_before, &served_during)
        || comparison::is_slower(&served_before, &served_during);
    if (!hangs && !is_worse) || !known.follows(Rule::FollowMissing) {
        return None;
    }
    let growth = if hangs {
        window.growth()
    } else if served_before.total > 0.0 {
        served_during.total / served_before.total
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
    (known.follows(Rule::FollowSlow) && comparison::is_slower(&before, &during))
        .then(|| lead(known, window, (caller, callee), Harm::Slow, (during, before)))
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
        compared: window.calm_end().since(window.before_from()),
        doubt: None,
        expected: 0.0,
        caller_errors: served.errors,
    }
}
