//! A small system told second by second: what a test says of it becomes ticks and symptoms.

use std::collections::BTreeMap;
use std::time::Duration;

use diagnose::{Config, Diagnoser, Diagnosis};
use model::symptom::{Observed, SymptomKey};
use model::tick::{
    BUCKET, Exemplar, InstanceEvent, InstanceEventKind, ProcessIdentity, ProcessReport,
    ProcessState, RequestPoint, SeriesKey, TopologyChange,
};
use model::{
    Cause, CauseKind, Change, ChangeKind, Condition, ConditionReport, Entity, EntityKind,
    Histogram, Incident, IncidentId, Scope, Severity, Symptom, SymptomKind, Tick, Timestamp,
};

pub const START: Timestamp = Timestamp::from_secs(1_800_000_000);

pub fn service(name: &str) -> Entity {
    Entity::service(&Scope::default(), name)
}

pub fn instance(service: &str, name: &str) -> Entity {
    Entity::instance(&Scope::default(), service, name)
}

pub fn database(name: &str) -> Entity {
    Entity::new(&Scope::default(), EntityKind::Database, name)
}

pub fn peer(name: &str) -> Entity {
    Entity::new(&Scope::default(), EntityKind::Peer, name)
}

pub fn identity(pid: u32) -> ProcessIdentity {
    ProcessIdentity {
        host: "host-1".to_owned(),
        boot_id: "boot-1".to_owned(),
        pid,
        start_ticks: u64::from(pid) * 100,
    }
}

/// Calls of one edge each second: how many, how many of them fail, and how.
#[derive(Clone)]
pub struct Flow {
    pub total: u64,
    pub errors: u64,
    pub kind: &'static str,
    pub seconds: f64,
}

pub fn well(total: u64) -> Flow {
    Flow { total, errors: 0, kind: "", seconds: 0.02 }
}

pub fn failing(total: u64, errors: u64, kind: &'static str) -> Flow {
    Flow { total, errors, kind, seconds: 0.02 }
}

pub struct Scene {
    pub diagnoser: Diagnoser,
    pub now: Timestamp,
    pub ticks: Vec<(Tick, Observed)>,
    pub told: Vec<Diagnosis>,
    pub next: Tick,
    seq: u64,
    edges: BTreeMap<(Entity, Entity), Flow>,
    served: BTreeMap<Entity, Flow>,
    processes: BTreeMap<String, (Entity, ProcessState)>,
    /// Mebibytes that the process of a target holds.
    pub memory: BTreeMap<String, u64>,
    firing: BTreeMap<SymptomKey, Symptom>,
    cleared: Vec<(SymptomKey, Timestamp)>,
}

impl Scene {
    pub fn new() -> Self {
        Scene {
            diagnoser: Diagnoser::new(Config::default()),
            now: START,
            ticks: Vec::new(),
            told: Vec::new(),
            next: Tick::default(),
            seq: 0,
            edges: BTreeMap::new(),
            served: BTreeMap::new(),
            processes: BTreeMap::new(),
            memory: BTreeMap::new(),
            firing: BTreeMap::new(),
            cleared: Vec::new(),
        }
    }

    pub fn calls(&mut self, caller: &Entity, callee: &Entity, flow: Flow) -> &mut Self {
        self.edges.insert((caller.clone(), callee.clone()), flow);
        self
    }

    pub fn serves(&mut self, entity: &Entity, flow: Flow) -> &mut Self {
        self.served.insert(entity.clone(), flow);
        self
    }

    /// Sends nothing any more.
    pub fn hushes(&mut self, entity: &Entity) -> &mut Self {
        self.served.remove(entity);
        self.edges.retain(|(caller, _), _| caller != entity);
        self
    }

    pub fn runs(&mut self, target: &str, entity: &Entity, pid: u32) -> &mut Self {
        let state = ProcessState::Running(identity(pid));
        self.processes.insert(target.to_owned(), (entity.clone(), state));
        self
    }

    pub fn goes(&mut self, target: &str, stop_requested: bool) -> &mut Self {
        let last_seen = self.now;
        if let Some((_, state)) = self.processes.get_mut(target)
            && let ProcessState::Running(last) = state
        {
            *state = ProcessState::Gone { last: last.clone(), last_seen, stop_requested };
        }
        self
    }

    pub fn changes(&mut self, kind: ChangeKind, entity: &Entity, source: &str) -> &mut Self {
        self.next.changes.push(Change {
            at: self.now,
            kind,
            entity: entity.clone(),
            summary: "version v1 -> v2".to_owned(),
            source: source.to_owned(),
        });
        self
    }

    /// What an agent's look at a target tells.
    pub fn looks_at(&mut self, entity: &Entity, condition: Condition) -> &mut Self {
        let (target, entity) = (entity.name.clone(), entity.clone());
        self.next.conditions.push(ConditionReport { at: self.now, target, entity, condition });
        self
    }

    pub fn topology(&mut self, change: TopologyChange) -> &mut Self {
        self.next.topology.push(change);
        self
    }

    pub fn instance_event(&mut self, instance: &Entity, kind: InstanceEventKind) -> &mut Self {
        let event = InstanceEvent { at: self.now, instance: instance.clone(), kind };
        self.next.instances.push(event);
        self
    }

    pub fn fires(&mut self, entity: &Entity, measured: f64, onset: Timestamp) -> &mut Self {
        self.fires_as(entity, SymptomKind::AvailabilityBurn, measured, onset)
    }

    pub fn fires_as(
        &mut self,
        entity: &Entity,
        kind: SymptomKind,
        measured: f64,
        onset: Timestamp,
    ) -> &mut Self {
        let symptom = Symptom {
            entity: entity.clone(),
            kind,
            source: "default".to_owned(),
            severity: Severity::Page,
            onset,
            detected: self.now,
            recovering_since: None,
            measured,
            threshold: 0.01,
            unit: "ratio".to_owned(),
            bad: 100.0 * measured,
            total: 100.0,
            error_kinds: Vec::new(),
            exemplar: None,
            runbook_url: String::new(),
            summary: String::new(),
        };
        self.firing.insert(symptom.key(), symptom);
        self
    }

    pub fn ticket(&mut self, entity: &Entity, onset: Timestamp) -> &mut Self {
        self.fires(entity, 0.02, onset);
        for symptom in self.firing.values_mut().filter(|symptom| symptom.entity == *entity) {
            symptom.severity = Severity::Ticket;
        }
        self
    }

    pub fn recovers(&mut self, entity: &Entity) -> &mut Self {
        let now = self.now;
        for symptom in self.firing.values_mut().filter(|symptom| symptom.entity == *entity) {
            symptom.recovering_since = Some(now);
        }
        self
    }

    pub fn clears(&mut self, entity: &Entity) -> &mut Self {
        let keys: Vec<SymptomKey> =
            self.firing.keys().filter(|key| key.entity == *entity).cloned().collect();
        for key in keys {
            self.firing.remove(&key);
            self.cleared.push((key, self.now));
        }
        self
    }

    pub fn lets_drop(&mut self, entity: &Entity) -> &mut Self {
        self.firing.retain(|key, _| key.entity != *entity);
        self
    }

    pub fn seconds(&mut self, count: u64) -> &mut Self {
        for _ in 0..count {
            self.second();
        }
        self
    }

    pub fn second(&mut self) -> Diagnosis {
        self.seq += 1;
        self.now = self.now + Duration::from_secs(1);
        let mut tick = std::mem::take(&mut self.next);
        tick.seq = self.seq;
        tick.now = self.now;
        for ((caller, callee), flow) in &self.edges {
            let (caller, callee) = (caller.clone(), callee.clone());
            tick.requests.push(self.point(SeriesKey::Edge { caller, callee }, flow));
        }
        for (entity, flow) in &self.served {
            let key = match entity.kind {
                EntityKind::Instance => SeriesKey::Instance(entity.clone()),
                _ => SeriesKey::Service(entity.clone()),
            };
            tick.requests.push(self.point(key, flow));
            if self.seq.is_multiple_of(5) {
                tick.heard.push((entity.clone(), self.now));
            }
        }
        for (target, (entity, state)) in &self.processes {
            tick.processes.push(ProcessReport {
                at: self.now,
                target: target.clone(),
                entity: entity.clone(),
                state: state.clone(),
                memory_bytes: self.memory.get(target).map(|mebibytes| mebibytes << 20),
            });
        }
        let observed = Observed {
            firing: self.firing.values().cloned().collect(),
            cleared: std::mem::take(&mut self.cleared),
            objectives: Vec::new(),
        };
        let diagnosis = self.diagnoser.step(&tick, &observed);
        self.ticks.push((tick, observed));
        self.told.push(diagnosis.clone());
        diagnosis
    }

    fn point(&self, series: SeriesKey, flow: &Flow) -> RequestPoint {
        let mut durations = Histogram::default();
        durations.record(flow.seconds, flow.total as f64);
        let failed = flow.errors > 0;
        let kinds = if failed { vec![(flow.kind.to_owned(), flow.errors as f64)] } else { vec![] };
        RequestPoint {
            series,
            bucket: self.now.floor_to(BUCKET),
            total: flow.total as f64,
            errors: flow.errors as f64,
            total_raw: flow.total,
            errors_raw: flow.errors,
            durations,
            within: Vec::new(),
            error_kinds: kinds,
            first_error_at: failed.then_some(self.now),
            exemplar: failed.then(|| Exemplar {
                trace_id: format!("{:032x}", self.seq),
                error: true,
                duration_nanos: 20_000_000,
            }),
        }
    }

    pub fn incident(&self, id: u64) -> &Incident {
        self.diagnoser.incident(IncidentId(id)).expect("incident exists")
    }

    pub fn first_cause(&self, id: u64) -> &Cause {
        &self.incident(id).causes[0]
    }

    pub fn check_first(&self, kind: CauseKind, entity: &Entity) {
        let incident = self.incident(1);
        let cause = &incident.causes[0];
        assert_eq!((cause.kind, &cause.entity), (kind, entity), "{:#?}", incident.causes);
    }

    pub fn count(&self) -> usize {
        self.diagnoser.incidents().count()
    }
}

/// storefront -> orders -> database and cache, each of them well for `seconds`, orders under an
/// agent's eye.
pub fn polyglot(seconds: u64) -> Scene {
    let mut scene = Scene::new();
    scene
        .serves(&service("storefront"), well(10))
        .serves(&service("orders"), well(10))
        .calls(&service("storefront"), &service("orders"), well(10))
        .calls(&service("orders"), &database("orders"), well(20))
        .calls(&service("orders"), &database("redis"), well(10))
        .runs("orders", &service("orders"), 4121)
        .seconds(seconds);
    scene
}

/// gateway -> catalog, checkout -> gateway's balancer -> payment-1 and payment-2.
pub fn shop(seconds: u64) -> Scene {
    let mut scene = Scene::new();
    for (name, pid) in [("payment-1", 501), ("payment-2", 502)] {
        let seen = InstanceEventKind::Seen { version: "v1".to_owned() };
        scene.instance_event(&instance("payment", name), seen);
        scene.runs(name, &instance("payment", name), pid);
    }
    scene
        .serves(&service("gateway"), well(20))
        .serves(&service("checkout"), well(4))
        .serves(&service("catalog"), well(10))
        .serves(&service("payment"), well(4))
        .calls(&service("gateway"), &service("catalog"), well(10))
        .calls(&service("gateway"), &service("checkout"), well(4))
        .calls(&service("checkout"), &service("gateway"), well(4))
        .calls(&service("gateway"), &service("payment"), well(4))
        .runs("checkout", &service("checkout"), 400)
        .runs("catalog", &service("catalog"), 401)
        .seconds(seconds);
    scene
}

/// Kills orders; users are hurt a second later and it is noticed after ten.
pub fn kill_orders(scene: &mut Scene) -> Timestamp {
    scene.goes("orders", false).hushes(&service("orders"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "connection_refused"));
    scene.serves(&service("storefront"), failing(10, 10, "http_502"));
    let onset = scene.now + Duration::from_secs(1);
    scene.seconds(9).fires(&service("storefront"), 1.0, onset);
    onset
}
