//! Whose work is it? What the agent sees of a target after an attempt, beside what the attempt
//! should have brought about.
//!
//! The process that runs right after an attempt was done is taken for the one that it started.
//! Only looks that are newer than the outcome count; without any, nothing is said.

use std::time::Duration;

use model::plan::{Expectation, OutcomeResult};
use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use model::{ActionKind, Outcome};

use crate::record::Record;

/// An executor says `done` when the process is up; what comes up later was started by others.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// What is seen of the target since the last attempt ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing<'a> {
    /// Nobody looked since, or nothing can be told from it.
    Unknown,
    /// What the attempt started runs.
    Ours,
    /// Another process runs.
    Others(&'a ProcessIdentity),
    /// What came up after the attempt is gone again, and nobody asked for it.
    Died(&'a ProcessIdentity),
    /// What was gone before is gone still.
    StillGone(&'a ProcessIdentity),
}

pub(super) fn standing<'a>(record: &Record, report: Option<&'a ProcessReport>) -> Standing<'a> {
    let Some(report) = report.filter(|report| is_newer(report, last_outcome(record))) else {
        return Standing::Unknown;
    };
    let restarts = restarted(record);
    match &report.state {
        ProcessState::Running(process) if record.started.as_ref() == Some(process) => {
            Standing::Ours
        }
        ProcessState::Running(process) if restarts || record.started.is_some() => {
            Standing::Others(process)
        }
        ProcessState::Gone { last, stop_requested, .. } if restarts => {
            match expected(record) == Some(last) {
                true => Standing::StillGone(last),
                false if *stop_requested => Standing::Unknown,
                false => Standing::Died(last),
            }
        }
        _ => Standing::Unknown,
    }
}

/// The process that the last attempt started, if this look shows it for the first time.
pub(super) fn started<'a>(
    record: &Record,
    report: &'a ProcessReport,
) -> Option<&'a ProcessIdentity> {
    let outcome = last_outcome(record).filter(|outcome| outcome.result == OutcomeResult::Done)?;
    let in_time = is_newer(report, Some(outcome)) && report.at <= outcome.at + SEEN_WITHIN;
    let ProcessState::Running(process) = &report.state else { return None };
    let is_old = restarted(record) && expected(record) == Some(process);
    (in_time && !is_old && record.started.is_none()).then_some(process)
}

/// Why a recovery is not to this plan's credit; `None` when it is, or nothing speaks against it.
pub(super) fn why_not_ours(record: &Record, report: Option<&ProcessReport>) -> Option<String> {
    let done = last_outcome(record).is_some_and(|outcome| outcome.result == OutcomeResult::Done);
    match standing(record, report) {
        Standing::Others(process) => {
            let pid = process.pid;
            Some(format!("recovered by others: pid {pid} was not started by this plan"))
        }
        Standing::StillGone(process) => {
            Some(format!("recovered by others: pid {} is still gone", process.pid))
        }
        _ if !done => Some("users recovered; that this plan did it is not known".to_owned()),
        _ => None,
    }
}

/// Was the last action a restart? The plan may have climbed since.
fn restarted(record: &Record) -> bool {
    record.last_action().is_some_and(|action| action.kind == ActionKind::Restart)
}

fn last_outcome(record: &Record) -> Option<&Outcome> {
    record.plan.attempts.last().and_then(|attempt| attempt.outcome.as_ref())
}

fn is_newer(report: &ProcessReport, outcome: Option<&Outcome>) -> bool {
    outcome.is_some_and(|outcome| report.at > outcome.at)
}

/// The process that the order was about.
fn expected(record: &Record) -> Option<&ProcessIdentity> {
    match &record.last_action()?.expect {
        Expectation::Gone(process) | Expectation::Running(process) => Some(process),
        Expectation::NoProcess => None,
    }
}
