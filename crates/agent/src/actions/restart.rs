//! Restart: stop what runs of the target, if anything, and start it as configured.

use model::ActionKind;

use super::{Offer, Spec, Task, Trouble};
use crate::config::Target;
use crate::lifecycle;
use crate::process::{Found, find};

pub const SPEC: Spec = Spec {
    id: "restart",
    title: "Restart",
    documentation: "Sends SIGTERM to the target's process, SIGKILL after `stop_timeout`, starts \
                    the target as configured, and is done when its process is recognised again \
                    within `ready_within`. A process that is gone already is only started. What \
                    does not become ready is stopped again.",
    example: "restart:\n  start: {command: [/usr/bin/orders, --port, \"5001\"]}\n  \
              stop_timeout: 10s\n  ready_within: 20s\n",
    offers,
    ends_process: |_| true,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let offer = target.restart.as_ref().map(|restart| Offer {
        kind: ActionKind::Restart,
        undo: None,
        timeout: restart.stop_timeout.0 + restart.ready_within.0,
    });
    offer.into_iter().collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let (bench, target) = (task.bench, task.target);
    let Some(process) = &task.process else { return Ok(lifecycle::start(bench, target)?) };
    let stopped = lifecycle::stop(bench, target, process)?;
    let rest = match find(&bench.host, &target.process) {
        // A supervisor of its own was quicker.
        Ok(Found::Process(holder)) => Ok(format!("pid {} took its place", holder.identity.pid)),
        _ => lifecycle::start(bench, target),
    };
    match rest {
        Ok(started) => Ok(format!("{stopped}, {started}")),
        Err(failed) => Err(format!("{stopped}, then {failed}").into()),
    }
}
