//! Whatever happens in whatever order, the safety rules hold.
//!
//! Random worlds: incidents come, change and end; executors answer, lie, or stay silent; people
//! approve, deny and freeze; processes die and come back; the configuration is reloaded. Each rule
//! is checked after each input.

use std::collections::{BTreeMap, BTreeSet};

use model::plan::OutcomeResult;
use model::symptom::Health;
use model::tick::ProcessReport;
use model::{CauseKind, Incident, IncidentState, Mode};
use proptest::prelude::*;

use super::*;
use crate::fixtures as f;

const NAMES: [&str; 3] = ["orders", "payment", "cart"];

#[derive(Clone, Debug)]
enum Event {
    Wait(u64),
    Open(usize),
    Mitigate(usize),
    Reopen(usize),
    Resolve(usize),
    OpenAgain(usize),
    Also(usize, usize),
    Vanish(usize),
    Cause(usize, CauseKind),
    Confidence(usize, bool),
    Process(usize, u32, bool),
    Tell(usize, OutcomeResult),
    Approve(u64),
    Deny(u64),
    Freeze,
    Thaw,
    Hold(bool),
    Traffic(bool),
    Reload(Mode),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    use Event::*;
    let results = prop::sample::select(vec![
        OutcomeResult::Done,
        OutcomeResult::Done,
        OutcomeResult::Failed,
        OutcomeResult::Refused,
        OutcomeResult::NotRun,
        OutcomeResult::Interrupted,
    ]);
    let modes =
        prop::sample::select(vec![Mode::Off, Mode::DryRun, Mode::Approve, Mode::Auto, Mode::Auto]);
    let kinds = prop::sample::select(CauseKind::ALL);
    let event = prop_oneof![
        8 => (1_u64..120).prop_map(Wait),
        4 => (0_usize..3).prop_map(Open),
        2 => (0_usize..8).prop_map(Mitigate),
        2 => (0_usize..8).prop_map(Reopen),
        2 => (0_usize..8).prop_map(Resolve),
        2 => (0_usize..8).prop_map(OpenAgain),
        2 => (0_usize..8, 0_usize..3).prop_map(|(which, name)| Also(which, name)),
        1 => (0_usize..8).prop_map(Vanish),
        2 => (0_usize..8, kinds).prop_map(|(which, kind)| Cause(which, kind)),
        1 => (0_usize..8, any::<bool>()).prop_map(|(which, sure)| Confidence(which, sure)),
        3 => (0_usize..3, 1_u32..5, any::<bool>()).prop_map(|(at, pid, up)| Process(at, pid, up)),
        6 => (0_usize..20, results).prop_map(|(which, result)| Tell(which, result)),
        3 => (1_u64..12).prop_map(Approve),
        1 => (1_u64..12).prop_map(Deny),
        1 => Just(Freeze),
        2 => Just(Thaw),
        1 => any::<bool>().prop_map(Hold),
        1 => any::<bool>().prop_map(Traffic),
        1 => modes.prop_map(Reload),
    ];
    prop::collection::vec(event, 1..80)
}

/// The healer under test and all that was seen of it.
struct World {
    healer: Healer,
    now: u64,
    hold: bool,
    traffic: bool,
    incidents: Vec<Incident>,
    resolved: Vec<Incident>,
    opened: u64,
    reports: BTreeMap<usize, ProcessReport>,
    orders: Vec<Action>,
    ordered_at: BTreeMap<String, u64>,
    called: BTreeSet<(IncidentId, String)>,
    ended: BTreeMap<PlanId, PlanState>,
    /// Attempts on a target before the incident was opened last.
    spent: BTreeMap<(IncidentId, String), usize>,
}

impl World {
    fn new(mode: Mode) -> World {
        World {
            healer: Healer::new(config(mode), targets(), "s1".into()),
            now: 0,
            hold: false,
            traffic: true,
            incidents: Vec::new(),
            resolved: Vec::new(),
            opened: 0,
            reports: (0..3).map(|at| (at, f::gone(NAMES[at], 1))).collect(),
            orders: Vec::new(),
            ordered_at: BTreeMap::new(),
            called: BTreeSet::new(),
            ended: BTreeMap::new(),
            spent: BTreeMap::new(),
        }
    }

    fn play(&mut self, event: &Event) {
        let now = f::at(self.now);
        match event {
            Event::Wait(secs) => (0..*secs).for_each(|_| self.step()),
            Event::Open(which) => {
                self.opened += 1;
                self.incidents.push(f::incident(self.opened, NAMES[*which]));
            }
            Event::Mitigate(which) => self.change(*which, |incident| f::mitigate(incident, now)),
            Event::Reopen(which) => self.change(*which, f::reopen),
            Event::Resolve(which) => self.change(*which, |incident| f::resolve(incident, now)),
            Event::OpenAgain(which) if *which < self.resolved.len() => {
                let mut incident = self.resolved.remove(*which);
                f::reopen(&mut incident);
                self.called.retain(|(id, _)| *id != incident.id);
                self.spent.extend(
                    attempts(&self.healer).into_iter().filter(|(key, _)| key.0 == incident.id),
                );
                self.incidents.push(incident);
                // The healer learns of it by the next step.
                self.step();
            }
            Event::OpenAgain(_) => {}
            Event::Also(which, name) => self.change(*which, |incident| {
                let cause = f::cause(CauseKind::Crash, NAMES[*name], Some(f::process(1)));
                incident.causes.truncate(2);
                incident.causes.push(cause);
            }),
            Event::Vanish(which) if *which < self.incidents.len() => {
                self.incidents.remove(*which);
            }
            Event::Vanish(_) => {}
            Event::Cause(which, kind) => {
                self.change(*which, |incident| incident.causes[0].kind = *kind);
            }
            Event::Confidence(which, sure) => {
                let confidence = if *sure { 0.9 } else { 0.3 };
                self.change(*which, |incident| incident.causes[0].confidence = confidence);
            }
            Event::Process(which, pid, up) => {
                let make = if *up { f::running } else { f::gone };
                self.reports.insert(*which, make(NAMES[*which], *pid));
            }
            Event::Tell(which, result) => self.tell(*which, *result),
            Event::Approve(plan) => drop(self.healer.approve(PlanId(*plan), "ann", now)),
            Event::Deny(plan) => drop(self.healer.deny(PlanId(*plan), "ann", now)),
            Event::Freeze => drop(self.healer.freeze("ann", "sale", now)),
            Event::Thaw => drop(self.healer.thaw("ann", now)),
            Event::Hold(hold) => self.hold = *hold,
            Event::Traffic(traffic) => self.traffic = *traffic,
            Event::Reload(mode) => {
                self.healer.reload(config(*mode), targets());
            }
        }
        self.check();
    }

    fn change(&mut self, which: usize, change: impl FnOnce(&mut Incident)) {
        let incident = self.incidents.get_mut(which);
        if let Some(incident) = incident.filter(|it| it.state != IncidentState::Resolved) {
            change(incident);
        }
    }

    fn tell(&mut self, which: usize, result: OutcomeResult) {
        let Some(order) = self.orders.iter().rev().nth(which) else { return };
        let now = f::at(self.now);
        let out = self.healer.outcome(now, &f::outcome(order, result, now));
        assert_eq!(out.orders, [], "an outcome orders nothing");
    }

    fn step(&mut self) {
        self.now += 1;
        let health = if self.traffic { Health::Well } else { Health::NoTraffic };
        let objectives = [f::objective(health, if self.traffic { 50.0 } else { 0.0 })];
        let reports = self.reports.values().cloned();
        let processes: Vec<ProcessReport> =
            reports.map(|report| f::seen(report, f::at(self.now))).collect();
        let out = self.healer.step(&StepInput {
            now: f::at(self.now),
            incidents: self.incidents.iter().collect(),
            objectives: &objectives,
            processes: &processes,
            tick: Some(&f::tick(f::at(self.now))),
            hold: self.hold.then(|| "catching up".to_owned()),
        });
        let ended = self.incidents.extract_if(.., |it| it.state == IncidentState::Resolved);
        self.resolved.extend(ended);
        for order in &out.orders {
            assert!(!self.hold && self.healer.frozen().is_none(), "G-6: ordered while stopped");
            let plan = self
                .healer
                .plans()
                .find(|plan| plan.attempts.last().is_some_and(|attempt| is_of(attempt, &order.id)));
            let plan = plan.expect("an order belongs to a plan");
            assert!(plan.verdicts.iter().all(|verdict| verdict.passed), "G-1: {plan:?}");
            assert!(matches!(plan.mode, Mode::Auto | Mode::Approve), "{plan:?}");
            let attempt = plan.attempts.last().expect("it is one");
            if attempt.undo.is_some() {
                assert!(attempt.outcome.is_some(), "taken back before it was done: {plan:?}");
                assert_eq!(plan.state, PlanState::Undoing);
                continue;
            }
            assert_eq!(plan.verdicts.len(), crate::guardrails::ALL.len());
            let last = self.ordered_at.insert(order.target.clone(), self.now);
            assert!(last.is_none_or(|last| self.now - last >= 30), "G-4: too soon: {plan:?}");
        }
        for call in out.needs_human {
            assert!(self.called.insert(call.clone()), "a person is called twice: {call:?}");
        }
        self.orders.extend(out.orders);
        self.check();
    }

    fn check(&mut self) {
        let ids: BTreeSet<_> = self.orders.iter().map(|order| &order.id).collect();
        assert_eq!(ids.len(), self.orders.len(), "an action id was used twice");
        let in_flight = self.healer.in_flight();
        let of_attempts = in_flight.iter().filter(|action| !action.id.0.ends_with('u'));
        assert!(of_attempts.count() <= 2, "G-5: {in_flight:?}");
        let mut busy = BTreeSet::new();
        for plan in self.healer.plans() {
            use PlanState::{Running, Undoing, Verifying};
            if matches!(plan.state, Running | Verifying | Undoing) {
                assert!(busy.insert(&plan.target), "G-2: two actions on {}", plan.target);
            }
            if let Some(ended) = self.ended.get(&plan.id) {
                assert_eq!(*ended, plan.state, "a final state was left: {plan:?}");
            } else if plan.state.is_final() {
                self.ended.insert(plan.id, plan.state);
            }
        }
        for (key, count) in attempts(&self.healer) {
            let spent = self.spent.get(&key).copied().unwrap_or_default();
            assert!(count - spent <= 3, "G-3: {count} attempts, {spent} before: {key:?}");
        }
        let now = f::at(self.now);
        let last_hour = self.healer.plans().flat_map(|plan| &plan.attempts);
        let last_hour = last_hour.filter(|attempt| now.since(attempt.ordered).as_secs() < 3_600);
        assert!(last_hour.count() <= 10, "G-5: too many in an hour");
    }

    /// Everything ends: then no plan may be left that waits or acts.
    fn end_all(&mut self) {
        let now = f::at(self.now);
        self.hold = false;
        self.healer.thaw("ann", now);
        for which in 0..self.incidents.len() {
            self.change(which, |incident| f::resolve(incident, now));
        }
        // An undo that nothing is known of any more is given up after ten minutes.
        (0..900).for_each(|_| self.step());
        assert_eq!(self.healer.in_flight(), Vec::<&Action>::new());
        for plan in self.healer.plans() {
            assert!(plan.state.is_final(), "{plan:?}");
        }
    }
}

/// Attempts on each target in each incident, by all plans.
fn attempts(healer: &Healer) -> BTreeMap<(IncidentId, String), usize> {
    let mut attempts = BTreeMap::new();
    for plan in healer.plans() {
        *attempts.entry((plan.incident, plan.target.clone())).or_default() += plan.attempts.len();
    }
    attempts
}

/// What is done to cart can be taken back, and a restart follows.
fn config(mode: Mode) -> Config {
    let mut config = f::config(mode, &NAMES);
    let policy = &mut config.policies[2];
    policy.action = crate::Remedy::RunCommand("flush".into());
    policy.attempts = 2;
    let action = crate::Remedy::Restart;
    policy.then = vec![crate::Step { action, attempts: 1, verify_within: None }];
    config
}

fn targets() -> Vec<Target> {
    let command = |name: &str| model::ActionKind::RunCommand { command: name.into() };
    let undos = vec![(command("flush"), command("fill"))];
    let cart = Target { undos, ..f::target("cart") };
    vec![f::target("orders"), f::target("payment"), cart]
}

fn is_of(attempt: &model::plan::Attempt, id: &model::ActionId) -> bool {
    attempt.action.id == *id || attempt.undo.as_ref().is_some_and(|undo| undo.action.id == *id)
}

fn play(mode: Mode, events: &[Event]) -> World {
    let mut world = World::new(mode);
    for event in events {
        world.play(event);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_safety_rules_hold_and_every_plan_ends(auto in any::<bool>(), events in events()) {
        let mode = if auto { Mode::Auto } else { Mode::Approve };
        play(mode, &events).end_all();
    }

    #[test]
    fn the_same_inputs_give_the_same_state_byte_for_byte(events in events()) {
        let (one, other) = (play(Mode::Auto, &events), play(Mode::Auto, &events));
        let bytes = postcard::to_allocvec(&one.healer).unwrap();
        prop_assert_eq!(&bytes, &postcard::to_allocvec(&other.healer).unwrap());
        let restored: Healer = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&restored, &one.healer);
    }
}
