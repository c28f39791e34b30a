//! Ladders, and what is taken back, told as stories.

use model::symptom::Health;
use model::{CauseKind, Mode};

use super::*;
use crate::fixtures as f;
use crate::healer::tests::World;
use crate::{Remedy, Step, Target};

fn command(name: &str) -> ActionKind {
    ActionKind::RunCommand { command: name.into() }
}

fn step(action: Remedy, attempts: u32) -> Step {
    Step { action, attempts, verify_within: None }
}

/// Orders runs and is silent. `shed` comes first, then two restarts; `shed` can be taken back.
fn ladder() -> World {
    let mut config = f::config(Mode::Auto, &["orders"]);
    let policy = &mut config.policies[0];
    policy.action = Remedy::RunCommand("shed".into());
    policy.attempts = 1;
    policy.then = vec![step(Remedy::Restart, 2)];
    let mut incident = f::incident(1, "orders");
    incident.causes[0].kind = CauseKind::Silent;
    let mut world = World::of(config.clone(), vec![incident]);
    world.reports = vec![f::running("orders", 1)];
    world.healer.reload(config, vec![target()]);
    world
}

fn target() -> Target {
    Target {
        actions: vec![ActionKind::Restart, command("shed"), command("unshed")],
        undos: vec![(command("shed"), command("unshed"))],
        ..f::target("orders")
    }
}

/// The next order, within so many seconds.
fn next(world: &mut World, secs: u64) -> Action {
    let mut orders = (0..secs).find_map(|_| {
        let orders = world.step().orders;
        (!orders.is_empty()).then_some(orders)
    });
    orders.take().expect("an order").remove(0)
}

#[test]
fn what_does_not_help_is_taken_back_before_the_next_step_of_the_ladder() {
    let mut world = ladder();
    let shed = next(&mut world, 1);
    assert_eq!((&shed.kind, shed.id.0.as_str()), (&command("shed"), "s1-1-1"));
    world.tell(&shed, OutcomeResult::Done);
    let unshed = next(&mut world, 200);
    assert_eq!((&unshed.kind, unshed.id.0.as_str()), (&command("unshed"), "s1-1-1u"));
    assert_eq!(unshed.expect, Expectation::Running(f::process(1)));
    assert_eq!(world.states(), [PlanState::Undoing]);
    assert_eq!(world.healer.in_flight(), [&unshed]);
    assert_eq!(world.run(20), [], "nothing else meanwhile");
    world.tell(&unshed, OutcomeResult::Done);
    let restart = next(&mut world, 100);
    assert_eq!((&restart.kind, restart.id.0.as_str()), (&ActionKind::Restart, "s1-1-2"));
    world.tell(&restart, OutcomeResult::Failed);
    let again = next(&mut world, 200);
    assert_eq!(again.kind, ActionKind::Restart);
    world.tell(&again, OutcomeResult::Failed);
    world.run(5);
    assert_eq!(world.states(), [PlanState::GaveUp]);
    assert_eq!(world.calls, ["restart orders did not help in 3 attempts: failed: as told"]);
    assert!(world.notes.iter().any(|note| note.contains("did not help: next is restart")));
}

#[test]
fn what_helps_is_kept() {
    let mut world = ladder();
    let shed = next(&mut world, 1);
    world.tell(&shed, OutcomeResult::Done);
    world.recover();
    assert_eq!(world.run(100), []);
    assert_eq!(world.states(), [PlanState::Verified]);
}

#[test]
fn a_step_that_says_itself_that_it_failed_is_not_waited_for() {
    let mut world = ladder();
    let shed = next(&mut world, 1);
    world.tell(&shed, OutcomeResult::Failed);
    assert_eq!(next(&mut world, 31).kind, ActionKind::Restart);
}

#[test]
fn a_step_may_have_its_own_time_to_help() {
    let mut world = ladder();
    let mut config = world.healer.config().clone();
    config.policies[0].then[0].verify_within = Some(model::human::HumanDuration::from_secs(20));
    world.healer.reload(config, vec![target()]);
    let shed = next(&mut world, 1);
    world.tell(&shed, OutcomeResult::Failed);
    let restart = next(&mut world, 31);
    world.tell(&restart, OutcomeResult::Done);
    world.reports = vec![f::running("orders", 2)];
    world.run(19);
    assert_eq!(world.states(), [PlanState::Verifying]);
    world.run(2);
    assert_eq!(world.states(), [PlanState::BackingOff]);
}

#[test]
fn what_cannot_be_taken_back_is_for_a_person() {
    for result in [Some(OutcomeResult::Failed), Some(OutcomeResult::Refused), None] {
        let mut world = ladder();
        let shed = next(&mut world, 1);
        world.tell(&shed, OutcomeResult::Done);
        let unshed = next(&mut world, 200);
        match result {
            Some(result) => drop(world.tell(&unshed, result)),
            None => assert_eq!(world.run(62), []),
        }
        assert_eq!(world.states(), [PlanState::GaveUp], "{result:?}");
        let called = |why: &String| why.contains("could not be taken back");
        assert!(world.calls.iter().any(called), "{:?}", world.calls);
        assert_eq!(world.run(500), []);
    }
}

#[test]
fn a_freeze_holds_the_undo_and_a_person_is_told() {
    let mut world = ladder();
    let shed = next(&mut world, 1);
    world.tell(&shed, OutcomeResult::Done);
    world.run(170);
    world.healer.freeze("ann", "sale", world.now());
    assert_eq!(world.run(2_000), []);
    assert_eq!(world.states(), [PlanState::Undoing]);
    assert!(world.calls.iter().any(|why| why.contains("G-6 frozen by ann")), "{:?}", world.calls);
    world.healer.thaw("ann", world.now());
    assert_eq!(next(&mut world, 1).kind, command("unshed"));
}

#[test]
fn an_interrupted_action_is_taken_back_too_and_a_late_word_changes_nothing() {
    let mut world = ladder();
    world.objectives = vec![f::objective(Health::Burning, 100.0)];
    let shed = next(&mut world, 1);
    world.run(61);
    let unshed = next(&mut world, 200);
    assert_eq!(unshed.kind, command("unshed"));
    world.tell(&shed, OutcomeResult::Done);
    assert_eq!(world.states(), [PlanState::Undoing]);
    world.tell(&unshed, OutcomeResult::Done);
    let out = world.tell(&unshed, OutcomeResult::Failed);
    assert_eq!(out.remarks, ["repeated outcome of action s1-1-1u ignored"]);
}
