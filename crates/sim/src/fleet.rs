//! A fleet at rest: services, what they call, how many instances they have, what they can bear.
//!
//! Invariant: callers come before those they call, so one pass over `nodes` carries requests down
//! and one pass back carries answers up.

use std::collections::BTreeMap;

use model::{ActionKind, Entity, EntityKind, Scope};

/// Users lose patience after this long.
pub const PATIENCE_SECONDS: f64 = 10.0;
/// A request is slow to users beyond this, and beyond four times the usual 99th percentile: what
/// `docs/detection.md` says that users take for hanging.
pub const SLOW_SECONDS_MIN: f64 = 0.5;
const SLOW_TIMES: f64 = 4.0;
const P99: f64 = 2.326;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Service,
    Database,
    Cache,
    Broker,
}

/// One call that requests to a node make.
#[derive(Clone, Debug)]
pub struct Call {
    /// Index of a later node.
    pub to: usize,
    /// Mean number for each request.
    pub per_request: f64,
    /// Does the request fail where the call does?
    pub must: bool,
    pub timeout_seconds: f64,
    /// Further attempts after one that failed.
    pub retries: i32,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    pub kind: Kind,
    pub entity: Entity,
    pub calls: Vec<Call>,
    pub copies: usize,
    /// Requests that one copy works on at the same time, and those that may wait beside.
    pub slots: f64,
    pub queue: f64,
    /// Mean of its own part of a request, in seconds.
    pub own_seconds: f64,
    /// Of the logarithm of durations.
    pub sigma: f64,
    /// Share of requests that always fail.
    pub errors: f64,
    /// Does telemetry tell of it from inside?
    pub told: bool,
    /// Does an agent look after its processes?
    pub agent: bool,
    /// Its operations, each with its share of the requests.
    pub operations: Vec<(Entity, f64)>,
    /// In peace: requests a second at the daily mean, and their mean duration.
    pub usual_rate: f64,
    pub usual_seconds: f64,
}

/// Where users come in.
#[derive(Clone, Debug)]
pub struct Entry {
    pub node: usize,
    /// Requests a second, the mean of a day.
    pub rate: f64,
}

#[derive(Clone, Debug)]
pub struct Fleet {
    pub nodes: Vec<Node>,
    pub entries: Vec<Entry>,
    /// Share of requests that telemetry keeps; what it says is scaled up by the reader.
    pub sampling: f64,
    /// Balancers take a dead copy out of rotation after so many seconds; `None`: never.
    pub drops_dead_after: Option<u64>,
    /// Half the difference between day and night, as a share of the mean.
    pub daily_swing: f64,
    /// Weekends have this share of the traffic.
    pub weekend: f64,
    /// Second of the day at which traffic is highest.
    pub peak_at: f64,
    /// Nodes to whose processes an agent may do this alone; to others that it looks after, all.
    pub only: BTreeMap<usize, Vec<ActionKind>>,
}

impl Kind {
    pub fn entity(self, name: &str, told: bool) -> Entity {
        let kind = match self {
            Kind::Service if told => EntityKind::Service,
            Kind::Service => {
                return Entity::new(&Scope::default(), EntityKind::Peer, &address(name));
            }
            Kind::Database | Kind::Cache => EntityKind::Database,
            Kind::Broker => EntityKind::Queue,
        };
        Entity::new(&Scope::default(), kind, name)
    }
}

/// Where a service is called: `name`, which may say its port, else at that of HTTP.
pub(crate) fn address(name: &str) -> String {
    if name.contains(':') { name.to_owned() } else { format!("{name}:80") }
}

impl Node {
    /// Beyond this a request is slow to whoever asked.
    pub fn slow_seconds(&self) -> f64 {
        let p99 = self.usual_seconds * (P99 * self.sigma - self.sigma * self.sigma / 2.0).exp();
        (SLOW_TIMES * p99).max(SLOW_SECONDS_MIN)
    }

    pub fn is_service(&self) -> bool {
        self.kind == Kind::Service
    }
}

impl Fleet {
    /// May an agent do this to the processes of a node?
    pub fn allows(&self, node: usize, action: &ActionKind) -> bool {
        let only = self.only.get(&node);
        self.nodes[node].agent && only.is_none_or(|only| only.contains(action))
    }

    pub fn services(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_service()).count()
    }

    /// Of each node the share of users' requests that cannot go well without it (at most 1).
    pub fn needed_by_users(&self) -> Vec<f64> {
        let all: f64 = self.entries.iter().map(|entry| entry.rate).sum();
        let mut needed = vec![0.0; self.nodes.len()];
        for entry in &self.entries {
            needed[entry.node] += entry.rate / all.max(1e-9);
        }
        for at in 0..self.nodes.len() {
            for call in self.nodes[at].calls.iter().filter(|call| call.must) {
                let share: f64 = needed[at] * call.per_request.min(1.0);
                needed[call.to] = (needed[call.to] + share).min(1.0);
            }
        }
        needed
    }

    /// Nodes that call `to`.
    pub fn callers(&self, to: usize) -> impl Iterator<Item = usize> {
        let calls = move |node: &Node| node.calls.iter().any(|call| call.to == to);
        self.nodes.iter().enumerate().filter(move |(_, node)| calls(node)).map(|(at, _)| at)
    }
}
