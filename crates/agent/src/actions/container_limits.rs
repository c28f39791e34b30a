//! Container limits: give the target's container other limits of memory and processors.

use model::ActionKind;

use super::{Offer, Spec, Task, Trouble};
use crate::config::{Limits, Target};
use crate::docker;

pub const SPEC: Spec = Spec {
    id: "container_limits",
    title: "Change a container's limits",
    documentation: "Gives the target's container the limits of memory and processors that it \
                    declares under this name, without a restart. Done when Docker shows them. \
                    `undo` names the limits that take these back.",
    example: "container:\n  name: shop-payment-1\n  limits:\n    roomy: {memory: 1GiB, cpus: 2.0, \
              undo: usual}\n    usual: {memory: 512MiB, cpus: 1.0}\n",
    offers,
    ends_process: |_| false,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let Some(container) = &target.container else { return Vec::new() };
    let kind = |name: &String| ActionKind::ContainerLimits { limits: name.clone() };
    let offer = |(name, limits): (&String, &Limits)| Offer {
        kind: kind(name),
        undo: limits.undo.as_ref().map(kind),
        timeout: container.timeout.0 + container.stop_timeout.0,
    };
    container.limits.iter().map(offer).collect()
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let ActionKind::ContainerLimits { limits } = &task.action.kind else {
        return Err("no limits".to_owned().into());
    };
    let container = task.target.container.as_ref();
    let Some((container, limits)) =
        container.and_then(|container| Some((container, container.limits.get(limits)?)))
    else {
        return Err(Trouble::Refused("no limits of that name are declared".to_owned()));
    };
    let pid = task.process.as_ref().map(|process| process.identity.pid);
    docker::limit(container, limits, pid)
}
