//! Restart: stop what runs of the target, if anything, and start it as configured.

use model::ActionKind;

use super::Spec;
use crate::bench::Bench;
use crate::config::Target;
use crate::lifecycle;
use crate::process::{Found, ProcessHandle, find};

pub const SPEC: Spec = Spec {
    id: "restart",
    title: "Restart",
    documentation: "Sends SIGTERM to the target's process, SIGKILL after `stop_timeout`, starts \
                    the target as configured, and is done when its process is recognised again \
                    within `ready_within`. A process that is gone already is only started. What \
                    does not become ready is stopped again.",
    example: "restart:\n  start: {command: [/usr/bin/orders, --port, \"5001\"]}\n  \
              stop_timeout: 10s\n  ready_within: 20s\n",
    allowed,
    perform,
};

fn allowed(target: &Target, _: &ActionKind) -> Result<(), String> {
    lifecycle::restart_of(target).map(|_| ())
}

fn perform(
    bench: &Bench,
    target: &Target,
    _: &ActionKind,
    process: Option<ProcessHandle>,
) -> Result<String, String> {
    let Some(process) = process else { return lifecycle::start(bench, target) };
    let stopped = lifecycle::stop(bench, target, &process)?;
    let rest = match find(&bench.host, &target.process) {
        // A supervisor of its own was quicker.
        Ok(Found::Process(holder)) => Ok(format!("pid {} took its place", holder.identity.pid)),
        _ => lifecycle::start(bench, target),
    };
    match rest {
        Ok(started) => Ok(format!("{stopped}, {started}")),
        Err(failed) => Err(format!("{stopped}, then {failed}")),
    }
}
