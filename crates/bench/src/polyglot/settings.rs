//! The configuration of the server that watches the polyglot system: what ships, the targets with
//! their faults, a promise and a probe, policies that restart orders, end a blocking session and
//! roll back the front, and, only where a system sees several drills, shorter waits.

use std::time::Duration;

use model::human::HumanDuration;
use serde_json::{Value, json};

use super::kind::Kind;
use super::system::Description;

/// Waits of the healer and the diagnosis, changed so that drills may follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Most drills on one system.
    drills: usize,
}

/// An incident that ended is not opened again after this; as shipped it would be for five minutes.
pub const REOPEN_WITHIN_S: u64 = 15;
/// The back-off neither grows nor lasts beyond this; as shipped it would double up to ten minutes.
const BACK_OFF_MAX: &str = "30s";
/// What the storefront promises its users.
pub const LATENCY_LIMIT: Duration = Duration::from_millis(1_500);
/// Callers give up after ten seconds, so nothing that the shop itself does holds a lock as long.
const BLOCKS_FOR: &str = "10s";

impl Pace {
    pub fn for_stages(stages: &[Vec<Kind>]) -> Pace {
        let drills = |kinds: &Vec<Kind>| kinds.iter().filter(|kind| !kind.is_innocent()).count();
        Pace { drills: stages.iter().map(drills).max().unwrap_or(0) }
    }

    fn is_changed(self) -> bool {
        self.drills > 1
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

    /// Three tries for each drill.
    fn actions_per_hour(self) -> usize {
        (3 * self.drills).clamp(10, 1_000)
    }
}

/// Where the server listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    pub api: u16,
    pub otlp_http: u16,
    pub otlp_grpc: u16,
}

/// `immune.yaml`, as JSON (which is YAML).
pub fn immune_yaml(system: &Description, ports: Ports, pace: Pace) -> Value {
    let mut targets = vec![database(system), cache(system), front(system, ports.api)];
    let mut policies = vec![
        json!({
            "name": "end blocker",
            "cause": "lock",
            "target": "database",
            "action": "terminate_blocker",
            "allow_stateful": true,
        }),
        json!({
            "name": "roll back front",
            "cause": "change",
            "target": "front",
            "action": "rollback",
        }),
    ];
    let orders: Vec<_> = system.services.iter().filter(|s| s.service == "orders").collect();
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
        policies.push(json!({
            "name": format!("restart {name}"),
            "cause": ["crash", "silent"],
            "target": name,
            "action": "restart",
        }));
    }
    if pace.is_changed() {
        policies.iter_mut().for_each(|policy| policy["back_off_max"] = BACK_OFF_MAX.into());
    }
    let mut yaml = json!({
        "api": { "listen": format!("127.0.0.1:{}", ports.api) },
        "receivers": { "otlp": {
            "http": format!("127.0.0.1:{}", ports.otlp_http),
            "grpc": format!("127.0.0.1:{}", ports.otlp_grpc),
        } },
        "detect": { "slos": [{
            "name": "storefront-latency",
            "service": "storefront",
            "environment": system.environment,
            "objective": 99,
            "latency": { "threshold": HumanDuration(LATENCY_LIMIT) },
        }], "probes": [{
            "name": "front",
            "service": "storefront",
            "environment": system.environment,
            "http": { "url": format!("{}/api/products", system.front_url), "status": 200 },
        }] },
        "targets": targets,
        "healing": { "mode": "auto", "policies": policies },
    });
    if pace.is_changed() {
        yaml["healing"]["guardrails"] = json!({ "actions_per_hour": pace.actions_per_hour() });
        yaml["diagnose"] = json!({ "reopen_within": format!("{REOPEN_WITHIN_S}s") });
    }
    yaml
}

/// PostgreSQL, without a process that could be restarted: it keeps data.
fn database(system: &Description) -> Value {
    let lock = |against| {
        let inject = ["hold-lock", "--against", against];
        fault(system, &inject, &["release-lock"], &["is-locked"])
    };
    json!({
        "name": "database",
        "database": "postgresql/orders",
        "environment": system.environment,
        "stateful": true,
        "postgres": {
            "address": format!("127.0.0.1:{}", system.ports["postgres"]),
            "user": "monitor",
            "database": "orders",
            "blocks_for": BLOCKS_FOR,
        },
        "disks": [format!("{}/postgres", system.dir)],
        "faults": {
            "lock-writes": lock("writes"),
            "lock-all": lock("all"),
            "stop": outage(system, "postgres", "TERM"),
            "kill": outage(system, "postgres", "KILL"),
            "fill-disk": fault(system, &["fill-disk"], &["free-disk"], &["is-disk-full"]),
        },
    })
}

fn cache(system: &Description) -> Value {
    json!({
        "name": "cache",
        "database": "redis",
        "environment": system.environment,
        "faults": {
            "stop": outage(system, "redis", "TERM"),
            "kill": outage(system, "redis", "KILL"),
        },
    })
}

/// nginx sends no telemetry: it is declared as a part of the storefront, whose users come through
/// it.
fn front(system: &Description, api: u16) -> Value {
    let immune = format!("http://127.0.0.1:{api}");
    let wrong = |front| {
        let inject = ["deploy-front", front, "--tell", &immune];
        fault(system, &inject, &["rollback-front"], &["is-front-wrong"])
    };
    json!({
        "name": "front",
        "service": "storefront",
        "environment": system.environment,
        "rollback": command(system, &["rollback-front"]),
        "faults": { "wrong-upstream": wrong("wrong-upstream"), "wrong-api": wrong("wrong-api") },
    })
}

fn outage(system: &Description, name: &str, signal: &str) -> Value {
    let inject = ["stop-service", name, "--signal", signal];
    fault(system, &inject, &["start-service", name], &["is-stopped", name])
}

fn fault(system: &Description, inject: &[&str], undo: &[&str], check: &[&str]) -> Value {
    json!({
        "inject": command(system, inject),
        "undo": command(system, undo),
        "check": command(system, check),
    })
}

/// A command of the system's own script.
fn command(system: &Description, line: &[&str]) -> Value {
    let words = system.command.iter().map(String::as_str).chain(line.iter().copied());
    let line: Vec<&str> = words.chain(["--dir", &system.dir]).collect();
    json!({ "command": line, "timeout": "60s" })
}
