//! What instances have to tell with the next tick: events and inferred changes, bounded.
//!
//! Invariants: neither list is longer than `TOLD_MAX`; what is left out is counted, whichever
//! bound left it out.

use std::time::Duration;

use model::tick::{InstanceEvent, InstanceEventKind};
use model::{Change, Entity, Timestamp};
use serde::{Deserialize, Serialize};

/// Events and inferred changes of one tick, each.
const TOLD_MAX: usize = 10_000;
/// New versions told per `PACE_WINDOW`: of one instance, and as deploys of one service. Whoever
/// has more tells a random number as its version.
const VERSIONS_MAX: u8 = 10;
const PACE_WINDOW: Duration = Duration::from_secs(60);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    pub events: Vec<InstanceEvent>,
    pub changes: Vec<Change>,
    pub over_limit: u64,
}

impl Told {
    pub(super) fn event(&mut self, at: Timestamp, entity: &Entity, kind: InstanceEventKind) {
        if self.events.len() < TOLD_MAX {
            self.events.push(InstanceEvent { at, instance: entity.clone(), kind });
        } else {
            self.over_limit += 1;
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        if self.changes.len() < TOLD_MAX {
            self.changes.push(change);
        } else {
            self.over_limit += 1;
        }
    }

    /// True when `pace` allows to tell of one more version; else that is counted.
    pub(super) fn has_time(&mut self, pace: &mut Pace, at: Timestamp) -> bool {
        let is_allowed = pace.step(at);
        self.over_limit += u64::from(!is_allowed);
        is_allowed
    }
}

/// How many versions were told since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pace {
    since: Timestamp,
    told: u8,
}

impl Pace {
    fn step(&mut self, at: Timestamp) -> bool {
        if at.since(self.since) >= PACE_WINDOW {
            *self = Pace { since: at, told: 0 };
        }
        let is_allowed = self.told < VERSIONS_MAX;
        self.told += u8::from(is_allowed);
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ChangeKind, Scope};

    #[test]
    fn events_and_changes_beyond_the_limit_of_a_tick_are_counted_not_told() {
        let (mut told, at) = (Told::default(), Timestamp::from_secs(1));
        let entity = Entity::service(&Scope::default(), "shop");
        for _ in 0..TOLD_MAX + 2 {
            told.event(at, &entity, InstanceEventKind::Back);
            let (summary, source) = (String::new(), String::new());
            let kind = ChangeKind::Deploy;
            told.change(Change { at, kind, entity: entity.clone(), summary, source });
        }
        assert_eq!((told.events.len(), told.changes.len()), (TOLD_MAX, TOLD_MAX));
        assert_eq!(told.over_limit, 4);
    }

    #[test]
    fn a_pace_begins_anew_every_minute() {
        let mut pace = Pace::default();
        let mut steps = |at| (0..20).filter(|_| pace.step(Timestamp::from_secs(at))).count();
        assert_eq!([steps(1_000), steps(1_059), steps(1_060)], [10, 0, 10]);
    }
}
