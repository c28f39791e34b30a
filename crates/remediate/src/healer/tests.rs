//! Plans over time, told as stories.

use model::plan::{Expectation, OutcomeResult};
use model::symptom::{Health, ObjectiveState};
use model::tick::ProcessReport;
use model::{CauseKind, Mode, Severity};

use super::*;
use crate::fixtures as f;

/// A healer with what it is told each second.
pub(super) struct World {
    pub healer: Healer,
    pub now: u64,
    pub incidents: Vec<Incident>,
    pub objectives: Vec<ObjectiveState>,
    pub reports: Vec<ProcessReport>,
    pub hold: Option<String>,
    pub notes: Vec<String>,
    pub calls: Vec<String>,
}

impl World {
    /// Orders crashed, users of storefront are hurt.
    pub fn crashed(mode: Mode) -> World {
        World::of(f::config(mode, &["orders"]), vec![f::incident(1, "orders")])
    }

    pub fn of(config: Config, incidents: Vec<Incident>) -> World {
        let targets = vec![f::target("orders"), f::target("payment"), f::target("cart")];
        World {
            healer: Healer::new(config, targets, "s1".into()),
            now: 0,
            incidents,
            objectives: vec![f::objective(Health::Burning, 100.0)],
            reports: vec![f::gone("orders", 1)],
            hold: None,
            notes: Vec::new(),
            calls: Vec::new(),
        }
    }

    pub fn step(&mut self) -> Proposals {
        self.now += 1;
        let tick = f::tick(f::at(self.now));
        let input = StepInput {
            now: f::at(self.now),
            incidents: self.incidents.iter().collect(),
            objectives: &self.objectives,
            processes: &self.reports,
            tick: Some(&tick),
            hold: self.hold.clone(),
        };
        let out = self.healer.step(&input);
        self.keep(out)
    }

    /// Steps for so many seconds; all orders made in that time.
    pub fn run(&mut self, secs: u64) -> Vec<Action> {
        (0..secs).flat_map(|_| self.step().orders).collect()
    }

    pub fn tell(&mut self, action: &Action, result: OutcomeResult) -> Proposals {
        let now = f::at(self.now);
        let out = self.healer.outcome(now, &f::outcome(action, result, now));
        self.keep(out)
    }

    fn keep(&mut self, out: Proposals) -> Proposals {
        self.notes.extend(out.notes.iter().map(|(_, text)| text.clone()));
        self.calls.extend(out.needs_human.iter().map(|(_, why)| why.clone()));
        out
    }

    pub fn now(&self) -> Timestamp {
        f::at(self.now)
    }

    pub fn plan(&self, id: u64) -> &Plan {
        self.healer.plan(PlanId(id)).unwrap()
    }

    pub fn states(&self) -> Vec<PlanState> {
        self.healer.plans().map(|plan| plan.state).collect()
    }

    pub fn recover(&mut self) {
        let now = self.now();
        f::mitigate(&mut self.incidents[0], now);
        self.objectives = vec![f::objective(Health::Well, 100.0)];
    }
}

#[test]
fn restarts_what_crashed_and_believes_only_users_figures() {
    let mut world = World::crashed(Mode::Auto);
    let out = world.step();
    let [order] = &out.orders[..] else { panic!("one order: {out:?}") };
    assert_eq!(order.id.0, "s1-1-1");
    assert_eq!(order.expect, Expectation::Gone(f::process(1)));
    assert_eq!(order.not_after, f::at(31));
    assert_eq!(world.healer.in_flight(), [order]);
    assert!(world.plan(1).verdicts.iter().all(|verdict| verdict.passed));

    world.tell(order, OutcomeResult::Done);
    world.reports = vec![f::running("orders", 2)];
    world.run(5);
    assert_eq!(world.states(), [PlanState::Verifying]);
    world.recover();
    world.run(59);
    assert_eq!(world.states(), [PlanState::Verifying], "59 s are not 60 s");
    world.step();
    assert_eq!(world.states(), [PlanState::Verified]);
    assert_eq!(world.calls, Vec::<String>::new());
    assert_eq!(
        world.notes,
        [
            "plan 1: restart orders ordered (attempt 1 of 3)",
            "plan 1: restart orders is being verified: done: as told",
            "plan 1: restart orders verified: users are well since 13:46:46, for 1m",
        ]
    );
}

#[test]
fn an_incident_that_resolves_earlier_is_verified_when_the_hold_is_over() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Done);
    world.recover();
    world.run(20);
    let now = world.now();
    f::resolve(&mut world.incidents[0], now);
    world.step();
    world.incidents.clear();
    world.run(38);
    assert_eq!(world.states(), [PlanState::Verifying]);
    world.run(2);
    assert_eq!(world.states(), [PlanState::Verified]);
}

#[test]
fn an_incident_that_vanishes_proves_no_recovery() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Done);
    world.recover();
    world.run(20);
    world.incidents.clear();
    world.run(100);
    assert_eq!(world.states(), [PlanState::GaveUp]);
    assert!(world.plan(1).reason.contains("not proven"));
}

#[test]
fn silence_of_users_is_no_proof_and_calls_a_person() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Done);
    world.recover();
    world.objectives = vec![f::objective(Health::NoTraffic, 0.0)];
    world.run(400);
    assert_eq!(world.states(), [PlanState::Verifying]);
    assert_eq!(world.calls.len(), 1);
    assert!(world.calls[0].contains("too few requests"), "{:?}", world.calls);
    world.objectives = vec![f::objective(Health::Well, 5.0)];
    world.step();
    assert_eq!(world.states(), [PlanState::Verified]);
}

#[test]
fn what_does_not_help_is_tried_again_ever_later_and_then_given_up() {
    let mut world = World::crashed(Mode::Auto);
    let mut ordered_at = Vec::new();
    for _ in 0..2_000 {
        if let [order] = &world.step().orders[..] {
            ordered_at.push(world.now);
            world.tell(order, OutcomeResult::Failed);
        }
    }
    assert_eq!(ordered_at, [1, 31, 91], "30 s, then 60 s");
    assert_eq!(world.states(), [PlanState::GaveUp]);
    assert_eq!(world.calls, ["restart orders did not help in 3 attempts: failed: as told"]);
    assert_eq!(world.healer.plans().count(), 1, "and no further plan is made");
}

#[test]
fn a_restart_that_users_do_not_feel_is_repeated_on_the_new_process() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Done);
    world.reports = vec![f::running("orders", 2)];
    let orders = world.run(300);
    let [order] = &orders[..] else { panic!("one more: {orders:?}") };
    assert_eq!(order.id.0, "s1-1-2");
    assert_eq!(order.expect, Expectation::Running(f::process(2)));
}

#[test]
fn the_waits_grow_across_incidents_and_start_anew_after_a_quiet_time() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Done);
    world.recover();
    world.run(61);
    let now = world.now();
    f::resolve(&mut world.incidents[0], now);
    world.step();
    // Crashed again at once: the first wait is over, the next one is longer.
    world.incidents = vec![f::incident(2, "orders")];
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Failed);
    let begun = world.now;
    let order = loop {
        if let Some(order) = world.step().orders.pop() {
            break order;
        }
    };
    assert_eq!(world.now - begun, 60);
    world.tell(&order, OutcomeResult::Done);
    world.incidents.clear();
    world.run(1_300);
    world.incidents = vec![f::incident(3, "orders")];
    let order = world.run(1).remove(0);
    let begun = world.now;
    world.tell(&order, OutcomeResult::Failed);
    world.run(29);
    assert_eq!(world.run(1).len(), 1, "after {} s", world.now - begun);
}

#[test]
fn a_refused_order_is_withdrawn_when_users_recover_by_themselves() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Refused);
    world.reports = vec![f::running("orders", 7)];
    assert_eq!(world.run(100), [], "somebody started it: it has its time");
    assert_eq!(world.states(), [PlanState::Held]);
    let now = world.now();
    f::resolve(&mut world.incidents[0], now);
    world.step();
    assert_eq!(world.states(), [PlanState::Withdrawn]);
}

#[test]
fn an_interrupted_order_is_verified_and_never_run_again_at_once() {
    for result in [Some(OutcomeResult::Interrupted), None] {
        let mut world = World::crashed(Mode::Auto);
        let order = world.run(1).remove(0);
        if let Some(result) = result {
            world.tell(&order, result);
        }
        // 30 s to begin, 20 s to act, 10 s on the way.
        assert_eq!(world.run(61), []);
        assert_eq!(world.states(), [PlanState::Verifying], "{result:?}");
        let outcome = world.plan(1).attempts[0].outcome.clone().unwrap();
        assert_eq!(outcome.result, OutcomeResult::Interrupted);
        assert_eq!(world.run(90), []);
    }
}

#[test]
fn a_late_outcome_replaces_the_assumed_one_and_a_repeated_one_is_ignored() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.run(65);
    world.tell(&order, OutcomeResult::Failed);
    assert_eq!(world.states(), [PlanState::BackingOff]);
    let out = world.tell(&order, OutcomeResult::Done);
    assert_eq!(out.remarks, ["repeated outcome of action s1-1-1 ignored"]);
    assert_eq!(world.states(), [PlanState::BackingOff]);
    let mut unknown = order;
    unknown.id = model::ActionId("elsewhere-1-1".into());
    let out = world.tell(&unknown, OutcomeResult::Done);
    assert_eq!(out.remarks, ["outcome of unknown action elsewhere-1-1 ignored"]);
}

#[test]
fn a_dry_run_shows_all_verdicts_does_nothing_and_calls_a_person() {
    let mut world = World::crashed(Mode::DryRun);
    assert_eq!(world.run(100), []);
    assert_eq!(world.states(), [PlanState::DryRun]);
    assert_eq!(world.plan(1).verdicts.len(), crate::guardrails::ALL.len());
    assert_eq!(world.calls, ["dry run: would restart orders, all guardrails pass"]);
}

#[test]
fn a_dry_run_is_shown_again_when_its_verdicts_change() {
    let mut world = World::crashed(Mode::DryRun);
    world.incidents[0].causes[0].confidence = 0.5;
    world.run(3);
    assert!(world.plan(1).reason.contains("would not restart orders yet: G-8"));
    world.incidents[0].causes[0].confidence = 0.9;
    assert_eq!(world.step().changed, [PlanId(1)]);
    assert!(world.plan(1).reason.contains("all guardrails pass"));
    assert_eq!(world.step().changed, []);
}

#[test]
fn off_makes_no_plan_and_a_person_is_told_that_there_is_no_remedy() {
    let mut world = World::crashed(Mode::Off);
    world.run(29);
    assert_eq!((world.states(), world.calls.len()), (vec![], 0));
    world.run(30);
    assert_eq!(world.calls, ["no remedy is configured for crash of orders"]);
}

#[test]
fn an_unknown_cause_calls_a_person_once_and_only_for_a_page() {
    let mut world = World::crashed(Mode::Auto);
    world.incidents[0].causes = vec![f::cause(CauseKind::Unknown, "orders", None)];
    world.run(200);
    assert_eq!(world.calls, ["cause unknown: a person has to look"]);
    let mut world = World::crashed(Mode::Off);
    world.incidents[0].symptoms[0].severity = Severity::Ticket;
    world.run(200);
    assert_eq!(world.calls, Vec::<String>::new());
}

#[test]
fn figures_that_cannot_be_trusted_prove_neither_recovery_nor_failure() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Done);
    world.hold = Some("telemetry is stale".into());
    world.run(400);
    world.recover();
    world.run(100);
    assert_eq!(world.states(), [PlanState::Verifying]);
    world.hold = None;
    world.step();
    assert_eq!(world.states(), [PlanState::Verified]);
}

#[test]
fn a_plan_that_has_not_acted_is_withdrawn_when_its_reason_goes() {
    let held = || {
        let mut world = World::crashed(Mode::Auto);
        world.healer.freeze("ann", "sale", world.now());
        world.step();
        world
    };
    let mut world = held();
    world.incidents[0].causes[0] = f::cause(CauseKind::Change, "orders", None);
    world.step();
    assert_eq!(world.states(), [PlanState::Withdrawn]);
    assert_eq!(world.plan(1).reason, "the first cause changed to change of orders");

    let mut world = held();
    let now = world.now();
    f::resolve(&mut world.incidents[0], now);
    world.step();
    assert_eq!(world.plan(1).reason, "incident 1 is resolved");

    let mut world = held();
    let targets = vec![f::target("orders")];
    world.healer.reload(f::config(Mode::Off, &["orders"]), targets);
    world.step();
    assert_eq!(world.plan(1).reason, "policy restart-orders was changed");
    assert_eq!(world.states(), [PlanState::Withdrawn]);
}

#[test]
fn a_cause_that_keeps_changing_is_for_a_person() {
    let mut world = World::crashed(Mode::Auto);
    world.healer.freeze("ann", "sale", world.now());
    for _ in 0..50 {
        world.incidents[0].causes[0].kind = CauseKind::Change;
        world.step();
        world.incidents[0].causes[0].kind = CauseKind::Crash;
        world.step();
    }
    assert_eq!(world.healer.plans().count(), PLANS_PER_INCIDENT_MAX);
    assert!(world.calls.iter().any(|why| why.contains("keeps changing")), "{:?}", world.calls);
}

#[test]
fn trouble_that_comes_back_is_healed_again_within_the_same_attempts() {
    let mut world = World::crashed(Mode::Auto);
    let mut orders = 0;
    for _ in 0..5 {
        let order = (0..300).find_map(|_| world.step().orders.pop());
        orders += usize::from(order.is_some());
        if let Some(order) = order {
            world.tell(&order, OutcomeResult::Done);
        }
        world.recover();
        world.run(70);
        f::reopen(&mut world.incidents[0]);
        world.objectives = vec![f::objective(Health::Burning, 100.0)];
    }
    assert_eq!(orders, 3);
    let states = world.states();
    assert_eq!(states[..3], [PlanState::Verified; 3]);
    assert_eq!(states[3..], [PlanState::GaveUp]);
}

#[test]
fn the_cap_lets_the_oldest_plans_go_first() {
    let names = ["orders", "payment", "cart"];
    let incidents = (1..).zip(names).map(|(id, name)| f::incident(id, name)).collect();
    let mut world = World::of(f::config(Mode::Auto, &names), incidents);
    let orders = world.run(10);
    let targets: Vec<&str> = orders.iter().map(|order| order.target.as_str()).collect();
    assert_eq!(targets, ["orders", "payment"]);
    assert!(world.plan(3).reason.contains("G-5 2 actions in flight, 2 allowed"));
    world.tell(&orders[1], OutcomeResult::Done);
    assert_eq!(world.run(1)[0].target, "cart");
}

#[test]
fn an_instance_waits_while_something_is_done_to_its_whole_service() {
    let part = Entity::instance(&f::service("orders").scope, "orders", "orders-1");
    let mut incidents = vec![f::incident(1, "orders"), f::incident(2, "payment")];
    incidents[1].causes[0].entity = part.clone();
    let config = f::config(Mode::Auto, &["orders", "payment"]);
    let mut world = World::of(config.clone(), incidents);
    let mut targets = vec![f::target("orders"), f::target("payment")];
    targets[1].entity = part.clone();
    world.healer = Healer::new(config, targets, "s1".into());
    let mut report = f::gone("payment", 2);
    report.entity = part;
    world.reports.push(report);

    let orders = world.run(10);
    assert_eq!(orders.len(), 1, "{orders:?}");
    assert_eq!(orders[0].target, "orders");
    let reason = &world.plan(2).reason;
    assert!(reason.contains("G-2 plan 1's action on orders is not finished"), "{reason}");
    world.tell(&orders[0], OutcomeResult::Done);
    assert_eq!(world.run(1)[0].target, "payment", "the service's action is only verified now");
}

#[test]
fn a_snapshot_between_any_two_steps_changes_nothing() {
    let mut world = World::crashed(Mode::Auto);
    let mut twin = World::crashed(Mode::Auto);
    for second in 0..300 {
        let bytes = postcard::to_allocvec(&twin.healer).unwrap();
        twin.healer = postcard::from_bytes(&bytes).unwrap();
        let (out, same) = (world.step(), twin.step());
        assert_eq!(out, same, "at {second}");
        for order in &out.orders {
            assert_eq!(
                world.tell(order, OutcomeResult::Failed),
                twin.tell(order, OutcomeResult::Failed)
            );
        }
    }
    assert_eq!(
        postcard::to_allocvec(&world.healer).unwrap(),
        postcard::to_allocvec(&twin.healer).unwrap()
    );
}
