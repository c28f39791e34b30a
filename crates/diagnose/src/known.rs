//! Everything that the ticks have told so far and a cause may rest on.
//!
//! Only facts: topology, figures, instances, when services were last heard, processes, databases
//! and disks, changes, probes. No judgement. Every collection is bounded; nothing here depends on
//! an incident.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::tick::{InstanceEvent, InstanceEventKind, ProbeResult, SeriesKey, TopologyChange};
use model::{Change, Entity, EntityKind, Tick, Timestamp};
use serde::{Deserialize, Serialize};

use crate::conditions::Conditions;
use crate::figures::Figures;
use crate::levels::Levels;
use crate::pieces::{Piece, Rule};
use crate::processes::Processes;
use crate::topology::Topology;

const INSTANCES_MAX: usize = 20_000;
const SERVICES_MAX: usize = 10_000;
const PROBES_MAX: usize = 1_000;
/// Weight of a new reading of requests in flight in what is usual.
const USUAL_WEIGHT: f64 = 0.05;
const CHANGES_MAX: usize = 2_000;
const CHANGES_KEPT: Duration = Duration::from_secs(6 * 3600);
/// An instance that is gone for good is forgotten after this.
const VANISHED_KEPT: Duration = Duration::from_secs(2 * 3600);
/// Times between arrivals that are remembered as a service's rhythm.
const GAPS_KEPT: usize = 20;
/// Versions that are remembered of an instance.
const VERSIONS_KEPT: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub topology: Topology,
    pub figures: Figures,
    pub processes: Processes,
    pub conditions: Conditions,
    pub instances: BTreeMap<Entity, Instance>,
    pub heard: BTreeMap<Entity, Heard>,
    pub in_flight: BTreeMap<Entity, InFlight>,
    pub changes: VecDeque<Change>,
    pub probes: BTreeMap<String, Probe>,
    pub levels: Levels,
    left_out: u64,
    /// What diagnosis is run without; of the configuration, not of what was told.
    #[serde(skip)]
    pub without: Option<Piece>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// The versions that it ran, each with when it was first heard of; the latest last.
    pub versions: VecDeque<(Timestamp, String)>,
    /// Last heard at this time, and not since.
    pub silent: Option<Timestamp>,
    /// Last time that anything became known of it.
    pub at: Timestamp,
}

/// When any telemetry of a service came in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Heard {
    pub last: Timestamp,
    /// Nanoseconds between the last arrivals.
    gaps: VecDeque<u64>,
}

/// Requests that wait in an instance or service, or are worked on, as it says itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InFlight {
    pub last: f64,
    pub at: Timestamp,
    /// What was read before, fading over some twenty readings.
    pub usual: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub last: ProbeResult,
    /// Start of the present row of failures.
    pub failing_since: Option<Timestamp>,
}

impl Instance {
    /// What it runs; empty when telemetry does not say.
    pub fn version(&self) -> &str {
        self.versions.back().map_or("", |(_, version)| version)
    }

    /// What it ran at a time; its first version before that.
    pub fn version_at(&self, at: Timestamp) -> &str {
        let then = self.versions.iter().rfind(|(since, _)| *since <= at);
        then.or(self.versions.front()).map_or("", |(_, version)| version)
    }

    fn runs(&mut self, version: &str, since: Timestamp) {
        if self.version() == version {
            return;
        }
        if self.versions.len() >= VERSIONS_KEPT {
            self.versions.pop_front();
        }
        self.versions.push_back((since, version.to_owned()));
    }
}

impl Heard {
    /// The longest time between two of its last arrivals.
    pub fn longest_gap(&self) -> Duration {
        Duration::from_nanos(self.gaps.iter().copied().max().unwrap_or(0))
    }

    /// Arrivals that the rhythm rests on.
    pub fn arrivals(&self) -> usize {
        self.gaps.len() + 1
    }
}

impl Known {
    /// Nothing is known yet; `piece` is what diagnosis is run without.
    pub fn without(piece: Option<Piece>) -> Known {
        Known { without: piece, ..Known::default() }
    }

    /// Is this rule followed?
    pub fn follows(&self, rule: Rule) -> bool {
        self.without != Some(Piece::Rule(rule))
    }

    pub fn take(&mut self, tick: &Tick) {
        for change in &tick.topology {
            match change {
                TopologyChange::Entity(_) => {}
                TopologyChange::Calls { caller, callee } => self.topology.add_call(caller, callee),
                TopologyChange::Alias { from, entity } => self.topology.add_alias(from, entity),
            }
        }
        for point in &tick.requests {
            if let SeriesKey::Edge { caller, callee } = &point.series {
                self.topology.add_call(caller, callee);
            }
            self.figures.take(point, tick.now);
        }
        self.figures.forget(tick.now);
        tick.instances.iter().for_each(|event| self.take_instance(event));
        tick.heard.iter().for_each(|(service, at)| self.take_heard(service, *at));
        tick.in_flight.iter().for_each(|(entity, value)| {
            self.take_in_flight(entity, *value, tick.now);
        });
        tick.processes.iter().for_each(|report| self.processes.take(report));
        tick.conditions.iter().for_each(|report| self.conditions.take(report));
        tick.levels.iter().for_each(|level| self.levels.take(level));
        tick.probes.iter().for_each(|result| self.take_probe(result));
        for change in &tick.changes {
            if self.changes.len() >= CHANGES_MAX {
                self.changes.pop_front();
                self.left_out += 1;
            }
            let at = self.changes.partition_point(|known| known.at <= change.at);
            self.changes.insert(at, change.clone());
        }
        while self.changes.front().is_some_and(|change| tick.now.since(change.at) > CHANGES_KEPT) {
            self.changes.pop_front();
        }
    }

    /// How much was left out here at some bound, ever.
    pub fn left_out(&self) -> u64 {
        let parts = self.topology.left_out() + self.figures.left_out() + self.processes.left_out();
        parts + self.conditions.left_out() + self.levels.left_out() + self.left_out
    }

    /// Instances of a service, those silent included.
    pub fn instances_of(&self, service: &Entity) -> impl Iterator<Item = (&Entity, &Instance)> {
        // Instances sort by scope, kind and service first, so those of one service stand together.
        let first = Entity::instance(&service.scope, &service.name, "");
        let service_name = service.name.clone();
        let scope = service.scope.clone();
        self.instances.range(first..).take_while(move |(entity, _)| {
            entity.scope == scope
                && entity.kind == EntityKind::Instance
                && entity.part_of == service_name
        })
    }

    /// Does any telemetry tell of this node from inside?
    pub fn tells_of_itself(&self, node: &Entity) -> bool {
        node.kind == EntityKind::Service
            && (self.heard.contains_key(node)
                || self.figures.knows_service(node)
                || self.instances_of(node).next().is_some())
    }

    fn take_instance(&mut self, event: &InstanceEvent) {
        let is_full = self.instances.len() >= INSTANCES_MAX;
        let is_new = !self.instances.contains_key(&event.instance);
        if is_new && is_full && !self.forget_instance(event.at) {
            self.left_out += 1;
            return;
        }
        let instance = self.instances.entry(event.instance.clone()).or_insert(Instance {
            versions: VecDeque::new(),
            silent: None,
            at: event.at,
        });
        instance.at = instance.at.max(event.at);
        match &event.kind {
            InstanceEventKind::Seen { version } => {
                instance.runs(version, event.at);
                instance.silent = None;
            }
            InstanceEventKind::Version { to, .. } => {
                instance.runs(to, event.at);
                instance.silent = None;
            }
            InstanceEventKind::Restarted | InstanceEventKind::Back => instance.silent = None,
            InstanceEventKind::Silent { last_heard }
            | InstanceEventKind::Vanished { last_heard } => instance.silent = Some(*last_heard),
        }
    }

    /// Makes room by forgetting instances that are long gone; false when there are none.
    fn forget_instance(&mut self, now: Timestamp) -> bool {
        self.instances.retain(|_, instance| {
            instance.silent.is_none_or(|last| now.since(last) < VANISHED_KEPT)
        });
        self.instances.len() < INSTANCES_MAX
    }

    fn take_heard(&mut self, service: &Entity, at: Timestamp) {
        if let Some(heard) = self.heard.get_mut(service) {
            if at > heard.last {
                if heard.gaps.len() >= GAPS_KEPT {
                    heard.gaps.pop_front();
                }
                heard.gaps.push_back(at.0 - heard.last.0);
                heard.last = at;
            }
        } else if self.heard.len() < SERVICES_MAX {
            self.heard.insert(service.clone(), Heard { last: at, gaps: VecDeque::new() });
        } else {
            self.left_out += 1;
        }
    }

    fn take_in_flight(&mut self, entity: &Entity, value: f64, now: Timestamp) {
        if !value.is_finite() {
            return;
        }
        if let Some(known) = self.in_flight.get_mut(entity) {
            known.usual += USUAL_WEIGHT * (known.last - known.usual);
            (known.last, known.at) = (value, now);
        } else if self.in_flight.len() < INSTANCES_MAX || self.forget_in_flight(now) {
            let known = InFlight { last: value, at: now, usual: value };
            self.in_flight.insert(entity.clone(), known);
        } else {
            self.left_out += 1;
        }
    }

    /// Makes room by forgetting what is no longer read; false when all of it is.
    fn forget_in_flight(&mut self, now: Timestamp) -> bool {
        self.in_flight.retain(|_, reading| now.since(reading.at) < VANISHED_KEPT);
        self.in_flight.len() < INSTANCES_MAX
    }

    /// Requests in flight in a service by readings since `since`, and what is usual for those that
    /// were read.
    pub fn in_flight_of(&self, service: &Entity, since: Timestamp) -> Option<(f64, f64)> {
        let of_instances = self.instances_of(service).map(|(instance, _)| instance);
        let readings = of_instances.chain([service]).filter_map(|it| self.in_flight.get(it));
        let fresh = readings.filter(|reading| reading.at >= since);
        fresh.fold(None, |sum, reading| {
            let (last, usual) = sum.unwrap_or((0.0, 0.0));
            Some((last + reading.last, usual + reading.usual))
        })
    }

    fn take_probe(&mut self, result: &ProbeResult) {
        if !self.probes.contains_key(&result.probe) && self.probes.len() >= PROBES_MAX {
            self.left_out += 1;
            return;
        }
        let before = self.probes.get(&result.probe).and_then(|probe| probe.failing_since);
        let failing_since = result.error.as_ref().map(|_| before.unwrap_or(result.at));
        self.probes.insert(result.probe.clone(), Probe { last: result.clone(), failing_since });
    }
}
