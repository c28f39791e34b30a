//! Faults of the target's container, through Docker's interface: pause, kill, disconnect. All are
//! kept by the keeper, for what Docker does outlives who asked for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use model::experiment::Fault;
use model::fault::ContainerFault;
use serde_json::Value;

use super::{Aim, Effect, Means, Prior, Spec, hit, mismatch, watch_for};
use crate::bench::Bench;
use crate::config::{Container, Target};
use crate::docker::faults::{self as docker, Seen};
use crate::ledger::FaultRecord;

const EFFECT_WITHIN: Duration = Duration::from_secs(10);
const CGROUPS: &str = "/sys/fs/cgroup";

pub const SPEC: Spec = Spec {
    id: "container",
    title: "Hurt the container",
    documentation: "Through Docker's interface, to the container that the target declares: \
                    `pause` freezes all its processes, `kill` sends SIGKILL to it, `disconnect` \
                    takes it off all its networks. Refused when it does not run or is paused \
                    already, when it would be removed with its end, or is on no network that it \
                    could be taken off. Its effect is seen of the kernel: its freezer, its \
                    process, the devices of its network.",
    undone_by: "unpausing, starting, or connecting the same container (by its id) to the same \
                networks, with its addresses and aliases; one that is gone needs nothing",
    example: "fault: {container: pause}\n",
    applies: |target| target.container.is_some(),
    aim,
    means: Means::Kept { inject, undo },
    effect,
};

fn of(fault: &Fault) -> Result<ContainerFault, String> {
    match fault {
        Fault::Container(what) => Ok(*what),
        _ => mismatch(),
    }
}

fn declared(target: &Target) -> Result<&Container, String> {
    let none = || format!("target {} declares no `container`", target.name);
    target.container.as_ref().ok_or_else(none)
}

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let what = of(fault)?;
    let container = declared(target)?;
    let name = &container.name;
    let seen =
        docker::look(container, name)?.ok_or_else(|| format!("there is no container {name}"))?;
    if !seen.is_running() || seen.is_paused() {
        return Err(format!("container {name} does not run, or is paused already"));
    }
    if what == ContainerFault::Kill && seen.is_removed_with_its_end() {
        return Err(format!("container {name} is removed when it ends (--rm)"));
    }
    let networks = seen.networks();
    if what == ContainerFault::Disconnect && networks.is_empty() {
        return Err(format!("container {name} is on no network that it could be taken off"));
    }
    let pid = seen.pid();
    // Docker's pids are those of its host, which need not be ours.
    let is_its = groups(pid).iter().any(|(_, path)| path.contains(&*seen.id));
    let identity = bench.host.identity(pid).filter(|_| is_its);
    let identity = identity.ok_or_else(|| {
        format!("pid {pid} of container {name} is not to be seen; run the agent on Docker's host")
    })?;
    let exactly = match what {
        ContainerFault::Pause => format!("pauses container {name} ({})", short(&seen.id)),
        ContainerFault::Kill => format!("kills container {name} ({}), pid {pid}", short(&seen.id)),
        ContainerFault::Disconnect => {
            let names: Vec<&str> = networks.keys().map(String::as_str).collect();
            format!("takes container {name} ({}) off {}", short(&seen.id), names.join(", "))
        }
    };
    let prior = Some(Prior::Container { id: seen.id, networks });
    Ok(Aim { identity: Some(identity), prior, exactly })
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Control groups of a process: the controllers of each hierarchy, and the path in it.
fn groups(pid: u32) -> Vec<(String, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let read = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        Some((controllers.to_owned(), path.to_owned()))
    };
    text.lines().filter_map(read).collect()
}

fn is_frozen(pid: u32) -> bool {
    let holds = |path: &str, file: &str, wanted: &str| {
        let path = Path::new(CGROUPS).join(path.trim_start_matches('/')).join(file);
        fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line == wanted))
    };
    groups(pid).iter().any(|(controllers, path)| match controllers.as_str() {
        "" => holds(path, "cgroup.events", "frozen 1"),
        "freezer" => holds(&format!("freezer{path}"), "freezer.state", "FROZEN"),
        _ => false,
    })
}

/// Network devices of the process's namespace, loopback left out.
fn devices(pid: u32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let names = text.lines().filter_map(|line| line.split_once(':').map(|(name, _)| name.trim()));
    Some(names.filter(|name| *name != "lo").map(str::to_owned).collect())
}

fn before(record: &FaultRecord) -> Result<(&str, &BTreeMap<String, Value>), String> {
    match &record.prior {
        Some(Prior::Container { id, networks }) => Ok((id, networks)),
        _ => Err("the record names no container".to_owned()),
    }
}

fn inject(_: &Bench, record: &FaultRecord) -> Result<(), String> {
    let container = declared(&record.target)?;
    let (id, networks) = before(record)?;
    match of(&record.fault)? {
        ContainerFault::Pause => docker::pause(container, id),
        ContainerFault::Kill => docker::kill(container, id),
        ContainerFault::Disconnect => {
            networks.keys().try_for_each(|network| docker::disconnect(container, id, network))
        }
    }
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        let hit = hit(record)?;
        let pid = hit.pid;
        let runs = bench.host.runs(hit);
        match of(&record.fault)? {
            ContainerFault::Kill if runs => Err(format!("pid {pid} still runs")),
            ContainerFault::Kill => Ok(format!("pid {pid} is gone")),
            _ if !runs => Err(format!("pid {pid} has ended")),
            ContainerFault::Pause if is_frozen(pid) => Ok(format!("pid {pid} is frozen")),
            ContainerFault::Pause => Err(format!("pid {pid} is not frozen")),
            ContainerFault::Disconnect => match devices(pid) {
                Some(left) if left.is_empty() => Ok(format!("pid {pid} has no network device")),
                Some(left) => Err(format!("pid {pid} has the devices {}", left.join(", "))),
                None => Err(format!("the network devices of pid {pid} cannot be seen")),
            },
        }
    })
}

fn undo(_: &Bench, record: &FaultRecord) -> Result<String, String> {
    let container = declared(&record.target)?;
    let name = &container.name;
    let (id, networks) = before(record)?;
    let gone = Ok(format!("container {name} is gone, and nothing of it is hurt any more"));
    let Some(seen) = docker::look(container, id)? else { return gone };
    match of(&record.fault)? {
        ContainerFault::Pause if !seen.is_paused() => Ok(format!("container {name} is not paused")),
        ContainerFault::Pause => {
            docker::unpause(container, id)?;
            Ok(format!("unpaused container {name}"))
        }
        ContainerFault::Kill if seen.is_running() => {
            Ok(format!("container {name} runs as pid {}", seen.pid()))
        }
        ContainerFault::Kill => {
            let pid = docker::start(container, id)?;
            Ok(format!("started container {name}, now pid {pid}"))
        }
        ContainerFault::Disconnect => connect(container, id, networks, &seen),
    }
}

fn connect(
    container: &Container,
    id: &str,
    networks: &BTreeMap<String, Value>,
    seen: &Seen,
) -> Result<String, String> {
    let name = &container.name;
    let now = seen.networks();
    for (network, before) in networks.iter().filter(|(network, _)| !now.contains_key(*network)) {
        docker::connect(container, id, network, before)?;
    }
    let Some(seen) = docker::look(container, id)? else {
        return Ok(format!("container {name} is gone"));
    };
    let now = seen.networks();
    let mut others = Vec::new();
    for (network, before) in networks {
        let Some(endpoint) = now.get(network) else {
            return Err(format!("container {name} is not on {network}"));
        };
        if endpoint["IPAddress"] != before["IPAddress"] {
            others.push(format!("{network} with another address, {}", endpoint["IPAddress"]));
        }
    }
    let all: Vec<&str> = networks.keys().map(String::as_str).collect();
    Ok(match others.is_empty() {
        true => format!("container {name} is on {} as before", all.join(", ")),
        false => format!("container {name} is on {}", others.join(", ")),
    })
}
