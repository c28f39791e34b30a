//! What guardrails see of what is around a plan's target.
//!
//! Facts only, put together anew for each decision; the guardrails judge them.

use std::collections::BTreeSet;

use model::plan::Expectation;
use model::tick::ProcessState;
use model::{Entity, Incident, IncidentId, SymptomKind, Timestamp};

use super::Healer;
use crate::guardrails::{Around, Copies, Fate, Hearing, Storm};
use crate::record::{Record, StormSeen};
use crate::target::Target;

impl Healer {
    pub(super) fn around(
        &self,
        record: &Record,
        incident: Option<&Incident>,
        now: Timestamp,
    ) -> Around {
        let Some(target) = self.targets.get(&record.plan.target) else {
            return Around::default();
        };
        let surroundings = &self.surroundings;
        let service = target.entity.owner();
        let deploy =
            service.as_ref().and_then(|it| surroundings.deploy(it, now, &self.config.guardrails));
        let budget = incident.and_then(|incident| surroundings.budget_left(incident));
        let memory = self.memory.get(&target.name);
        Around {
            copies: self.copies(target),
            fates: self.fates(target),
            storm: self.storm_around(now),
            budget: budget.map(|(key, left)| (format!("{} of {}", key.source, key.entity), left)),
            deploy,
            looked: memory.and_then(|memory| memory.looked),
            hearing: incident.map(|incident| self.hearing(incident, now)).unwrap_or_default(),
        }
    }

    /// The instances of the target's service.
    fn copies(&self, target: &Target) -> Copies {
        let Some(service) = target.entity.owner() else { return Copies::default() };
        let instances = self.surroundings.instances(&service);
        let others = instances.iter().filter(|(instance, _)| **instance != target.entity);
        let well = others
            .filter(|(instance, is_well)| *is_well && !self.is_out(instance, &target.name))
            .count();
        let known = instances.len();
        // A target that stands for its service is one of the instances, and may be a well one.
        let well_beside = match target.entity == service {
            true => well.min(known.saturating_sub(1)),
            false => well,
        };
        Copies { known, well_beside }
    }

    /// Is the instance gone, or being acted upon?
    fn is_out(&self, instance: &Entity, except: &str) -> bool {
        let targets = self.targets.values().filter(|other| other.entity == *instance);
        targets.filter(|other| other.name != except).any(|other| {
            let memory = self.memory.get(&other.name);
            let report = memory.and_then(|memory| memory.report.as_ref());
            report.is_some_and(|report| matches!(report.state, ProcessState::Gone { .. }))
                || self.is_touched(&other.name)
        })
    }

    /// Is a running process of the target being acted upon, or not yet proven well since?
    fn is_touched(&self, target: &str) -> bool {
        self.records.values().any(|record| {
            let expect = record.last_action().map(|action| &action.expect);
            record.is_busy()
                && record.plan.target == target
                && !matches!(expect, Some(Expectation::Gone(_)))
        })
    }

    /// Groups of targets that fall together: of one host, one service, one database or queue.
    fn fates(&self, target: &Target) -> Vec<Fate> {
        let group = |what: String, shares: &dyn Fn(&Target) -> bool| {
            let of_group: Vec<&Target> =
                self.targets.values().filter(|other| shares(other)).collect();
            let others = of_group.iter().filter(|other| other.name != target.name);
            let touched = others.filter(|other| self.is_touched(&other.name)).count();
            Fate { what, targets: of_group.len(), touched }
        };
        let mut fates = Vec::new();
        if let Some(host) = self.host(target) {
            fates.push(group(format!("host {host}"), &|other| self.host(other) == Some(host)));
        }
        let Some(service) = target.entity.owner() else { return fates };
        fates.push(group(format!("service {service}"), &|other| {
            other.entity.owner().as_ref() == Some(&service)
        }));
        for store in self.surroundings.stores(&service) {
            fates.push(group(store.to_string(), &|other| {
                let owner = other.entity.owner();
                owner.is_some_and(|owner| self.surroundings.stores(&owner).any(|it| it == store))
            }));
        }
        fates
    }

    fn host(&self, target: &Target) -> Option<&str> {
        let report = self.memory.get(&target.name)?.report.as_ref()?;
        match &report.state {
            ProcessState::Running(process) | ProcessState::Gone { last: process, .. } => {
                Some(&process.host)
            }
            ProcessState::NeverSeen => None,
        }
    }

    /// When each service that is hurt was heard last. A failing probe is seen by Immune itself, and
    /// users of a service whose telemetry is lost are not hurt by that.
    fn hearing(&self, incident: &Incident, now: Timestamp) -> Vec<Hearing> {
        let firing = incident.firing.iter().filter_map(|at| incident.symptoms.get(*at as usize));
        let by_telemetry = firing.filter(|symptom| {
            use SymptomKind::{Blind, Certificate, ProbeFailing};
            !matches!(symptom.kind, ProbeFailing | Blind | Certificate)
        });
        let services: BTreeSet<Entity> = by_telemetry
            .map(|symptom| symptom.entity.owner().unwrap_or_else(|| symptom.entity.clone()))
            .collect();
        let heard = |service: Entity| {
            let ago = self.surroundings.unheard_for(&service, now);
            Hearing { service: service.to_string(), ago }
        };
        services.into_iter().map(heard).collect()
    }

    /// Notices a storm, and its end.
    pub(super) fn see_storm(&mut self, now: Timestamp) -> Option<String> {
        let limits = &self.config.guardrails;
        let (troubled, all) = self.count_troubled(now);
        let is_storm = troubled >= limits.storm_targets_min as usize
            && troubled as f64 >= limits.storm_share * all as f64;
        let before = self.storm.is_some();
        if is_storm {
            self.storm = Some(StormSeen { last: now, troubled, all });
        } else if self.storm.is_some_and(|it| now >= it.last + limits.storm_cooldown.0) {
            self.storm = None;
        }
        match (before, self.storm.is_some()) {
            (false, true) => Some(format!("storm: {troubled} of {all} targets are in trouble")),
            (true, false) => Some("the storm is over".to_owned()),
            _ => None,
        }
    }

    /// How many targets are in trouble, and of how many. A whole service and its instances are one
    /// trouble, told twice: the service counts only where none of its instances does.
    fn count_troubled(&self, now: Timestamp) -> (usize, usize) {
        let whole = |target: &Target| target.entity.owner().filter(|it| *it != target.entity);
        let targets = || self.targets.values();
        let owners: BTreeSet<Entity> = targets().filter_map(whole).collect();
        let all = targets().filter(|it| !owners.contains(&it.entity)).count();
        let troubled: Vec<&Target> = targets().filter(|it| self.is_troubled(it, now)).collect();
        let told: BTreeSet<Entity> = troubled.iter().copied().filter_map(whole).collect();
        (troubled.iter().filter(|it| !told.contains(&it.entity)).count(), all)
    }

    /// Gone, dead a short while ago, silent, or blamed.
    fn is_troubled(&self, target: &Target, now: Timestamp) -> bool {
        let window = self.config.guardrails.storm_window.0;
        let memory = self.memory.get(&target.name);
        let died = memory.and_then(|memory| memory.died).is_some_and(|at| now.since(at) < window);
        let report = memory.and_then(|memory| memory.report.as_ref());
        let is_gone = report.is_some_and(|report| {
            matches!(report.state, ProcessState::Gone { stop_requested: false, .. })
        });
        let entity = &target.entity;
        died || is_gone
            || self.surroundings.is_silent(entity)
            || self.surroundings.is_blamed(entity)
    }

    fn storm_around(&self, now: Timestamp) -> Option<Storm> {
        let seen = self.storm?;
        let last_order = self.ordered.last().map(|at| now.since(*at));
        let StormSeen { last, troubled, all } = seen;
        Some(Storm { calm_for: now.since(last), troubled, all, last_order })
    }

    /// Incidents, objectives and the tick of this step.
    pub(super) fn look_around(
        &mut self,
        input: &crate::proposals::StepInput<'_>,
        incidents: &std::collections::BTreeMap<IncidentId, &Incident>,
    ) {
        if let Some(tick) = input.tick {
            self.surroundings.see_tick(tick);
        }
        self.surroundings.see_objectives(input.objectives, incidents.values().copied());
        self.surroundings.see_incidents(incidents.values().copied());
    }
}

#[cfg(test)]
mod tests;
