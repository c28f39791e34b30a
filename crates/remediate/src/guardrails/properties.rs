//! Each later guardrail against random surroundings, by its own rule told a second time and
//! otherwise.

use std::time::Duration;

use model::{CauseKind, Entity, Mode};
use proptest::prelude::*;

use super::tests::Facts;
use super::*;
use crate::fixtures as f;

fn passes(id: &str, facts: &Facts) -> bool {
    let guardrail = ALL.iter().find(|guardrail| guardrail.spec.id == id).unwrap();
    guardrail.check(&facts.context()).passed
}

/// Process 1 of orders runs and is silent: to restart it takes it away.
fn running() -> Facts {
    let mut facts = Facts::passing();
    facts.silent(1);
    facts
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

prop_compose! {
    fn around()(
        known in 0_usize..6,
        well in 0_usize..6,
        groups in prop::collection::vec((1_usize..12, 0_usize..6), 0..3),
        storm in prop::option::of((0_u64..400, 0_usize..9, prop::option::of(0_u64..90))),
        budget in prop::option::of(-2.0_f64..1.0),
        deploy in prop::option::of(0_u64..10),
        looked in prop::option::of(0_u64..10),
        heard in prop::collection::vec(prop::option::of(0_u64..300), 0..3),
    ) -> Around {
        let fate = |(targets, touched): (usize, usize)| {
            Fate { what: "host h1".into(), targets, touched: touched.min(targets) }
        };
        let storm = storm.map(|(calm, troubled, last)| {
            Storm { calm_for: secs(calm), troubled, all: 9, last_order: last.map(secs) }
        });
        let hearing = |ago: Option<u64>| Hearing { service: "a".into(), ago: ago.map(secs) };
        Around {
            copies: Copies { known, well_beside: well.min(known.saturating_sub(1)) },
            fates: groups.into_iter().map(fate).collect(),
            storm,
            budget: budget.map(|left| ("default of storefront".into(), left)),
            deploy: deploy.map(f::at),
            looked: looked.map(f::at),
            hearing: heard.into_iter().map(hearing).collect(),
        }
    }
}

proptest! {
    #[test]
    fn g12_never_leaves_fewer_well_instances_than_the_share(around in around()) {
        let mut facts = running();
        facts.around = around.clone();
        facts.plan.cause = CauseKind::Crash;
        facts.incident().causes[0].kind = CauseKind::Crash;
        if passes("G-12", &facts) {
            let Copies { known, well_beside } = around.copies;
            prop_assert!(known <= 1 || 2 * well_beside >= known);
            for fate in &around.fates {
                prop_assert!(fate.touched == 0 || (fate.touched + 1) * 100 <= fate.targets * 34);
            }
        }
        let mut gone = Facts::passing();
        gone.around = around;
        prop_assert!(passes("G-12", &gone), "what is gone may always be started");
    }

    #[test]
    fn g13_touches_nothing_that_runs_in_a_storm_and_keeps_the_pace(around in around()) {
        let mut facts = running();
        facts.around = around.clone();
        prop_assert_eq!(passes("G-13", &facts), around.storm.is_none());
        let mut gone = Facts::passing();
        gone.around = around.clone();
        let too_soon = around.storm.and_then(|it| it.last_order).is_some_and(|it| it < secs(30));
        prop_assert_eq!(passes("G-13", &gone), !too_soon);
    }

    #[test]
    fn g14_with_little_left_only_a_person_lets_what_runs_be_touched(around in around()) {
        let mut facts = running();
        facts.around = around.clone();
        let enough = around.budget.as_ref().is_none_or(|(_, left)| *left >= 0.1);
        prop_assert_eq!(passes("G-14", &facts), enough);
        facts.approval = Approval::Given { who: "ann".into(), at: f::at(1), until: f::at(99) };
        prop_assert!(passes("G-14", &facts));
        let mut gone = Facts::passing();
        gone.around = around;
        prop_assert!(passes("G-14", &gone));
    }

    #[test]
    fn g15_what_keeps_data_needs_the_policys_word(
        stateful in any::<bool>(),
        database in any::<bool>(),
        allowed in any::<bool>(),
        gone in any::<bool>(),
    ) {
        let mut facts = if gone { Facts::passing() } else { running() };
        let target = facts.target.as_mut().unwrap();
        target.stateful = stateful;
        if database {
            let kind = model::EntityKind::Database;
            target.entity = Entity::new(&target.entity.scope, kind, &target.entity.name);
        }
        facts.policy.as_mut().unwrap().allow_stateful = allowed;
        prop_assert_eq!(passes("G-15", &facts), allowed || !(stateful || database));
    }

    #[test]
    fn g16_a_running_deploy_stops_all_but_policies_that_say_otherwise(
        around in around(),
        allowed in prop::option::of(any::<bool>()),
        for_changes in any::<bool>(),
    ) {
        let mut facts = Facts::passing();
        facts.around = around.clone();
        let policy = facts.policy.as_mut().unwrap();
        policy.allow_during_deploy = allowed;
        if for_changes {
            policy.cause.0 = vec![CauseKind::Change];
        }
        let may = allowed.unwrap_or(for_changes);
        prop_assert_eq!(passes("G-16", &facts), may || around.deploy.is_none());
    }

    #[test]
    fn g17_nothing_is_done_on_old_looks_and_nothing_that_runs_touched_unheard(
        around in around(),
        now in 10_u64..200,
    ) {
        let mut facts = running();
        facts.now = f::at(now);
        facts.around = around.clone();
        let looks = around.looked.is_none_or(|at| f::at(now).since(at) <= secs(90));
        let hears = around.hearing.iter().all(|it| it.ago.is_some_and(|ago| ago <= secs(120)));
        prop_assert_eq!(passes("G-17", &facts), looks && hears);
        let mut gone = Facts::passing();
        gone.now = f::at(now);
        gone.around = around;
        prop_assert_eq!(passes("G-17", &gone), looks);
    }

    /// Guardrail algebra: order does not matter, and with one guardrail more never more is passed.
    #[test]
    fn any_deny_denies_in_whatever_order_and_one_more_never_permits_more(
        around in around(),
        faults in prop::collection::btree_set(0_usize..17, 0..4),
        order in Just((0..ALL.len()).collect::<Vec<usize>>()).prop_shuffle(),
        without in 0..ALL.len(),
    ) {
        let mut facts = Facts::passing();
        facts.around = around;
        for fault in faults {
            super::tests::break_one(&mut facts, fault);
        }
        let context = facts.context();
        let decision = decide(&context);
        let shuffled: Vec<Guardrail> = order.iter().map(|at| ALL[*at]).collect();
        let other = decide_by(&shuffled, &context);
        prop_assert_eq!(decision.passed().is_some(), other.passed().is_some());
        let sorted = |decision: &Decision| {
            let mut verdicts = decision.verdicts().to_vec();
            verdicts.sort_by(|one, other| one.guardrail.cmp(&other.guardrail));
            verdicts
        };
        prop_assert_eq!(sorted(&decision), sorted(&other), "the same verdicts and reasons");
        let fewer: Vec<Guardrail> =
            (0..ALL.len()).filter(|at| *at != without).map(|at| ALL[at]).collect();
        let fewer = decide_by(&fewer, &context);
        if decision.passed().is_some() {
            prop_assert!(fewer.passed().is_some(), "one guardrail more permitted more");
        }
        let told = fewer.denials();
        let kept = told.split("; ").filter(|it| !it.is_empty());
        prop_assert!(kept.count() <= decision.denials().split("; ").count());
        for verdict in decision.verdicts().iter().filter(|verdict| !verdict.passed) {
            prop_assert!(!verdict.reason.is_empty());
            prop_assert!(decision.denials().contains(&verdict.reason), "{}", verdict.reason);
        }
        let denies = decision.verdicts().iter().any(|verdict| !verdict.passed);
        prop_assert_eq!(decision.passed().is_none(), denies);
    }
}

#[test]
fn the_only_instance_that_is_not_to_blame_is_left_alone() {
    let mut facts = running();
    facts.around.copies = Copies { known: 1, well_beside: 0 };
    assert!(passes("G-12", &facts));
    facts.target.as_mut().unwrap().entity = f::service("other");
    assert!(!passes("G-12", &facts));
}

#[test]
fn a_whole_service_is_brought_back_only_when_it_is_to_blame() {
    let mut facts = running();
    facts.around.copies = Copies { known: 3, well_beside: 0 };
    facts.plan.kind = model::ActionKind::Rollback;
    facts.incident().causes[0].entity = f::service("orders");
    assert!(passes("G-12", &facts));
    facts.incident().causes[0].entity = f::service("other");
    assert!(!passes("G-12", &facts));
}

#[test]
fn a_service_of_which_nothing_is_well_is_restarted_one_by_one_where_all_of_it_hangs() {
    let mut facts = running();
    facts.around.copies = Copies { known: 3, well_beside: 0 };
    let blame = |facts: &mut Facts, kind| {
        let entity = facts.target.as_ref().unwrap().entity.owner().unwrap();
        let cause = &mut facts.incident().causes[0];
        (cause.kind, cause.entity) = (kind, entity.clone());
        (facts.plan.cause, facts.plan.entity) = (kind, entity);
    };
    blame(&mut facts, CauseKind::Saturation);
    assert!(passes("G-12", &facts));
    facts.around.copies.well_beside = 1;
    assert!(!passes("G-12", &facts), "what still carries users is left alone");
    facts.around.copies.well_beside = 0;
    facts.policy.as_mut().unwrap().healthy_share_min = Some(0.5);
    assert!(!passes("G-12", &facts), "the policy asks for well instances");
    facts.policy.as_mut().unwrap().healthy_share_min = None;
    blame(&mut facts, CauseKind::Surge);
    assert!(!passes("G-12", &facts), "what is asked for too much works");
}

#[test]
fn a_policy_may_ask_for_another_share_of_well_instances() {
    let mut facts = running();
    facts.around.copies = Copies { known: 3, well_beside: 1 };
    assert!(!passes("G-12", &facts));
    facts.policy.as_mut().unwrap().healthy_share_min = Some(0.3);
    assert!(passes("G-12", &facts));
    assert_eq!(facts.plan.mode, Mode::Auto);
}
