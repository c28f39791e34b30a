//! What may be looked at from outside: the services and edges that diagnosis knows of.

use std::collections::BTreeSet;

use model::{Entity, EntityKind};

use crate::diagnoser::Diagnoser;

impl Diagnoser {
    /// Services that were heard of or called, sorted.
    pub fn services(&self) -> impl Iterator<Item = &Entity> {
        let known = self.known();
        let called = known.topology.edges().flat_map(|(caller, callee)| [caller, callee]);
        let all: BTreeSet<&Entity> = called
            .chain(known.heard.keys())
            .filter(|entity| entity.kind == EntityKind::Service)
            .collect();
        all.into_iter()
    }

    /// Who calls whom, sorted; addresses are resolved where it is known who answers there.
    pub fn edges(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.known().topology.edges()
    }
}
