//! Conditions: what an agent's own look at a configured target tells beside its process: how its
//! database answers and who waits there, how much room its disks have left.
//!
//! Invariant: no text of a query, no name of a user, nothing that a server worded.

use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::time::Timestamp;

/// One look at one target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConditionReport {
    pub at: Timestamp,
    /// Name of the target in configuration.
    pub target: String,
    pub entity: Entity,
    pub condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Condition {
    Database(DatabaseCondition),
    /// The file systems of the target's folders, in their order.
    Disks(Vec<Disk>),
}

/// How a PostgreSQL server answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum DatabaseCondition {
    Answers {
        /// Sessions that wait for a lock.
        waiting: u32,
        /// The session that most others wait for and that waits for none.
        blocker: Option<Blocker>,
        connections: u32,
        /// For users who are no superusers.
        connections_max: u32,
    },
    Fails(DatabaseFailure),
}

/// Why a server did not answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DatabaseFailure {
    /// No connection, or it broke off.
    Unreachable,
    TimedOut,
    /// It takes no more connections.
    Full,
    /// It starts, stops, or recovers.
    NotReady,
    /// It answered with another error.
    Error,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    pub pid: i32,
    /// Since when somebody has waited for it.
    pub since: Timestamp,
    /// Its transaction is as old as it must be for the target's session to be ended.
    pub overdue: bool,
}

/// A file system, by one folder in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    pub folder: String,
    pub bytes: u64,
    /// What is free for users who are not root.
    pub free_bytes: u64,
}

impl DatabaseFailure {
    /// Ends the sentence "the database …".
    pub fn as_str(self) -> &'static str {
        match self {
            DatabaseFailure::Unreachable => "cannot be reached",
            DatabaseFailure::TimedOut => "does not answer in time",
            DatabaseFailure::Full => "takes no more connections",
            DatabaseFailure::NotReady => "is not ready",
            DatabaseFailure::Error => "answers with an error",
        }
    }
}

impl Disk {
    /// 0–1; a file system without size has all of it free.
    pub fn free_share(&self) -> f64 {
        if self.bytes == 0 { 1.0 } else { self.free_bytes as f64 / self.bytes as f64 }
    }
}

/// Two looks whose times differ by less than this tell the same.
const SAME_NANOS: u64 = 2 * crate::time::SECOND;
/// Shares that differ by less than this tell the same.
const SAME_SHARE: f64 = 0.01;
const SAME_CONNECTIONS: f64 = 0.1;

impl ConditionReport {
    /// Would a reader of the one before learn nothing from this one? That somebody still holds
    /// others up is news each time that it lasts twice as long.
    pub fn is_like(&self, before: &ConditionReport) -> bool {
        let lasts = |report: &ConditionReport| {
            let blocker = report.condition.blocker()?;
            Some(report.at.since(blocker.since))
        };
        let has_doubled = lasts(self).zip(lasts(before)).is_some_and(|(now, then)| now >= 2 * then);
        self.entity == before.entity && self.condition.is_like(&before.condition) && !has_doubled
    }
}

impl Condition {
    fn blocker(&self) -> Option<&Blocker> {
        match self {
            Condition::Database(DatabaseCondition::Answers { blocker, .. }) => blocker.as_ref(),
            _ => None,
        }
    }

    fn is_like(&self, other: &Condition) -> bool {
        match (self, other) {
            (Condition::Database(one), Condition::Database(other)) => one.is_like(other),
            (Condition::Disks(one), Condition::Disks(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| one.is_like(other))
            }
            _ => false,
        }
    }
}

impl DatabaseCondition {
    fn is_like(&self, other: &DatabaseCondition) -> bool {
        use DatabaseCondition::{Answers, Fails};
        match (self, other) {
            (Fails(one), Fails(other)) => one == other,
            (
                Answers { waiting, blocker, connections, connections_max },
                Answers { waiting: w, blocker: b, connections: c, connections_max: c_max },
            ) => {
                let same_blocker = match (blocker, b) {
                    (Some(one), Some(other)) => one.is_like(other),
                    (one, other) => one.is_none() && other.is_none(),
                };
                let step = SAME_CONNECTIONS * f64::from(*connections_max);
                let moved = f64::from(connections.abs_diff(*c));
                same_blocker && waiting == w && connections_max == c_max && moved <= step
            }
            _ => false,
        }
    }
}

impl Blocker {
    fn is_like(&self, other: &Blocker) -> bool {
        self.pid == other.pid
            && self.overdue == other.overdue
            && self.since.0.abs_diff(other.since.0) < SAME_NANOS
    }
}

impl Disk {
    fn is_like(&self, other: &Disk) -> bool {
        self.folder == other.folder
            && self.bytes == other.bytes
            && (self.free_share() - other.free_share()).abs() < SAME_SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::Scope;

    fn at(seconds: u64, condition: Condition) -> ConditionReport {
        let entity = Entity::service(&Scope::default(), "shop");
        let at = Timestamp::from_secs(seconds);
        ConditionReport { at, target: "shop".to_owned(), entity, condition }
    }

    fn answers(waiting: u32, blocker: Option<Blocker>, connections: u32) -> Condition {
        let connections_max = 100;
        Condition::Database(DatabaseCondition::Answers {
            waiting,
            blocker,
            connections,
            connections_max,
        })
    }

    #[test]
    fn a_reader_learns_of_another_blocker_and_nothing_of_a_few_connections() {
        let since = Timestamp::from_secs(100);
        let blocker = |pid| Some(Blocker { pid, since, overdue: false });
        let known = at(110, answers(2, blocker(7), 10));
        let jitter = Blocker { pid: 7, since: Timestamp(since.0 + 5_000_000), overdue: false };
        let failure = DatabaseCondition::Fails(DatabaseFailure::TimedOut);
        let check = |expected: bool, condition: Condition| {
            let report = at(115, condition);
            assert_eq!(report.is_like(&known), expected, "{report:?}");
        };
        check(true, answers(2, Some(jitter), 14));
        check(false, answers(2, blocker(8), 10));
        check(false, answers(3, blocker(7), 10));
        check(false, answers(2, blocker(7), 40));
        check(false, Condition::Database(failure));
        assert!(!at(120, answers(2, blocker(7), 10)).is_like(&known), "twice as long");
    }

    #[test]
    fn a_reader_learns_of_a_disk_by_hundredths() {
        let disk = |free_bytes| {
            let disk = Disk { folder: "/data".to_owned(), bytes: 1_000, free_bytes };
            at(100, Condition::Disks(vec![disk]))
        };
        assert!(disk(500).is_like(&disk(495)));
        assert!(!disk(500).is_like(&disk(480)));
        assert!(!disk(0).is_like(&disk(15)));
    }
}
