//! The observer: what arrived since the last step becomes a tick.
//!
//! It only passes things on: to spans, metrics and instances by signal, and gathers what they
//! left when the tick is due. Invariant: its whole state is in its snapshot; `take` and `tick`
//! are all that changes it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::signal::{Batch, Group, Resource};
use model::tick::{ProbeResult, ProcessReport, Quality, SeriesKey};
use model::traces::TraceFacts;
use model::{AlertReport, Change, ConditionReport, EntityKind, Scope, Tick, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calls::{Calls, SpanKey};
use crate::config::Config;
use crate::instances::{Heard, Instances};
use crate::levels::Levels;
use crate::origin::Origin;
use crate::points::Points;
use crate::recent::Recent;
use crate::registry::{Id, Registry};
use crate::streams::Streams;
use crate::trees::Trees;

/// Changes, probe results and reports of one tick, each.
const INPUTS_MAX: usize = 10_000;
/// How often names not used for long are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Signals in, ticks out. Serialise it to take a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observer {
    pub(crate) config: Config,
    pub(crate) registry: Registry,
    pub(crate) points: Points,
    pub(crate) calls: Calls,
    /// Server and consumer spans counted lately.
    pub(crate) entries: Recent<SpanKey, ()>,
    pub(crate) streams: Streams,
    pub(crate) levels: Levels,
    pub(crate) instances: Instances,
    pub(crate) trees: Trees,
    /// Instances whose requests in flight were told since the last tick.
    pub(crate) active: BTreeSet<Id>,
    pub(crate) quality: Quality,
    /// When the first input arrived.
    pub(crate) began: Timestamp,
    heard: BTreeMap<Id, Timestamp>,
    changes: Vec<Change>,
    probes: Vec<ProbeResult>,
    alerts: Vec<AlertReport>,
    processes: Vec<ProcessReport>,
    conditions: Vec<ConditionReport>,
    last_tick: Timestamp,
    last_sweep: Timestamp,
}

/// Whose telemetry is being read, by numbers.
pub(crate) struct Source {
    pub scope_id: Id,
    pub scope: Scope,
    pub service: Id,
    /// The service's name, for its rules.
    pub name: String,
    /// Absent beyond the limit on instances.
    pub instance: Option<Id>,
}

impl Observer {
    pub fn new(config: Config) -> Self {
        Observer {
            registry: Registry::default(),
            points: Points::default(),
            calls: Calls::new(&config.limits),
            entries: Recent::new(config.limits.recent_spans),
            streams: Streams::default(),
            levels: Levels::default(),
            instances: Instances::default(),
            trees: Trees::default(),
            active: BTreeSet::new(),
            quality: Quality::default(),
            began: Timestamp::ZERO,
            heard: BTreeMap::new(),
            changes: Vec::new(),
            probes: Vec::new(),
            alerts: Vec::new(),
            processes: Vec::new(),
            conditions: Vec::new(),
            last_tick: Timestamp::ZERO,
            last_sweep: Timestamp::ZERO,
            config,
        }
    }

    /// Takes a new configuration; what was learnt stays.
    pub fn reload(&mut self, config: Config) {
        self.calls.set_limits(&config.limits);
        self.entries.set_limit(config.limits.recent_spans);
        self.config = config;
    }

    /// Latency thresholds, in seconds, at which requests of a series are to be counted exactly
    /// (`within`), from the next point on.
    pub fn set_thresholds(&mut self, thresholds: BTreeMap<SeriesKey, Vec<f64>>) {
        self.registry.set_thresholds(thresholds);
    }

    /// Takes one decoded export request; `arrival` is the server's time at which it was received.
    pub fn take(&mut self, batch: &Batch, arrival: Timestamp) {
        self.begin(arrival);
        let items = batch.len() as u64;
        match batch {
            Batch::Traces(groups) => {
                self.quality.spans += items;
                self.take_groups(groups, arrival, |observer, source, span| {
                    observer.take_span(source, span, arrival);
                });
            }
            Batch::Metrics(groups) => {
                self.quality.metric_points += items;
                self.take_groups(groups, arrival, |observer, source, metric| {
                    observer.take_metric(source, metric, arrival);
                });
            }
            Batch::Logs(groups) => {
                self.quality.log_records += items;
                self.take_groups(groups, arrival, |_, _, _| {});
            }
        }
    }

    pub fn probe(&mut self, result: ProbeResult) {
        self.begin(result.at);
        push_bounded(&mut self.probes, result, &mut self.quality);
    }

    /// What another system told of one of its alerts.
    pub fn alert(&mut self, report: AlertReport) {
        self.begin(report.at);
        push_bounded(&mut self.alerts, report, &mut self.quality);
    }

    pub fn process(&mut self, report: ProcessReport) {
        self.begin(report.at);
        push_bounded(&mut self.processes, report, &mut self.quality);
    }

    pub fn condition(&mut self, report: ConditionReport) {
        self.begin(report.at);
        push_bounded(&mut self.conditions, report, &mut self.quality);
    }

    /// A change told from outside: by a pipeline, a person, or one of our own actions.
    pub fn change(&mut self, change: Change) {
        push_bounded(&mut self.changes, change, &mut self.quality);
    }

    /// Ends the step: everything taken since the last one, as a tick. A `now` before the last one
    /// counts as that.
    pub fn tick(&mut self, seq: u64, now: Timestamp) -> Tick {
        self.begin(now);
        let now = now.max(self.last_tick);
        self.last_tick = now;
        self.calls.flush(&mut self.points, &mut self.registry, &self.config.limits);
        let in_flight = self.take_in_flight();
        let requests = self.points.take(&self.registry);
        let traces = self.close_trees(now);
        let heard = std::mem::take(&mut self.heard);
        let heard = heard
            .into_iter()
            .filter_map(|(service, at)| Some((self.registry.entity(service)?.clone(), at)))
            .collect::<BTreeMap<_, _>>()
            .into_iter()
            .collect();
        for vanished in self.instances.tick(now, &self.registry) {
            self.streams.forget(vanished);
            self.registry.forget(vanished);
        }
        self.sweep(now);
        let mut changes = std::mem::take(&mut self.changes);
        changes.extend(self.instances.take_changes());
        let mut quality = std::mem::take(&mut self.quality);
        quality.over_limit += self.registry.take_over_limit();
        quality.over_limit += self.points.take_over_limit();
        quality.over_limit += self.instances.take_over_limit();
        Tick {
            seq,
            now,
            requests,
            in_flight,
            levels: self.levels.tick(now, &self.registry),
            topology: self.registry.take_news(),
            instances: self.instances.take_events(),
            heard,
            changes,
            probes: std::mem::take(&mut self.probes),
            alerts: std::mem::take(&mut self.alerts),
            processes: std::mem::take(&mut self.processes),
            conditions: std::mem::take(&mut self.conditions),
            traces,
            quality,
        }
    }

    fn begin(&mut self, at: Timestamp) {
        if self.began == Timestamp::ZERO {
            self.began = at;
        }
    }

    fn take_groups<T>(
        &mut self,
        groups: &[Group<T>],
        arrival: Timestamp,
        mut take: impl FnMut(&mut Observer, &Source, &T),
    ) {
        for group in groups {
            let Some(source) = self.source(&group.resource, arrival) else {
                self.quality.over_limit += group.items.len() as u64;
                continue;
            };
            for item in &group.items {
                take(self, &source, item);
            }
        }
    }

    fn source(&mut self, resource: &Resource, arrival: Timestamp) -> Option<Source> {
        let origin = Origin::read(&resource.attributes, &self.config);
        let limits = &self.config.limits;
        let scope_id = self.registry.scope(&origin.scope, limits)?;
        let scope = (scope_id, &origin.scope);
        let name = &origin.service;
        let service = self.registry.named(scope, EntityKind::Service, name, arrival, limits)?;
        let kind = EntityKind::Instance;
        let instance = self.registry.part(service, kind, &origin.instance, arrival, limits);
        let heard = self.heard.entry(service).or_insert(arrival);
        *heard = arrival.max(*heard);
        if let Some(instance) = instance {
            let (version, process) = (origin.version.as_str(), origin.process.as_ref());
            let heard = Heard { service, instance, version, process, at: arrival };
            self.instances.hear(&heard, &self.registry);
        }
        Some(Source { scope_id, scope: origin.scope, service, name: origin.service, instance })
    }

    fn close_trees(&mut self, now: Timestamp) -> TraceFacts {
        let (limits, calls) = (&self.config.trees, &self.calls);
        let resolve = |callee| calls.resolve(callee);
        self.trees.tick(now, limits, resolve, &self.registry, &mut self.quality)
    }

    fn take_in_flight(&mut self) -> Vec<(model::Entity, f64)> {
        let active = std::mem::take(&mut self.active);
        let entities = active.into_iter().filter_map(|instance| {
            let entity = self.registry.entity(instance)?.clone();
            Some((entity, self.streams.gauge_sum(instance).max(0.0)))
        });
        let mut in_flight: Vec<_> = entities.collect();
        in_flight.sort_by(|a, b| a.0.cmp(&b.0));
        in_flight
    }

    fn sweep(&mut self, now: Timestamp) {
        if now.since(self.last_sweep) < SWEEP_EVERY {
            return;
        }
        self.last_sweep = now;
        self.registry.forget_before(now - self.config.forget_after.0);
        self.instances.forget_services(&self.registry);
        self.calls.forget(&self.registry);
    }
}

fn push_bounded<T>(items: &mut Vec<T>, item: T, quality: &mut Quality) {
    if items.len() < INPUTS_MAX {
        items.push(item);
    } else {
        quality.over_limit += 1;
    }
}

#[cfg(test)]
mod tests;
