//! Who calls whom, learnt from ticks.
//!
//! Nodes are services and whatever has no service (databases, queues, peers …): an instance or
//! operation stands for its service. An address that later turns out to be a service is an alias of
//! it, and calls recorded under the address count as calls to the service. Invariant: no edge leads
//! from one scope to another. Edges are never removed; at `EDGES_MAX` new ones are left out and
//! counted.

use std::collections::{BTreeMap, BTreeSet};

use model::Entity;
use model::tick::SeriesKey;
use serde::{Deserialize, Serialize};

const EDGES_MAX: usize = 10_000;
const ALIASES_MAX: usize = 10_000;
/// An alias of an alias of an alias … ends here, so that a circle cannot trap us.
const ALIAS_DEPTH_MAX: usize = 8;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// Calls as they were reported: caller, callee.
    raw: BTreeMap<Entity, BTreeSet<Entity>>,
    raw_edges: usize,
    aliases: BTreeMap<Entity, Entity>,
    /// The same between nodes, with the reported edges that each stands for.
    callees: BTreeMap<Entity, BTreeMap<Entity, Vec<SeriesKey>>>,
    callers: BTreeMap<Entity, BTreeSet<Entity>>,
    left_out: u64,
}

impl Topology {
    pub fn add_call(&mut self, caller: &Entity, callee: &Entity) {
        if self.raw.get(caller).is_some_and(|callees| callees.contains(callee)) {
            return;
        }
        if self.raw_edges >= EDGES_MAX {
            self.left_out += 1;
            return;
        }
        self.raw.entry(caller.clone()).or_default().insert(callee.clone());
        self.raw_edges += 1;
        self.link(caller, callee);
    }

    /// Calls to `from` are calls to `entity`, those of the past too.
    pub fn add_alias(&mut self, from: &Entity, entity: &Entity) {
        if from == entity || from.scope != entity.scope {
            return;
        }
        if self.aliases.get(from) == Some(entity) {
            return;
        }
        if self.aliases.len() >= ALIASES_MAX && !self.aliases.contains_key(from) {
            self.left_out += 1;
            return;
        }
        self.aliases.insert(from.clone(), entity.clone());
        self.callees.clear();
        self.callers.clear();
        for (caller, callees) in std::mem::take(&mut self.raw) {
            for callee in &callees {
                self.link(&caller, callee);
            }
            self.raw.insert(caller, callees);
        }
    }

    /// What `entity` turned out to be.
    pub fn resolve(&self, entity: &Entity) -> Entity {
        let mut resolved = entity;
        for _ in 0..ALIAS_DEPTH_MAX {
            match self.aliases.get(resolved) {
                Some(next) => resolved = next,
                None => break,
            }
        }
        resolved.clone()
    }

    /// The node that stands for `entity`.
    pub fn node(&self, entity: &Entity) -> Entity {
        let resolved = self.resolve(entity);
        resolved.owner().unwrap_or(resolved)
    }

    /// Edges and aliases that found no room.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// All edges between nodes, sorted.
    pub fn edges(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.callees
            .iter()
            .flat_map(|(caller, callees)| callees.keys().map(move |callee| (caller, callee)))
    }

    /// Callees of a node, each with the series that tell of the calls.
    pub fn callees(&self, node: &Entity) -> impl Iterator<Item = (&Entity, &[SeriesKey])> {
        self.callees
            .get(node)
            .into_iter()
            .flat_map(|callees| callees.iter().map(|(callee, keys)| (callee, keys.as_slice())))
    }

    pub fn callers(&self, node: &Entity) -> impl Iterator<Item = &Entity> {
        self.callers.get(node).into_iter().flatten()
    }

    /// Series that tell of calls from one node to another.
    pub fn calls(&self, caller: &Entity, callee: &Entity) -> &[SeriesKey] {
        self.callees.get(caller).and_then(|callees| callees.get(callee)).map_or(&[], Vec::as_slice)
    }

    /// Nodes within `hops` calls of `start`, in whichever direction, with their distance.
    pub fn near(&self, start: &Entity, hops: u32) -> BTreeMap<Entity, u32> {
        let mut found = BTreeMap::from([(start.clone(), 0)]);
        let mut ring = vec![start.clone()];
        for distance in 1..=hops {
            let mut next = Vec::new();
            for node in &ring {
                let callees = self.callees(node).map(|(callee, _)| callee);
                for neighbour in callees.chain(self.callers(node)) {
                    if !found.contains_key(neighbour) {
                        found.insert(neighbour.clone(), distance);
                        next.push(neighbour.clone());
                    }
                }
            }
            ring = next;
        }
        found
    }

    /// Everything that `node` calls, directly or through others.
    pub fn depends_on(&self, node: &Entity) -> BTreeSet<Entity> {
        let mut found = BTreeSet::new();
        let mut ring = vec![node.clone()];
        while let Some(caller) = ring.pop() {
            for (callee, _) in self.callees(&caller) {
                if callee != node && found.insert(callee.clone()) {
                    ring.push(callee.clone());
                }
            }
        }
        found
    }

    fn link(&mut self, caller: &Entity, callee: &Entity) {
        let (from, to) = (self.node(caller), self.node(callee));
        if from == to || from.scope != to.scope {
            return;
        }
        let key = SeriesKey::Edge { caller: caller.clone(), callee: callee.clone() };
        // Each reported edge is linked once, so no key can be there already.
        self.callees.entry(from.clone()).or_default().entry(to.clone()).or_default().push(key);
        self.callers.entry(to).or_default().insert(from);
    }
}

#[cfg(test)]
mod tests {
    use model::{EntityKind, Scope};

    use super::*;

    fn service(name: &str) -> Entity {
        Entity::service(&Scope::default(), name)
    }

    #[test]
    fn an_address_that_turns_out_to_be_a_service_keeps_its_past_calls() {
        let address = Entity::new(&Scope::default(), EntityKind::Peer, "127.0.0.1:7001");
        let mut topology = Topology::default();
        topology.add_call(&service("storefront"), &address);
        topology.add_call(&service("storefront"), &service("orders"));
        assert_eq!(topology.callees(&service("storefront")).count(), 2);
        topology.add_alias(&address, &service("orders"));
        assert_eq!(topology.callees(&service("storefront")).count(), 1);
        assert_eq!(topology.calls(&service("storefront"), &service("orders")).len(), 2);
    }

    #[test]
    fn aliases_in_a_circle_come_to_an_end() {
        let mut topology = Topology::default();
        topology.add_alias(&service("a"), &service("b"));
        topology.add_alias(&service("b"), &service("a"));
        topology.add_call(&service("a"), &service("c"));
        assert!(topology.near(&service("c"), 2).len() <= 3);
    }

    #[test]
    fn no_edge_leads_to_another_scope() {
        let staging = Entity::service(&Scope::new("default", "staging"), "orders");
        let mut topology = Topology::default();
        topology.add_call(&service("storefront"), &staging);
        assert_eq!(topology.near(&service("storefront"), 2).len(), 1);
    }
}
