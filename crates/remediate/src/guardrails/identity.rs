//! G-10: it is known which process is to be touched.
//!
//! What the agent saw last decides; the process that the cause speaks of stands in where the agent
//! has not seen the target yet. The expectation goes with the order, and the executor refuses when
//! the target is not as expected at the moment of acting.

use model::plan::Expectation;
use model::tick::{ProcessIdentity, ProcessState};
use model::{ActionKind, Cause, CauseKind};

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-10",
        title: "Identity of the target is known",
        documentation: "An order names the process that must be running, or must be gone, by \
            host, boot, pid and start time. A restart without any known identity is denied, and \
            so is a signal to what does not run. A target without a process of its own is \
            verified by the executor alone. \
            What was stopped on request is not started. What somebody started since is left \
            alone: before a first action always, later until it has had `verify_within` to \
            recover.",
        setting: "",
        default: "always on",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    Ok(match expectation(context)? {
        Expectation::Gone(process) => format!("{} is gone", text(&process)),
        Expectation::Running(process) => format!("{} is running", text(&process)),
        Expectation::NoProcess => format!("{} needs no process", context.plan.kind),
    })
}

/// What must be so when the executor acts, or why nothing may be done.
pub(crate) fn expectation(context: &Context<'_>) -> Result<Expectation, String> {
    let expected = standing(context)?;
    let is_running = matches!(expected, Expectation::Running(_));
    // Whether a unit runs systemd knows, also where no agent was told how to see it.
    let is_unit = matches!(context.plan.kind, ActionKind::Systemd { .. })
        && context.target.is_some_and(|target| !target.has_process);
    if context.plan.kind.needs_running() && !is_running && !is_unit {
        return Err(format!("no process of {} is known to run", context.plan.target));
    }
    Ok(expected)
}

fn standing(context: &Context<'_>) -> Result<Expectation, String> {
    let Some(cause) = context.cause() else {
        return Err("no cause is known".to_owned());
    };
    if context.target.is_some_and(|target| !target.has_process) {
        return match context.plan.kind {
            ActionKind::Restart => Err(format!("{} has no process", context.plan.target)),
            _ => Ok(Expectation::NoProcess),
        };
    }
    match context.report.map(|report| &report.state) {
        Some(ProcessState::Gone { last, stop_requested, .. }) => {
            // After an attempt of our own the stop was part of it.
            if *stop_requested && context.attempts_used == 0 {
                return Err(format!("{} was stopped on request", text(last)));
            }
            Ok(Expectation::Gone(last.clone()))
        }
        Some(ProcessState::Running(process)) => running(context, cause, process),
        Some(ProcessState::NeverSeen) | None => unseen(context, cause),
    }
}

fn running(
    context: &Context<'_>,
    cause: &Cause,
    process: &ProcessIdentity,
) -> Result<Expectation, String> {
    let blamed = cause.process.as_ref();
    if context.attempts_used == 0 {
        if cause.kind == CauseKind::Crash {
            return Err(format!("{} is running: it is not gone", text(process)));
        }
        if blamed.is_some_and(|blamed| blamed != process) {
            return Err(format!("{} is running: somebody started it since", text(process)));
        }
        return Ok(Expectation::Running(process.clone()));
    }
    let known_since =
        context.running.filter(|(known, _)| known == process).map(|(_, since)| *since);
    let verify_within = context.policy.map(|policy| policy.verify_within.0).unwrap_or_default();
    let fresh_until = known_since.unwrap_or(context.now) + verify_within;
    if blamed != Some(process) && !is_ours(context) && context.now < fresh_until {
        let until = fresh_until.clock();
        return Err(format!("{} was started by others and has until {until}", text(process)));
    }
    Ok(Expectation::Running(process.clone()))
}

/// Was the last attempt really carried out, so that what runs is what it started? It had its time
/// to recover while it was being verified.
fn is_ours(context: &Context<'_>) -> bool {
    use model::plan::OutcomeResult::{Done, Failed, Interrupted};
    let last = context.plan.attempts.last().and_then(|attempt| attempt.outcome.as_ref());
    last.is_some_and(|outcome| matches!(outcome.result, Done | Failed | Interrupted))
}

fn unseen(context: &Context<'_>, cause: &Cause) -> Result<Expectation, String> {
    match (&cause.process, cause.kind) {
        (Some(process), CauseKind::Crash) => Ok(Expectation::Gone(process.clone())),
        (Some(process), _) => Ok(Expectation::Running(process.clone())),
        (None, _) if context.plan.kind == ActionKind::Restart => {
            let target = &context.plan.target;
            Err(format!("no agent has ever seen a process of {target}"))
        }
        (None, _) => Ok(Expectation::NoProcess),
    }
}

fn text(process: &ProcessIdentity) -> String {
    format!("process {} on {}", process.pid, process.host)
}
