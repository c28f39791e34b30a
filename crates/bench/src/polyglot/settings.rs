//! The configuration of the server that watches the polyglot system: what ships, the targets, a
//! policy that restarts orders, and, only where a system sees several kills, shorter waits.

use serde_json::{Value, json};

use super::Kind;
use super::system::Description;

/// Waits of the healer and the diagnosis, changed so that kills may follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Most kills on one system.
    kills: usize,
}

/// An incident that ended is not opened again after this; as shipped it would be for five minutes.
pub const REOPEN_WITHIN_S: u64 = 15;
/// The back-off neither grows nor lasts beyond this; as shipped it would double up to ten minutes.
const BACK_OFF_MAX: &str = "30s";

impl Pace {
    pub fn for_stages(stages: &[Vec<Kind>]) -> Pace {
        let kills = |kinds: &Vec<Kind>| kinds.iter().filter(|kind| !kind.is_innocent()).count();
        Pace { kills: stages.iter().map(kills).max().unwrap_or(0) }
    }

    fn is_changed(self) -> bool {
        self.kills > 1
    }

    /// The changes, for the figures; `null` when the waits are those that ship.
    pub fn told(self) -> Value {
        if !self.is_changed() {
            return Value::Null;
        }
        json!({
            "healing.policies[].back_off_max": BACK_OFF_MAX,
            "healing.guardrails.actions_per_hour": self.actions_per_hour(),
            "diagnose.reopen_within": format!("{REOPEN_WITHIN_S}s"),
        })
    }

    /// Three tries for each kill.
    fn actions_per_hour(self) -> usize {
        (3 * self.kills).clamp(10, 1_000)
    }
}

/// `immune.yaml`, as JSON (which is YAML). `otlp` holds the ports for HTTP and gRPC.
pub fn immune_yaml(system: &Description, otlp: [u16; 2], pace: Pace) -> Value {
    let orders: Vec<_> = system.services.iter().filter(|s| s.service == "orders").collect();
    let mut targets = Vec::new();
    let mut policies = Vec::new();
    for service in &orders {
        let alone = orders.len() == 1;
        let name = if alone { "orders" } else { service.name.as_str() };
        targets.push(json!({
            "name": name,
            "service": "orders",
            "instance": if alone { None } else { Some(name) },
            "environment": system.environment,
            "process": { "listens_on": format!("127.0.0.1:{}", service.port) },
            "restart": { "start": { "command": service.start } },
        }));
        let mut policy = json!({
            "name": format!("restart {name}"),
            "cause": ["crash", "silent"],
            "target": name,
            "action": "restart",
        });
        if pace.is_changed() {
            policy["back_off_max"] = BACK_OFF_MAX.into();
        }
        policies.push(policy);
    }
    let mut yaml = json!({
        "api": { "listen": "127.0.0.1:0" },
        "receivers": { "otlp": {
            "http": format!("127.0.0.1:{}", otlp[0]),
            "grpc": format!("127.0.0.1:{}", otlp[1]),
        } },
        "targets": targets,
        "healing": { "mode": "auto", "policies": policies },
    });
    if pace.is_changed() {
        yaml["healing"]["guardrails"] = json!({ "actions_per_hour": pace.actions_per_hour() });
        yaml["diagnose"] = json!({ "reopen_within": format!("{REOPEN_WITHIN_S}s") });
    }
    yaml
}
