//! What agents saw last of the processes of one service, by target.
//!
//! Bounded: at most `PROCESSES_MAX` targets; the rest is left out and counted by the caller.

use std::collections::BTreeMap;
use std::time::Duration;

use model::Timestamp;
use model::tick::ProcessState;
use serde::{Deserialize, Serialize};

/// Targets of one service.
const PROCESSES_MAX: usize = 64;

/// What was still seen of a process that died may be older than its last request by this, and the
/// last request that was told of older than what was seen by that.
const SEEN_BEFORE: Duration = Duration::from_secs(30);
const SEEN_AFTER: Duration = Duration::from_secs(90);

/// Agents report each second; what none told of for this long is not known.
const KNOWN_FOR: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Processes {
    /// With the time of the last report.
    targets: BTreeMap<String, (Seen, Timestamp)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Seen {
    Running,
    /// By nobody's order; last seen then.
    Died(Timestamp),
    /// By order, or never seen: says nothing.
    Absent,
}

impl Processes {
    /// False when it was left out.
    #[must_use]
    pub fn take(&mut self, target: &str, state: &ProcessState, now: Timestamp) -> bool {
        let seen = match state {
            ProcessState::Running(_) => Seen::Running,
            ProcessState::Gone { last_seen, stop_requested: false, .. } => {
                Seen::Died((*last_seen).min(now))
            }
            ProcessState::Gone { .. } | ProcessState::NeverSeen => Seen::Absent,
        };
        self.targets.retain(|_, (_, at)| now.since(*at) <= KNOWN_FOR);
        if let Some(known) = self.targets.get_mut(target) {
            *known = (seen, now);
        } else if self.targets.len() < PROCESSES_MAX {
            self.targets.insert(target.to_owned(), (seen, now));
        } else {
            return false;
        }
        true
    }

    /// One died and none runs.
    pub fn died(&self, now: Timestamp) -> bool {
        self.known(now).any(|seen| matches!(seen, Seen::Died(_)))
            && !self.known(now).any(|seen| seen == Seen::Running)
    }

    /// One died at the time of the last request (by its end, and by its arrival) and none runs.
    /// Where one had died long before, others that no agent knows of served since.
    pub fn died_with(&self, last_end: Timestamp, last_arrival: Timestamp, now: Timestamp) -> bool {
        let with_it = |seen: Seen| match seen {
            Seen::Died(at) => at + SEEN_BEFORE >= last_end && at <= last_arrival + SEEN_AFTER,
            Seen::Running | Seen::Absent => false,
        };
        self.died(now) && self.known(now).any(with_it)
    }

    fn known(&self, now: Timestamp) -> impl Iterator<Item = Seen> + '_ {
        let fresh = self.targets.values().filter(move |(_, at)| now.since(*at) <= KNOWN_FOR);
        fresh.map(|(seen, _)| *seen)
    }
}
