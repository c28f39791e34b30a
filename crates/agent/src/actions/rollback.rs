//! Roll back: bring back the version before, by the command that the target declares for it.
//!
//! A kind of its own, so that a policy for a change can name it, whatever brings versions back
//! here: a symbolic link, a package, an orchestrator's own command.

use model::ActionKind;

use super::{Offer, Spec, Task, Trouble, run_command};
use crate::config::Target;

pub const SPEC: Spec = Spec {
    id: "rollback",
    title: "Roll back",
    documentation: "Runs the command that the target declares under `rollback`, without a shell, \
                    and waits for its end, as for any command. `undo` names the command of the \
                    target that brings the newer version in again.",
    example: "rollback: {command: [/srv/shop/bin/deploy, catalog, --previous], timeout: 1m}\n",
    offers,
    ends_process: |_| true,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let offer = target.rollback.as_ref().map(|command| Offer {
        kind: ActionKind::Rollback,
        undo: run_command::undo(command),
        timeout: command.timeout.0,
    });
    offer.into_iter().collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let Some(command) = &task.target.rollback else {
        return Err(Trouble::Refused("no rollback is declared".to_owned()));
    };
    if let Some(process) = &task.process {
        // The command may well end it: that is no crash.
        task.bench.watch.stop_requested(task.target, &process.identity, crate::clock::now());
    }
    Ok(run_command::run(command, false)?)
}
