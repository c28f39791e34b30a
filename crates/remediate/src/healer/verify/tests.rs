//! What runs after an attempt, and whose work a recovery is.

use model::plan::OutcomeResult;
use model::symptom::Health;
use model::{Mode, PlanState};

use crate::fixtures as f;
use crate::healer::tests::World;

/// Orders was restarted; the agent sees process 2 since.
fn restarted() -> World {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Done);
    see(&mut world, f::running("orders", 2), 1);
    world
}

/// The agent sees this for so many seconds.
fn see(world: &mut World, report: model::tick::ProcessReport, secs: u64) -> usize {
    let mut orders = 0;
    for _ in 0..secs {
        world.reports = vec![f::seen(report.clone(), f::at(world.now + 1))];
        orders += world.step().orders.len();
    }
    orders
}

#[test]
fn what_was_started_and_died_again_is_noticed_at_once() {
    let mut world = restarted();
    assert_eq!(world.states(), [PlanState::Verifying]);
    see(&mut world, f::gone("orders", 2), 1);
    assert_eq!(world.states(), [PlanState::BackingOff]);
    let why = "attempt 1 of 3: pid 2, which came up, is gone again";
    assert!(world.notes.iter().any(|note| note.contains(why)), "{:?}", world.notes);
    assert_eq!(see(&mut world, f::gone("orders", 2), 29), 0, "the back-off goes first");
    assert_eq!(see(&mut world, f::gone("orders", 2), 1), 1);
}

#[test]
fn an_old_look_and_a_stop_on_request_are_no_death() {
    let mut world = restarted();
    world.reports = vec![f::gone("orders", 2)];
    world.run(5);
    assert_eq!(world.states(), [PlanState::Verifying], "seen before it was done");
    let mut stopped = f::gone("orders", 2);
    if let model::tick::ProcessState::Gone { stop_requested, .. } = &mut stopped.state {
        *stop_requested = true;
    }
    see(&mut world, stopped, 5);
    assert_eq!(world.states(), [PlanState::Verifying]);
}

#[test]
fn a_recovery_is_ours_only_when_what_was_started_still_runs() {
    let mut world = restarted();
    world.recover();
    see(&mut world, f::running("orders", 2), 70);
    assert_eq!(world.states(), [PlanState::Verified]);

    let mut world = restarted();
    world.recover();
    assert_eq!(see(&mut world, f::running("orders", 3), 200), 0);
    assert_eq!(world.states(), [PlanState::Withdrawn], "and no further plan is made");
    assert_eq!(world.plan(1).reason, "recovered by others: pid 3 was not started by this plan");
}

#[test]
fn what_somebody_starts_after_a_restart_in_vain_is_not_ours() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Done);
    see(&mut world, f::gone("orders", 1), 20);
    assert_eq!(world.states(), [PlanState::Verifying]);
    world.recover();
    see(&mut world, f::running("orders", 7), 70);
    assert_eq!(world.states(), [PlanState::Withdrawn]);
    assert!(world.plan(1).reason.contains("pid 7 was not started by this plan"));
}

#[test]
fn an_action_that_was_not_told_as_done_earns_no_credit() {
    let mut world = World::crashed(Mode::Auto);
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Interrupted);
    world.recover();
    world.run(70);
    assert_eq!(world.states(), [PlanState::Withdrawn]);
    assert!(world.plan(1).reason.contains("that this plan did it is not known"));
}

#[test]
fn trouble_that_is_back_after_others_cured_it_is_healed() {
    let mut world = restarted();
    world.recover();
    see(&mut world, f::running("orders", 3), 70);
    assert_eq!(world.states(), [PlanState::Withdrawn]);
    f::reopen(&mut world.incidents[0]);
    let orders = see(&mut world, f::gone("orders", 3), 60);
    assert_eq!((orders, world.healer.plans().count()), (1, 2));
}

#[test]
fn one_good_request_proves_nothing_but_five_or_a_resolved_incident_do() {
    let mut world = restarted();
    world.recover();
    world.objectives = vec![f::objective(Health::Well, 1.0)];
    see(&mut world, f::running("orders", 2), 100);
    assert_eq!(world.states(), [PlanState::Verifying]);
    let mut twin = World { healer: world.healer.clone(), ..restarted() };
    twin.now = world.now;
    twin.incidents = world.incidents.clone();
    let now = twin.now();
    f::resolve(&mut twin.incidents[0], now);
    see(&mut twin, f::running("orders", 2), 1);
    assert_eq!(twin.states(), [PlanState::Verified]);
    see(&mut world, f::running("orders", 2), 250);
    assert_eq!(world.states(), [PlanState::Verified], "five minutes with one request each");
    assert_eq!(world.calls.len(), 1, "told that too few are made: {:?}", world.calls);
}
