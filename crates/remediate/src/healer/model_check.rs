//! A model check: the real healer, an executor that keeps the agent's rules, and a person, in every
//! order in which they can act, with the server and the agent dying at any step and messages
//! delayed or lost.
//!
//! The server's state is rebuilt from its log after a death, so it is the healer as it was; what
//! was on its way is lost. The agent's ledger survives it, and tells what it was doing as
//! interrupted. Time moves in steps of ten seconds. `stateright` walks all states within bounds.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use model::human::HumanDuration;
use model::plan::{Expectation, OutcomeResult};
use model::symptom::Health;
use model::tick::ProcessReport;
use model::{
    Action, ActionId, ActionKind, CauseKind, Incident, Mode, Outcome, PlanState, Timestamp,
};
use stateright::{Checker, Model, Property};

use super::Healer;
use crate::fixtures as f;
use crate::{Proposals, Remedy, Step, StepInput, Target};

/// Seconds of one step.
const STEP_S: u64 = 10;
const NEVER_WRONG: &str = "no double action, none after a freeze";
/// More than the longest life of a plan.
const SETTLING_STEPS: usize = 40;

/// What may happen how often on one path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Bounds {
    steps: u64,
    server_deaths: u8,
    agent_deaths: u8,
    freezes: u8,
    losses: u8,
}

#[derive(Clone, Debug, PartialEq)]
struct State {
    healer: Healer,
    now: u64,
    left: Bounds,
    server_up: bool,
    connected: bool,
    calm_until: u64,
    frozen: bool,
    agent: Agent,
    /// Orders on their way to the agent, and outcomes on their way back.
    orders: Vec<Action>,
    outcomes: Vec<Outcome>,
    pid: u32,
    shed: bool,
    recovered_at: Option<u64>,
    called: bool,
    /// What must never be so, once it was.
    wrong: Option<&'static str>,
}

/// The executor with its ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct Agent {
    up: bool,
    /// Planted: it begins orders however old they are.
    careless: bool,
    frozen: bool,
    acting: Option<String>,
    ledger: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Entry {
    Accepted,
    Ended(&'static str),
    /// The server was told that it never came: it will never be taken.
    Never,
}

impl Eq for State {}

impl Hash for State {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        postcard::to_allocvec(&self.healer).unwrap().hash(hasher);
        (self.now, self.left, self.server_up, self.connected, self.calm_until).hash(hasher);
        (self.frozen, &self.agent, self.pid, self.shed, self.recovered_at).hash(hasher);
        (self.called, self.wrong).hash(hasher);
        let orders: Vec<&ActionId> = self.orders.iter().map(|order| &order.id).collect();
        let told = |outcome: &Outcome| (outcome.action.clone(), outcome.result.as_str());
        let outcomes: Vec<_> = self.outcomes.iter().map(told).collect();
        (orders, outcomes).hash(hasher);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Move {
    Pass,
    DeliverOrder,
    LoseOrder,
    Finish {
        ok: bool,
    },
    DeliverOutcome,
    LoseOutcome,
    ServerDies,
    ServerStarts,
    /// It dies before what it was doing took effect, or after.
    AgentDies {
        after: bool,
    },
    AgentStarts,
    Connect,
    Freeze,
    Thaw,
    Recover,
}

struct Check {
    bounds: Bounds,
    careless: bool,
}

fn command(name: &str) -> ActionKind {
    ActionKind::RunCommand { command: name.into() }
}

/// First the load is shed, which can be taken back; then a restart.
fn healer() -> Healer {
    let mut config = f::config(Mode::Auto, &["orders"]);
    config.guardrails.order_valid_for = HumanDuration::from_secs(STEP_S);
    config.call_human_after = HumanDuration::from_secs(STEP_S);
    let policy = &mut config.policies[0];
    policy.action = Remedy::RunCommand("shed".into());
    policy.attempts = 1;
    let (action, verify_within) = (Remedy::Restart, None);
    policy.then = vec![Step { action, attempts: 1, verify_within }];
    policy.verify_for = HumanDuration::from_secs(STEP_S);
    policy.verify_within = HumanDuration::from_secs(STEP_S);
    policy.back_off = HumanDuration::from_secs(STEP_S);
    let target = Target {
        actions: vec![ActionKind::Restart, command("shed"), command("unshed")],
        undos: vec![(command("shed"), command("unshed"))],
        action_timeout: HumanDuration::from_secs(STEP_S),
        ..f::target("orders")
    };
    Healer::new(config, vec![target], "s1".into())
}

impl State {
    fn time(&self) -> Timestamp {
        f::at(self.now)
    }

    fn wrong(&mut self, what: &'static str) {
        self.wrong = self.wrong.or(Some(what));
    }

    fn incident(&self) -> Option<Incident> {
        let mut incident = f::incident(1, "orders");
        incident.causes[0].kind = CauseKind::Silent;
        incident.causes[0].process = Some(f::process(self.pid));
        match self.recovered_at {
            None => Some(incident),
            Some(at) if self.now < at + 4 * STEP_S => {
                f::mitigate(&mut incident, f::at(at));
                Some(incident)
            }
            Some(at) if self.now == at + 4 * STEP_S => {
                f::mitigate(&mut incident, f::at(at));
                f::resolve(&mut incident, self.time());
                Some(incident)
            }
            Some(_) => None,
        }
    }

    /// Time passes; the server, if it is up, makes a step.
    fn pass(&mut self) {
        self.now += STEP_S;
        if !self.server_up {
            return;
        }
        let incident = self.incident();
        let health = if self.recovered_at.is_some() { Health::Well } else { Health::Burning };
        let objectives = [f::objective(health, 100.0)];
        let report = f::seen(f::running("orders", self.pid), self.time());
        let reports: Vec<ProcessReport> = self.connected.then_some(report).into_iter().collect();
        let tick = f::tick(self.time());
        let calm = self.now < self.calm_until;
        let out = self.healer.step(&StepInput {
            now: self.time(),
            incidents: incident.iter().collect(),
            objectives: &objectives,
            processes: &reports,
            tick: Some(&tick),
            hold: calm.then(|| "catching up".to_owned()),
        });
        self.take(out);
    }

    fn take(&mut self, out: Proposals) {
        self.called |= !out.needs_human.is_empty();
        for order in out.orders {
            if self.frozen {
                self.wrong("an order while frozen");
            }
            if self.agent.ledger.contains_key(&order.id.0) {
                self.wrong("an action id was used twice");
            }
            match self.connected {
                true => self.orders.push(order),
                false => self.tell(&order.id, OutcomeResult::NotRun),
            }
        }
    }

    fn tell(&mut self, id: &ActionId, result: OutcomeResult) {
        let outcome = Outcome { action: id.clone(), at: self.time(), result, detail: "".into() };
        let out = self.healer.outcome(self.time(), &outcome);
        if !out.orders.is_empty() {
            self.wrong("an outcome made an order");
        }
        self.take(out);
    }

    /// The agent takes an order, or refuses it, by its own rules.
    fn accept(&mut self, order: Action) {
        let id = order.id.0.clone();
        if self.agent.ledger.contains_key(&id) {
            return;
        }
        let expected = match &order.expect {
            Expectation::Running(process) => *process == f::process(self.pid),
            Expectation::Gone(_) => false,
            Expectation::NoProcess => true,
        };
        let late = self.time() > order.not_after && !self.agent.careless;
        if late || !expected || self.agent.frozen || self.agent.acting.is_some() {
            return self.end(&id, OutcomeResult::Refused);
        }
        if self.frozen {
            self.wrong("an action was begun after a freeze");
        }
        let awaited = self.healer.in_flight().iter().any(|action| action.id == order.id);
        if !awaited && self.server_up {
            self.wrong("an action was begun that nobody waits for any more");
        }
        self.agent.acting = Some(id.clone());
        self.agent.ledger.insert(id, Entry::Accepted);
    }

    /// What was being done takes effect.
    fn effect(&mut self, id: &str) {
        let plans = self.healer.plans().flat_map(|plan| &plan.attempts);
        let actions = plans.flat_map(|attempt| {
            std::iter::once(&attempt.action).chain(attempt.undo.iter().map(|undo| &undo.action))
        });
        let kind = actions.filter(|action| action.id.0 == id).map(|it| it.kind.clone()).next();
        match kind {
            Some(ActionKind::Restart) => self.pid += 1,
            Some(kind) => self.shed = kind == command("shed"),
            None => self.wrong("an action that no plan made"),
        }
    }

    fn end(&mut self, id: &str, result: OutcomeResult) {
        self.agent.ledger.insert(id.to_owned(), Entry::Ended(result.as_str()));
        if self.connected {
            self.outcomes.push(outcome(id, result, self.time()));
        }
    }

    /// Server and agent meet again: the server asks about each action in flight.
    fn connect(&mut self) {
        self.connected = true;
        let ids: Vec<ActionId> =
            self.healer.in_flight().iter().map(|action| action.id.clone()).collect();
        for id in ids {
            match self.agent.ledger.get(&id.0) {
                Some(Entry::Ended(result)) => {
                    let result = result_of(result);
                    self.tell(&id, result);
                }
                Some(Entry::Accepted | Entry::Never) => {}
                None => {
                    self.agent.ledger.insert(id.0.clone(), Entry::Never);
                    self.tell(&id, OutcomeResult::NotRun);
                }
            }
        }
    }

    fn disconnect(&mut self) {
        self.connected = false;
        self.outcomes.clear();
    }

    /// From here on nothing more goes wrong: does each plan end, and is what was done verified,
    /// taken back, or told to a person?
    fn settles(&self) -> bool {
        let mut state = self.clone();
        state.server_up = true;
        state.agent.up = true;
        if state.frozen {
            state.thaw();
        }
        for _ in 0..SETTLING_STEPS {
            if !state.connected {
                state.connect();
            }
            while !state.orders.is_empty() {
                let order = state.orders.remove(0);
                state.accept(order);
            }
            if let Some(id) = state.agent.acting.take() {
                state.effect(&id);
                state.end(&id, OutcomeResult::Done);
            }
            while !state.outcomes.is_empty() {
                let outcome = state.outcomes.remove(0);
                state.tell(&outcome.action, outcome.result);
            }
            state.pass();
        }
        let told = state.called || state.recovered_at.is_some();
        state.wrong.is_none()
            && state.healer.plans().all(|plan| match plan.state {
                PlanState::Verified | PlanState::Withdrawn => true,
                PlanState::GaveUp => told,
                _ => false,
            })
    }

    fn thaw(&mut self) {
        self.frozen = false;
        self.agent.frozen = false;
        let out = self.healer.thaw("ann", self.time());
        self.take(out);
    }
}

fn outcome(id: &str, result: OutcomeResult, at: Timestamp) -> Outcome {
    Outcome { action: ActionId(id.to_owned()), at, result, detail: String::new() }
}

fn result_of(text: &str) -> OutcomeResult {
    use OutcomeResult::{Done, Failed, Interrupted, NotRun, Refused};
    let all = [Done, Failed, Interrupted, NotRun, Refused];
    *all.iter().find(|result| result.as_str() == text).unwrap()
}

impl Model for Check {
    type State = State;
    type Action = Move;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            healer: healer(),
            now: 0,
            left: self.bounds,
            server_up: true,
            connected: true,
            calm_until: 0,
            frozen: false,
            agent: Agent { up: true, careless: self.careless, ..Agent::default() },
            orders: Vec::new(),
            outcomes: Vec::new(),
            pid: 1,
            shed: false,
            recovered_at: None,
            called: false,
            wrong: None,
        }]
    }

    fn actions(&self, state: &State, moves: &mut Vec<Move>) {
        let left = &state.left;
        let mut may = |allowed: bool, what: Move| {
            if allowed {
                moves.push(what);
            }
        };
        may(left.steps > 0, Move::Pass);
        let (order, told) = (!state.orders.is_empty(), !state.outcomes.is_empty());
        may(order && state.agent.up, Move::DeliverOrder);
        may(order && left.losses > 0, Move::LoseOrder);
        may(told && state.server_up, Move::DeliverOutcome);
        may(told && left.losses > 0, Move::LoseOutcome);
        let acting = state.agent.acting.is_some();
        may(acting, Move::Finish { ok: true });
        may(acting, Move::Finish { ok: false });
        may(state.server_up && left.server_deaths > 0, Move::ServerDies);
        may(!state.server_up, Move::ServerStarts);
        let may_die = state.agent.up && left.agent_deaths > 0;
        may(may_die, Move::AgentDies { after: false });
        may(may_die && acting, Move::AgentDies { after: true });
        may(!state.agent.up, Move::AgentStarts);
        may(state.server_up && state.agent.up && !state.connected, Move::Connect);
        let reachable = state.server_up && state.connected;
        may(reachable && !state.frozen && left.freezes > 0, Move::Freeze);
        may(reachable && state.frozen, Move::Thaw);
        may(state.recovered_at.is_none(), Move::Recover);
    }

    fn next_state(&self, last: &State, what: Move) -> Option<State> {
        let mut state = last.clone();
        match what {
            Move::Pass => {
                state.left.steps -= 1;
                state.pass();
            }
            Move::DeliverOrder => {
                let order = state.orders.remove(0);
                state.accept(order);
            }
            Move::LoseOrder => {
                state.left.losses -= 1;
                state.orders.remove(0);
            }
            Move::DeliverOutcome => {
                let outcome = state.outcomes.remove(0);
                state.tell(&outcome.action, outcome.result);
            }
            Move::LoseOutcome => {
                state.left.losses -= 1;
                state.outcomes.remove(0);
            }
            Move::Finish { ok } => {
                let id = state.agent.acting.take()?;
                if ok {
                    state.effect(&id);
                }
                let result = if ok { OutcomeResult::Done } else { OutcomeResult::Failed };
                state.end(&id, result);
            }
            Move::ServerDies => {
                state.left.server_deaths -= 1;
                state.server_up = false;
                state.disconnect();
            }
            Move::ServerStarts => {
                state.server_up = true;
                state.calm_until = state.now + 2 * STEP_S;
            }
            Move::AgentDies { after } => {
                state.left.agent_deaths -= 1;
                state.disconnect();
                // What was on its way to it is gone with it.
                state.orders.clear();
                state.agent.up = false;
                if let Some(id) = state.agent.acting.take() {
                    if after {
                        state.effect(&id);
                    }
                    state.end(&id, OutcomeResult::Interrupted);
                }
            }
            Move::AgentStarts => state.agent.up = true,
            Move::Connect => state.connect(),
            Move::Freeze => {
                // First the executor, then the loop.
                state.left.freezes -= 1;
                state.agent.frozen = true;
                state.frozen = true;
                let out = state.healer.freeze("ann", "sale", state.time());
                state.take(out);
            }
            Move::Thaw => state.thaw(),
            Move::Recover => state.recovered_at = Some(state.now),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NEVER_WRONG, |_, state: &State| state.wrong.is_none()),
            Property::always("one action at a time on the target", |_, state: &State| {
                let begun = state.agent.ledger.values().filter(|it| **it == Entry::Accepted);
                begun.count() <= 1
            }),
            Property::always("no more attempts than allowed", |_, state: &State| {
                let attempts = state.healer.plans().map(|plan| plan.attempts.len());
                attempts.sum::<usize>() <= 2
            }),
            Property::always("what helped in nothing is taken back first", |_, state: &State| {
                // A further attempt is made only after the undo of the first was done, or where the
                // first did not reach the target at all.
                state.healer.plans().all(|plan| match &plan.attempts[..] {
                    [first, _, ..] if first.action.kind == command("shed") => {
                        let told = first.outcome.as_ref().map(|outcome| outcome.result);
                        let done = first.undo.as_ref().and_then(|undo| undo.outcome.as_ref());
                        done.is_some_and(|undo| undo.result == OutcomeResult::Done)
                            || !matches!(
                                told,
                                Some(OutcomeResult::Done | OutcomeResult::Interrupted)
                            )
                    }
                    _ => true,
                })
            }),
            Property::always(
                "verified, undone or told to a person in the end",
                |_, state: &State| state.left.steps > 0 || state.settles(),
            ),
            Property::sometimes("an action is verified", |_, state: &State| {
                state.healer.plans().any(|plan| plan.state == PlanState::Verified)
            }),
            Property::sometimes("an action is taken back", |_, state: &State| {
                let mut attempts = state.healer.plans().flat_map(|plan| &plan.attempts);
                attempts.any(|attempt| attempt.undo.as_ref().is_some_and(|it| it.outcome.is_some()))
            }),
            Property::sometimes("a plan is given up and a person told", |_, state: &State| {
                state.called && state.healer.plans().any(|plan| plan.state == PlanState::GaveUp)
            }),
        ]
    }
}

fn prove(bounds: Bounds) {
    let checker = Check { bounds, careless: false }.checker().threads(2).spawn_dfs().join();
    println!(
        "{bounds:?}: {} states, {} of them distinct, depth {}",
        checker.state_count(),
        checker.unique_state_count(),
        checker.max_depth()
    );
    checker.assert_properties();
}

#[test]
fn no_order_of_deaths_and_delays_breaks_a_rule() {
    let bounds = Bounds { steps: 7, server_deaths: 0, agent_deaths: 0, freezes: 0, losses: 0 };
    prove(bounds);
    prove(Bounds { steps: 5, server_deaths: 1, ..bounds });
    prove(Bounds { steps: 5, agent_deaths: 1, ..bounds });
    prove(Bounds { steps: 5, freezes: 1, ..bounds });
    prove(Bounds { steps: 5, losses: 1, ..bounds });
}

#[test]
fn an_executor_that_begins_old_orders_is_found() {
    let bounds = Bounds { steps: 6, server_deaths: 0, agent_deaths: 0, freezes: 0, losses: 0 };
    let checker = Check { bounds, careless: true }.checker().spawn_dfs().join();
    let path = checker.discovery(NEVER_WRONG).expect("a counterexample");
    let wrong = path.last_state().wrong;
    assert_eq!(wrong, Some("an action was begun that nobody waits for any more"));
}

/// Far longer than the others: for a release build.
#[test]
#[ignore = "takes minutes"]
fn no_order_of_deaths_of_both_and_a_freeze_breaks_a_rule() {
    let bounds = Bounds { steps: 6, server_deaths: 1, agent_deaths: 1, freezes: 0, losses: 0 };
    prove(bounds);
    prove(Bounds { steps: 5, freezes: 1, ..bounds });
}
