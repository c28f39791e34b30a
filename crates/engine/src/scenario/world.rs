//! The system that a scenario plays: services that call each other, and the telemetry which stock
//! SDKs would send of it. No randomness: shares are dealt out evenly, instances take turns.

mod remedies;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::signal::{Attributes, Batch, Span, SpanKind, SpanStatus};
use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use model::time::SECOND;
use model::{Entity, Scope, Timestamp};

use super::parse::{Scenario, Step};
use super::telemetry::{active_requests, group, resource, span};

pub(super) use remedies::OFFERED;

/// Stock SDKs send spans each 5 s and metrics each 60 s.
const SPAN_EXPORT_SECS: u64 = 5;
const METRIC_EXPORT_SECS: u64 = 60;
const CALL_DEPTH_MAX: usize = 32;
/// A rolling deploy: how long an instance is away, and the pause before the next.
const REPLACE_TAKES: Duration = Duration::from_secs(3);
const REPLACE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct World {
    services: BTreeMap<String, Service>,
    instances: BTreeMap<String, Instance>,
    refused: BTreeSet<String>,
    entries: BTreeMap<String, Entry>,
    rollouts: Vec<Rollout>,
    /// The version of each service before its last deploy.
    before: BTreeMap<String, String>,
    /// Instances whose end a remedy asked for.
    asked: BTreeSet<String>,
    next_id: u64,
    next_pid: u32,
}

struct Service {
    callees: Vec<(String, bool)>,
    /// In turn; a crashed instance stays in the list, a stopped one does not.
    balanced: Vec<String>,
    turn: usize,
    errors: Share,
    status: u16,
    duration: Duration,
    hangs: bool,
    in_flight: i64,
    port: i64,
}

/// Deals out a share evenly: of 10 at 30 %, exactly three.
#[derive(Default)]
struct Share {
    share: f64,
    owed: f64,
}

impl Share {
    fn next(&mut self) -> bool {
        self.owed += self.share;
        let hit = self.owed >= 1.0 - 1e-9;
        if hit {
            self.owed -= 1.0;
        }
        hit
    }
}

struct Instance {
    service: String,
    version: String,
    pid: u32,
    started: Timestamp,
    state: State,
    muted: bool,
    last_seen: Timestamp,
    spans: Vec<Span>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Crashed,
    Stopped,
}

struct Entry {
    per_second: f64,
    owed: f64,
}

struct Rollout {
    waiting: Vec<String>,
    /// Stopped, and not yet back.
    replacing: Option<String>,
    version: String,
    next_at: Timestamp,
}

/// How a call went, as its caller sees it.
#[derive(Clone, Copy)]
enum Answer {
    Status(u16, Duration),
    Refused,
    /// No answer at all while the scenario lasts.
    Never,
}

impl World {
    pub(super) fn new(scenario: &Scenario, start: Timestamp) -> World {
        let mut world = World {
            services: BTreeMap::new(),
            instances: BTreeMap::new(),
            refused: BTreeSet::new(),
            entries: BTreeMap::new(),
            rollouts: Vec::new(),
            before: BTreeMap::new(),
            asked: BTreeSet::new(),
            next_id: 1,
            next_pid: 4000,
        };
        for (from, to, optional) in &scenario.edges {
            world.service(from).callees.push((to.clone(), *optional));
            if !is_dependency(to) {
                world.service(to);
            }
        }
        for (service, names) in &scenario.instances {
            world.service(service).balanced = names.clone();
        }
        let all: Vec<(String, Vec<String>)> =
            world.services.iter().map(|(name, s)| (name.clone(), s.balanced.clone())).collect();
        for (service, names) in all {
            for name in names {
                world.add_instance(&service, &name, "v1", start);
            }
        }
        world
    }

    fn service(&mut self, name: &str) -> &mut Service {
        let port = 5000 + self.services.len() as i64;
        self.services.entry(name.to_owned()).or_insert_with(|| Service {
            callees: Vec::new(),
            balanced: vec![format!("{name}-1")],
            turn: 0,
            errors: Share::default(),
            status: 500,
            duration: Duration::from_millis(5),
            hangs: false,
            in_flight: 0,
            port,
        })
    }

    fn add_instance(&mut self, service: &str, name: &str, version: &str, now: Timestamp) {
        self.next_pid += 1;
        let instance = Instance {
            service: service.to_owned(),
            version: version.to_owned(),
            pid: self.next_pid,
            started: now,
            state: State::Running,
            muted: false,
            last_seen: now,
            spans: Vec::new(),
        };
        self.instances.insert(name.to_owned(), instance);
    }

    /// The entity and instance behind the name of a target: an instance, or a service's only
    /// instance.
    pub(super) fn target(&self, name: &str) -> Option<(Entity, String)> {
        let scope = Scope::default();
        if self.services.contains_key(name) {
            let copies = self.instances.iter().filter(|(_, copy)| copy.service == name);
            let first = copies.map(|(name, _)| name.clone()).next()?;
            return Some((Entity::service(&scope, name), first));
        }
        let instance = self.instances.get(name)?;
        Some((Entity::instance(&scope, &instance.service, name), name.to_owned()))
    }

    /// Applies a step that concerns the system; the others are the runner's.
    pub(super) fn apply(&mut self, step: &Step, now: Timestamp) {
        match step {
            Step::Traffic { service, per_second } => {
                let entry = Entry { per_second: *per_second, owed: 0.0 };
                self.entries.insert(service.clone(), entry);
            }
            Step::Crash(who) => self.each(who, |instance| {
                instance.state = State::Crashed;
                instance.last_seen = now;
                instance.spans.clear();
            }),
            Step::Stop(who) => {
                self.each(who, |instance| instance.state = State::Stopped);
                let (services, instances) = (&mut self.services, &self.instances);
                for service in services.values_mut() {
                    service.balanced.retain(|name| instances[name].state != State::Stopped);
                }
            }
            Step::Start(who) => self.start(who, now),
            Step::Errors { service, share, status } => {
                let service = self.service(service);
                service.errors.share = *share;
                service.status = *status;
            }
            Step::Slow { service, duration } => self.service(service).duration = *duration,
            Step::Hang(who) => self.service(who).hangs = true,
            Step::Unhang(who) => {
                let service = self.service(who);
                service.hangs = false;
                service.in_flight = 0;
            }
            Step::Mute(who) => self.each(who, |instance| instance.muted = true),
            Step::Unmute(who) => self.each(who, |instance| instance.muted = false),
            Step::Refuse(who) => drop(self.refused.insert(who.clone())),
            Step::Accept(who) => drop(self.refused.remove(who)),
            Step::Deploy { service, version } => {
                self.remember_version(service);
                let waiting = self.service(service).balanced.clone();
                let version = version.clone();
                let rollout = Rollout { waiting, replacing: None, version, next_at: now };
                self.rollouts.push(rollout);
            }
            _ => {}
        }
    }

    /// Brings an instance up with a new process.
    pub(super) fn start(&mut self, who: &str, now: Timestamp) {
        let mut pid = self.next_pid;
        let mut started = Vec::new();
        self.each_named(who, |name, instance| {
            if instance.state != State::Running {
                pid += 1;
                instance.pid = pid;
                instance.started = now;
                instance.state = State::Running;
                started.push((instance.service.clone(), name.to_owned()));
            }
        });
        self.next_pid = pid;
        for (service, name) in started {
            let balanced = &mut self.service(&service).balanced;
            if !balanced.contains(&name) {
                balanced.push(name);
            }
        }
    }

    /// `who` is an instance or all instances of a service.
    fn each(&mut self, who: &str, mut change: impl FnMut(&mut Instance)) {
        self.each_named(who, |_, instance| change(instance));
    }

    fn each_named(&mut self, who: &str, mut change: impl FnMut(&str, &mut Instance)) {
        for (name, instance) in &mut self.instances {
            if name == who || instance.service == who {
                change(name, instance);
            }
        }
    }

    /// One second of life, ending at `now`: users come, and what is due is sent.
    pub(super) fn second(&mut self, now: Timestamp) -> Vec<Batch> {
        self.roll_out(now);
        let services: Vec<String> = self.entries.keys().cloned().collect();
        for service in services {
            let Some(entry) = self.entries.get_mut(&service) else { continue };
            entry.owed += entry.per_second;
            let requests = entry.owed.floor();
            entry.owed -= requests;
            for n in 0..requests as u64 {
                let trace = self.id();
                let spread = SECOND * n / (requests as u64).max(1);
                let end = Timestamp(now.0 - SECOND + spread);
                self.serve(&service, trace, 0, end, CALL_DEPTH_MAX);
            }
        }
        self.export(now)
    }

    /// One request to a service: its spans are recorded, its answer returned.
    fn serve(
        &mut self,
        name: &str,
        trace: u64,
        parent: u64,
        end: Timestamp,
        depth: usize,
    ) -> Answer {
        let service = self.service(name);
        if service.balanced.is_empty() || depth == 0 {
            return Answer::Refused;
        }
        service.turn += 1;
        let instance = service.balanced[service.turn % service.balanced.len()].clone();
        if self.refused.contains(name) || self.instances[&instance].state == State::Crashed {
            return Answer::Refused;
        }
        let service = self.service(name);
        if service.hangs {
            service.in_flight += 1;
            return Answer::Never;
        }
        let own_error = service.errors.next();
        let (mut status, mut duration) = (200, service.duration);
        let (own_status, callees) = (service.status, service.callees.clone());
        let span_id = self.id();
        for (callee, optional) in callees {
            match self.call(&callee, &instance, trace, span_id, end, depth) {
                Some((failed, took)) => {
                    duration += took;
                    if failed && !optional {
                        status = 502;
                    }
                }
                None => {
                    self.service(name).in_flight += 1;
                    return Answer::Never;
                }
            }
        }
        if own_error {
            status = own_status;
        }
        let attributes = Attributes::default()
            .with_str("http.request.method", "GET")
            .with_str("http.route", "/")
            .with_i64("http.response.status_code", i64::from(status));
        let mut span = span(trace, span_id, parent, SpanKind::Server, end, duration, attributes);
        span.name = "GET /".into();
        if status >= 500 {
            span.status = SpanStatus::Error;
        }
        self.record(&instance, span);
        Answer::Status(status, duration)
    }

    /// One call as its caller records it: (failed, how long), or `None` when it never ends.
    fn call(
        &mut self,
        callee: &str,
        instance: &str,
        trace: u64,
        parent: u64,
        end: Timestamp,
        depth: usize,
    ) -> Option<(bool, Duration)> {
        let span_id = self.id();
        let brief = Duration::from_millis(1);
        let (answer, mut attributes) = match callee.strip_prefix("db:") {
            Some(database) => {
                let (system, namespace) = database.split_once('/').unwrap_or((database, ""));
                let answer = match self.refused.contains(callee) {
                    true => Answer::Refused,
                    false => Answer::Status(200, brief),
                };
                let attributes = Attributes::default()
                    .with_str("db.system.name", system)
                    .with_str("db.namespace", namespace);
                (answer, attributes)
            }
            None => {
                let port = self.service(callee).port;
                let answer = self.serve(callee, trace, span_id, end, depth - 1);
                let attributes = Attributes::default()
                    .with_str("http.request.method", "GET")
                    .with_str("server.address", "127.0.0.1")
                    .with_i64("server.port", port);
                (answer, attributes)
            }
        };
        let (failed, duration) = match answer {
            Answer::Never => return None,
            Answer::Refused => {
                attributes = attributes.with_str("error.type", "ECONNREFUSED");
                (true, brief)
            }
            Answer::Status(status, duration) => {
                if !is_dependency(callee) {
                    attributes =
                        attributes.with_i64("http.response.status_code", i64::from(status));
                }
                (status >= 500, duration)
            }
        };
        let mut span = span(trace, span_id, parent, SpanKind::Client, end, duration, attributes);
        let answered_4xx = matches!(answer, Answer::Status(status, _) if status >= 400);
        if failed || answered_4xx {
            span.status = SpanStatus::Error;
        }
        self.record(instance, span);
        Some((failed, duration))
    }

    fn record(&mut self, instance: &str, span: Span) {
        if let Some(instance) = self.instances.get_mut(instance)
            && !instance.muted
        {
            instance.spans.push(span);
        }
    }

    /// What the SDKs send at `now`. Each instance has its own phase.
    fn export(&mut self, now: Timestamp) -> Vec<Batch> {
        let second = now.0 / SECOND;
        let mut batches = Vec::new();
        let in_flight: BTreeMap<String, i64> =
            self.services.iter().map(|(name, s)| (name.clone(), s.in_flight)).collect();
        for (index, (name, instance)) in self.instances.iter_mut().enumerate() {
            if instance.state == State::Crashed || instance.muted {
                continue;
            }
            let phase = second + index as u64;
            let Instance { service, version, pid, .. } = instance;
            let resource = resource(service, name, version, *pid);
            if phase.is_multiple_of(SPAN_EXPORT_SECS) && !instance.spans.is_empty() {
                let items = std::mem::take(&mut instance.spans);
                batches.push(Batch::Traces(vec![group(&resource, items)]));
            }
            let stuck = in_flight.get(&instance.service).copied().unwrap_or(0);
            let due = phase.is_multiple_of(METRIC_EXPORT_SECS);
            if due && instance.state == State::Running {
                let metrics = vec![active_requests(now, stuck)];
                batches.push(Batch::Metrics(vec![group(&resource, metrics)]));
            }
        }
        batches
    }

    /// One instance after another is stopped in good order, and comes back as the new version.
    fn roll_out(&mut self, now: Timestamp) {
        let mut rollouts = std::mem::take(&mut self.rollouts);
        for rollout in &mut rollouts {
            if now < rollout.next_at {
                continue;
            }
            if let Some(name) = rollout.replacing.take() {
                if let Some(instance) = self.instances.get_mut(&name) {
                    instance.version = rollout.version.clone();
                }
                self.start(&name, now);
                rollout.next_at = now + REPLACE_EVERY;
            } else if !rollout.waiting.is_empty() {
                let name = rollout.waiting.remove(0);
                self.apply(&Step::Stop(name.clone()), now);
                rollout.replacing = Some(name);
                rollout.next_at = now + REPLACE_TAKES;
            }
        }
        rollouts.retain(|rollout| rollout.replacing.is_some() || !rollout.waiting.is_empty());
        rollouts.append(&mut self.rollouts);
        self.rollouts = rollouts;
    }

    /// What an agent would report of the targets.
    pub(super) fn processes(&mut self, targets: &[String], now: Timestamp) -> Vec<ProcessReport> {
        let mut reports = Vec::new();
        for target in targets {
            let Some((entity, name)) = self.target(target) else { continue };
            let Some(instance) = self.instances.get_mut(&name) else { continue };
            let identity = ProcessIdentity {
                host: "host".to_owned(),
                boot_id: "boot".to_owned(),
                pid: instance.pid,
                start_ticks: instance.started.0 / (SECOND / 100),
            };
            let state = match instance.state {
                State::Running => {
                    instance.last_seen = now;
                    ProcessState::Running(identity)
                }
                // Others who stop a process do not ask Immune: it is gone, no more can be seen.
                State::Crashed | State::Stopped => ProcessState::Gone {
                    last: identity,
                    last_seen: instance.last_seen,
                    stop_requested: self.asked.contains(&name),
                },
            };
            reports.push(ProcessReport { at: now, target: target.clone(), entity, state });
        }
        reports
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

fn is_dependency(name: &str) -> bool {
    name.starts_with("db:")
}
