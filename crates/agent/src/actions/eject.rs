//! Eject: take the target out of rotation at its load balancer.

use model::ActionKind;

use super::{Offer, Spec, Task, Trouble};
use crate::balancer;
use crate::config::Target;

pub const SPEC: Spec = Spec {
    id: "eject",
    title: "Eject from rotation",
    documentation: "Takes the target out of rotation at its load balancer, unless fewer than \
                    `keep_min` (1) others would be left in it. HAProxy is told by its runtime \
                    API, nginx by a `down` in a file that it includes, after its own test. Done \
                    when the balancer shows it. Taken back by `return`.",
    example: "load_balancer:\n  server: payment-1\n  keep_min: 1\n  haproxy: {socket: \
              /run/haproxy/admin.sock, backend: payment}\n",
    offers,
    ends_process: |_| false,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let offer = target.load_balancer.as_ref().map(|balancer| Offer {
        kind: ActionKind::Eject,
        undo: Some(ActionKind::Return),
        timeout: balancer.timeout.0,
    });
    offer.into_iter().collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let Some(balancer) = &task.target.load_balancer else {
        return Err(Trouble::Refused("no load balancer is declared".to_owned()));
    };
    balancer::eject(task.bench, balancer)
}
