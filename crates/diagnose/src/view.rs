//! What is known, for people who look: nodes of the topology, who calls whom and by which series,
//! instances, when each was heard, changes. Nothing here judges.

use std::collections::BTreeSet;

use model::tick::SeriesKey;
use model::{Change, Entity, EntityKind, Timestamp};

use crate::Diagnoser;

/// One instance of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceSeen<'a> {
    pub entity: &'a Entity,
    /// Empty when telemetry does not say.
    pub version: &'a str,
    /// Since when it runs that version, as far as is known.
    pub version_since: Option<Timestamp>,
    /// Last heard at this time, and not since.
    pub silent: Option<Timestamp>,
}

impl Diagnoser {
    /// Services that were heard of, and everything that calls or is called, sorted.
    pub fn nodes(&self) -> BTreeSet<&Entity> {
        let called = self.edges().flat_map(|(caller, callee)| [caller, callee]);
        let heard = self.known().heard.keys();
        called.chain(heard.filter(|entity| entity.kind == EntityKind::Service)).collect()
    }

    /// The node that stands for an entity: the service of an instance or operation, whoever
    /// answers at an address.
    pub fn node(&self, entity: &Entity) -> Entity {
        self.known().topology.node(entity)
    }

    /// Series that tell of calls from one node to another.
    pub fn calls(&self, caller: &Entity, callee: &Entity) -> &[SeriesKey] {
        self.known().topology.calls(caller, callee)
    }

    pub fn callers(&self, node: &Entity) -> impl Iterator<Item = &Entity> {
        self.known().topology.callers(node)
    }

    pub fn callees(&self, node: &Entity) -> impl Iterator<Item = &Entity> {
        self.known().topology.callees(node).map(|(callee, _)| callee)
    }

    /// Instances of a service, those that fell silent included, sorted.
    pub fn instances_of(&self, service: &Entity) -> impl Iterator<Item = InstanceSeen<'_>> {
        self.known().instances_of(service).map(|(entity, instance)| InstanceSeen {
            entity,
            version: instance.version(),
            version_since: instance.versions.back().map(|(since, _)| *since),
            silent: instance.silent,
        })
    }

    /// When any telemetry of a service arrived last.
    pub fn heard(&self, service: &Entity) -> Option<Timestamp> {
        self.known().heard.get(service).map(|heard| heard.last)
    }

    /// When any telemetry of any service arrived last.
    pub fn last_heard(&self) -> Option<Timestamp> {
        self.known().heard.values().map(|heard| heard.last).max()
    }

    /// Changes of the last hours, oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.known().changes.iter()
    }
}
