//! Return: put the target back into rotation at its load balancer.

use model::ActionKind;

use super::{Offer, Spec, Task, Trouble};
use crate::balancer;
use crate::config::Target;

pub const SPEC: Spec = Spec {
    id: "return",
    title: "Return to rotation",
    documentation: "Puts the target back into rotation at its load balancer: what `eject` took \
                    out. Done when the balancer shows it. Taken back by `eject`.",
    example: "load_balancer:\n  server: \"127.0.0.1:7811\"\n  nginx:\n    upstream_file: \
              /etc/nginx/upstreams/payment.conf\n    test: {command: [/usr/sbin/nginx, -t]}\n    \
              pid_file: /run/nginx.pid\n",
    offers,
    ends_process: |_| false,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let offer = target.load_balancer.as_ref().map(|balancer| Offer {
        kind: ActionKind::Return,
        undo: Some(ActionKind::Eject),
        timeout: balancer.timeout.0,
    });
    offer.into_iter().collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let Some(balancer) = &task.target.load_balancer else {
        return Err(Trouble::Refused("no load balancer is declared".to_owned()));
    };
    balancer::put_back(task.bench, balancer)
}
