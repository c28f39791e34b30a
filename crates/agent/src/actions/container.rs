//! Containers: restart, pause, unpause and scale them through Docker.

use model::{ActionKind, ContainerOperation as Operation};

use super::{Offer, Spec, Task, Trouble};
use crate::config::Target;
use crate::docker;

pub const SPEC: Spec = Spec {
    id: "container",
    title: "Operate a container",
    documentation: "Does to the target's container what it declares: `restart`, `pause`, \
                    `unpause`, or for its compose service `scale_out` (starts the stopped \
                    container of the lowest number) and `scale_in` (stops the running one of the \
                    highest), within `copies_min` and `copies_max`. By Docker's interface on its \
                    Unix socket, on the id that the declared name has, which must run the \
                    target's process where it has one. Done when Docker shows it.",
    example: "container:\n  name: shop-payment-1\n  operations: [restart, pause, unpause, \
              scale_out, scale_in]\n  compose: {project: shop, service: payment, copies_max: 3}\n",
    offers,
    ends_process: |kind| {
        let restart = Operation::Restart;
        *kind == ActionKind::Container { operation: restart }
    },
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let Some(container) = &target.container else { return Vec::new() };
    let declared = |operation: &Operation| container.operations.contains(operation);
    let offer = |operation: &Operation| Offer {
        kind: ActionKind::Container { operation: *operation },
        undo: undo(*operation)
            .filter(declared)
            .map(|operation| ActionKind::Container { operation }),
        timeout: container.timeout.0 + container.stop_timeout.0,
    };
    container.operations.iter().map(offer).collect()
}

fn undo(operation: Operation) -> Option<Operation> {
    match operation {
        Operation::Restart => None,
        Operation::Pause => Some(Operation::Unpause),
        Operation::Unpause => Some(Operation::Pause),
        Operation::ScaleOut => Some(Operation::ScaleIn),
        Operation::ScaleIn => Some(Operation::ScaleOut),
    }
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let (Some(container), ActionKind::Container { operation }) =
        (&task.target.container, &task.action.kind)
    else {
        return Err(Trouble::Refused("no container is declared".to_owned()));
    };
    let process = task.process.as_ref().map(|process| &process.identity);
    if let Some(process) = process.filter(|_| *operation == Operation::Restart) {
        task.bench.watch.stop_requested(task.target, process, crate::clock::now());
    }
    docker::operate(container, *operation, process.map(|process| process.pid))
}
