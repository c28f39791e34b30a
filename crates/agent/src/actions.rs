//! Actions: what the agent can do to heal. One file each, listed in `ALL`.
//!
//! The target is verified here, at the moment of acting: exactly the process that the order
//! expects, held by a pidfd, or the certainty that none runs. Nothing in this module can name a
//! fault.

mod clear_path;

mod container;

mod container_limits;

mod eject;

mod http_request;

mod put_back;

mod restart;

pub(crate) mod run_command;

mod rollback;

mod signal;

mod systemd;

mod terminate_blocker;

use std::time::Duration;

use model::plan::{Expectation, OutcomeResult};
use model::{Action, ActionKind, Entity, Outcome};

use crate::bench::Bench;
use crate::capture;
use crate::clock;
use crate::config::Target;
use crate::process::{Found, ProcessHandle, find};
use crate::trouble::Trouble;

pub(crate) use run_command::run as run_declared;

/// One kind of action, for the registry, the documentation and the executor.
pub struct Spec {
    /// The same as `ActionKind::id`.
    pub id: &'static str,
    pub title: &'static str,
    pub documentation: &'static str,
    /// The part of a target's configuration that allows it.
    pub example: &'static str,
    /// What of this kind the target declares.
    offers: fn(&Target) -> Vec<Offer>,
    /// Does it end a process, and with it what could be learnt from it? Then that is kept first.
    ends_process: fn(&ActionKind) -> bool,
    /// Does it. `Ok` and `Err` say in one sentence what really happened.
    perform: fn(&Task<'_>) -> Result<String, Trouble>,
}

/// Something that may be done to a target, as its configuration allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub kind: ActionKind,
    /// What takes it back; itself an offer of the target.
    pub undo: Option<ActionKind>,
    /// The executor is done within this.
    pub timeout: Duration,
}

/// An order at the moment of acting. The target is as the order expects.
struct Task<'a> {
    bench: &'a Bench,
    target: &'a Target,
    action: &'a Action,
    /// The process of the target, if one runs.
    process: Option<ProcessHandle>,
}

pub const ALL: &[&Spec] = &[
    &restart::SPEC,
    &run_command::SPEC,
    &signal::SPEC,
    &rollback::SPEC,
    &http_request::SPEC,
    &eject::SPEC,
    &put_back::SPEC,
    &terminate_blocker::SPEC,
    &clear_path::SPEC,
    &container::SPEC,
    &container_limits::SPEC,
    &systemd::SPEC,
];

pub fn spec(kind: &ActionKind) -> &'static Spec {
    match kind {
        ActionKind::Restart => &restart::SPEC,
        ActionKind::RunCommand { .. } => &run_command::SPEC,
        ActionKind::Signal { .. } => &signal::SPEC,
        ActionKind::Rollback => &rollback::SPEC,
        ActionKind::HttpRequest { .. } => &http_request::SPEC,
        ActionKind::Eject => &eject::SPEC,
        ActionKind::Return => &put_back::SPEC,
        ActionKind::TerminateBlocker => &terminate_blocker::SPEC,
        ActionKind::ClearPath { .. } => &clear_path::SPEC,
        ActionKind::Container { .. } => &container::SPEC,
        ActionKind::ContainerLimits { .. } => &container_limits::SPEC,
        ActionKind::Systemd { .. } => &systemd::SPEC,
    }
}

/// All that a target's configuration allows.
pub fn offers(target: &Target) -> Vec<Offer> {
    ALL.iter().flat_map(|spec| (spec.offers)(target)).collect()
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
    let kind = &action.kind;
    match (spec(kind).offers)(target).iter().any(|offer| offer.kind == *kind) {
        true => Ok(()),
        false => Err(format!("target {} declares no such action: {kind}", target.name)),
    }
}

/// The same entity, or the service and one of its instances.
fn concerns(ordered: &Entity, target: &Entity) -> bool {
    ordered == target || (ordered.kind != target.kind && ordered.owner() == target.owner())
}

/// Verifies the target and acts. The order was accepted and is in the ledger.
pub fn perform(bench: &Bench, target: &Target, action: &Action) -> Outcome {
    let spec = spec(&action.kind);
    let (result, detail) = match verify(bench, target, action) {
        Err(reason) => (OutcomeResult::Refused, reason),
        Ok(process) => {
            let ends = (spec.ends_process)(&action.kind);
            let ended = process.as_ref().filter(|_| ends);
            let kept = ended.map(|process| capture::keep(bench, target, action, process));
            let task = Task { bench, target, action, process };
            let (result, mut detail) = match (spec.perform)(&task) {
                Ok(detail) => (OutcomeResult::Done, detail),
                Err(Trouble::Refused(reason)) => (OutcomeResult::Refused, reason),
                Err(Trouble::Failed(detail)) => (OutcomeResult::Failed, detail),
            };
            if let Some(kept) = kept {
                detail.push_str(&format!("; {kept}"));
            }
            (result, detail)
        }
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
    if target.process.is_none() {
        return match action.expect {
            Expectation::NoProcess => Ok(None),
            _ => Err("the order names a process, the target declares none".to_owned()),
        };
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The targets of the examples, each of a process of its own.
    fn examples() -> Vec<(&'static Spec, Target)> {
        let example = |spec: &&'static Spec| {
            let yaml =
                format!("name: t\nservice: t\nprocess: {{pid_file: /run/t.pid}}\n{}", spec.example);
            let target = serde_saphyr::from_str(&yaml);
            (*spec, target.unwrap_or_else(|error| panic!("{}: {error}", spec.id)))
        };
        ALL.iter().map(example).collect()
    }

    #[test]
    fn every_action_has_an_example_that_is_valid_and_offers_it() {
        for (spec_here, target) in examples() {
            assert_eq!(crate::config::validate(std::slice::from_ref(&target)), vec![]);
            let offered = (spec_here.offers)(&target);
            assert!(!offered.is_empty(), "{}", spec_here.id);
            for offer in &offered {
                assert_eq!((spec(&offer.kind).id, offer.kind.id()), (spec_here.id, spec_here.id));
                assert!(!offer.timeout.is_zero(), "{}", spec_here.id);
            }
        }
    }

    #[test]
    fn what_takes_an_action_back_is_offered_too() {
        for (spec, target) in examples() {
            let offered = offers(&target);
            for undo in offered.iter().filter_map(|offer| offer.undo.as_ref()) {
                assert!(offered.iter().any(|offer| offer.kind == *undo), "{}: {undo}", spec.id);
            }
        }
    }
}
