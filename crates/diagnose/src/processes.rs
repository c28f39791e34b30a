//! What agents said of the processes of configured targets, and when one went away.
//!
//! A process that is gone without a stop order is the one direct proof of a crash that there is.
//! The episode is remembered after another process took its place: a remedy does not unmake the
//! cause. A stop order that comes after the process was seen gone does not turn the crash into a
//! stop.

use std::collections::BTreeMap;

use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use model::{Entity, Timestamp};
use serde::{Deserialize, Serialize};

const TARGETS_MAX: usize = 10_000;

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
    /// The last time that its process went away.
    pub gone: Option<Gone>,
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
            gone: None,
        });
        target.entity.clone_from(&report.entity);
        target.reported = target.reported.max(report.at);
        match &report.state {
            ProcessState::Running(process) => target.runs(process, report.at),
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
    fn runs(&mut self, process: &ProcessIdentity, at: Timestamp) {
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
        ProcessReport { at: Timestamp::from_secs(at), target: "orders".to_owned(), entity, state }
    }

    fn process(pid: u32) -> ProcessIdentity {
        let (host, boot_id) = ("host-1".to_owned(), "boot-1".to_owned());
        ProcessIdentity { host, boot_id, pid, start_ticks: 1 }
    }

    fn gone(pid: u32, stop_requested: bool) -> ProcessState {
        let last_seen = Timestamp::from_secs(10);
        ProcessState::Gone { last: process(pid), last_seen, stop_requested }
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
