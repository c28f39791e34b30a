//! What is near, recent or vanished, and yet not to blame.

use model::tick::InstanceEventKind;
use model::{CauseKind, ChangeKind};

use crate::scene::*;

fn checkout_fails_by_itself(scene: &mut Scene) {
    let onset = scene.now;
    scene.serves(&service("checkout"), failing(4, 4, "http_500"));
    scene.calls(&service("gateway"), &service("checkout"), failing(4, 4, "http_500"));
    scene.seconds(6).fires(&service("checkout"), 1.0, onset).second();
}

#[test]
fn nothing_opens_without_a_symptom_whatever_changes_or_goes() {
    let mut scene = shop(60);
    scene.goes("payment-1", false).changes(ChangeKind::Deploy, &service("payment"), "api");
    scene.seconds(60);
    assert_eq!(scene.count(), 0);
}

#[test]
fn a_deploy_off_the_path_is_no_candidate() {
    let mut scene = shop(300);
    scene.changes(ChangeKind::Deploy, &service("catalog"), "api").seconds(10);
    checkout_fails_by_itself(&mut scene);
    assert_eq!(scene.incident(1).causes.len(), 1);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
}

#[test]
fn a_deploy_ten_minutes_ago_is_mentioned_and_not_named() {
    let mut scene = shop(300);
    scene.changes(ChangeKind::Deploy, &service("checkout"), "api").seconds(600);
    checkout_fails_by_itself(&mut scene);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
    let change = &scene.incident(1).causes[1];
    assert_eq!(change.kind, CauseKind::Change);
    assert!(change.evidence.iter().any(|line| line.summary.contains("went well between")));
}

#[test]
fn a_deploy_after_the_harm_began_is_no_candidate() {
    let mut scene = shop(300);
    checkout_fails_by_itself(&mut scene);
    scene.seconds(70).changes(ChangeKind::Deploy, &service("checkout"), "api").seconds(20);
    assert!(scene.incident(1).causes.iter().all(|cause| cause.kind != CauseKind::Change));
}

#[test]
fn a_rolling_restart_on_the_path_minutes_before_is_not_named() {
    let mut scene = shop(300);
    for name in ["checkout-1", "checkout-2"] {
        scene.changes(ChangeKind::Restart, &instance("checkout", name), "telemetry").seconds(90);
    }
    scene.seconds(60);
    checkout_fails_by_itself(&mut scene);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
}

#[test]
fn a_restart_at_which_the_trouble_began_is_named() {
    let mut scene = shop(300);
    scene.changes(ChangeKind::Restart, &instance("checkout", "checkout-1"), "telemetry");
    scene.seconds(2);
    checkout_fails_by_itself(&mut scene);
    scene.check_first(CauseKind::Change, &service("checkout"));
}

#[test]
fn an_instance_that_vanished_while_others_answer_is_innocent() {
    let mut scene = shop(300);
    let onset = scene.now;
    let vanished = InstanceEventKind::Vanished { last_heard: onset };
    scene.instance_event(&instance("payment", "payment-3"), vanished);
    checkout_fails_by_itself(&mut scene);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
}

#[test]
fn a_vanished_instance_is_innocent_of_answers_with_errors() {
    let mut scene = shop(300);
    let last_heard = scene.now;
    let vanished = InstanceEventKind::Vanished { last_heard };
    scene.instance_event(&instance("payment", "payment-3"), vanished);
    scene.calls(&service("gateway"), &service("payment"), failing(4, 3, "http_500"));
    scene.serves(&service("payment"), failing(4, 3, "http_500"));
    scene.calls(&service("checkout"), &service("gateway"), failing(4, 3, "http_500"));
    checkout_fails_by_itself(&mut scene);
    let silent = scene.incident(1).causes.iter().find(|cause| cause.kind == CauseKind::Silent);
    assert_eq!(silent.map(|cause| cause.confidence), Some(0.45), "{silent:#?}");
    scene.check_first(CauseKind::Unknown, &service("payment"));
}

#[test]
fn trouble_in_staging_never_touches_production() {
    let mut scene = polyglot(300);
    let staging =
        |name: &str| model::Entity::service(&model::Scope::new("default", "staging"), name);
    scene.runs("orders-staging", &staging("orders"), 9).seconds(5);
    let onset = scene.now;
    scene.goes("orders-staging", false);
    scene.calls(&service("storefront"), &staging("orders"), failing(9, 9, "connection_refused"));
    scene.serves(&service("storefront"), failing(10, 5, "http_500"));
    scene.seconds(5).fires(&service("storefront"), 0.5, onset);
    scene.fires(&staging("storefront"), 1.0, onset).second();
    assert_eq!(scene.count(), 2);
    for id in [1, 2] {
        let incident = scene.incident(id);
        assert!(incident.causes.iter().all(|cause| cause.entity.scope == incident.scope));
    }
}
