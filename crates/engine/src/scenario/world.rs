//! The system that a scenario plays: services that call each other, and the telemetry which stock
//! SDKs would send of it. No randomness: shares are dealt out evenly, instances take turns.

mod calls;

mod conditions;

mod conduct;

mod remedies;

mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::signal::{Attributes, Batch, Span, SpanKind, SpanStatus};
use model::time::SECOND;
use model::{Entity, Scope, Timestamp};

use super::parse::{Need, Scenario, Step};
use super::telemetry::span;
use calls::{Between, REFUSED, TIMEOUT};
use conditions::Looks;
use conduct::Conducts;

pub(super) use remedies::{OFFERED, OFFERED_BY_DATABASE};

const CALL_DEPTH_MAX: usize = 32;
/// Calls that one request can lead to, retries included; what is beyond is refused.
const CALLS_MAX: u32 = 1_000;
/// A rolling deploy: how long an instance is away, and the pause before the next.
const REPLACE_TAKES: Duration = Duration::from_secs(3);
const REPLACE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct World {
    services: BTreeMap<String, Service>,
    instances: BTreeMap<String, Instance>,
    conducts: Conducts,
    between: Between,
    /// What calls to it end with, by name.
    refused: BTreeMap<String, String>,
    looks: Looks,
    /// Services and instances that take requests and never answer.
    hanging: BTreeSet<String>,
    /// Calls that the present request may still make.
    calls_left: u32,
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
    callees: Vec<(String, Need)>,
    /// In turn; a crashed instance stays in the list, a stopped one does not.
    balanced: Vec<String>,
    turn: usize,
    in_flight: i64,
    /// Requests that it can serve in a second, and those that it began in this one.
    capacity: Option<f64>,
    begun: f64,
    port: i64,
}

struct Instance {
    service: String,
    version: String,
    pid: u32,
    started: Timestamp,
    state: State,
    muted: bool,
    halted: bool,
    /// Bytes that each request leaves in memory, and what they left so far.
    leak: u64,
    leaked: u64,
    last_seen: Timestamp,
    /// Nanoseconds by which its clock is ahead.
    ahead: i64,
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
    service: String,
    waiting: Vec<String>,
    /// Stopped, and not yet back.
    replacing: Option<String>,
    version: String,
    next_at: Timestamp,
}

/// How a call went, as its caller sees it.
enum Answer {
    Status(u16, Duration),
    /// With this `error.type`, at once.
    Refused(String),
    /// The database is there, and refuses the statement or fails at it.
    StatementFailed(String, Duration),
    /// Nothing came back in time.
    TimedOut(Duration),
    /// No answer at all while the scenario lasts.
    Never,
}

impl World {
    pub(super) fn new(scenario: &Scenario, start: Timestamp) -> World {
        let mut world = World {
            services: BTreeMap::new(),
            instances: BTreeMap::new(),
            conducts: Conducts::default(),
            between: Between::default(),
            refused: BTreeMap::new(),
            looks: Looks::of(&scenario.steps),
            hanging: BTreeSet::new(),
            calls_left: 0,
            entries: BTreeMap::new(),
            rollouts: Vec::new(),
            before: BTreeMap::new(),
            asked: BTreeSet::new(),
            next_id: 1,
            next_pid: 4000,
        };
        for (from, to, need) in &scenario.edges {
            world.service(from).callees.push((to.clone(), *need));
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
            in_flight: 0,
            capacity: None,
            begun: 0.0,
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
            halted: false,
            leak: 0,
            leaked: 0,
            last_seen: now,
            ahead: 0,
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
            Step::Errors { who, share, status } => self.conducts.fail(who, *share, *status),
            Step::Slow { who, duration, share } => self.conducts.slow(who, *duration, *share),
            Step::Leak { who, bytes } => self.each(who, |instance| instance.leak = *bytes),
            Step::Clock { who, ahead } => self.each(who, |instance| instance.ahead = *ahead),
            Step::Capacity { service, per_second } => {
                self.service(service).capacity = Some(*per_second);
            }
            Step::Hang(who) => drop(self.hanging.insert(who.clone())),
            Step::Unhang(who) => self.unhang(who),
            Step::Halt(who) => self.each(who, |instance| instance.halted = true),
            Step::Unhalt(who) => self.each(who, |instance| instance.halted = false),
            Step::Mute(who) => self.each(who, |instance| instance.muted = true),
            Step::Unmute(who) => self.each(who, |instance| instance.muted = false),
            Step::Refuse { who, error } => {
                self.refused.insert(who.clone(), error.clone());
            }
            Step::Accept(who) => drop(self.refused.remove(who)),
            Step::Deploy { who, version } => self.deploy(who, version, now),
            Step::DatabaseErrors { database, share, kind } => {
                self.conducts.refuse(database, *share, kind);
            }
            other => {
                self.between.apply(other);
                self.looks.apply(other, now);
            }
        }
    }

    fn deploy(&mut self, who: &str, version: &str, now: Timestamp) {
        let named = self.instances.get(who).map(|instance| instance.service.clone());
        let waiting = match &named {
            Some(_) => vec![who.to_owned()],
            None => self.service(who).balanced.clone(),
        };
        let service = named.unwrap_or_else(|| who.to_owned());
        self.remember_version(&service);
        let version = version.to_owned();
        self.rollouts.push(Rollout { service, waiting, replacing: None, version, next_at: now });
    }

    fn unhang(&mut self, who: &str) {
        self.hanging.remove(who);
        let of = self.instances.get(who).map(|instance| instance.service.clone());
        self.service(&of.unwrap_or_else(|| who.to_owned())).in_flight = 0;
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
                (instance.leak, instance.leaked, instance.ahead) = (0, 0, 0);
                instance.halted = false;
                instance.state = State::Running;
                started.push((instance.service.clone(), name.to_owned()));
            }
        });
        self.next_pid = pid;
        for (service, name) in started {
            self.hanging.remove(&name);
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
        self.services.values_mut().for_each(|service| service.begun = 0.0);
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
                self.calls_left = CALLS_MAX;
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
            return Answer::Refused(REFUSED.to_owned());
        }
        service.turn += 1;
        let instance = service.balanced[service.turn % service.balanced.len()].clone();
        if let Some(error) = self.refused.get(name).or(self.refused.get(&instance)) {
            return Answer::Refused(error.clone());
        }
        if self.instances[&instance].state == State::Crashed {
            return Answer::Refused(REFUSED.to_owned());
        }
        if self.instances[&instance].halted {
            return Answer::TimedOut(TIMEOUT);
        }
        let hangs = self.hanging.contains(name) || self.hanging.contains(&instance);
        let service = self.service(name);
        if hangs {
            service.in_flight += 1;
            return Answer::Never;
        }
        service.begun += 1.0;
        let is_too_much = service.capacity.is_some_and(|capacity| service.begun > capacity);
        let callees = if is_too_much { Vec::new() } else { service.callees.clone() };
        let (own_error, mut duration) = self.conduct(name, &instance);
        let mut status = 200;
        let span_id = self.id();
        for (callee, need) in callees {
            match self.ask(&callee, need, &instance, trace, span_id, end, depth) {
                Some((failed, took)) => {
                    duration += took;
                    if failed && need != Need::Optional {
                        status = 502;
                    }
                }
                None => {
                    self.service(name).in_flight += 1;
                    return Answer::Never;
                }
            }
        }
        if let Some(own_error) = own_error {
            status = own_error;
        }
        if is_too_much {
            status = 503;
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

    fn record(&mut self, instance: &str, span: Span) {
        if let Some(instance) = self.instances.get_mut(instance)
            && !instance.muted
        {
            let (start, end) = (span.start_unix_nanos, span.end_unix_nanos);
            let span = Span {
                start_unix_nanos: start.saturating_add_signed(instance.ahead),
                end_unix_nanos: end.saturating_add_signed(instance.ahead),
                ..span
            };
            instance.spans.push(span);
        }
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

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}

fn is_dependency(name: &str) -> bool {
    name.starts_with("db:")
}
