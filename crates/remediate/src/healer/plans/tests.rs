//! What is planned when an incident opens again, and when several things died together.

use model::plan::OutcomeResult;
use model::{Action, CauseKind, Mode, PlanState};

use crate::fixtures as f;
use crate::healer::tests::World;

const NAMES: [&str; 3] = ["orders", "payment", "cart"];

/// Resolves the incident; it is not reported for a minute and then open again.
fn open_again(world: &mut World) {
    let now = world.now();
    f::resolve(&mut world.incidents[0], now);
    world.step();
    let mut incident = world.incidents.remove(0);
    world.run(60);
    f::reopen(&mut incident);
    world.incidents.push(incident);
}

/// Runs for so long; every order fails.
fn fail_all(world: &mut World, secs: u64) -> usize {
    let mut orders = 0;
    for _ in 0..secs {
        for order in world.step().orders {
            world.tell(&order, OutcomeResult::Failed);
            orders += 1;
        }
    }
    orders
}

fn targets(orders: &[Action]) -> Vec<&str> {
    orders.iter().map(|order| order.target.as_str()).collect()
}

/// Three services died together, each seen by the agent.
fn all_died(mode: Mode) -> World {
    let mut incident = f::incident(1, "orders");
    for (name, pid) in [("payment", 2), ("cart", 3)] {
        incident.causes.push(f::cause(CauseKind::Crash, name, Some(f::process(pid))));
    }
    let mut world = World::of(f::config(mode, &NAMES), vec![incident]);
    world.reports = vec![f::gone("orders", 1), f::gone("payment", 2), f::gone("cart", 3)];
    world
}

#[test]
fn an_incident_that_opens_again_after_giving_up_is_healed_again() {
    let mut world = World::crashed(Mode::Auto);
    assert_eq!(fail_all(&mut world, 600), 3);
    open_again(&mut world);
    let orders = world.run(1);
    assert_eq!(orders.len(), 1, "{:?}", world.states());
    assert_eq!(orders[0].id.0, "s1-2-1");
    world.tell(&orders[0], OutcomeResult::Failed);
    assert_eq!(fail_all(&mut world, 1_200), 2, "three attempts, the back-off goes on");
    assert_eq!(world.states(), [PlanState::GaveUp; 2]);
    assert_eq!(world.calls.len(), 2, "called once for each opening: {:?}", world.calls);
}

#[test]
fn a_snapshot_knows_that_an_incident_was_resolved() {
    let mut world = World::crashed(Mode::Auto);
    fail_all(&mut world, 600);
    let now = world.now();
    f::resolve(&mut world.incidents[0], now);
    world.step();
    let bytes = postcard::to_allocvec(&world.healer).unwrap();
    world.healer = postcard::from_bytes(&bytes).unwrap();
    f::reopen(&mut world.incidents[0]);
    assert_eq!(world.run(1).len(), 1);
}

#[test]
fn what_dies_together_is_started_together_under_the_cap() {
    let mut world = all_died(Mode::Auto);
    let orders = world.run(5);
    assert_eq!(targets(&orders), ["orders", "payment"]);
    world.tell(&orders[0], OutcomeResult::Done);
    assert_eq!(targets(&world.run(1)), ["cart"]);
}

#[test]
fn beside_the_first_cause_only_a_process_seen_gone_is_acted_upon() {
    let mut world = all_died(Mode::Auto);
    world.incidents[0].causes[1].confidence = 0.7;
    world.reports[2] = f::running("cart", 3);
    assert_eq!(targets(&world.run(5)), ["orders"]);
    assert_eq!(world.healer.plans().count(), 1);
    world.incidents[0].causes[2].kind = CauseKind::Silent;
    world.incidents[0].causes[1].confidence = 0.9;
    world.incidents[0].causes[1].process = None;
    assert_eq!(world.run(5), []);
    world.reports[1] = f::gone("payment", 9);
    world.incidents[0].causes[1].process = Some(f::process(9));
    assert_eq!(targets(&world.run(5)), ["payment"]);
}

#[test]
fn a_plan_for_a_further_cause_is_withdrawn_with_it() {
    let held = || {
        let mut world = all_died(Mode::Auto);
        world.healer.freeze("ann", "sale", world.now());
        world.step();
        assert_eq!(world.states(), [PlanState::Held; 3]);
        world
    };
    let expected = [PlanState::Held, PlanState::Withdrawn, PlanState::Held];
    let mut world = held();
    world.incidents[0].causes.remove(1);
    world.step();
    assert_eq!(world.states(), expected);
    let mut world = held();
    world.incidents[0].causes[1].confidence = 0.5;
    world.step();
    assert_eq!(world.states(), expected);
    let mut world = held();
    world.reports[1] = f::running("payment", 7);
    world.step();
    assert_eq!(world.states(), expected);
}

#[test]
fn an_approval_stays_when_the_cause_only_changes_its_kind() {
    let mut world = World::crashed(Mode::Approve);
    world.incidents[0].causes[0].kind = CauseKind::Silent;
    world.incidents[0].causes[0].confidence = 0.5;
    world.step();
    let now = world.now();
    world.healer.approve(model::PlanId(1), "ann", now).unwrap();
    world.incidents[0].causes[0] = f::cause(CauseKind::Crash, "orders", Some(f::process(1)));
    assert_eq!(world.run(1).len(), 1);
    assert_eq!(world.plan(1).cause, CauseKind::Crash);
    assert_eq!(world.healer.plans().count(), 1);
    assert!(world.notes.iter().any(|note| note.contains("goes on: the cause is now crash")));
}
