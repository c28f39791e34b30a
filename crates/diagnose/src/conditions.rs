//! What agents saw of databases and disks: the last look at each, and when it came to be so.
//!
//! A look that says nothing new is told once a minute, so one that is older than `FRESH` tells of
//! the past only.

use std::collections::BTreeMap;
use std::time::Duration;

use model::condition::{Blocker, Condition, ConditionReport, DatabaseCondition, Disk};
use model::{Entity, Timestamp};
use serde::{Deserialize, Serialize};

const TARGETS_MAX: usize = 10_000;
const FRESH: Duration = Duration::from_secs(90);
/// A row lock under load is waited for less long than this.
const BLOCKED_MIN: Duration = Duration::from_secs(5);
/// Full: less than this, and than that share, is free. The smallest piece in which databases take
/// room for their logs is as large.
const FULL_BYTES: u64 = 16 << 20;
const FULL_SHARE: f64 = 0.01;
const LOW_BYTES: u64 = 1 << 30;
const LOW_SHARE: f64 = 0.05;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    databases: BTreeMap<String, Database>,
    disks: BTreeMap<String, Disks>,
    left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Database {
    pub target: String,
    pub entity: Entity,
    /// Time of the last look.
    pub at: Timestamp,
    pub condition: DatabaseCondition,
    /// Since when looks find that nobody is blocked for long.
    flows: Option<Timestamp>,
    /// It answered once.
    answered: bool,
    /// Since when it has not answered, though it did before.
    pub down: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Disks {
    pub target: String,
    pub entity: Entity,
    pub at: Timestamp,
    pub disks: Vec<Disk>,
    /// Since when one of them has little room.
    short: Option<Timestamp>,
    /// Since when all of them have room.
    roomy: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Room {
    Full,
    Low,
    Enough,
}

impl Conditions {
    pub fn take(&mut self, report: &ConditionReport) {
        let name = &report.target;
        let (is_known, count) = match report.condition {
            Condition::Database(_) => (self.databases.contains_key(name), self.databases.len()),
            Condition::Disks(_) => (self.disks.contains_key(name), self.disks.len()),
        };
        if !is_known && count >= TARGETS_MAX {
            self.left_out += 1;
            return;
        }
        let (at, target, entity) = (report.at, report.target.clone(), report.entity.clone());
        match &report.condition {
            Condition::Database(condition) => {
                let before = self.databases.remove(&target);
                let answers = matches!(condition, DatabaseCondition::Answers { .. });
                let answered = before.as_ref().is_some_and(|before| before.answered);
                let down = before.as_ref().and_then(|before| before.down).unwrap_or(at);
                let flows = before.and_then(|before| before.flows).unwrap_or(at);
                let mut database = Database {
                    target: target.clone(),
                    entity,
                    at,
                    condition: condition.clone(),
                    flows: None,
                    answered: answered || answers,
                    // Of one that never answered it is the declaration that may be wrong.
                    down: (!answers && answered).then_some(down),
                };
                // Of a server that does not answer nobody knows who waits there.
                database.flows = (answers && database.blocker().is_none()).then_some(flows);
                self.databases.insert(target, database);
            }
            Condition::Disks(disks) => {
                let known = self.disks.get(&target);
                let (short, roomy) = known.map_or((None, None), |known| (known.short, known.roomy));
                let is_short = disks.iter().any(|disk| room(disk) != Room::Enough);
                let disks = Disks {
                    target: target.clone(),
                    entity,
                    at,
                    disks: disks.clone(),
                    short: is_short.then(|| short.unwrap_or(at)),
                    roomy: (!is_short).then(|| roomy.unwrap_or(at)),
                };
                self.disks.insert(target, disks);
            }
        }
    }

    /// Reports of targets that found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Databases that were looked at lately.
    pub fn databases(&self, now: Timestamp) -> impl Iterator<Item = &Database> {
        self.databases.values().filter(move |database| now.since(database.at) <= FRESH)
    }

    /// Targets whose disks were looked at lately.
    pub fn disks(&self, now: Timestamp) -> impl Iterator<Item = &Disks> {
        self.disks.values().filter(move |disks| now.since(disks.at) <= FRESH)
    }

    /// Since when nobody is blocked any more in the database that is `entity`.
    pub fn flows_since(&self, entity: &Entity) -> Option<Timestamp> {
        let mut of = self.databases.values().filter(|database| database.entity == *entity);
        of.find_map(|database| database.flows)
    }

    /// Since when the disks of `entity` have room again.
    pub fn roomy_since(&self, entity: &Entity) -> Option<Timestamp> {
        let mut of = self.disks.values().filter(|disks| disks.entity == *entity);
        of.find_map(|disks| disks.roomy)
    }
}

impl Database {
    /// Who blocks others for longer than row locks are waited for, and how many wait.
    pub fn blocker(&self) -> Option<(&Blocker, u32)> {
        let DatabaseCondition::Answers { waiting, blocker: Some(blocker), .. } = &self.condition
        else {
            return None;
        };
        (self.at.since(blocker.since) >= BLOCKED_MIN).then_some((blocker, *waiting))
    }

    /// Fewer than a tenth of the sessions wait.
    pub fn few_wait(&self) -> bool {
        let DatabaseCondition::Answers { waiting, connections, .. } = self.condition else {
            return false;
        };
        waiting.saturating_mul(10) < connections
    }
}

impl Disks {
    /// The disk with least room, if it has little, and since when one has.
    pub fn shortest(&self) -> Option<(&Disk, Room, Timestamp)> {
        let short = self.short?;
        let worst = self.disks.iter().min_by_key(|disk| (room(disk), disk.free_bytes))?;
        Some((worst, room(worst), short))
    }
}

fn room(disk: &Disk) -> Room {
    let share = disk.free_share();
    if disk.free_bytes < FULL_BYTES && share < FULL_SHARE {
        Room::Full
    } else if disk.free_bytes < LOW_BYTES && share < LOW_SHARE {
        Room::Low
    } else {
        Room::Enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_room_is_little_in_bytes_and_in_share() {
        let disk = |bytes, free_bytes| Disk { folder: "/data".to_owned(), bytes, free_bytes };
        assert_eq!(room(&disk(10 << 40, 900 << 20)), Room::Low, "0.01 % of much");
        assert_eq!(room(&disk(10 << 40, 2 << 30)), Room::Enough, "two gibibytes are room");
        assert_eq!(room(&disk(192 << 20, 12 << 20)), Room::Enough, "6 % of little");
        assert_eq!(room(&disk(192 << 20, 4 << 20)), Room::Low);
        assert_eq!(room(&disk(192 << 20, 0)), Room::Full);
    }
}
