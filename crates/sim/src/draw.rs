//! Draws a fleet from a seed: 5 to 200 services in one of the shapes that real systems have.
//!
//! Shapes are split into those that detection and diagnosis may be tuned on and those that stay
//! sealed: nobody looks at single runs of a sealed shape.

mod surroundings;

use std::collections::BTreeMap;

use model::{Entity, Scope};

use crate::fleet::{Call, Entry, Fleet, Kind, Node, PATIENCE_SECONDS};
use crate::random::Random;

/// How services call each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Layer by layer, each calling the next one or two.
    Layered,
    /// A gateway that calls nearly everything itself.
    Star,
    /// Long chains.
    Chain,
    /// Everybody calls the same few.
    Hub,
}

impl Shape {
    pub const DEVELOPMENT: &[Shape] = &[Shape::Layered, Shape::Star];
    pub const SEALED: &[Shape] = &[Shape::Chain, Shape::Hub];

    pub fn of(sealed: bool) -> &'static [Shape] {
        if sealed { Shape::SEALED } else { Shape::DEVELOPMENT }
    }
}

/// Services of a fleet.
pub const SERVICES_MIN: f64 = 5.0;
pub const SERVICES_MAX: f64 = 200.0;
const WORDS: &[&str] = &[
    "web", "cart", "orders", "catalog", "search", "payment", "stock", "mail", "prices", "users",
    "session", "media", "reports", "ledger", "rates", "tax", "ads", "reviews", "routing", "audit",
];

/// A fleet of any size.
pub fn fleet(random: &Random, sealed: bool) -> Fleet {
    let services = random.stream(1).magnitude(SERVICES_MIN, SERVICES_MAX).round();
    // One that takes messages from a broker may come on top.
    fleet_of(random, sealed, services.min(SERVICES_MAX - 1.0) as usize)
}

/// A fleet of so many services, and perhaps one more that takes messages from a broker.
pub fn fleet_of(random: &Random, sealed: bool, services: usize) -> Fleet {
    let root = random;
    let mut random = root.stream(2);
    let shapes = Shape::of(sealed);
    let shape = shapes[random.below(shapes.len())];
    let services = services.max(1);
    let entries = (1 + random.below(1 + services / 25)).min(4).min(services);
    let mut nodes: Vec<Node> = (0..services).map(|at| service(&mut random, at)).collect();
    connect(&mut nodes, entries, shape, &mut random);
    add_stores(&mut nodes, &mut random);
    let entries: Vec<Entry> = (0..entries).map(|node| entry(&mut random, node)).collect();
    let mut fleet = Fleet {
        nodes,
        entries,
        sampling: if random.chance(0.15) { random.between(0.1, 0.5) } else { 1.0 },
        drops_dead_after: random.chance(0.6).then(|| 5 + random.below(26) as u64),
        daily_swing: random.between(0.1, 0.6),
        weekend: random.between(0.4, 1.1),
        peak_at: random.between(9.0, 21.0) * 3600.0,
        only: BTreeMap::new(),
    };
    provide(&mut fleet, &mut random);
    surroundings::add(&mut fleet, &mut root.stream(3));
    fleet
}

fn entry(random: &mut Random, node: usize) -> Entry {
    Entry { node, rate: random.magnitude(0.5, 120.0), probe: None }
}

fn service(random: &mut Random, at: usize) -> Node {
    let word = WORDS[at % WORDS.len()];
    let name = if at < WORDS.len() { word.to_owned() } else { format!("{word}{}", at / 20) };
    // An entry that told nothing would leave users without a voice.
    let told = at < 4 || !random.chance(0.04);
    let count = 1 + random.below(3);
    let weights: Vec<f64> = (0..count).map(|_| random.magnitude(0.05, 1.0)).collect();
    let all: f64 = weights.iter().sum();
    let operation = |number: usize| {
        Entity::operation(&Scope::default(), &name, &format!("GET /{word}/{number}"))
    };
    let operations = weights.iter().enumerate().map(|(n, weight)| (operation(n), weight / all));
    Node {
        kind: Kind::Service,
        entity: Kind::Service.entity(&name, told),
        calls: Vec::new(),
        copies: 1,
        slots: 1.0,
        queue: 0.0,
        own_seconds: random.magnitude(0.002, 0.040),
        sigma: random.between(0.3, 0.8),
        errors: if random.chance(0.5) { random.magnitude(1e-5, 4e-3) } else { 0.0 },
        told,
        agent: told && random.chance(0.6),
        drops: 0.0,
        consumes: None,
        operations: operations.collect(),
        usual_rate: 0.0,
        usual_seconds: 0.0,
        name,
    }
}

fn connect(nodes: &mut [Node], entries: usize, shape: Shape, random: &mut Random) {
    let services = nodes.len();
    let layers = 2 + ((services as f64).powf(0.4) as usize).min(6);
    let layer = |at: usize| if at < entries { 0 } else { 1 + at * layers / services };
    for at in entries..services {
        let above: Vec<usize> = (0..at).filter(|other| layer(*other) + 1 == layer(at)).collect();
        let main = match shape {
            Shape::Star if random.chance(0.8) => random.below(entries),
            Shape::Chain if random.chance(0.8) => at - 1,
            Shape::Hub if at > entries && random.chance(0.7) => entries + random.below(at.min(3)),
            _ if above.is_empty() => random.below(at),
            _ => above[random.below(above.len())],
        };
        let per_request = match random.chance(0.15) {
            true => random.magnitude(0.002, 0.05),
            false => random.magnitude(0.25, 1.5),
        };
        call(nodes, main.min(at - 1), at, per_request, random);
        let others = match shape {
            Shape::Hub => 2,
            _ => usize::from(random.chance(0.4)),
        };
        for _ in 0..others {
            let per_request = random.magnitude(0.02, 0.6);
            call(nodes, random.below(at), at, per_request, random);
        }
    }
}

fn call(nodes: &mut [Node], from: usize, to: usize, per_request: f64, random: &mut Random) {
    if nodes[from].calls.iter().any(|call| call.to == to) {
        return;
    }
    let retries = [0, 0, 0, 1, 2][random.below(5)];
    let must = random.chance(0.8);
    // Set by `provide`, when it is known how long calls take.
    let pool = None;
    nodes[from].calls.push(Call { to, per_request, must, timeout_seconds: 1.0, retries, pool });
}

/// Databases, caches and brokers, behind the services.
fn add_stores(nodes: &mut Vec<Node>, random: &mut Random) {
    let services = nodes.len();
    let databases = (services / 4).max(1);
    let add = |nodes: &mut Vec<Node>, kind: Kind, name: String, own: (f64, f64), r: &mut Random| {
        nodes.push(Node {
            entity: kind.entity(&name, false),
            kind,
            name,
            calls: Vec::new(),
            copies: 1,
            slots: 1.0,
            queue: 0.0,
            own_seconds: r.magnitude(own.0, own.1),
            sigma: r.between(0.3, 0.7),
            errors: 0.0,
            told: false,
            agent: false,
            drops: 0.0,
            consumes: None,
            operations: Vec::new(),
            usual_rate: 0.0,
            usual_seconds: 0.0,
        });
        nodes.len() - 1
    };
    for number in 0..databases {
        let name = format!("postgresql/d{number}");
        let database = add(nodes, Kind::Database, name, (0.001, 0.008), random);
        let cache = random.chance(0.4).then(|| {
            let name = format!("redis@cache{number}:6379");
            add(nodes, Kind::Cache, name, (0.0003, 0.001), random)
        });
        for _ in 0..1 + random.below(4) {
            let from = random.below(services);
            let cached = cache.filter(|_| random.chance(0.6));
            let queries = random.between(0.5, 3.0);
            if let Some(cache) = cached {
                call(nodes, from, cache, queries, random);
                // Four of five are answered by the cache.
                call(nodes, from, database, 0.2 * queries, random);
            } else {
                call(nodes, from, database, queries, random);
            }
        }
    }
    if random.chance(0.5) {
        let broker = add(nodes, Kind::Broker, "kafka/events".to_owned(), (0.001, 0.003), random);
        for _ in 0..2 {
            call(nodes, random.below(services), broker, 1.0, random);
        }
    }
}

/// What each node can bear, from what it has to.
fn provide(fleet: &mut Fleet, random: &mut Random) {
    let mut rates = vec![0.0; fleet.nodes.len()];
    for entry in &fleet.entries {
        rates[entry.node] += entry.rate;
    }
    for (at, node) in fleet.nodes.iter().enumerate() {
        for call in &node.calls {
            rates[call.to] += rates[at] * call.per_request;
        }
    }
    let mut seconds = vec![0.0; fleet.nodes.len()];
    for at in (0..fleet.nodes.len()).rev() {
        let node = &mut fleet.nodes[at];
        let called: f64 = node.calls.iter().map(|call| call.per_request * seconds[call.to]).sum();
        seconds[at] = node.own_seconds + called;
        for call in &mut node.calls {
            let least = 12.0 * seconds[call.to];
            let usual = [0.5, 1.0, 2.0, 5.0][random.below(4)];
            call.timeout_seconds = f64::max(least, usual).min(PATIENCE_SECONDS);
        }
        node.usual_rate = rates[at];
        node.usual_seconds = seconds[at];
        node.copies = match node.kind {
            Kind::Service => (1 + random.below(3)).max((rates[at] / 150.0) as usize).min(8),
            _ => 1,
        };
        let busy = rates[at] * seconds[at] / node.copies as f64;
        // At most so much of it is used at the daily mean; the peak is some 1.6 times that.
        let used = random.between(0.1, 0.22);
        node.slots = (busy / used).ceil().max(8.0);
        node.queue = node.slots * random.between(2.0, 8.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_come_first_and_everybody_is_called() {
        for seed in 0..40 {
            for sealed in [false, true] {
                let fleet = fleet(&Random::new(seed), sealed);
                for (at, node) in fleet.nodes.iter().enumerate() {
                    assert!(node.calls.iter().all(|call| call.to > at), "seed {seed}");
                    let is_entry = fleet.entries.iter().any(|entry| entry.node == at);
                    let is_asked = is_entry || fleet.callers(at).next().is_some();
                    assert!(!node.is_service() || is_asked || node.consumes.is_some());
                }
                assert!((5..=200).contains(&fleet.services()), "seed {seed}");
            }
        }
    }

    #[test]
    fn no_shape_is_in_both_sets() {
        assert!(Shape::DEVELOPMENT.iter().all(|shape| !Shape::SEALED.contains(shape)));
    }
}
