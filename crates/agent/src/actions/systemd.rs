//! Units of systemd: restart, reload, start them through its D-Bus interface.

use model::{ActionKind, UnitOperation as Operation};

use super::{Offer, Spec, Task, Trouble};
use crate::clock;
use crate::config::Target;
use crate::lifecycle;
use crate::systemd::{self, ASK_WITHIN, Process};

pub const SPEC: Spec = Spec {
    id: "systemd",
    title: "Operate a unit of systemd",
    documentation: "Has systemd `restart`, `reload` or `start` the target's unit, by its D-Bus \
                    interface. Where the target has a process it must be the unit's main one. \
                    What failed is started, its failure and its count of starts reset before; a \
                    unit that was stopped, or ended without a failure, is left alone; so is one of \
                    which another job is queued. Done when systemd says that its job is done and \
                    shows the unit active, and the target's process is recognised again.",
    example: "systemd:\n  unit: orders.service\n  operations: [restart, reload, start]\n",
    offers,
    ends_process: |kind| {
        let restart = Operation::Restart;
        *kind == ActionKind::Systemd { operation: restart }
    },
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let Some(systemd) = &target.systemd else { return Vec::new() };
    let offer = |operation: &Operation| Offer {
        kind: ActionKind::Systemd { operation: *operation },
        undo: None,
        timeout: ASK_WITHIN + systemd.timeout.0 + lifecycle::SEEN_WITHIN,
    };
    systemd.operations.iter().map(offer).collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let (Some(systemd), ActionKind::Systemd { operation }) =
        (&task.target.systemd, &task.action.kind)
    else {
        return Err(Trouble::Refused("no unit of systemd is declared".to_owned()));
    };
    let identity = task.process.as_ref().map(|process| &process.identity);
    let process = match identity {
        Some(identity) => Process::Runs(identity.pid),
        None if task.target.process.is_some() => Process::Gone,
        None => Process::Undeclared,
    };
    let done = systemd::operate(systemd, *operation, process, || {
        if let Some(identity) = identity.filter(|_| *operation == Operation::Restart) {
            task.bench.watch.stop_requested(task.target, identity, clock::now());
        }
    })?;
    if task.target.process.is_some() {
        lifecycle::wait_seen(task.bench, task.target)
            .map_err(|why| format!("{done}, but {why}"))?;
    }
    Ok(done)
}
