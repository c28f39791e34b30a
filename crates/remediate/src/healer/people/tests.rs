//! Approval, denial, freeze and hold, told as stories.

use model::Mode;

use super::*;
use crate::fixtures as f;
use crate::healer::tests::World;

#[test]
fn waits_for_approval_and_takes_silence_for_a_no() {
    let mut world = World::crashed(Mode::Approve);
    assert_eq!(world.run(301), []);
    assert_eq!(world.states(), [PlanState::AwaitingApproval]);
    world.step();
    assert_eq!(world.states(), [PlanState::Denied]);
    assert_eq!(world.plan(1).reason, "nobody approved within 5m");
    assert_eq!(
        world.calls,
        [
            "approve or deny plan 1: restart orders",
            "plan 1 to restart orders: nobody approved within 5m"
        ]
    );
    assert_eq!(world.run(500), []);
    let late = world.healer.approve(PlanId(1), "ann", world.now());
    assert!(matches!(late, Err(HealError::NotAwaiting { .. })));
}

#[test]
fn an_approved_plan_is_checked_again_before_it_acts() {
    let mut world = World::crashed(Mode::Approve);
    world.run(5);
    world.reports = vec![f::running("orders", 2)];
    let out = world.healer.approve(PlanId(1), "ann", world.now()).unwrap();
    assert_eq!((out.orders.len(), &out.changed[..]), (0, &[PlanId(1)][..]));
    assert_eq!(world.run(5), [], "it runs again: nothing to do");
    assert_eq!(world.states(), [PlanState::Held]);
    world.reports = vec![f::gone("orders", 2)];
    assert_eq!(world.run(5).len(), 1);

    let mut world = World::crashed(Mode::Approve);
    world.run(5);
    world.healer.approve(PlanId(1), "ann", world.now()).unwrap();
    world.healer.freeze("bob", "sale", world.now());
    assert_eq!(world.run(302), []);
    assert!(world.plan(1).reason.contains("the approval by ann lapsed"));
}

#[test]
fn a_person_may_deny_what_is_not_under_way() {
    let mut world = World::crashed(Mode::Approve);
    world.run(5);
    world.healer.deny(PlanId(1), "ann", world.now()).unwrap();
    assert_eq!(world.run(100), []);
    assert_eq!(world.states(), [PlanState::Denied]);
    let unknown = world.healer.deny(PlanId(9), "ann", world.now());
    assert_eq!(unknown, Err(HealError::UnknownPlan(PlanId(9))));
    let mut world = World::crashed(Mode::Auto);
    world.step();
    let running = world.healer.deny(PlanId(1), "ann", world.now());
    assert!(matches!(running, Err(HealError::NotDeniable { .. })));
}

#[test]
fn frozen_healing_does_nothing_until_thawed() {
    let mut world = World::crashed(Mode::Auto);
    world.healer.freeze("ann", "sale", world.now());
    assert_eq!(world.run(100), []);
    assert_eq!(world.states(), [PlanState::Held]);
    assert!(world.plan(1).reason.contains("G-6 frozen by ann: sale"));
    assert_eq!(world.calls.len(), 1, "a person learns that it is held: {:?}", world.calls);
    world.healer.thaw("ann", world.now());
    assert_eq!(world.run(1).len(), 1);
}

#[test]
fn a_hold_by_the_engine_stops_orders_and_calls_nobody() {
    let mut world = World::crashed(Mode::Auto);
    world.hold = Some("catching up".into());
    assert_eq!(world.step().remarks, ["healing is held: catching up"]);
    assert_eq!(world.run(100), []);
    assert_eq!(world.calls, Vec::<String>::new());
    world.hold = None;
    assert_eq!(world.run(1).len(), 1);
}

#[test]
fn a_person_is_called_when_all_plans_ended_and_users_are_still_hurt() {
    let mut world = World::crashed(Mode::Auto);
    world.healer.freeze("ann", "sale", world.now());
    world.run(5);
    let now = world.now();
    world.healer.deny(PlanId(1), "ann", now).unwrap();
    world.run(300);
    assert_eq!(world.calls, ["plan 1 to restart orders ended (denied) and users are still hurt"]);
}

#[test]
fn a_person_is_called_again_when_the_incident_opens_again() {
    let mut world = World::crashed(Mode::Off);
    world.run(100);
    let now = world.now();
    f::resolve(&mut world.incidents[0], now);
    world.step();
    f::reopen(&mut world.incidents[0]);
    world.run(100);
    assert_eq!(world.calls, ["no remedy is configured for crash of orders"; 2]);
}
