//! The summary of drills, from scorecards made up by hand.

use std::collections::BTreeMap;

use model::experiment::{Decision, Healed, Scorecard};
use model::plan::{Attempt, Outcome, OutcomeResult};
use model::{
    Action, ActionId, ActionKind, CauseKind, Entity, IncidentId, Mode, Plan, PlanId, PlanState,
    Scope, Timestamp,
};

use super::*;
use crate::cli::demo::chances::Chances;
use crate::cli::demo::drills::{self, Choice};
use crate::cli::demo::layout::Layout;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// The act of the demo without a seed: payment-1 is killed, catalog-1 is killed …
fn act(kind: &str) -> Act {
    let mut chances = Chances::new(None);
    let programs = ("/opt/bin/immune".into(), "/opt/bin/shop".into());
    let ports = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    let dir = std::path::Path::new("/tmp/demo");
    let layout = Layout::draw(dir, programs, ports, &mut chances);
    drills::draw(&Choice::Named(vec![kind.to_owned()]), &layout, &mut chances).remove(0)
}

/// payment-1 is killed at `second`, noticed 4 s after the first user was hurt.
fn crashed(second: u64) -> Played {
    let target = "payment-1";
    let card = Scorecard {
        target: target.to_owned(),
        took_effect: Some(true),
        injected_at: Some(at(second)),
        effective_at: Some(at(second)),
        first_harm_at: Some(at(second + 1)),
        harmed_requests: 7,
        last_harm_at: Some(at(second + 6)),
        detected_at: Some(at(second + 5)),
        cause_first: Some(true),
        decision: Some(Decision::Heal),
        decision_right: Some(true),
        acted_at: Some(at(second + 5)),
        verified_at: Some(at(second + 70)),
        healed: Some(Healed::ByAction),
        undone_at: Some(at(second + 75)),
        passed: true,
        ..Scorecard::default()
    };
    let (healthy_from, finished) = (at(second - 20), at(second + 80));
    Played { act: act("crash"), card, healthy_from, finished, onset: Some(at(second + 2)) }
}

/// catalog-1 is killed at `second`, and nobody minds.
fn spared(second: u64) -> Played {
    let card = Scorecard {
        target: "catalog-1".to_owned(),
        took_effect: Some(true),
        injected_at: Some(at(second)),
        effective_at: Some(at(second)),
        decision: Some(Decision::LeaveAlone),
        decision_right: Some(true),
        healed: Some(Healed::NoHarm),
        undone_at: Some(at(second + 61)),
        passed: true,
        ..Scorecard::default()
    };
    let (healthy_from, finished) = (at(second - 20), at(second + 62));
    Played { act: act("spare-killed"), card, healthy_from, finished, onset: None }
}

fn restart(target: &str, second: u64, result: OutcomeResult) -> Plan {
    let entity = Entity::instance(&Scope::new("default", "demo"), "payment", target);
    let id = ActionId(format!("x-{second}-1"));
    let action = Action {
        id: id.clone(),
        target: target.to_owned(),
        entity: entity.clone(),
        kind: ActionKind::Restart,
        expect: model::plan::Expectation::NoProcess,
        not_after: at(second + 30),
    };
    let outcome = Outcome { action: id, at: at(second + 1), result, detail: String::new() };
    Plan {
        id: PlanId(second),
        incident: IncidentId(1),
        cause: CauseKind::Crash,
        entity,
        target: target.to_owned(),
        kind: ActionKind::Restart,
        mode: Mode::Auto,
        state: PlanState::Verified,
        created: at(second),
        updated: at(second),
        verdicts: Vec::new(),
        attempts: vec![Attempt { action, ordered: at(second), outcome: Some(outcome), undo: None }],
        reason: String::new(),
    }
}

fn starts(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn of(played: &[Played], plans: &[Plan], starts: &BTreeMap<String, u64>) -> Figures {
    figures(played, &Evidence { seed: None, incidents: &[], plans, starts })
}

#[test]
fn a_drill_that_went_well_passes_every_check() {
    let played = [crashed(100)];
    let plans = [restart("payment-1", 105, OutcomeResult::Done)];
    let figures = of(&played, &plans, &starts(&[("payment-1", 2), ("payment-2", 1)]));
    assert!(figures.passed);
    assert_eq!(figures.healthy_s, 20.0);
    let drills = &figures.drills[0].counts;
    assert_eq!((drills.runs, drills.recovered, drills.undone), (1, 1, 1));
    assert_eq!((drills.detect_p50_s, drills.client_p95_s), (Some(3.0), Some(4.0)));
    assert!(checks(&played[0], &figures).iter().all(|check| check.good));
}

#[test]
fn an_action_on_something_else_is_harmful_even_when_only_the_logs_tell() {
    let played = [crashed(100)];
    let told = of(&played, &[restart("catalog", 105, OutcomeResult::Done)], &starts(&[]));
    assert_eq!((told.harmful_actions, told.passed), (1, false));
    let refused = of(&played, &[restart("catalog", 105, OutcomeResult::Refused)], &starts(&[]));
    assert_eq!((refused.harmful_actions, refused.passed), (0, true));
    let silent = of(&played, &[], &starts(&[("payment-1", 2), ("catalog", 2)]));
    assert_eq!((silent.harmful_actions, silent.passed), (1, false));
}

#[test]
fn a_second_restart_for_one_fault_is_double() {
    let played = [crashed(100)];
    let plans = [
        restart("payment-1", 105, OutcomeResult::Done),
        restart("payment-1", 107, OutcomeResult::Done),
    ];
    assert_eq!(of(&played, &plans, &starts(&[])).double_actions, 1);
    assert_eq!(of(&played, &plans[..1], &starts(&[("payment-1", 3)])).double_actions, 1);
}

#[test]
fn an_action_before_the_fault_is_harmful() {
    let played = [crashed(100)];
    let plans = [restart("payment-1", 90, OutcomeResult::Done)];
    assert_eq!(of(&played, &plans, &starts(&[])).harmful_actions, 1);
}

#[test]
fn nothing_played_and_nothing_detected_do_not_pass() {
    assert!(!of(&[], &[], &starts(&[])).passed);
    let mut missed = crashed(100);
    missed.card = Scorecard { took_effect: Some(true), ..Scorecard::default() };
    missed.onset = None;
    let figures = of(&[missed], &[], &starts(&[]));
    assert!(!figures.passed);
    assert_eq!(figures.all.detect_p50_s, None);
}

#[test]
fn kinds_are_counted_apart_and_together() {
    let played = [crashed(100), spared(300), crashed(500)];
    let plans = [105, 505].map(|second| restart("payment-1", second, OutcomeResult::Done));
    let starts = starts(&[("payment-1", 3), ("catalog-1", 2), ("catalog-2", 1)]);
    let figures = of(&played, &plans, &starts);
    assert!(figures.passed, "{figures:?}");
    let kinds = figures.drills.iter().map(|drills| (drills.name, drills.counts.runs));
    assert_eq!(kinds.collect::<Vec<_>>(), [("crash", 2), ("spare-killed", 1)]);
    let all = &figures.all;
    assert_eq!((all.runs, all.to_detect, all.detected, all.right_decision), (3, 2, 2, 3));
    assert_eq!((all.to_heal, all.recovered), (2, 2));
    assert!(checks(&played[1], &figures).iter().all(|check| check.good));
}

#[test]
fn an_action_on_what_should_be_left_alone_is_harmful() {
    let played = [spared(100)];
    let plans = [restart("catalog-1", 110, OutcomeResult::Done)];
    assert_eq!(of(&played, &plans, &starts(&[])).harmful_actions, 1);
}

#[test]
fn percentiles_are_by_nearest_rank() {
    assert_eq!(percentile(&[], 50), None);
    assert_eq!(percentile(&[3.0, 1.0, 2.0], 50), Some(2.0));
    assert_eq!(percentile(&[3.0, 1.0, 2.0], 95), Some(3.0));
    assert_eq!(percentile(&[1.0, 2.0], 50), Some(1.0));
}
