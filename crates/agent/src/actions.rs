//! Actions: what the agent can do to heal. One file each, listed in `ALL`.
//!
//! The target is verified here, at the moment of acting: exactly the process that the order
//! expects, held by a pidfd, or the certainty that none runs. Nothing in this module can name a
//! fault.

mod restart;

pub(crate) mod run_command;

use model::plan::{Expectation, OutcomeResult};
use model::{Action, ActionKind, Entity, Outcome};

use crate::bench::Bench;
use crate::clock;
use crate::config::Target;
use crate::process::{Found, ProcessHandle, find};

/// One kind of action, for the registry, the documentation and the executor.
pub struct Spec {
    pub id: &'static str,
    pub title: &'static str,
    pub documentation: &'static str,
    /// The part of a target's configuration that allows it.
    pub example: &'static str,
    /// Is it configured for the target?
    allowed: fn(&Target, &ActionKind) -> Result<(), String>,
    /// Does it. `Ok` and `Err` say in one sentence what really happened.
    perform: fn(&Bench, &Target, &ActionKind, Option<ProcessHandle>) -> Result<String, String>,
}

pub const ALL: &[&Spec] = &[&restart::SPEC, &run_command::SPEC];

pub fn spec(kind: &ActionKind) -> &'static Spec {
    match kind {
        ActionKind::Restart => &restart::SPEC,
        ActionKind::RunCommand { .. } => &run_command::SPEC,
    }
}

/// What can be said before acceptance: is the order about this target, and is it allowed at all?
pub fn check_order(target: &Target, action: &Action) -> Result<(), String> {
    let entity = target.entity();
    if !concerns(&action.entity, &entity) {
        return Err(format!(
            "target {} is {}, the order is about {}",
            target.name,
            entity.key(),
            action.entity.key()
        ));
    }
    (spec(&action.kind).allowed)(target, &action.kind)
}

/// The same entity, or the service and one of its instances.
fn concerns(ordered: &Entity, target: &Entity) -> bool {
    ordered == target || (ordered.kind != target.kind && ordered.owner() == target.owner())
}

/// Verifies the target and acts. The order was accepted and is in the ledger.
pub fn perform(bench: &Bench, target: &Target, action: &Action) -> Outcome {
    let (result, detail) = match verify(bench, target, action) {
        Err(reason) => (OutcomeResult::Refused, reason),
        Ok(process) => match (spec(&action.kind).perform)(bench, target, &action.kind, process) {
            Ok(detail) => (OutcomeResult::Done, detail),
            Err(detail) => (OutcomeResult::Failed, detail),
        },
    };
    Outcome { action: action.id.clone(), at: clock::now(), result, detail }
}

fn verify(
    bench: &Bench,
    target: &Target,
    action: &Action,
) -> Result<Option<ProcessHandle>, String> {
    let process = standing(bench, target, action)?;
    if bench.frozen() {
        return Err("the agent is frozen".to_owned());
    }
    let now = clock::now();
    if now > action.not_after {
        return Err(format!("too late: it is {now}, the order held until {}", action.not_after));
    }
    Ok(process)
}

/// Compares what runs with what the order expects.
fn standing(
    bench: &Bench,
    target: &Target,
    action: &Action,
) -> Result<Option<ProcessHandle>, String> {
    let host = &bench.host;
    let found = match find(host, &target.process).map_err(|error| error.to_string())? {
        Found::Process(holder) => {
            bench.watch.saw(target, &holder.identity, clock::now());
            Some(holder.identity)
        }
        Found::Nothing => bench.watch.last(target).filter(|last| host.runs(last)),
        Found::Hidden(why) => return Err(why),
    };
    if let Expectation::Gone(identity) | Expectation::Running(identity) = &action.expect
        && identity.host != host.name
    {
        return Err(format!("the order is for host {}, this is {}", identity.host, host.name));
    }
    match (&action.expect, found) {
        (Expectation::Gone(_) | Expectation::NoProcess, Some(found)) => {
            Err(format!("already running as pid {}", found.pid))
        }
        (Expectation::Gone(identity), None) if host.runs(identity) => {
            Err(format!("pid {} is not gone", identity.pid))
        }
        (Expectation::Gone(_), None) => Ok(None),
        (Expectation::NoProcess, None) if action.kind == ActionKind::Restart => {
            Err("a target that was never seen running is not restarted".to_owned())
        }
        (Expectation::NoProcess, None) => Ok(None),
        (Expectation::Running(expected), None) => {
            Err(format!("pid {} is gone, nothing of the target runs", expected.pid))
        }
        (Expectation::Running(expected), Some(found)) if *expected != found => Err(format!(
            "runs as pid {} started at tick {}, expected was pid {} started at tick {}",
            found.pid, found.start_ticks, expected.pid, expected.start_ticks
        )),
        (Expectation::Running(expected), Some(_)) => ProcessHandle::open(host, expected)
            .map_err(|error| format!("cannot take hold of pid {}: {error}", expected.pid))?
            .map(Some)
            .ok_or_else(|| format!("pid {} has just ended", expected.pid)),
    }
}
