//! What stands around requests: pools of connections, consumers of brokers, probes of entries,
//! agents beside databases, exporters that lose what they send.
//!
//! Drawn from a stream of its own, after the fleet: whoever calls whom is not moved by it.

use model::{Entity, Scope};

use crate::fleet::{Call, Consumes, Fleet, Kind, Node, Probe};
use crate::random::Random;

/// Nobody configures a pool smaller than this, and pools are some times what is needed in peace.
const POOL_MIN: f64 = 5.0;
const POOL_TIMES: (f64, f64) = (6.0, 20.0);
/// Probes are made so often by default, and wait so long.
const PROBE_EVERY: u64 = 5;
const PROBE_TIMEOUT_SECONDS: f64 = 2.0;

pub(super) fn add(fleet: &mut Fleet, random: &mut Random) {
    add_consumer(fleet, random);
    add_pools(fleet, random);
    for entry in &mut fleet.entries {
        let deep = random.chance(0.4);
        entry.probe = random.chance(0.6).then_some(Probe {
            every_seconds: PROBE_EVERY,
            timeout_seconds: PROBE_TIMEOUT_SECONDS,
            deep,
        });
    }
    for node in &mut fleet.nodes {
        match node.kind {
            Kind::Database => node.agent = random.chance(0.5),
            Kind::Service if random.chance(0.1) => node.drops = random.magnitude(0.02, 0.3),
            _ => {}
        }
    }
}

/// Who works on the messages of the broker, and the database that it writes to.
fn add_consumer(fleet: &mut Fleet, random: &mut Random) {
    let broker = fleet.nodes.iter().position(|node| node.kind == Kind::Broker);
    let Some(broker) = broker.filter(|_| random.chance(0.8)) else { return };
    let name = "notify".to_owned();
    let rate = fleet.nodes[broker].usual_rate;
    let to = fleet.nodes.len() + 1;
    let database = node(Kind::Database, "postgresql/notify", random.magnitude(0.001, 0.008));
    let mut consumer = node(Kind::Service, &name, random.magnitude(0.005, 0.060));
    let queries = random.between(0.5, 2.0);
    consumer.calls.push(Call {
        to,
        per_request: queries,
        must: true,
        timeout_seconds: 2.0,
        retries: random.below(2) as i32,
        pool: None,
    });
    let late_seconds = random.chance(0.7).then(|| random.magnitude(20.0, 90.0) as u64);
    consumer.consumes = Some(Consumes { broker, late_seconds });
    consumer.told = true;
    consumer.agent = random.chance(0.6);
    let operation = Entity::operation(&Scope::default(), &name, "process events");
    consumer.operations = vec![(operation, 1.0)];
    consumer.copies = (1 + random.below(3)).max((rate / 150.0) as usize).min(8);
    consumer.usual_seconds = consumer.own_seconds + queries * database.own_seconds;
    for (mut node, rate, used) in [
        (consumer, rate, random.between(0.1, 0.3)),
        (database, rate * queries, random.between(0.1, 0.22)),
    ] {
        node.usual_rate = rate;
        node.usual_seconds = node.usual_seconds.max(node.own_seconds);
        let busy = rate * node.usual_seconds / node.copies as f64;
        let least = if node.is_service() { 1.0 } else { 8.0 };
        node.slots = (busy / used).ceil().max(least);
        node.queue = node.slots * random.between(2.0, 8.0);
        fleet.nodes.push(node);
    }
}

fn node(kind: Kind, name: &str, own_seconds: f64) -> Node {
    Node {
        kind,
        entity: kind.entity(name, kind == Kind::Service),
        name: name.to_owned(),
        calls: Vec::new(),
        copies: 1,
        slots: 1.0,
        queue: 0.0,
        own_seconds,
        sigma: 0.5,
        errors: 0.0,
        told: false,
        agent: false,
        drops: 0.0,
        consumes: None,
        operations: Vec::new(),
        usual_rate: 0.0,
        usual_seconds: 0.0,
    }
}

/// Each copy of a caller holds so many connections to a database, several times what it needs.
fn add_pools(fleet: &mut Fleet, random: &mut Random) {
    for at in 0..fleet.nodes.len() {
        let node = &fleet.nodes[at];
        let rate = node.usual_rate / node.copies as f64;
        let pool_of = |call: &Call, random: &mut Random| {
            let busy = rate * call.per_request * fleet.nodes[call.to].usual_seconds;
            let (low, high) = POOL_TIMES;
            (busy * random.between(low, high)).ceil().max(POOL_MIN)
        };
        let is_pooled = |call: &Call| fleet.nodes[call.to].kind == Kind::Database;
        let pools: Vec<Option<f64>> =
            node.calls.iter().map(|call| is_pooled(call).then(|| pool_of(call, random))).collect();
        for (call, pool) in fleet.nodes[at].calls.iter_mut().zip(pools) {
            call.pool = pool;
        }
    }
}
