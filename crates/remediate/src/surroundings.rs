//! What is known of what is around the targets: the instances of each service, the databases and
//! queues that it calls, when it was last heard, whether it is being deployed, who is blamed, and
//! what is left of error budgets.
//!
//! Learnt from ticks, incidents and objectives; guardrails ask it. Invariants: every collection has
//! a bound; an instance that was never heard of is not taken for a well one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::symptom::{ObjectiveState, SymptomKey};
use model::tick::{InstanceEvent, InstanceEventKind, Tick, TopologyChange};
use model::{CauseKind, ChangeKind, Entity, EntityKind, Incident, IncidentState, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Limits;

const INSTANCES_MAX: usize = 20_000;
const SERVICES_MAX: usize = 10_000;
const STORES_PER_SERVICE_MAX: usize = 50;
/// Whoever deploys for longer, without any sign of it, has stopped.
const DEPLOY_MAX: Duration = Duration::from_secs(1_800);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    instances: BTreeMap<Entity, Instance>,
    /// Last arrival of anything from a service.
    heard: BTreeMap<Entity, Timestamp>,
    /// Databases and queues that a service calls.
    stores: BTreeMap<Entity, BTreeSet<Entity>>,
    /// Last sign of a deploy of a service.
    deploys: BTreeMap<Entity, Timestamp>,
    /// What the causes of open incidents blame.
    blamed: BTreeSet<Entity>,
    /// Share of its budget that an objective has left.
    budgets: BTreeMap<SymptomKey, f64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Instance {
    version: String,
    silent: bool,
}

impl Surroundings {
    pub fn see_tick(&mut self, tick: &Tick) {
        for (service, at) in &tick.heard {
            if self.heard.len() < SERVICES_MAX || self.heard.contains_key(service) {
                let known = self.heard.entry(service.clone()).or_default();
                *known = (*known).max(*at);
            }
        }
        for change in &tick.topology {
            if let TopologyChange::Calls { caller, callee } = change {
                self.see_call(caller, callee);
            }
        }
        for event in &tick.instances {
            self.see_instance(event, tick.now);
        }
        for change in &tick.changes {
            // What Immune does itself is no deploy by others.
            let by_others = change.kind == ChangeKind::Deploy && change.source != "immune";
            if let Some(service) = change.entity.owner().filter(|_| by_others) {
                self.sign_of_deploy(service, tick.now);
            }
        }
        self.deploys.retain(|_, sign| tick.now.since(*sign) < DEPLOY_MAX);
    }

    fn see_call(&mut self, caller: &Entity, callee: &Entity) {
        let is_store = matches!(callee.kind, EntityKind::Database | EntityKind::Queue);
        let Some(service) = caller.owner().filter(|_| is_store) else { return };
        if self.stores.len() >= SERVICES_MAX && !self.stores.contains_key(&service) {
            return;
        }
        let stores = self.stores.entry(service).or_default();
        if stores.len() < STORES_PER_SERVICE_MAX {
            stores.insert(callee.clone());
        }
    }

    fn see_instance(&mut self, event: &InstanceEvent, now: Timestamp) {
        use InstanceEventKind::{Back, Restarted, Seen, Silent, Vanished, Version};
        let version = match &event.kind {
            Vanished { .. } => {
                self.instances.remove(&event.instance);
                return;
            }
            Seen { version } | Version { to: version, .. } => Some(version.clone()),
            Restarted | Silent { .. } | Back => None,
        };
        if self.instances.len() >= INSTANCES_MAX && !self.instances.contains_key(&event.instance) {
            return;
        }
        let is_new_version = match (&event.kind, &version) {
            (Version { .. }, _) => true,
            // One more instance of the version that the others have is no deploy.
            (_, Some(version)) => self.is_other_version(&event.instance, version),
            _ => false,
        };
        let instance = self
            .instances
            .entry(event.instance.clone())
            .or_insert_with(|| Instance { version: String::new(), silent: false });
        instance.silent = matches!(event.kind, Silent { .. });
        if let Some(version) = version {
            instance.version = version;
        }
        if let Some(service) = event.instance.owner().filter(|_| is_new_version) {
            self.sign_of_deploy(service, now);
        }
    }

    fn sign_of_deploy(&mut self, service: Entity, now: Timestamp) {
        if self.deploys.len() < SERVICES_MAX || self.deploys.contains_key(&service) {
            self.deploys.insert(service, now);
        }
    }

    pub fn see_incidents<'a>(&mut self, incidents: impl Iterator<Item = &'a Incident>) {
        let open = incidents.filter(|incident| incident.state != IncidentState::Resolved);
        let causes = open.flat_map(|incident| {
            let first = incident.causes.iter().take(1);
            first.chain(incident.causes.iter().skip(1).filter(|cause| cause.process.is_some()))
        });
        let known = causes.filter(|cause| cause.kind != CauseKind::Unknown);
        self.blamed = known.map(|cause| cause.entity.clone()).collect();
    }

    /// Of objectives that no incident speaks of nothing is kept.
    pub fn see_objectives<'a>(
        &mut self,
        objectives: &[ObjectiveState],
        incidents: impl Iterator<Item = &'a Incident>,
    ) {
        let hurt: BTreeSet<&Entity> =
            incidents.flat_map(|it| &it.symptoms).map(|symptom| &symptom.entity).collect();
        let objectives = objectives.iter().filter(|it| hurt.contains(&it.entity));
        let left = objectives.filter_map(|objective| {
            let ObjectiveState { source, entity, kind, budget_left, .. } = objective;
            let (source, entity) = (source.clone(), entity.clone());
            Some((SymptomKey { source, entity, kind: *kind }, (*budget_left)?))
        });
        self.budgets = left.collect();
    }

    /// All that is known of the instances of a service.
    fn of_service<'a>(
        &'a self,
        service: &'a Entity,
    ) -> impl Iterator<Item = (&'a Entity, &'a Instance)> {
        let first = Entity::instance(&service.scope, &service.name, "");
        let from = self.instances.range(first..);
        from.take_while(|(instance, _)| instance.owner().as_ref() == Some(service))
    }

    /// Does another instance of the same service have another version?
    fn is_other_version(&self, instance: &Entity, version: &str) -> bool {
        let Some(service) = instance.owner().filter(|_| !version.is_empty()) else { return false };
        self.of_service(&service).any(|(other, known)| {
            other != instance && !known.version.is_empty() && known.version != version
        })
    }

    /// Instances of the service, each with whether it is known to be well by its telemetry and no
    /// cause blames it.
    pub fn instances<'a>(&'a self, service: &'a Entity) -> Vec<(&'a Entity, bool)> {
        let service_blamed = self.blamed.contains(service);
        self.of_service(service)
            .map(|(instance, known)| {
                let is_well = !known.silent && !service_blamed && !self.blamed.contains(instance);
                (instance, is_well)
            })
            .collect()
    }

    pub fn is_blamed(&self, entity: &Entity) -> bool {
        let of_service = entity.owner().is_some_and(|service| self.blamed.contains(&service));
        of_service || self.blamed.contains(entity)
    }

    /// A service is silent when each of its instances is.
    pub fn is_silent(&self, entity: &Entity) -> bool {
        if let Some(instance) = self.instances.get(entity) {
            return instance.silent;
        }
        let mut instances = self.of_service(entity).peekable();
        instances.peek().is_some() && instances.all(|(_, instance)| instance.silent)
    }

    pub fn stores(&self, service: &Entity) -> impl Iterator<Item = &Entity> {
        self.stores.get(service).into_iter().flatten()
    }

    /// How long ago anything of the service arrived.
    pub fn unheard_for(&self, service: &Entity, now: Timestamp) -> Option<Duration> {
        self.heard.get(service).map(|at| now.since(*at))
    }

    /// Since when the last sign of a running deploy of the service is known, if one is under way.
    pub fn deploy(&self, service: &Entity, now: Timestamp, limits: &Limits) -> Option<Timestamp> {
        let sign = *self.deploys.get(service)?;
        let age = now.since(sign);
        let speaking = self.of_service(service).filter(|(_, instance)| !instance.silent);
        let versions: BTreeSet<&str> = speaking
            .map(|(_, instance)| instance.version.as_str())
            .filter(|version| !version.is_empty())
            .collect();
        let is_mixed = versions.len() > 1 && age < DEPLOY_MAX;
        (age < limits.deploy_settle.0 || is_mixed).then_some(sign)
    }

    /// The least that is left of the budgets of the objectives that tell of the incident's harm.
    pub fn budget_left(&self, incident: &Incident) -> Option<(&SymptomKey, f64)> {
        let told = incident.symptoms.iter().filter_map(|symptom| {
            let (key, left) = self.budgets.get_key_value(&symptom.key())?;
            Some((key, *left))
        });
        told.min_by(|one, other| one.1.total_cmp(&other.1))
    }
}

#[cfg(test)]
mod tests;
