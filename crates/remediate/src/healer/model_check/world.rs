//! What the model check moves: a server with the real healer, and on each host an executor that
//! keeps the agent's rules.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use model::human::HumanDuration;
use model::plan::{Attempt, Expectation, OutcomeResult};
use model::symptom::{Health, ObjectiveState};
use model::tick::{ProcessIdentity, ProcessReport, ProcessState, Tick};
use model::{
    Action, ActionId, ActionKind, CauseKind, Entity, Incident, Mode, Outcome, PlanState, Timestamp,
};

use crate::fixtures as f;
use crate::healer::Healer;
use crate::record::Record;
use crate::{Proposals, Remedy, Step, StepInput, Target};

/// Seconds of one step.
pub const STEP_S: u64 = 10;
/// Orders that may be in flight at once: fewer than there are targets.
pub const IN_FLIGHT_MAX: usize = 2;
/// More than the longest life of a plan that waits for two others.
const SETTLING_STEPS: usize = 80;
const NAMES: [&str; 3] = ["cart", "orders", "payment"];

/// What may happen how often on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    pub targets: usize,
    pub steps: u64,
    pub server_deaths: u8,
    pub agent_deaths: u8,
    pub freezes: u8,
    pub losses: u8,
    /// Actions that the executor says have failed.
    pub failures: u8,
    /// Incidents whose users recover before all is over.
    pub recoveries: u8,
}

#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub healer: Healer,
    pub now: u64,
    pub left: Bounds,
    pub server_up: bool,
    pub calm_until: u64,
    pub frozen: bool,
    /// Between two moves that concern all, moves of single hosts come in the order of hosts: this
    /// one may move, and those after it.
    pub turn: usize,
    pub hosts: Vec<Host>,
    /// What must never be so, once it was.
    pub wrong: Option<&'static str>,
}

/// A host with its target, its executor, and what is on the way between it and the server.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Host {
    pub connected: bool,
    pub agent: Agent,
    pub orders: Vec<Action>,
    pub outcomes: Vec<Outcome>,
    pub pid: u32,
    pub shed: bool,
    pub recovered_at: Option<u64>,
    pub called: bool,
}

/// The executor with its ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Agent {
    pub up: bool,
    pub planted: Planted,
    pub frozen: bool,
    pub acting: Option<String>,
    pub ledger: BTreeMap<String, Entry>,
}

/// What is wrong with an executor, so that the check can show that it finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Planted {
    #[default]
    Nothing,
    /// It begins orders however old they are.
    Careless,
    /// It begins them though it is frozen.
    Deaf,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    Accepted,
    Ended(&'static str),
    /// The server was told that it never came: it will never be taken.
    Never,
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        postcard::to_allocvec(&seen(&self.healer)).unwrap().hash(hasher);
        (self.now, self.left, self.server_up, self.calm_until).hash(hasher);
        (self.frozen, self.turn, self.wrong).hash(hasher);
        for host in &self.hosts {
            (host.connected, &host.agent, host.pid, host.shed).hash(hasher);
            (host.recovered_at, host.called).hash(hasher);
            let orders: Vec<&ActionId> = host.orders.iter().map(|order| &order.id).collect();
            let told = |outcome: &Outcome| (outcome.action.clone(), outcome.result.as_str());
            let outcomes: Vec<_> = host.outcomes.iter().map(told).collect();
            (orders, outcomes).hash(hasher);
        }
    }
}

/// All that the healer's future depends on: without its configuration, which stays, and the texts
/// and counts that are only told.
fn seen(healer: &Healer) -> impl serde::Serialize {
    let end = |outcome: &Option<Outcome>| outcome.as_ref().map(|outcome| outcome.result);
    let attempt = |attempt: &Attempt| {
        let undo = attempt.undo.as_ref().map(|undo| (undo.ordered, end(&undo.outcome)));
        (attempt.action.kind.clone(), attempt.ordered, end(&attempt.outcome), undo)
    };
    let record = |record: &Record| {
        let plan = &record.plan;
        let attempts: Vec<_> = plan.attempts.iter().map(attempt).collect();
        let undoing = record.undoing.as_ref().map(|undoing| (undoing.since, undoing.due));
        (
            (plan.state, plan.kind.clone(), attempts, record.approval.clone()),
            (record.held_since, record.verifying_since, record.recovery, record.outcome_due),
            (record.outcome_assumed, record.started.clone(), record.tally),
            (record.by_others, record.past, record.spent),
            (record.step, record.made_before_step, undoing),
        )
    };
    let records: Vec<_> = healer.records.values().map(record).collect();
    let memory: Vec<_> = healer.memory.values().cloned().collect();
    let calls = healer.calls.clone();
    (
        (records, memory, healer.ordered.clone(), healer.frozen.is_some()),
        (healer.hold.is_some(), healer.storm, calls, healer.resolved.clone()),
    )
}

pub fn command(name: &str) -> ActionKind {
    ActionKind::RunCommand { command: name.into() }
}

/// First the load is shed, which can be taken back; then a restart.
fn healer(targets: usize) -> Healer {
    let names = &NAMES[..targets];
    let mut config = f::config(Mode::Auto, names);
    config.guardrails.order_valid_for = HumanDuration::from_secs(STEP_S);
    config.guardrails.actions_in_flight = IN_FLIGHT_MAX as u32;
    config.call_human_after = HumanDuration::from_secs(STEP_S);
    for policy in &mut config.policies {
        policy.action = Remedy::RunCommand("shed".into());
        policy.attempts = 1;
        let (action, verify_within) = (Remedy::Restart, None);
        policy.then = vec![Step { action, attempts: 1, verify_within }];
        policy.verify_for = HumanDuration::from_secs(STEP_S);
        policy.verify_within = HumanDuration::from_secs(STEP_S);
        policy.back_off = HumanDuration::from_secs(STEP_S);
    }
    let target = |name: &&str| Target {
        actions: vec![ActionKind::Restart, command("shed"), command("unshed")],
        undos: vec![(command("shed"), command("unshed"))],
        action_timeout: HumanDuration::from_secs(STEP_S),
        ..f::target(name)
    };
    Healer::new(config, names.iter().map(target).collect(), "s1".into())
}

fn process(host: usize, pid: u32) -> ProcessIdentity {
    ProcessIdentity { host: NAMES[host].to_owned(), ..f::process(pid) }
}

/// Each target has users of its own.
fn users(host: usize) -> Entity {
    f::service(&format!("front-of-{}", NAMES[host]))
}

impl State {
    pub fn first(bounds: Bounds, planted: Planted) -> State {
        let agent = Agent { up: true, planted, ..Agent::default() };
        let host = Host { connected: true, agent, pid: 1, ..Host::default() };
        State {
            healer: healer(bounds.targets),
            now: 0,
            left: bounds,
            server_up: true,
            calm_until: 0,
            frozen: false,
            turn: 0,
            hosts: vec![host; bounds.targets],
            wrong: None,
        }
    }

    fn time(&self) -> Timestamp {
        f::at(self.now)
    }

    pub fn wrong(&mut self, what: &'static str) {
        self.wrong = self.wrong.or(Some(what));
    }

    fn incident(&self, at: usize) -> Option<Incident> {
        let host = &self.hosts[at];
        let mut incident = f::incident(at as u64 + 1, NAMES[at]);
        incident.causes[0].kind = CauseKind::Silent;
        incident.causes[0].process = Some(process(at, host.pid));
        incident.symptoms[0].entity = users(at);
        incident.impact.services = vec![users(at)];
        match host.recovered_at {
            None => Some(incident),
            Some(recovered) if self.now < recovered + 4 * STEP_S => {
                f::mitigate(&mut incident, f::at(recovered));
                Some(incident)
            }
            Some(recovered) if self.now == recovered + 4 * STEP_S => {
                f::mitigate(&mut incident, f::at(recovered));
                f::resolve(&mut incident, self.time());
                Some(incident)
            }
            Some(_) => None,
        }
    }

    /// Time passes; the server, if it is up, makes a step.
    pub fn pass(&mut self) {
        self.now += STEP_S;
        if !self.server_up {
            return;
        }
        let now = self.time();
        let all = 0..self.hosts.len();
        let incidents: Vec<Incident> = all.clone().filter_map(|at| self.incident(at)).collect();
        let objective = |at: usize| {
            let is_well = self.hosts[at].recovered_at.is_some();
            let health = if is_well { Health::Well } else { Health::Burning };
            ObjectiveState { entity: users(at), ..f::objective(health, 100.0) }
        };
        let objectives: Vec<ObjectiveState> = all.clone().map(objective).collect();
        let connected = all.clone().filter(|at| self.hosts[*at].connected);
        let report = |at: usize| ProcessReport {
            state: ProcessState::Running(process(at, self.hosts[at].pid)),
            ..f::seen(f::running(NAMES[at], 0), now)
        };
        let reports: Vec<ProcessReport> = connected.map(report).collect();
        let heard = all.map(|at| (users(at), now)).collect();
        let tick = Tick { heard, ..f::tick(now) };
        let calm = self.now < self.calm_until;
        let out = self.healer.step(&StepInput {
            now,
            incidents: incidents.iter().collect(),
            objectives: &objectives,
            processes: &reports,
            tick: Some(&tick),
            hold: calm.then(|| "catching up".to_owned()),
        });
        self.take(out);
    }

    pub fn take(&mut self, out: Proposals) {
        for (incident, _) in &out.needs_human {
            self.hosts[incident.0 as usize - 1].called = true;
        }
        for order in out.orders {
            let at = NAMES.iter().position(|name| *name == order.target).unwrap();
            if self.frozen {
                self.wrong("an order while frozen");
            }
            if self.hosts.iter().any(|host| host.agent.ledger.contains_key(&order.id.0)) {
                self.wrong("an action id was used twice");
            }
            match self.hosts[at].connected {
                true => self.hosts[at].orders.push(order),
                false => self.tell(&order.id, OutcomeResult::NotRun),
            }
        }
    }

    pub fn tell(&mut self, id: &ActionId, result: OutcomeResult) {
        let outcome = Outcome { action: id.clone(), at: self.time(), result, detail: "".into() };
        let out = self.healer.outcome(self.time(), &outcome);
        if !out.orders.is_empty() {
            self.wrong("an outcome made an order");
        }
        self.take(out);
    }

    /// The agent takes an order, or refuses it, by its own rules.
    pub fn accept(&mut self, at: usize, order: Action) {
        let id = order.id.0.clone();
        let (late, awaited) = (self.time() > order.not_after, self.awaits(&order.id));
        let host = &mut self.hosts[at];
        if host.agent.ledger.contains_key(&id) {
            return;
        }
        let expected = match &order.expect {
            Expectation::Running(expected) => *expected == process(at, host.pid),
            Expectation::Gone(_) => false,
            Expectation::NoProcess => true,
        };
        let late = late && host.agent.planted != Planted::Careless;
        let frozen = host.agent.frozen && host.agent.planted != Planted::Deaf;
        if late || !expected || frozen || host.agent.acting.is_some() {
            return self.end(at, &id, OutcomeResult::Refused);
        }
        host.agent.acting = Some(id.clone());
        host.agent.ledger.insert(id, Entry::Accepted);
        // One that cannot be reached learns of a freeze when it is met again.
        if self.frozen && self.hosts[at].connected {
            self.wrong("an action was begun after a freeze");
        }
        if !awaited && self.server_up {
            self.wrong("an action was begun that nobody waits for any more");
        }
    }

    fn awaits(&self, id: &ActionId) -> bool {
        self.healer.in_flight().iter().any(|action| action.id == *id)
    }

    fn action(&self, id: &str) -> Option<&Action> {
        let attempts = self.healer.plans().flat_map(|plan| &plan.attempts);
        let mut actions = attempts.flat_map(|attempt| {
            std::iter::once(&attempt.action).chain(attempt.undo.iter().map(|undo| &undo.action))
        });
        actions.find(|action| action.id.0 == id)
    }

    /// What was being done takes effect.
    pub fn effect(&mut self, at: usize, id: &str) {
        let action = self.action(id).cloned();
        let host = &mut self.hosts[at];
        match action {
            Some(action) if action.target != NAMES[at] => self.wrong("a host acted for another"),
            Some(Action { kind: ActionKind::Restart, .. }) => host.pid += 1,
            Some(action) => host.shed = action.kind == command("shed"),
            None => self.wrong("an action that no plan made"),
        }
    }

    pub fn end(&mut self, at: usize, id: &str, result: OutcomeResult) {
        let (now, host) = (self.time(), &mut self.hosts[at]);
        host.agent.ledger.insert(id.to_owned(), Entry::Ended(result.as_str()));
        if host.connected {
            let action = ActionId(id.to_owned());
            host.outcomes.push(Outcome { action, at: now, result, detail: String::new() });
        }
    }

    /// Server and agent meet again: the server asks about each action in flight.
    pub fn connect(&mut self, at: usize) {
        self.hosts[at].connected = true;
        self.hosts[at].agent.frozen = self.frozen;
        let in_flight = self.healer.in_flight();
        let of_host = in_flight.iter().filter(|action| action.target == NAMES[at]);
        let ids: Vec<ActionId> = of_host.map(|action| action.id.clone()).collect();
        for id in ids {
            match self.hosts[at].agent.ledger.get(&id.0) {
                Some(Entry::Ended(result)) => {
                    let result = result_of(result);
                    self.tell(&id, result);
                }
                Some(Entry::Accepted | Entry::Never) => {}
                None => {
                    self.hosts[at].agent.ledger.insert(id.0.clone(), Entry::Never);
                    self.tell(&id, OutcomeResult::NotRun);
                }
            }
        }
    }

    pub fn disconnect(&mut self, at: usize) {
        self.hosts[at].connected = false;
        self.hosts[at].outcomes.clear();
    }

    /// It dies before what it was doing took effect, or after.
    pub fn agent_dies(&mut self, at: usize, after: bool) {
        self.disconnect(at);
        // What was on its way to it is gone with it.
        self.hosts[at].orders.clear();
        self.hosts[at].agent.up = false;
        if let Some(id) = self.hosts[at].agent.acting.take() {
            if after {
                self.effect(at, &id);
            }
            self.end(at, &id, OutcomeResult::Interrupted);
        }
    }

    /// What was on its way from it arrives, or is lost with it.
    pub fn server_dies(&mut self, orders_arrive: bool) {
        self.server_up = false;
        for at in 0..self.hosts.len() {
            self.disconnect(at);
            if !orders_arrive {
                self.hosts[at].orders.clear();
            }
        }
    }

    /// The healer is made again from what is durable, byte for byte.
    pub fn server_starts(&mut self) {
        let bytes = postcard::to_allocvec(&self.healer).unwrap();
        let again: Healer = postcard::from_bytes(&bytes).unwrap();
        if again != self.healer {
            self.wrong("a restarted server knows something else");
        }
        self.healer = again;
        self.server_up = true;
        self.calm_until = self.now + 2 * STEP_S;
    }

    /// First the executors that can be reached, then the loop.
    pub fn freeze(&mut self) {
        for host in self.hosts.iter_mut().filter(|host| host.connected) {
            host.agent.frozen = true;
        }
        self.frozen = true;
        let out = self.healer.freeze("ann", "sale", self.time());
        self.take(out);
    }

    pub fn thaw(&mut self) {
        for host in self.hosts.iter_mut().filter(|host| host.connected) {
            host.agent.frozen = false;
        }
        self.frozen = false;
        let out = self.healer.thaw("ann", self.time());
        self.take(out);
    }

    /// From here on nothing more goes wrong: does each plan end, and is what was done verified,
    /// taken back, or told to a person?
    pub fn settles(&self) -> bool {
        let mut state = self.clone();
        state.server_up = true;
        if state.frozen {
            state.thaw();
        }
        for _ in 0..SETTLING_STEPS {
            for at in 0..state.hosts.len() {
                state.settle(at);
            }
            if state.is_over() {
                break;
            }
            state.pass();
        }
        state.wrong.is_none()
            && state.healer.plans().all(|plan| match plan.state {
                PlanState::Verified | PlanState::Withdrawn => true,
                PlanState::GaveUp => {
                    let host = &state.hosts[plan.incident.0 as usize - 1];
                    host.called || host.recovered_at.is_some()
                }
                _ => false,
            })
    }

    fn is_over(&self) -> bool {
        self.now > STEP_S
            && self.healer.plans().all(|plan| plan.state.is_final())
            && self.hosts.iter().all(|host| host.orders.is_empty() && host.outcomes.is_empty())
    }

    fn settle(&mut self, at: usize) {
        self.hosts[at].agent.up = true;
        if !self.hosts[at].connected {
            self.connect(at);
        }
        while !self.hosts[at].orders.is_empty() {
            let order = self.hosts[at].orders.remove(0);
            self.accept(at, order);
        }
        if let Some(id) = self.hosts[at].agent.acting.take() {
            self.effect(at, &id);
            self.end(at, &id, OutcomeResult::Done);
        }
        while !self.hosts[at].outcomes.is_empty() {
            let outcome = self.hosts[at].outcomes.remove(0);
            self.tell(&outcome.action, outcome.result);
        }
    }
}

fn result_of(text: &str) -> OutcomeResult {
    use OutcomeResult::{Done, Failed, Interrupted, NotRun, Refused};
    let all = [Done, Failed, Interrupted, NotRun, Refused];
    *all.iter().find(|result| result.as_str() == text).unwrap()
}
