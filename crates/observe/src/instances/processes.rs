//! The processes heard under one instance id: one after the other, or workers side by side?
//!
//! A process that is heard again after another one was is a worker beside it. So are many that
//! take turns within a short time: nothing restarts that often, and of more workers than are
//! remembered none is ever seen to return. Invariant: workers, once known, are never restarts;
//! before that no more than `PROCESSES_MAX` of them are taken for some within `TURNS_WITHIN`.

use std::time::Duration;

use model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::origin::ProcessMark;

/// Processes remembered besides the one last heard.
const PROCESSES_MAX: usize = 32;
/// More processes than are remembered, all within this, are workers. A supervisor that waits
/// between its attempts, as they do by default, restarts a process less often.
const TURNS_WITHIN: Duration = Duration::from_secs(300);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Processes {
    current: Option<ProcessMark>,
    /// Those before or beside it and when each was followed by another, newest last.
    others: Vec<(ProcessMark, Timestamp)>,
    has_workers: bool,
}

impl Processes {
    pub(super) fn begin(process: Option<&ProcessMark>) -> Self {
        Processes { current: process.cloned(), ..Processes::default() }
    }

    pub(super) fn has_workers(&self) -> bool {
        self.has_workers
    }

    /// Notes who was heard; true for a new process where there was another one before.
    pub(super) fn is_restart(&mut self, process: Option<&ProcessMark>, at: Timestamp) -> bool {
        let Some(process) = process else { return false };
        if self.has_workers || self.current.as_ref() == Some(process) {
            return false;
        }
        let Some(before) = self.current.replace(process.clone()) else { return false };
        let returned = self.others.iter().any(|(other, _)| other == process);
        self.others.push((before, at));
        let is_crowd =
            self.others.len() > PROCESSES_MAX && at.since(self.others.remove(0).1) <= TURNS_WITHIN;
        self.has_workers = returned || is_crowd;
        if self.has_workers {
            self.others = Vec::new();
        }
        !self.has_workers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Restarts inferred when `count` processes are heard in turn, `rounds` times, one every
    /// `seconds`.
    fn restarts(count: usize, rounds: usize, seconds: usize) -> usize {
        let mark = |turn| ProcessMark { pid: (turn % count) as i64, created: String::new() };
        let mut processes = Processes::begin(Some(&mark(0)));
        let at = |turn| Timestamp::from_secs((1_000 + turn * seconds) as u64);
        (1..count * rounds)
            .filter(|turn| processes.is_restart(Some(&mark(*turn)), at(*turn)))
            .count()
    }

    #[test]
    fn workers_are_known_when_the_first_of_them_returns() {
        assert_eq!(restarts(4, 10, 5), 3);
        assert_eq!(restarts(18, 10, 60), 17);
    }

    #[test]
    fn more_workers_than_are_remembered_are_known_by_how_often_they_take_turns() {
        assert_eq!(restarts(50, 10, 1), PROCESSES_MAX);
        assert_eq!(restarts(1_000, 10, 5), PROCESSES_MAX);
    }

    #[test]
    fn restarts_that_wait_between_each_other_stay_restarts() {
        assert_eq!(restarts(200, 1, 10), 199);
    }
}
