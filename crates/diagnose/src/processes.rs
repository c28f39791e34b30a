//! What agents said of the processes of configured targets, and when one went away.
//!
//! A process that is gone without a stop order is the one direct proof of a crash that there is.
//! The episode is remembered after another process took its place: a remedy does not unmake the
//! cause. A stop order that comes after the process was seen gone does not turn the crash into a
//! stop.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use model::{Entity, Timestamp};
use serde::{Deserialize, Serialize};

const TARGETS_MAX: usize = 10_000;
/// Looks at the memory of a process that are kept: each that tells something new.
const MEMORY_KEPT: usize = 60;
/// A look tells something new after this long, or when memory changed by a quarter.
const MEMORY_EVERY: Duration = Duration::from_secs(20);
const MEMORY_STEP: f64 = 0.25;
/// Growth out of the ordinary: so many bytes, so many times what was before, over so many looks.
const GROWTH_MIN_BYTES: u64 = 32 << 20;
const GROWTH_FACTOR_MIN: f64 = 1.5;
const GROWTH_LOOKS_MIN: usize = 4;
/// A look this little below the one before is still growth: allocators give back some.
const DIP_MAX: f64 = 0.02;
/// What is within this of the smallest has not grown yet.
const STILL: f64 = 0.1;
/// It goes on when it grew by a twentieth within this.
const LATELY: Duration = Duration::from_secs(150);
const LATELY_FACTOR_MIN: f64 = 1.05;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Processes {
    targets: BTreeMap<String, Target>,
    left_out: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub name: String,
    pub entity: Entity,
    /// Time of the last report.
    pub reported: Timestamp,
    pub running: Option<ProcessIdentity>,
    /// When `running` was first seen.
    pub since: Timestamp,
    /// Bytes that it held, oldest first.
    memory: VecDeque<(Timestamp, u64)>,
    /// The last time that its process went away.
    pub gone: Option<Gone>,
}

/// Memory that only grew, from one look to the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    pub since: Timestamp,
    pub until: Timestamp,
    /// Bytes.
    pub from: u64,
    pub to: u64,
    pub looks: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gone {
    pub process: ProcessIdentity,
    pub last_seen: Timestamp,
    /// First report that it is gone.
    pub noticed: Timestamp,
    pub stop_requested: bool,
    /// When another process ran in its place, and which.
    pub back: Option<(Timestamp, ProcessIdentity)>,
}

impl Processes {
    pub fn take(&mut self, report: &ProcessReport) {
        if !self.targets.contains_key(&report.target) && self.targets.len() >= TARGETS_MAX {
            self.left_out += 1;
            return;
        }
        let target = self.targets.entry(report.target.clone()).or_insert_with(|| Target {
            name: report.target.clone(),
            entity: report.entity.clone(),
            reported: report.at,
            running: None,
            since: report.at,
            memory: VecDeque::new(),
            gone: None,
        });
        target.entity.clone_from(&report.entity);
        target.reported = target.reported.max(report.at);
        match &report.state {
            ProcessState::Running(process) => {
                target.runs(process, report.at);
                target.holds(report.memory_bytes, report.at);
            }
            ProcessState::Gone { last, last_seen, stop_requested } => {
                target.running = None;
                if target.gone.as_ref().is_none_or(|gone| gone.process != *last) {
                    target.gone = Some(Gone {
                        process: last.clone(),
                        last_seen: *last_seen,
                        noticed: report.at,
                        stop_requested: *stop_requested,
                        back: None,
                    });
                }
            }
            ProcessState::NeverSeen => target.running = None,
        }
    }

    /// Reports of targets that found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    pub fn all(&self) -> impl Iterator<Item = &Target> {
        self.targets.values()
    }
}

impl Target {
    /// How its memory grew until lately, if that is out of the ordinary.
    pub fn growth(&self) -> Option<Growth> {
        let (until, to) = *self.memory.back()?;
        let lately = self.memory.iter().rfind(|(at, _)| self.reported.since(*at) > LATELY);
        if lately.is_some_and(|(_, bytes)| (to as f64) < LATELY_FACTOR_MIN * *bytes as f64) {
            return None;
        }
        let looks: Vec<(Timestamp, u64)> = self.memory.iter().copied().collect();
        let falls =
            |pair: &[(Timestamp, u64)]| (pair[1].1 as f64) < (1.0 - DIP_MAX) * pair[0].1 as f64;
        let begin = looks.windows(2).rposition(falls).map_or(0, |at| at + 1);
        let run = &looks[begin..];
        let least = run.iter().map(|(_, bytes)| *bytes).min()?;
        let is_still =
            |(_, bytes): &(Timestamp, u64)| *bytes as f64 <= (1.0 + STILL) * least as f64;
        let start = run.iter().rposition(is_still)?;
        let (since, from) = run[start];
        let is_much = to.saturating_sub(from) >= GROWTH_MIN_BYTES
            && to as f64 >= GROWTH_FACTOR_MIN * from as f64;
        let count = run.len() - start - 1;
        (is_much && count >= GROWTH_LOOKS_MIN).then_some(Growth {
            since,
            until,
            from,
            to,
            looks: count,
        })
    }

    fn holds(&mut self, bytes: Option<u64>, at: Timestamp) {
        let Some(bytes) = bytes else { return };
        if let Some((last, known)) = self.memory.back() {
            let moved = bytes.abs_diff(*known) as f64 >= MEMORY_STEP * *known as f64;
            if at.since(*last) < MEMORY_EVERY && !moved {
                return;
            }
        }
        if self.memory.len() >= MEMORY_KEPT {
            self.memory.pop_front();
        }
        self.memory.push_back((at, bytes));
    }

    fn runs(&mut self, process: &ProcessIdentity, at: Timestamp) {
        if self.running.as_ref() != Some(process) {
            self.since = at;
            self.memory.clear();
        }
        self.running = Some(process.clone());
        let Some(gone) = &mut self.gone else { return };
        if gone.process == *process {
            // The very same process is seen again: it never went away.
            self.gone = None;
        } else if gone.back.is_none() {
            gone.back = Some((at, process.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Scope;

    use super::*;

    fn report(at: u64, state: ProcessState) -> ProcessReport {
        let entity = Entity::service(&Scope::default(), "orders");
        let (at, target) = (Timestamp::from_secs(at), "orders".to_owned());
        ProcessReport { at, target, entity, state, memory_bytes: None }
    }

    fn process(pid: u32) -> ProcessIdentity {
        let (host, boot_id) = ("host-1".to_owned(), "boot-1".to_owned());
        ProcessIdentity { host, boot_id, pid, start_ticks: 1 }
    }

    fn gone(pid: u32, stop_requested: bool) -> ProcessState {
        let last_seen = Timestamp::from_secs(10);
        ProcessState::Gone { last: process(pid), last_seen, stop_requested }
    }

    #[test]
    fn memory_that_only_grows_is_growth_and_that_of_a_cache_which_filled_is_none() {
        let growth = |mebibytes: &dyn Fn(u64) -> u64| {
            let mut processes = Processes::default();
            for second in 0..600 {
                let running = ProcessState::Running(process(1));
                let memory_bytes = Some(mebibytes(second) << 20);
                processes.take(&ProcessReport { memory_bytes, ..report(second, running) });
            }
            let growth = processes.all().next().and_then(Target::growth);
            growth.map(|growth| (growth.since, growth.from >> 20, growth.to >> 20))
        };
        assert_eq!(growth(&|_| 64), None);
        let leak = growth(&|second| 64 + second.saturating_sub(300)).unwrap();
        assert!((300.0..330.0).contains(&leak.0.as_secs_f64()), "{leak:?}");
        assert!((64..72).contains(&leak.1) && leak.2 >= 340, "{leak:?}");
        assert_eq!(growth(&|second| 64 + second.min(200)), None, "it grew, long ago");
        assert_eq!(growth(&|second| 64 + 60 * (second / 60 % 2)), None, "it comes and goes");
        assert_eq!(growth(&|second| 1_000 + second / 6), None, "a tenth is nothing");
    }

    fn after(reports: &[(u64, ProcessState)]) -> Option<Gone> {
        let mut processes = Processes::default();
        for (at, state) in reports {
            processes.take(&report(*at, state.clone()));
        }
        processes.all().next().and_then(|target| target.gone.clone())
    }

    #[test]
    fn the_first_word_on_how_a_process_went_stands() {
        let known = after(&[(11, gone(1, false)), (20, gone(1, true))]).unwrap();
        assert!(!known.stop_requested);
        assert_eq!(known.noticed, Timestamp::from_secs(11));
    }

    #[test]
    fn another_process_in_its_place_is_remembered_as_its_return() {
        let known = after(&[(11, gone(1, false)), (20, ProcessState::Running(process(2)))]);
        let back = known.unwrap().back.unwrap();
        assert_eq!(back, (Timestamp::from_secs(20), process(2)));
    }

    #[test]
    fn a_process_that_is_seen_again_never_went() {
        assert_eq!(after(&[(11, gone(1, false)), (12, ProcessState::Running(process(1)))]), None);
    }
}
