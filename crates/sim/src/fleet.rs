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
    /// Connections that one copy of the caller holds at most; `None`: as many as it wants.
    pub pool: Option<f64>,
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
    /// Does an agent look after its processes, and into it where it is a database?
    pub agent: bool,
    /// Share of what it sends that never reaches Immune.
    pub drops: f64,
    /// The broker whose messages it works on.
    pub consumes: Option<Consumes>,
    /// Its operations, each with its share of the requests.
    pub operations: Vec<(Entity, f64)>,
    /// In peace: requests a second at the daily mean, and their mean duration.
    pub usual_rate: f64,
    pub usual_seconds: f64,
}

/// A service that takes messages from a broker instead of being called.
#[derive(Clone, Copy, Debug)]
pub struct Consumes {
    /// Index of an earlier node.
    pub broker: usize,
    /// Users wait for what it does: a message that is older hurts one. `None`: nobody waits.
    pub late_seconds: Option<u64>,
}

/// Where users come in.
#[derive(Clone, Debug)]
pub struct Entry {
    pub node: usize,
    /// Requests a second, the mean of a day.
    pub rate: f64,
    /// Immune asks it, too.
    pub probe: Option<Probe>,
}

/// A probe of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pub every_seconds: u64,
    pub timeout_seconds: f64,
    /// It asks for what users ask for; else only whether anybody is there.
    pub deep: bool,
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
        // Those who wait for late work are users as well.
        self.waited_for().for_each(|node| needed[node] = 1.0);
        for at in 0..self.nodes.len() {
            for call in self.nodes[at].calls.iter().filter(|call| call.must) {
                let share: f64 = needed[at] * call.per_request.min(1.0);
                needed[call.to] = (needed[call.to] + share).min(1.0);
            }
        }
        needed
    }

    /// Nodes at which it is counted how users fare: where they come in, and who does what they wait
    /// for.
    pub fn felt(&self) -> impl Iterator<Item = usize> {
        self.entries.iter().map(|entry| entry.node).chain(self.waited_for())
    }

    fn waited_for(&self) -> impl Iterator<Item = usize> {
        let matters = |node: &Node| node.consumes.is_some_and(|it| it.late_seconds.is_some());
        self.nodes.iter().enumerate().filter(move |(_, node)| matters(node)).map(|(at, _)| at)
    }

    /// Indexes of services.
    pub fn service_nodes(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|at| self.nodes[*at].is_service()).collect()
    }

    /// The largest share of requests that fails somewhere where it is felt, when those shares of
    /// their own requests fail at nodes (`failing`, one for each; changed to what fails there in
    /// all).
    pub fn felt_share(&self, failing: &mut [f64]) -> f64 {
        for at in (0..self.nodes.len()).rev() {
            let mut well = 1.0 - failing[at];
            for call in self.nodes[at].calls.iter().filter(|call| call.must) {
                let fails = failing[call.to].powi(call.retries + 1);
                well *= 1.0 - call.per_request.min(1.0) * fails;
            }
            failing[at] = 1.0 - well;
        }
        self.felt().map(|at| failing[at]).fold(0.0, f64::max)
    }

    /// Requests to each node for one request of an entry.
    pub fn asked_by(&self, entry: usize) -> Vec<f64> {
        let mut asked = vec![0.0; self.nodes.len()];
        asked[entry] = 1.0;
        for at in entry..self.nodes.len() {
            for call in &self.nodes[at].calls {
                asked[call.to] += asked[at] * call.per_request;
            }
        }
        asked
    }

    /// Nodes that call `to`.
    pub fn callers(&self, to: usize) -> impl Iterator<Item = usize> {
        let calls = move |node: &Node| node.calls.iter().any(|call| call.to == to);
        self.nodes.iter().enumerate().filter(move |(_, node)| calls(node)).map(|(at, _)| at)
    }
}
