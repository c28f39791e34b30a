//! What a user would declare beside the processes of services: probes of entries, and what may be
//! done to databases; and how a permission is withdrawn.

use engine::{Config, Entry};
use model::human::HumanDuration;
use model::{ActionKind, CauseKind};
use remediate::{Policy, Remedy, Target};

use crate::fleet::Fleet;
use crate::looks::probe_name;
use crate::session::{Session, policy};
use crate::world::Replica;

/// The folder of a database that may be cleared: what it wrote for archives, and nobody needs.
const CLEARED: &str = "archive";

/// Probes of entries, by the defaults.
pub(crate) fn probes(fleet: &Fleet) -> Vec<detect::Probe> {
    let probes = fleet.entries.iter().filter_map(|entry| {
        let (probe, name) = (entry.probe?, &fleet.nodes[entry.node].name);
        let path = if probe.deep { "/" } else { "/health" };
        Some(detect::Probe {
            name: probe_name(name),
            service: name.clone(),
            environment: "default".to_owned(),
            http: Some(detect::config::HttpProbe {
                url: format!("http://{name}{path}"),
                status: 200,
                body_contains: None,
            }),
            tcp: None,
            interval: HumanDuration::from_secs(probe.every_seconds),
            timeout: HumanDuration::from_secs(probe.timeout_seconds as u64),
            failures: 3,
        })
    });
    probes.collect()
}

/// A database beside an agent: what blocks is ended, what fills its disk is cleared, and it is
/// started when it is gone.
pub(crate) fn store(config: &mut Config, copy: &Replica) {
    let clear = ActionKind::ClearPath { path: CLEARED.to_owned() };
    config.targets.push(Target {
        name: copy.name.clone(),
        entity: copy.entity.clone(),
        actions: vec![ActionKind::Restart, ActionKind::TerminateBlocker, clear],
        undos: Vec::new(),
        has_process: true,
        action_timeout: HumanDuration::from_secs(60),
        stateful: true,
    });
    let may = |name: &str, cause: CauseKind, action: Remedy| Policy {
        allow_stateful: true,
        ..policy(name, &copy.name, &[cause], action)
    };
    config.remediate.policies.extend([
        may("restart", CauseKind::Crash, Remedy::Restart),
        may("unblock", CauseKind::Lock, Remedy::TerminateBlocker),
        may("clear", CauseKind::Disk, Remedy::ClearPath(CLEARED.to_owned())),
    ]);
}

impl Session {
    /// From now on nothing may be done to a node.
    pub(crate) fn forbid(&mut self, node: usize) {
        let mut config = self.core.engine.config().clone();
        let copies = self.world.nodes[node].copies.iter();
        let names: Vec<&str> = copies.map(|copy| self.world.copies[*copy].name.as_str()).collect();
        config.remediate.policies.retain(|policy| !names.contains(&policy.target.as_str()));
        let now = self.world.now();
        let effects = self.core.apply(Entry::Reload { now, config: Box::new(config) });
        self.take(effects);
    }
}
