//! All inspections over all entities, one tick at a time.
//!
//! Bounds: `OBJECTIVES_MAX` objectives and `SERVICES_MAX` services; what comes beyond is counted in
//! `left_out`, never judged. What gave no sign for `FORGET_AFTER` is forgotten, with its symptoms:
//! nobody can tell any more whether users are hurt there.

mod intake;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::symptom::{ObjectiveState, Observed, Symptom, SymptomKey};
use model::tick::SeriesKey;
use model::{Entity, EntityKind, Tick, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::inspections::{absent_traffic, alert, blind, exhaustion, probe, stalled};
use crate::objective::{Surroundings, Tracker, amount, definitions_for};
use crate::service::Service;
use crate::standing::Standing;

/// Objectives watched at most; about 4 KB each.
pub const OBJECTIVES_MAX: usize = 2_000;
/// Services watched at most.
pub const SERVICES_MAX: usize = 1_000;
const FORGET_AFTER: Duration = Duration::from_secs(7 * 86_400);
/// Operations and calls that ceased quietly are forgotten sooner: they come and go.
const FORGET_FLOW_AFTER: Duration = Duration::from_secs(86_400);
/// Ticks come each second. After a gap like this nobody watched: what did not come in it says
/// nothing.
const BLIND_AFTER: Duration = Duration::from_secs(45);
/// Good requests that end a stall or an absence.
const GOOD_MIN: f64 = 5.0;

/// The detectors and all that they remember; saved whole in snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Detectors {
    config: Config,
    now: Timestamp,
    /// By the entity that they measure.
    objectives: BTreeMap<Entity, Vec<Tracker>>,
    services: BTreeMap<Entity, Service>,
    /// By name and entity.
    probes: BTreeMap<(String, Entity), probe::Watch>,
    alerts: alert::Alerts,
    levels: exhaustion::Levels,
    incident_services: BTreeSet<Entity>,
    /// Symptoms that ended between ticks, by reload or relearning.
    ended: Vec<SymptomKey>,
    left_out: u64,
}

impl Detectors {
    pub fn new(config: Config) -> Self {
        Detectors {
            config,
            now: Timestamp::ZERO,
            objectives: BTreeMap::new(),
            services: BTreeMap::new(),
            probes: BTreeMap::new(),
            alerts: alert::Alerts::default(),
            levels: exhaustion::Levels::default(),
            incident_services: BTreeSet::new(),
            ended: Vec::new(),
            left_out: 0,
        }
    }

    /// One step: symptoms that fire, symptoms that ended, how each objective fares.
    pub fn step(&mut self, tick: &Tick) -> Observed {
        let elapsed = tick.now.since(self.now);
        self.now = self.now.max(tick.now);
        if elapsed > BLIND_AFTER {
            self.resume();
        } else {
            self.pass(elapsed);
        }
        self.learn_topology(&tick.topology);
        for (entity, at) in &tick.heard {
            self.hear(entity, *at);
        }
        for point in &tick.requests {
            self.take(point);
        }
        for (entity, value) in &tick.in_flight {
            let now = self.now;
            if let Some(service) = entity.owner().and_then(|owner| self.services.get_mut(&owner)) {
                service.take_gauge(entity, amount(*value), now);
            }
        }
        self.take_probes(tick);
        if self.config.inspects(&alert::SPEC) {
            self.take_alerts(tick);
        }
        if self.config.exhaustion.enabled && self.config.inspects(&exhaustion::SPEC) {
            self.levels.take(tick, &self.config.exhaustion);
        }
        for report in &tick.processes {
            let now = self.now;
            let owner = report.entity.owner();
            if let Some(service) = owner.and_then(|owner| self.services.get_mut(&owner)) {
                service.take_process(report, now);
            }
        }
        self.judge_services();
        let mut cleared: Vec<SymptomKey> = std::mem::take(&mut self.ended);
        cleared.extend(self.conclude());
        self.forget(&mut cleared);
        cleared.sort();
        cleared.dedup();
        let now = self.now;
        Observed {
            firing: self.firing(),
            cleared: cleared.into_iter().map(|key| (key, now)).collect(),
            objectives: self.objectives(),
        }
    }

    /// Latency thresholds, configured and learned, for the observer to count by.
    pub fn thresholds(&self) -> BTreeMap<SeriesKey, Vec<f64>> {
        let mut thresholds: BTreeMap<SeriesKey, Vec<f64>> = BTreeMap::new();
        for (entity, trackers) in &self.objectives {
            let definitions = trackers.iter().map(|tracker| &tracker.definition);
            let mut limits: Vec<f64> = definitions
                .flat_map(|definition| [definition.threshold_seconds, definition.page_seconds])
                .flatten()
                .collect();
            limits.sort_by(f64::total_cmp);
            limits.dedup();
            if limits.is_empty() {
                continue;
            }
            let series = match entity.kind {
                EntityKind::Operation => SeriesKey::Operation(entity.clone()),
                _ => SeriesKey::Service(entity.clone()),
            };
            thresholds.insert(series, limits);
        }
        thresholds
    }

    /// Forgets learned latency thresholds and learns them again: of one service by its name, or of
    /// all by the objective's name (`default-latency`). Says how many.
    pub fn relearn(&mut self, source: &str, now: Timestamp) -> usize {
        let mut count = 0;
        for (entity, trackers) in &mut self.objectives {
            for tracker in trackers.iter_mut().filter(|tracker| tracker.definition.learned) {
                if source == tracker.definition.source || source == entity.name {
                    self.ended.extend(tracker.relearn(now.max(self.now)));
                    count += 1;
                }
            }
        }
        count
    }

    /// Services in an open incident: nothing is learned from them.
    pub fn set_incident_services(&mut self, services: BTreeSet<Entity>) {
        self.incident_services = services;
    }

    /// Takes a new configuration. What is promised as before keeps its memory; the rest starts
    /// anew.
    pub fn reload(&mut self, config: Config) {
        let mut room = OBJECTIVES_MAX;
        for (entity, trackers) in &mut self.objectives {
            let mut wanted = definitions_for(entity, &config);
            self.left_out += wanted.len().saturating_sub(room) as u64;
            wanted.truncate(room);
            room -= wanted.len();
            let now = self.now;
            let mut old: Vec<Tracker> = std::mem::take(trackers);
            for definition in wanted {
                let same = |tracker: &Tracker| {
                    tracker.definition.source == definition.source
                        && tracker.definition.same_promise(&definition)
                };
                match old.iter().position(same) {
                    Some(at) => trackers.push(old.swap_remove(at)),
                    None => trackers.push(Tracker::new(definition, entity.clone(), now)),
                }
            }
            self.ended.extend(old.iter_mut().filter_map(Tracker::end));
        }
        self.objectives.retain(|_, trackers| !trackers.is_empty());
        let known: BTreeSet<&str> = config.probes.iter().map(|probe| probe.name.as_str()).collect();
        self.probes.retain(|(name, _), watch| {
            let keep = known.contains(name.as_str());
            if !keep {
                self.ended.extend(end(&mut watch.standing));
                self.ended.extend(end(&mut watch.certificate.standing));
            }
            keep
        });
        if !config.alerts.enabled {
            self.ended.extend(self.alerts.end());
        }
        if !config.exhaustion.enabled {
            self.ended.extend(self.levels.end());
        }
        for service in self.services.values_mut() {
            if !config.stalled.enabled {
                self.ended.extend(end(&mut service.stalled));
                for flow in service.flows.values_mut() {
                    self.ended.extend(end(&mut flow.standing));
                }
            }
            if !config.absent_traffic.enabled {
                self.ended.extend(end(&mut service.absent));
            }
            if !config.blind.enabled {
                self.ended.extend(end(&mut service.blind.standing));
            }
        }
        self.config = config;
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All that was left out because of a bound, so far: objectives, services, probes, alerts,
    /// levels, and within services operations, calls, callers, gauges and processes. Counted as
    /// often as it came.
    pub fn left_out(&self) -> u64 {
        let in_services: u64 = self.services.values().map(|service| service.left_out).sum();
        self.left_out + in_services + self.alerts.left_out() + self.levels.left_out()
    }

    /// Alerts of other systems, as they were told last.
    pub fn alerts(&self) -> impl Iterator<Item = (&String, &alert::Told)> {
        self.alerts.all()
    }

    /// How each objective's entity fares, sorted by source, then entity.
    pub fn objectives(&self) -> Vec<ObjectiveState> {
        let mut states = Vec::new();
        for (entity, trackers) in &self.objectives {
            let around = self.surroundings(entity);
            states.extend(trackers.iter().map(|tracker| tracker.state(&self.config, around)));
        }
        states.sort_by(|a, b| (&a.source, &a.entity, a.kind).cmp(&(&b.source, &b.entity, b.kind)));
        states
    }

    fn pass(&mut self, elapsed: Duration) {
        for tracker in self.objectives.values_mut().flatten() {
            tracker.pass(self.now, elapsed);
        }
        for service in self.services.values_mut() {
            service.pass(elapsed);
        }
    }

    /// Watching begins, or goes on after a gap: the time in between counts for nothing.
    fn resume(&mut self) {
        for tracker in self.objectives.values_mut().flatten() {
            tracker.pass(self.now, Duration::ZERO);
        }
        for service in self.services.values_mut() {
            service.resume(self.now);
        }
        self.alerts.resume(self.now);
    }

    fn surroundings(&self, entity: &Entity) -> Surroundings {
        let owner = entity.owner().unwrap_or_else(|| entity.clone());
        let in_incident = self.incident_services.contains(&owner)
            || self.incident_services.contains(entity)
            || self.hurt(&owner);
        let heard = self.services.get(&owner).map(|service| service.heard);
        Surroundings { now: self.now, heard, in_incident }
    }

    /// An objective of the service itself fires.
    fn hurt(&self, service: &Entity) -> bool {
        let trackers = self.objectives.get(service);
        trackers.into_iter().flatten().any(|tracker| tracker.firing().is_some())
    }

    fn judge_services(&mut self) {
        let names: Vec<Entity> = self.services.keys().cloned().collect();
        for entity in names {
            let Some(mut service) = self.services.remove(&entity) else { continue };
            let in_callers = |service: &Service, since: Timestamp| -> f64 {
                let callers = service.callers.iter().filter_map(|caller| self.services.get(caller));
                callers.map(|caller| caller.waiting(since)).sum()
            };
            if self.config.stalled.enabled && self.config.inspects(&stalled::SPEC) {
                stalled::judge(&entity, &mut service, &self.config.stalled, self.now, &in_callers);
            }
            if self.config.absent_traffic.enabled && self.config.inspects(&absent_traffic::SPEC) {
                let config = &self.config.absent_traffic;
                let hurt = self.hurt(&entity);
                absent_traffic::judge(&entity, &mut service, config, self.now, hurt);
            }
            if self.config.blind.enabled && self.config.inspects(&blind::SPEC) {
                service.blind.judge(&entity, &self.config.blind, self.now);
            }
            self.services.insert(entity, service);
        }
    }

    /// Ends what was well for long enough.
    fn conclude(&mut self) -> Vec<SymptomKey> {
        let mut cleared = Vec::new();
        for tracker in self.objectives.values_mut().flatten() {
            cleared.extend(tracker.conclude(&self.config, self.now));
        }
        let clear_after = self.config.clear_after.0;
        for watch in self.probes.values_mut() {
            if watch.held(clear_after) {
                cleared.extend(end(&mut watch.standing));
            }
            if watch.certificate.held(clear_after) {
                cleared.extend(end(&mut watch.certificate.standing));
            }
        }
        cleared.extend(self.levels.conclude(clear_after, self.now));
        cleared.extend(self.alerts.conclude(&self.config.alerts, clear_after, self.now));
        for service in self.services.values_mut() {
            if service.blind.held(clear_after) {
                cleared.extend(end(&mut service.blind.standing));
            }
            let flows = service.flows.values_mut().map(|flow| &mut flow.standing);
            for standing in flows.chain([&mut service.stalled, &mut service.absent]) {
                if standing.as_ref().is_some_and(|it| it.held(clear_after, GOOD_MIN)) {
                    cleared.extend(end(standing));
                }
            }
        }
        cleared
    }

    fn forget(&mut self, cleared: &mut Vec<SymptomKey>) {
        let now = self.now;
        self.objectives.retain(|_, trackers| {
            trackers.retain_mut(|tracker| {
                let keep = now.since(tracker.last_requests()) < FORGET_AFTER;
                if !keep {
                    cleared.extend(tracker.end());
                }
                keep
            });
            !trackers.is_empty()
        });
        self.services.retain(|_, service| {
            service.flows.retain(|_, flow| {
                let limit = if flow.standing.is_some() { FORGET_AFTER } else { FORGET_FLOW_AFTER };
                let keep = now.since(flow.last_arrival) < limit;
                if !keep {
                    cleared.extend(end(&mut flow.standing));
                }
                keep
            });
            let keep = now.since(service.heard) < FORGET_AFTER;
            if !keep {
                cleared.extend(end(&mut service.stalled));
                cleared.extend(end(&mut service.absent));
                cleared.extend(end(&mut service.blind.standing));
                let flows = service.flows.values_mut();
                cleared.extend(flows.filter_map(|flow| end(&mut flow.standing)));
                self.left_out += service.left_out;
            }
            keep
        });
    }

    fn firing(&self) -> Vec<Symptom> {
        let of_objectives = self.objectives.values().flatten().filter_map(Tracker::firing);
        let of_probes = self
            .probes
            .values()
            .flat_map(|watch| watch.standing.iter().chain(&watch.certificate.standing));
        let of_services = self.services.values().flat_map(|service| {
            let flows = service.flows.values().filter_map(|flow| flow.standing.as_ref());
            flows.chain(&service.stalled).chain(&service.absent).chain(&service.blind.standing)
        });
        let standing = of_probes.chain(of_services).map(|standing| &standing.symptom);
        let all = of_objectives.chain(standing).chain(self.alerts.firing());
        let all = all.chain(self.levels.firing());
        let mut firing: Vec<Symptom> = all.cloned().collect();
        firing.sort_by_cached_key(Symptom::key);
        firing
    }
}

fn end(standing: &mut Option<Standing>) -> Option<SymptomKey> {
    standing.take().map(|standing| standing.symptom.key())
}
