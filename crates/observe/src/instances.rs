//! Lives of service instances: seen, restarted, new version, silent, back, vanished; and the
//! changes inferred from them.
//!
//! Silence is judged by each instance's own rhythm: stock SDKs export spans every few seconds
//! when there are any and metrics every minute, so what is long for one is usual for another. It
//! says nothing about why: scaled in, crashed, idle, cut off. Invariants: an instance is silent
//! once until it is back; time in which this observer itself was not ticking is never counted as
//! silence; several worker processes under one instance id are no restarts; what one tick and one
//! minute tell is bounded, and the rest is counted.

mod processes;

mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use model::tick::{InstanceEvent, InstanceEventKind};
use model::{Change, ChangeKind, Entity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::origin::ProcessMark;
use crate::registry::{Id, Registry};
use processes::Processes;
use told::{Pace, Told};

const SILENT_AFTER_MIN: Duration = Duration::from_secs(20);
const SILENT_AFTER_MAX: Duration = Duration::from_secs(300);
/// This many times the longest usual gap is silence.
const GAP_FACTOR: u32 = 3;
/// Gaps to have been seen before a rhythm is believed.
const GAPS_MIN: u8 = 3;
/// A gap is forgotten, linearly with each arrival, over about this long.
const GAP_MEMORY: Duration = Duration::from_secs(3600);
const VANISHED_AFTER: Duration = Duration::from_secs(600);
/// A pause between ticks longer than this is our own trouble, not the instances'.
const DEAF_AFTER: Duration = Duration::from_secs(10);
/// Instances of a service this young are its start, not a change.
const SETTLED_AFTER: Duration = Duration::from_secs(60);
const VERSION_MEMORY: Duration = Duration::from_secs(86_400);
/// An instance that returns to a version which nobody was heard to run for so long was deployed.
const VERSION_AWAY: Duration = Duration::from_secs(120);
const VERSIONS_MAX: usize = 64;

/// What was heard, of whom.
pub(crate) struct Heard<'a> {
    pub service: Id,
    pub instance: Id,
    pub version: &'a str,
    pub process: Option<&'a ProcessMark>,
    pub at: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Instances {
    lives: BTreeMap<Id, Life>,
    services: BTreeMap<Id, Service>,
    last_tick: Timestamp,
    /// Since when ticks have come without a long pause.
    listening_since: Timestamp,
    told: Told,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Life {
    service: Id,
    version: String,
    /// How often its version was told to be new.
    versions: Pace,
    processes: Processes,
    started: Timestamp,
    last_heard: Timestamp,
    /// Longest usual time between arrivals.
    gap: Duration,
    gaps_seen: u8,
    is_silent: bool,
    /// Requests that ended by then were counted from metrics.
    measured_until: Timestamp,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Service {
    first_heard: Timestamp,
    /// The version last seen to be new, and when each was last heard.
    version: String,
    versions: BTreeMap<String, Timestamp>,
    deploys: Pace,
    /// Rhythm of its instances, for new ones.
    gap: Option<Duration>,
    tells_spans: bool,
}

impl Instances {
    pub(crate) fn hear(&mut self, heard: &Heard<'_>, registry: &Registry) {
        let Some(entity) = registry.entity(heard.instance) else { return };
        let Some(owner) = registry.entity(heard.service) else { return };
        let service = self
            .services
            .entry(heard.service)
            .or_insert_with(|| Service { first_heard: heard.at, ..Service::default() });
        let life = self.lives.get(&heard.instance);
        let ran = life.map(|life| life.version.as_str()).filter(|ran| *ran != heard.version);
        if let Some(change) = service.runs(heard.version, ran.unwrap_or(""), heard.at, owner)
            && self.told.has_time(&mut service.deploys, heard.at)
        {
            self.told.change(change);
        }
        let is_settled = heard.at.since(service.first_heard) > SETTLED_AFTER;
        let Some(life) = self.lives.get_mut(&heard.instance) else {
            let version = heard.version.to_owned();
            self.told.event(heard.at, entity, InstanceEventKind::Seen { version });
            if is_settled {
                let summary = format!("instance {} appeared", entity.name);
                self.told.change(inferred(ChangeKind::Scale, heard.at, owner, summary));
            }
            self.lives.insert(heard.instance, Life::begin(heard, service.gap));
            return;
        };
        let is_restart = life.processes.is_restart(heard.process, heard.at);
        if life.is_silent {
            life.is_silent = false;
            self.told.event(heard.at, entity, InstanceEventKind::Back);
        }
        if is_restart {
            life.started = heard.at;
            self.told.event(heard.at, entity, InstanceEventKind::Restarted);
            if is_settled {
                self.told.change(restart(heard.at, entity));
            }
        }
        if !heard.version.is_empty() && heard.version != life.version {
            let from = std::mem::replace(&mut life.version, heard.version.to_owned());
            if !from.is_empty() && self.told.has_time(&mut life.versions, heard.at) {
                let to = heard.version.to_owned();
                self.told.event(heard.at, entity, InstanceEventKind::Version { from, to });
            }
        }
        life.learn_gap(heard.at, is_restart);
        service.gap = (life.gaps_seen >= GAPS_MIN).then_some(life.gap).or(service.gap);
    }

    /// A cumulative metric began anew at `start`: the process did too, unless that is known
    /// already or it is one of several.
    pub(crate) fn metrics_restarted(
        &mut self,
        instance: Id,
        start: Timestamp,
        registry: &Registry,
    ) {
        let Some(life) = self.lives.get_mut(&instance) else { return };
        let Some(entity) = registry.entity(instance) else { return };
        if start <= life.started || life.processes.has_workers() {
            return;
        }
        life.started = life.last_heard.max(start);
        self.told.event(start, entity, InstanceEventKind::Restarted);
        let service = self.services.get(&life.service);
        if service.is_some_and(|service| start.since(service.first_heard) > SETTLED_AFTER) {
            self.told.change(restart(start, entity));
        }
    }

    /// Spans tell of this service's requests from now on; its metrics are not needed.
    pub(crate) fn tells_spans(&mut self, service: Id) {
        if let Some(service) = self.services.get_mut(&service) {
            service.tells_spans = true;
        }
    }

    pub(crate) fn is_told_by_spans(&self, service: Id) -> bool {
        self.services.get(&service).is_some_and(|service| service.tells_spans)
    }

    pub(crate) fn counted_by_metrics(&mut self, instance: Id, until: Timestamp) {
        if let Some(life) = self.lives.get_mut(&instance) {
            life.measured_until = life.measured_until.max(until);
        }
    }

    pub(crate) fn measured_until(&self, instance: Id) -> Timestamp {
        self.lives.get(&instance).map_or(Timestamp::ZERO, |life| life.measured_until)
    }

    /// Looks who has been silent for too long; returns those who vanished and are to be forgotten.
    pub(crate) fn tick(&mut self, now: Timestamp, registry: &Registry) -> Vec<Id> {
        if now.since(self.last_tick) > DEAF_AFTER {
            self.listening_since = now;
        }
        self.last_tick = now;
        let mut vanished = Vec::new();
        for (id, life) in &mut self.lives {
            let silence = now.since(life.last_heard.max(self.listening_since));
            let Some(entity) = registry.entity(*id) else {
                vanished.push(*id);
                continue;
            };
            let last_heard = life.last_heard;
            if !life.is_silent && silence > life.silent_after() {
                life.is_silent = true;
                self.told.event(now, entity, InstanceEventKind::Silent { last_heard });
            }
            if life.is_silent && silence > VANISHED_AFTER {
                vanished.push(*id);
                self.told.event(now, entity, InstanceEventKind::Vanished { last_heard });
            }
        }
        for id in &vanished {
            self.lives.remove(id);
        }
        vanished
    }

    pub(crate) fn forget_services(&mut self, registry: &Registry) {
        self.services.retain(|id, _| registry.entity(*id).is_some());
    }

    pub(crate) fn take_events(&mut self) -> Vec<InstanceEvent> {
        std::mem::take(&mut self.told.events)
    }

    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.told.changes)
    }

    pub(crate) fn take_over_limit(&mut self) -> u64 {
        std::mem::take(&mut self.told.over_limit)
    }
}

impl Life {
    fn begin(heard: &Heard<'_>, usual_gap: Option<Duration>) -> Self {
        Life {
            service: heard.service,
            version: heard.version.to_owned(),
            versions: Pace::default(),
            processes: Processes::begin(heard.process),
            started: heard.at,
            last_heard: heard.at,
            gap: usual_gap.unwrap_or_default(),
            gaps_seen: if usual_gap.is_some() { GAPS_MIN } else { 0 },
            is_silent: false,
            measured_until: Timestamp::ZERO,
        }
    }

    /// The gap that a restart made is not its rhythm.
    fn learn_gap(&mut self, at: Timestamp, is_restart: bool) {
        let gap = at.since(self.last_heard);
        self.last_heard = self.last_heard.max(at);
        if gap.is_zero() || is_restart {
            return;
        }
        let kept = GAP_MEMORY.saturating_sub(gap).as_secs_f64() / GAP_MEMORY.as_secs_f64();
        self.gap = gap.min(SILENT_AFTER_MAX).max(self.gap.mul_f64(kept));
        self.gaps_seen = self.gaps_seen.saturating_add(1);
    }

    fn silent_after(&self) -> Duration {
        if self.gaps_seen < GAPS_MIN {
            return SILENT_AFTER_MAX;
        }
        (self.gap * GAP_FACTOR).clamp(SILENT_AFTER_MIN, SILENT_AFTER_MAX)
    }
}

impl Service {
    /// Notes the version; a deploy is one that was not heard in the last day, in a service that
    /// had another, or one that an instance which ran another runs again after nobody did for a
    /// while.
    fn runs(&mut self, version: &str, ran: &str, at: Timestamp, owner: &Entity) -> Option<Change> {
        if version.is_empty() {
            return None;
        }
        let memory = if ran.is_empty() { VERSION_MEMORY } else { VERSION_AWAY };
        if let Some(last) = self.versions.get_mut(version)
            && at.since(*last) <= memory
        {
            *last = at.max(*last);
            return None;
        }
        self.versions.retain(|_, last| at.since(*last) <= VERSION_MEMORY);
        if self.versions.len() >= VERSIONS_MAX {
            let oldest = self.versions.iter().min_by_key(|(_, last)| **last);
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.versions.remove(&name);
            }
        }
        self.versions.insert(version.to_owned(), at);
        let newest = std::mem::replace(&mut self.version, version.to_owned());
        let from = if ran.is_empty() { newest.as_str() } else { ran };
        let is_deploy = !from.is_empty() && from != version;
        let summary = format!("version {from} -> {version}");
        is_deploy.then(|| inferred(ChangeKind::Deploy, at, owner, summary))
    }
}

fn restart(at: Timestamp, instance: &Entity) -> Change {
    inferred(ChangeKind::Restart, at, instance, format!("instance {} restarted", instance.name))
}

fn inferred(kind: ChangeKind, at: Timestamp, entity: &Entity, summary: String) -> Change {
    Change { at, kind, entity: entity.clone(), summary, source: "telemetry".to_owned() }
}

#[cfg(test)]
mod tests;
