//! How autonomy is earned and lost, told as stories.

use model::{IncidentId, PlanState};
use proptest::prelude::*;

use super::*;
use crate::autonomy::Autonomy;
use crate::fixtures as f;
use crate::healer::tests::World;
use crate::{Promote, Target};

/// One crash after another; a policy that is promoted after two cures.
fn world() -> World {
    let mut config = f::config(Mode::Approve, &["orders"]);
    config.policies[0].promote = Some(Promote { after: 2 });
    let mut world = World::of(config, Vec::new());
    world.reports.clear();
    world
}

/// The next crash; whether a person was needed.
fn crash(world: &mut World, cures: bool) -> bool {
    let id = world.healer.plans().count() as u64 + 1;
    let mut incident = f::incident(id, "orders");
    incident.opened = world.now();
    world.incidents = vec![incident];
    world.objectives = vec![f::objective(model::symptom::Health::Burning, 100.0)];
    let mut order = world.run(1).pop();
    let asks = order.is_none();
    if asks {
        assert_eq!(world.plan(id).state, PlanState::AwaitingApproval);
        world.healer.approve(PlanId(id), "ann", world.now()).unwrap();
        order = world.run(1).pop();
    }
    let order = order.expect("an order");
    let result = if cures { OutcomeResult::Done } else { OutcomeResult::Failed };
    world.tell(&order, result);
    if cures {
        world.recover();
        world.run(61);
        assert_eq!(world.plan(id).state, PlanState::Verified);
    } else {
        world.step();
        assert_eq!(world.plan(id).mode, Mode::Approve, "nothing is earned any more");
    }
    let now = world.now();
    f::resolve(&mut world.incidents[0], now);
    world.step();
    world.incidents.clear();
    // The back-off of the target starts anew.
    world.run(1_300);
    asks
}

#[test]
fn cures_in_a_row_earn_autonomy_and_one_failure_loses_it() {
    let mut world = world();
    assert!(crash(&mut world, true));
    assert!(crash(&mut world, true));
    assert!(!crash(&mut world, true), "two cures are enough");
    let verdicts = &world.plan(3).verdicts;
    let approval = verdicts.iter().find(|verdict| verdict.guardrail == "G-7").unwrap();
    let evidence = "acts by itself, earned by 2 cures by restart of orders for crash in a row \
                    (2 needed): plans 2, 1";
    assert_eq!(approval.reason, evidence);
    assert!(!crash(&mut world, false), "it is still trusted until it fails");
    assert!(crash(&mut world, true));
    assert!(crash(&mut world, true));
    assert!(!crash(&mut world, true));
    let track = world.healer.autonomy().next().unwrap();
    assert_eq!((track.cured, track.failed, track.harmed, track.streak), (6, 1, 0, 3));
}

#[test]
fn what_one_remedy_earned_is_not_anothers() {
    let mut world = world();
    crash(&mut world, true);
    crash(&mut world, true);
    let policy = world.healer.config().policies[0].clone();
    let mode = |cause, kind: &ActionKind| world.healer.mode_for(&policy, cause, kind);
    assert_eq!(mode(CauseKind::Crash, &ActionKind::Restart), Mode::Auto);
    assert_eq!(mode(CauseKind::Silent, &ActionKind::Restart), Mode::Approve);
    let flush = ActionKind::RunCommand { command: "flush".into() };
    assert_eq!(mode(CauseKind::Crash, &flush), Mode::Approve);
    let other: Target = f::target("orders");
    let dry = Policy { mode: Some(Mode::DryRun), ..policy.clone() };
    assert_eq!(world.healer.mode_for(&dry, CauseKind::Crash, &other.actions[0]), Mode::DryRun);
}

#[test]
fn what_was_taken_away_and_did_not_come_back_is_harm() {
    let mut world = world();
    let mut incident = f::incident(1, "orders");
    incident.causes[0].kind = CauseKind::Silent;
    world.incidents = vec![incident];
    world.reports = vec![f::running("orders", 1)];
    world.run(1);
    world.healer.approve(PlanId(1), "ann", world.now()).unwrap();
    let order = world.run(1).remove(0);
    world.tell(&order, OutcomeResult::Failed);
    assert_eq!(world.healer.autonomy().next().unwrap().harmed, 1);
}

proptest! {
    /// Whatever was before: autonomy is earned exactly while the last so many were all cures.
    #[test]
    fn earned_is_what_the_last_attempts_prove(
        trials in prop::collection::vec(0_u8..6, 0..60),
        after in 1_u32..8,
    ) {
        let deed = Deed {
            cause: CauseKind::Crash,
            entity: f::service("orders"),
            action: ActionKind::Restart,
        };
        let mut autonomy = Autonomy::default();
        let mut seen: Vec<Trial> = Vec::new();
        for (number, trial) in trials.into_iter().enumerate() {
            let trial = match trial {
                0 => Trial::Failed,
                1 => Trial::Harmed,
                _ => Trial::Cured,
            };
            let number = number as u64;
            let (plan, incident) = (PlanId(number), IncidentId(number));
            autonomy.learn(deed.clone(), Proof { at: f::at(number), plan, incident, trial });
            seen.push(trial);
            let last = seen.iter().rev().take(after as usize);
            let cures = last.filter(|trial| **trial == Trial::Cured).count();
            prop_assert_eq!(autonomy.earned(&deed, after).is_ok(), cures == after as usize);
            let track = autonomy.tracks().next().unwrap();
            prop_assert_eq!((track.cured + track.failed + track.harmed) as usize, seen.len());
            prop_assert!(track.proofs.len() <= 20);
        }
    }
}
