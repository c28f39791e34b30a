//! Blind: a service serves its callers as ever, but nothing is heard of it any more.
//!
//! Its telemetry is lost on the way: an exporter, a collector, a token that expired. Nobody is
//! hurt, so it is a ticket and never a page; but as long as it lasts nobody would notice from
//! inside when somebody is. Only callers can tell that it serves, so a service that nobody calls,
//! or that is called by nobody who tells, is "no data" and nothing more.

use std::time::Duration;

use model::symptom::{Severity, Symptom, SymptomKind};
use model::{Entity, Timestamp};
use serde::{Deserialize, Serialize};

use super::Spec;
use crate::config::Blind;
use crate::standing::Standing;
use crate::wording;

pub const SPEC: Spec = Spec {
    id: "blind",
    title: "Lost telemetry",
    unit: "seconds",
    default: "nothing heard for 5 min, while at least 20 calls to it went well",
    documentation: "Notices that a service which was heard of for 10 min or more sends nothing any \
        more, though callers tell that it serves them. A ticket: users are well, but nothing would \
        be seen from inside if they were not.",
};

/// So many times as long as it ever was silent.
const GAPS: f64 = 2.0;
/// The longest gap fades with this memory: a week.
const GAP_MEMORY_SECONDS: f64 = 7.0 * 86_400.0;
/// Who was called within this is called.
const CALLED_WITHIN: Duration = Duration::from_secs(60);
/// Calls may fail as often, for reasons of their own.
const FAILED_SHARE_MAX: f64 = 0.1;
/// Batches that must have come before it ends.
const GOOD_MIN: f64 = 2.0;

/// How one service is heard, and what its callers tell meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    first_heard: Option<Timestamp>,
    /// Heard last, or since when it is listened for.
    quiet_since: Timestamp,
    longest_gap_seconds: f64,
    /// Calls that ended since it fell quiet, as callers tell.
    calls: f64,
    failed: f64,
    last_call: Timestamp,
    pub standing: Option<Standing>,
}

impl Watch {
    /// Something of it arrived at `heard`.
    pub fn hear(&mut self, heard: Timestamp) {
        if self.first_heard.is_none() {
            self.first_heard = Some(heard);
            self.quiet_since = heard;
        }
        if heard <= self.quiet_since {
            return;
        }
        // What was lost says nothing of its rhythm.
        if self.standing.is_none() {
            let gap = heard.since(self.quiet_since).as_secs_f64();
            let keep = GAP_MEMORY_SECONDS / (GAP_MEMORY_SECONDS + gap);
            self.longest_gap_seconds = (self.longest_gap_seconds * keep).max(gap);
        }
        self.quiet_since = heard;
        (self.calls, self.failed) = (0.0, 0.0);
        if let Some(standing) = &mut self.standing {
            standing.see_good(heard, 1.0);
        }
    }

    /// Calls to it that ended in the 10 s from `bucket` on.
    pub fn take_calls(&mut self, calls: f64, failed: f64, bucket: Timestamp, now: Timestamp) {
        if bucket >= self.quiet_since && calls > 0.0 {
            self.calls += calls;
            self.failed += failed;
            self.last_call = now;
        }
    }

    /// Nobody listened until `now`.
    pub fn resume(&mut self, now: Timestamp) {
        self.quiet_since = self.quiet_since.max(now);
        (self.calls, self.failed) = (0.0, 0.0);
    }

    pub fn judge(&mut self, entity: &Entity, config: &Blind, now: Timestamp) {
        let Some(first) = self.first_heard else { return };
        let silent = now.since(self.quiet_since);
        let limit = config.silent_for.0.as_secs_f64().max(GAPS * self.longest_gap_seconds);
        let is_silent = silent.as_secs_f64() >= limit;
        if let Some(standing) = self.standing.as_mut().filter(|_| is_silent) {
            standing.see_bad();
            standing.symptom.measured = silent.as_secs_f64();
            return;
        }
        let serves = self.calls >= config.calls_min as f64
            && self.failed <= FAILED_SHARE_MAX * self.calls
            && now.since(self.last_call) <= CALLED_WITHIN;
        let is_known = self.quiet_since.since(first) >= config.learn_for.0;
        if is_silent && serves && is_known && self.standing.is_none() {
            self.standing = Some(Standing::new(self.symptom(entity, limit, now)));
        }
    }

    pub fn held(&self, clear_after: Duration) -> bool {
        self.standing.as_ref().is_some_and(|standing| standing.held(clear_after, GOOD_MIN))
    }

    fn symptom(&self, entity: &Entity, limit: f64, now: Timestamp) -> Symptom {
        let silent = now.since(self.quiet_since).as_secs_f64();
        Symptom {
            entity: entity.clone(),
            kind: SymptomKind::Blind,
            source: "telemetry".to_owned(),
            severity: Severity::Ticket,
            onset: self.quiet_since,
            detected: now,
            recovering_since: None,
            measured: silent,
            threshold: limit,
            unit: "seconds".to_owned(),
            bad: 0.0,
            total: 0.0,
            error_kinds: Vec::new(),
            exemplar: None,
            runbook_url: String::new(),
            summary: format!(
                "nothing was heard of {entity} for {}, while {:.0} calls to it ended, {:.0} of \
                 them well: it serves, but its telemetry is lost",
                wording::minutes(silent),
                self.calls,
                self.calls - self.failed
            ),
        }
    }
}
