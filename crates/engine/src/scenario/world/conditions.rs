//! What an agent sees of databases and disks in the system that a scenario plays.

use std::collections::BTreeMap;
use std::time::Duration;

use model::condition::Disk;
use model::condition::{Blocker, Condition, ConditionReport, DatabaseCondition, DatabaseFailure};
use model::time::SECOND;
use model::{Entity, EntityKind, Scope, Timestamp};

use super::super::parse::Step;
use super::{World, is_dependency};

/// An agent looks so often.
const LOOK_EVERY_SECS: u64 = 5;
/// Connections of a database that are there anyway, and how many it takes.
const CONNECTIONS: u32 = 12;
const CONNECTIONS_MAX: u32 = 97;
/// A transaction that blocks for this long may be ended.
const OVERDUE_AFTER: Duration = Duration::from_secs(30);
const DISK_BYTES: u64 = 10 << 30;
/// Free at first.
const USUAL_FREE: f64 = 0.5;
const FOLDER: &str = "/var/lib";

#[derive(Default)]
pub(super) struct Looks {
    /// Databases in which a transaction blocks, since when, and how many wait for it.
    locks: BTreeMap<String, (Timestamp, u32)>,
    /// Shares that are free, of all whose disk is spoken of in the scenario.
    disks: BTreeMap<String, f64>,
}

impl Looks {
    pub(super) fn of(steps: &[(Duration, Step)]) -> Looks {
        let spoken_of = steps.iter().filter_map(|(_, step)| match step {
            Step::Disk { who, .. } => Some((who.clone(), USUAL_FREE)),
            _ => None,
        });
        Looks { locks: BTreeMap::new(), disks: spoken_of.collect() }
    }

    pub(super) fn apply(&mut self, step: &Step, now: Timestamp) {
        match step {
            Step::Lock(database) => drop(self.locks.insert(database.clone(), (now, 0))),
            Step::Unlock(database) => drop(self.locks.remove(database)),
            Step::Disk { who, free } => drop(self.disks.insert(who.clone(), *free)),
            _ => {}
        }
    }

    /// A statement comes to wait there, if others are blocked.
    pub(super) fn wait_in(&mut self, database: &str) -> bool {
        let Some((_, waiting)) = self.locks.get_mut(database) else { return false };
        *waiting = (*waiting + 1).min(CONNECTIONS_MAX - CONNECTIONS);
        true
    }

    fn database(&self, name: &str, now: Timestamp) -> DatabaseCondition {
        let lock = self.locks.get(name).filter(|(_, waiting)| *waiting > 0);
        let waiting = lock.map_or(0, |(_, waiting)| *waiting);
        let blocker = lock.map(|(since, _)| Blocker {
            pid: 812,
            since: *since,
            overdue: now.since(*since) >= OVERDUE_AFTER,
        });
        let connections = CONNECTIONS + waiting;
        DatabaseCondition::Answers {
            waiting,
            blocker,
            connections,
            connections_max: CONNECTIONS_MAX,
        }
    }
}

impl World {
    /// What an agent tells at `now` of the targets that it looks into.
    pub(in crate::scenario) fn conditions(
        &self,
        targets: &[String],
        now: Timestamp,
    ) -> Vec<ConditionReport> {
        let mut reports = Vec::new();
        if !(now.0 / SECOND).is_multiple_of(LOOK_EVERY_SECS) {
            return reports;
        }
        for name in targets {
            let Some(entity) = self.entity(name) else { continue };
            let mut tell = |condition| {
                let (target, entity) = (name.clone(), entity.clone());
                reports.push(ConditionReport { at: now, target, entity, condition });
            };
            if let Some(free) = self.looks.disks.get(name) {
                let free_bytes = (DISK_BYTES as f64 * free) as u64;
                let disk = Disk { folder: FOLDER.to_owned(), bytes: DISK_BYTES, free_bytes };
                tell(Condition::Disks(vec![disk]));
            }
            if is_dependency(name) {
                tell(Condition::Database(match self.refused.contains_key(name) {
                    true => DatabaseCondition::Fails(DatabaseFailure::Unreachable),
                    false => self.looks.database(name, now),
                }));
            }
        }
        reports
    }

    /// What a target is: a database, a service or an instance.
    pub(in crate::scenario) fn entity(&self, target: &str) -> Option<Entity> {
        match target.strip_prefix("db:") {
            Some(name) => Some(Entity::new(&Scope::default(), EntityKind::Database, name)),
            None => self.target(target).map(|(entity, _)| entity),
        }
    }
}
