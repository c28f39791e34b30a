//! Every name that was seen, under a small number; limits and forgetting of names.
//!
//! Numbers make counting cheap: a span needs no string to find its series. Invariants: a name is
//! announced once as `TopologyChange` when it gets its number; numbers are never used twice; each
//! kind has a limit, and so have all together; a name beyond it gets no number and is counted in
//! `over_limit`; names not used for long are forgotten, so that limits are on what lives.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::tick::{SeriesKey, TopologyChange};
use model::{Entity, EntityKind, Scope, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Limits;

pub(crate) type Id = u64;

/// Longest name of anything, in bytes.
const NAME_MAX: usize = 256;
/// Operation under which those beyond the limit are counted.
pub(crate) const OTHER: &str = "other";
/// The owner of what belongs to nothing.
const NO_OWNER: Id = 0;
/// Operations are at most one in so many of all entities: they are what grows by mistake (an id
/// in a route), and must leave room for services and instances.
const OPERATIONS_PART: usize = 2;

/// A name cut to the longest that is kept, at a character's border.
pub(crate) fn shorten(name: &str) -> Cow<'_, str> {
    if name.len() <= NAME_MAX {
        return Cow::Borrowed(name);
    }
    Cow::Borrowed(&name[..name.floor_char_boundary(NAME_MAX)])
}

/// A series by numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Series {
    Of(Id),
    Edge { caller: Id, callee: Id },
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Registry {
    /// The last number given.
    last: Id,
    scopes: BTreeMap<Scope, Id>,
    shelves: BTreeMap<Shelf, BTreeMap<String, Id>>,
    known: BTreeMap<Id, Known>,
    edges: BTreeMap<(Id, Id), Edge>,
    /// How many of each kind there are; databases, queues and peers share a limit.
    counts: BTreeMap<EntityKind, usize>,
    /// Latency thresholds wanted, also for series not yet seen.
    thresholds: BTreeMap<SeriesKey, Vec<f64>>,
    news: Vec<TopologyChange>,
    over_limit: u64,
}

/// Names are unique within a scope, kind and owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Shelf {
    scope: Id,
    kind: EntityKind,
    owner: Id,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    entity: Entity,
    shelf: Shelf,
    last_used: Timestamp,
    thresholds: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Edge {
    last_used: Timestamp,
    thresholds: Vec<f64>,
}

impl Registry {
    pub(crate) fn scope(&mut self, scope: &Scope, limits: &Limits) -> Option<Id> {
        if let Some(id) = self.scopes.get(scope) {
            return Some(*id);
        }
        if self.scopes.len() >= limits.environments {
            self.over_limit += 1;
            return None;
        }
        self.last += 1;
        self.scopes.insert(scope.clone(), self.last);
        Some(self.last)
    }

    /// The number of a service, database, queue or peer of a scope.
    pub(crate) fn named(
        &mut self,
        (scope_id, scope): (Id, &Scope),
        kind: EntityKind,
        name: &str,
        now: Timestamp,
        limits: &Limits,
    ) -> Option<Id> {
        let name = shorten(name);
        let shelf = Shelf { scope: scope_id, kind, owner: NO_OWNER };
        self.find(shelf, &name, now).or_else(|| {
            let has_room = self.has_room(shelf, limits);
            self.add(has_room, shelf, Entity::new(scope, kind, &name), now)
        })
    }

    /// The number of an instance or operation of a service. Operations beyond the limit are one:
    /// `other`.
    pub(crate) fn part(
        &mut self,
        service: Id,
        kind: EntityKind,
        name: &str,
        now: Timestamp,
        limits: &Limits,
    ) -> Option<Id> {
        let name = shorten(name);
        let scope = self.known.get(&service)?.shelf.scope;
        let shelf = Shelf { scope, kind, owner: service };
        if let Some(id) = self.find(shelf, &name, now) {
            return Some(id);
        }
        let has_room = self.has_room(shelf, limits);
        if !has_room && kind == EntityKind::Operation {
            self.over_limit += 1;
            return self.find(shelf, OTHER, now).or_else(|| {
                let has_room = self.known.len() < limits.entities;
                let entity = self.part_entity(service, kind, OTHER).filter(|_| has_room)?;
                self.add(true, shelf, entity, now)
            });
        }
        let entity = self.part_entity(service, kind, &name)?;
        self.add(has_room, shelf, entity, now)
    }

    /// Makes sure that there is an edge; false when there is no room for it or an end is forgotten.
    pub(crate) fn edge(&mut self, caller: Id, callee: Id, now: Timestamp, limits: &Limits) -> bool {
        if let Some(edge) = self.edges.get_mut(&(caller, callee)) {
            edge.last_used = edge.last_used.max(now);
            return true;
        }
        if self.edges.len() >= limits.edges {
            self.over_limit += 1;
            return false;
        }
        let Some(key) = self.key(Series::Edge { caller, callee }) else { return false };
        let thresholds = self.thresholds.get(&key).cloned().unwrap_or_default();
        self.edges.insert((caller, callee), Edge { last_used: now, thresholds });
        if let SeriesKey::Edge { caller, callee } = key {
            self.news.push(TopologyChange::Calls { caller, callee });
        }
        true
    }

    pub(crate) fn entity(&self, id: Id) -> Option<&Entity> {
        self.known.get(&id).map(|known| &known.entity)
    }

    /// Moves the time of last use of an entity that is used without being looked up by name.
    pub(crate) fn touch(&mut self, id: Id, now: Timestamp) {
        if let Some(known) = self.known.get_mut(&id) {
            known.last_used = known.last_used.max(now);
        }
    }

    pub(crate) fn key(&self, series: Series) -> Option<SeriesKey> {
        match series {
            Series::Of(id) => own_key(self.entity(id)?),
            Series::Edge { caller, callee } => Some(SeriesKey::Edge {
                caller: self.entity(caller)?.clone(),
                callee: self.entity(callee)?.clone(),
            }),
        }
    }

    pub(crate) fn thresholds(&self, series: Series) -> &[f64] {
        let thresholds = match series {
            Series::Of(id) => self.known.get(&id).map(|known| &known.thresholds),
            Series::Edge { caller, callee } => {
                self.edges.get(&(caller, callee)).map(|edge| &edge.thresholds)
            }
        };
        thresholds.map_or(&[], Vec::as_slice)
    }

    pub(crate) fn set_thresholds(&mut self, thresholds: BTreeMap<SeriesKey, Vec<f64>>) {
        if self.thresholds == thresholds {
            return;
        }
        let wanted = |key: Option<SeriesKey>| {
            key.and_then(|key| thresholds.get(&key)).cloned().unwrap_or_default()
        };
        for known in self.known.values_mut() {
            known.thresholds = wanted(own_key(&known.entity));
        }
        let ends: Vec<_> = self.edges.keys().copied().collect();
        for (caller, callee) in ends {
            let own = wanted(self.key(Series::Edge { caller, callee }));
            if let Some(edge) = self.edges.get_mut(&(caller, callee)) {
                edge.thresholds = own;
            }
        }
        self.thresholds = thresholds;
    }

    pub(crate) fn announce(&mut self, change: TopologyChange) {
        self.news.push(change);
    }

    pub(crate) fn take_news(&mut self) -> Vec<TopologyChange> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn take_over_limit(&mut self) -> u64 {
        std::mem::take(&mut self.over_limit)
    }

    /// Forgets one instance; it has neither parts nor edges.
    pub(crate) fn forget(&mut self, instance: Id) {
        self.remove(instance);
    }

    /// Forgets everything not used since `before`.
    pub(crate) fn forget_before(&mut self, before: Timestamp) {
        let idle: Vec<Id> = self
            .known
            .iter()
            .filter(|(_, known)| known.last_used < before)
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.remove(id);
        }
        self.edges.retain(|_, edge| edge.last_used >= before);
        self.remove_orphans();
        let used: std::collections::BTreeSet<Id> =
            self.shelves.keys().map(|shelf| shelf.scope).collect();
        self.scopes.retain(|_, id| used.contains(id));
    }

    fn find(&mut self, shelf: Shelf, name: &str, now: Timestamp) -> Option<Id> {
        let id = *self.shelves.get(&shelf)?.get(name)?;
        self.touch(id, now);
        Some(id)
    }

    fn add(&mut self, has_room: bool, shelf: Shelf, entity: Entity, now: Timestamp) -> Option<Id> {
        if !has_room {
            self.over_limit += 1;
            return None;
        }
        self.last += 1;
        let id = self.last;
        let thresholds = own_key(&entity).and_then(|key| self.thresholds.get(&key)).cloned();
        self.shelves.entry(shelf).or_default().insert(entity.name.clone(), id);
        *self.counts.entry(shelf.kind).or_default() += 1;
        self.news.push(TopologyChange::Entity(entity.clone()));
        let thresholds = thresholds.unwrap_or_default();
        self.known.insert(id, Known { entity, shelf, last_used: now, thresholds });
        Some(id)
    }

    fn has_room(&self, shelf: Shelf, limits: &Limits) -> bool {
        let has_own_room = match shelf.kind {
            EntityKind::Service => self.count(&[shelf.kind]) < limits.services,
            EntityKind::Instance => self.count(&[shelf.kind]) < limits.instances,
            EntityKind::Operation => {
                let of_service = self.shelves.get(&shelf).map_or(0, BTreeMap::len);
                of_service < limits.operations_per_service
                    && self.count(&[shelf.kind]) < limits.entities / OPERATIONS_PART
            }
            _ => self.count(CALLEES) < limits.callees,
        };
        has_own_room && self.known.len() < limits.entities
    }

    fn part_entity(&self, service: Id, kind: EntityKind, name: &str) -> Option<Entity> {
        let owner = self.entity(service)?;
        Some(Entity::part(&owner.scope, kind, &owner.name, name))
    }

    fn count(&self, kinds: &[EntityKind]) -> usize {
        kinds.iter().filter_map(|kind| self.counts.get(kind)).sum()
    }

    fn remove(&mut self, id: Id) {
        let Some(known) = self.known.remove(&id) else { return };
        if let Some(names) = self.shelves.get_mut(&known.shelf) {
            names.remove(&known.entity.name);
            if names.is_empty() {
                self.shelves.remove(&known.shelf);
            }
        }
        if let Some(count) = self.counts.get_mut(&known.shelf.kind) {
            *count = count.saturating_sub(1);
        }
    }

    fn remove_orphans(&mut self) {
        let is_orphan = |known: &Known| {
            known.shelf.owner != NO_OWNER && !self.known.contains_key(&known.shelf.owner)
        };
        let orphans: Vec<Id> =
            self.known.iter().filter(|(_, known)| is_orphan(known)).map(|(id, _)| *id).collect();
        for id in orphans {
            self.remove(id);
        }
        let known = &self.known;
        self.edges.retain(|(from, to), _| known.contains_key(from) && known.contains_key(to));
    }
}

const CALLEES: &[EntityKind] = &[EntityKind::Database, EntityKind::Queue, EntityKind::Peer];

fn own_key(entity: &Entity) -> Option<SeriesKey> {
    match entity.kind {
        EntityKind::Service => Some(SeriesKey::Service(entity.clone())),
        EntityKind::Operation => Some(SeriesKey::Operation(entity.clone())),
        EntityKind::Instance => Some(SeriesKey::Instance(entity.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry() -> (Registry, Limits, Scope, Id) {
        let limits = Limits { operations_per_service: 2, services: 2, ..Limits::default() };
        let mut registry = Registry::default();
        let scope = Scope::default();
        let id = registry.scope(&scope, &limits).unwrap();
        (registry, limits, scope, id)
    }

    #[test]
    fn operations_beyond_the_limit_are_one() {
        let (mut registry, limits, scope, scope_id) = registry();
        let now = Timestamp::from_secs(1);
        let service =
            registry.named((scope_id, &scope), EntityKind::Service, "a", now, &limits).unwrap();
        let mut part = |name: &str| {
            let id = registry.part(service, EntityKind::Operation, name, now, &limits).unwrap();
            registry.entity(id).unwrap().name.clone()
        };
        let names: Vec<String> = ["x", "y", "z", "x", "w"].map(&mut part).to_vec();
        assert_eq!(names, ["x", "y", "other", "x", "other"]);
        assert_eq!(registry.take_over_limit(), 2);
    }

    #[test]
    fn operations_of_all_services_leave_half_of_the_entities_to_others() {
        let (mut registry, _, scope, scope_id) = registry();
        let limits = Limits { entities: 20, ..Limits::default() };
        let now = Timestamp::from_secs(1);
        let service = |registry: &mut Registry, number: u32| {
            let name = format!("s{number}");
            registry.named((scope_id, &scope), EntityKind::Service, &name, now, &limits)
        };
        for number in 0..4 {
            let id = service(&mut registry, number).unwrap();
            for part in 0..100 {
                let name = format!("GET /{part}");
                assert!(registry.part(id, EntityKind::Operation, &name, now, &limits).is_some());
            }
        }
        // Ten with names of their own, all of the first service; `other` of each of the four.
        assert_eq!((registry.known.len(), registry.take_over_limit()), (4 + 10 + 4, 390));
        assert!((4..6).all(|number| service(&mut registry, number).is_some()));
        assert_eq!(service(&mut registry, 6), None, "twenty in all");
        let part = registry.find(
            Shelf { scope: scope_id, kind: EntityKind::Service, owner: NO_OWNER },
            "s5",
            now,
        );
        let part = registry.part(part.unwrap(), EntityKind::Operation, "GET /", now, &limits);
        assert_eq!((part, registry.known.len()), (None, 20));
        assert_eq!(registry.take_over_limit(), 2);
        registry.forget_before(Timestamp::from_secs(2));
        assert!(registry.known.is_empty() && service(&mut registry, 6).is_some());
    }

    #[test]
    fn forgetting_a_service_forgets_its_parts_and_makes_room() {
        let (mut registry, limits, scope, scope_id) = registry();
        let at = Timestamp::from_secs;
        let named = |registry: &mut Registry, name: &str, now| {
            registry.named((scope_id, &scope), EntityKind::Service, name, at(now), &limits)
        };
        let old = named(&mut registry, "old", 1).unwrap();
        let part = registry.part(old, EntityKind::Instance, "old-1", at(9), &limits).unwrap();
        let new = named(&mut registry, "new", 9).unwrap();
        assert!(registry.edge(new, old, at(9), &limits));
        assert_eq!(named(&mut registry, "third", 9), None);
        registry.forget_before(at(5));
        assert!(registry.entity(part).is_none() && registry.edges.is_empty());
        assert!(named(&mut registry, "third", 9).is_some());
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(shorten(&"é".repeat(200)).len(), 256);
        assert!(shorten(&format!("a{}", "é".repeat(200))).len() < 256);
    }
}
