//! What a tick brings, handed to whom it concerns.
//!
//! Bounded: beyond `OBJECTIVES_MAX` and `SERVICES_MAX` nothing is taken up, and that is counted.

use model::tick::{BUCKET, RequestPoint, SeriesKey, TopologyChange};
use model::{Entity, Tick, Timestamp};

use super::{Detectors, OBJECTIVES_MAX, SERVICES_MAX, end};

use crate::inspections::{certificate, probe};
use crate::objective::{Tracker, amount, definitions_for};
use crate::service::Service;

impl Detectors {
    pub(super) fn learn_topology(&mut self, changes: &[TopologyChange]) {
        for change in changes {
            match change {
                TopologyChange::Entity(_) => {}
                TopologyChange::Calls { caller, callee } => self.calls(caller, callee),
                TopologyChange::Alias { from, entity } => self.alias(from, entity),
            }
        }
    }

    fn calls(&mut self, caller: &Entity, callee: &Entity) {
        let (Some(from), Some(to)) = (caller.owner(), callee.owner()) else { return };
        if from == to {
            return;
        }
        if let Some(service) = self.service(&to) {
            service.add_caller(&from);
        }
    }

    /// Calls to `from` go on under another name, so their end means nothing.
    fn alias(&mut self, from: &Entity, entity: &Entity) {
        if from == entity {
            return;
        }
        for service in self.services.values_mut() {
            service.flows.retain(|series, flow| {
                let renamed = matches!(series, SeriesKey::Edge { callee, .. } if callee == from);
                if renamed {
                    self.ended.extend(end(&mut flow.standing));
                }
                !renamed
            });
            service.callers.remove(from);
        }
    }

    pub(super) fn hear(&mut self, entity: &Entity, at: Timestamp) {
        let now = self.now;
        if let Some(owner) = entity.owner()
            && let Some(service) = self.service(&owner)
        {
            service.heard = service.heard.max(at.min(now));
            service.blind.hear(at.min(now));
        }
    }

    /// The service's account, made when it is first spoken of; `None` at the bound.
    fn service(&mut self, entity: &Entity) -> Option<&mut Service> {
        if !self.services.contains_key(entity) {
            if self.services.len() >= SERVICES_MAX {
                self.left_out += 1;
                return None;
            }
            self.services.insert(entity.clone(), Service::new(self.now));
        }
        self.services.get_mut(entity)
    }

    pub(super) fn take(&mut self, point: &RequestPoint) {
        let now = self.now;
        let count = amount(point.total);
        let end = (point.bucket + BUCKET).min(now);
        match &point.series {
            SeriesKey::Service(entity) => {
                if let Some(service) = self.service(entity) {
                    service.heard = service.heard.max(now);
                    service.blind.hear(now);
                    service.take_requests(count, end, now);
                }
                self.take_for_objectives(entity, point);
            }
            SeriesKey::Operation(entity) => {
                let owner = entity.owner();
                if let Some(service) = owner.and_then(|owner| self.service(&owner)) {
                    service.take_flow(&point.series, count, end, now);
                }
                self.take_for_objectives(entity, point);
            }
            SeriesKey::Edge { caller, callee } => {
                self.calls(caller, callee);
                let called =
                    callee.owner().filter(|callee| Some(callee) != caller.owner().as_ref());
                if let Some(service) = called.and_then(|callee| self.services.get_mut(&callee)) {
                    service.blind.take_calls(count, amount(point.errors), point.bucket, now);
                }
                let owner = caller.owner();
                if let Some(service) = owner.and_then(|owner| self.service(&owner)) {
                    service.take_flow(&point.series, count, end, now);
                }
            }
            SeriesKey::Instance(_) => {}
        }
    }

    fn take_for_objectives(&mut self, entity: &Entity, point: &RequestPoint) {
        if amount(point.total) <= 0.0 {
            return;
        }
        if !self.objectives.contains_key(entity) {
            let definitions = definitions_for(entity, &self.config);
            if definitions.is_empty() {
                return;
            }
            let known: usize = self.objectives.values().map(Vec::len).sum();
            if known + definitions.len() > OBJECTIVES_MAX {
                self.left_out += 1;
                return;
            }
            let tracker = |definition| Tracker::new(definition, entity.clone(), self.now);
            let trackers = definitions.into_iter().map(tracker).collect();
            self.objectives.insert(entity.clone(), trackers);
        }
        let around = self.surroundings(entity);
        for tracker in self.objectives.get_mut(entity).into_iter().flatten() {
            tracker.take(point, &self.config, around);
        }
    }

    pub(super) fn take_probes(&mut self, tick: &Tick) {
        if !self.config.inspects(&probe::SPEC) {
            return;
        }
        for result in &tick.probes {
            let Some(probe) = self.config.probes.iter().find(|probe| probe.name == result.probe)
            else {
                continue;
            };
            let key = (result.probe.clone(), result.entity.clone());
            if !self.probes.contains_key(&key)
                && self.probes.len() >= 2 * crate::validate::PROBES_MAX
            {
                self.left_out += 1;
                continue;
            }
            let watch = self.probes.entry(key).or_default();
            watch.take(result, probe, self.now);
            if self.config.inspects(&certificate::SPEC) {
                watch.certificate.take(result, self.config.certificate_within.0, self.now);
            }
        }
    }

    pub(super) fn take_alerts(&mut self, tick: &Tick) {
        if self.config.alerts.enabled {
            for report in &tick.alerts {
                self.alerts.take(report, &self.config.alerts, &self.services);
            }
        }
    }
}
