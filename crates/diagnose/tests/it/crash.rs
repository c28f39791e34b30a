//! A process that is gone: blamed first, kept after its remedy, and only then.

use model::tick::{InstanceEventKind, TopologyChange};
use model::{CauseKind, ChangeKind, IncidentState};

use crate::scene::*;

#[test]
fn a_crashed_service_behind_a_caller_is_blamed_at_once() {
    let mut scene = polyglot(599);
    kill_orders(&mut scene);
    let diagnosis = scene.second();
    assert_eq!(diagnosis.opened.len(), 1);
    scene.check_first(CauseKind::Crash, &service("orders"));
    let incident = scene.incident(1);
    let cause = scene.first_cause(1);
    assert_eq!(incident.title, "storefront fails 100 % of requests because orders crashed");
    assert_eq!(cause.confidence, 0.95, "{cause:#?}");
    assert_eq!(cause.process, Some(identity(4121)));
    assert!(cause.summary.starts_with("orders crashed: its process 4121 is gone"));
    let calls = cause.evidence.iter().find(|line| line.summary.starts_with("calls ")).unwrap();
    assert!(calls.summary.contains("calls storefront -> orders: 100 of 100 failed since"));
    assert!(calls.summary.contains("(connection_refused), 0 of 5,8"), "{}", calls.summary);
    assert_eq!(calls.trace_id.len(), 32);
    assert_eq!(incident.causes.last().unwrap().kind, CauseKind::Unknown);
}

#[test]
fn a_crash_of_one_of_two_instances_behind_a_balancer_blames_that_instance() {
    let mut scene = shop(600);
    scene
        .goes("payment-1", false)
        .calls(&service("gateway"), &service("payment"), failing(4, 2, "connection_refused"))
        .calls(&service("checkout"), &service("gateway"), failing(4, 2, "http_502"))
        .calls(&service("gateway"), &service("checkout"), failing(4, 2, "http_502"))
        .serves(&service("checkout"), failing(4, 2, "http_502"))
        .serves(&service("gateway"), failing(20, 2, "http_502"));
    let onset = scene.now;
    scene.seconds(10).fires(&service("checkout"), 0.48, onset).second();
    scene.check_first(CauseKind::Crash, &instance("payment", "payment-1"));
    assert_eq!(
        scene.incident(1).title,
        "checkout fails 48 % of requests because payment-1 crashed"
    );
    assert_eq!(scene.first_cause(1).process, Some(identity(501)));
    assert!(scene.first_cause(1).confidence >= 0.9);
}

#[test]
fn a_crash_behind_a_proxy_is_blamed_by_its_502s() {
    let mut scene = polyglot(1);
    let proxy = peer("127.0.0.1:8081");
    scene.hushes(&service("storefront"));
    scene.serves(&service("storefront"), well(10));
    scene.calls(&service("storefront"), &proxy, well(10));
    scene.topology(TopologyChange::Alias { from: proxy.clone(), entity: service("orders") });
    scene.seconds(600);
    let onset = scene.now;
    scene.goes("orders", false).hushes(&service("orders"));
    scene.calls(&service("storefront"), &proxy, failing(10, 10, "http_502"));
    scene.seconds(8).fires(&service("storefront"), 1.0, onset).second();
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.95);
}

#[test]
fn an_address_that_is_resolved_late_leads_to_the_crash_once_it_is() {
    let mut scene = Scene::new();
    let address = peer("127.0.0.1:9001");
    scene
        .serves(&service("storefront"), well(10))
        .calls(&service("storefront"), &address, well(10))
        .runs("orders", &service("orders"), 4121)
        .seconds(300);
    let onset = scene.now;
    scene.goes("orders", false);
    scene.calls(&service("storefront"), &address, failing(10, 10, "connection_refused"));
    scene.seconds(8).fires(&service("storefront"), 1.0, onset).second();
    scene.check_first(CauseKind::DependencyDown, &address);
    scene.topology(TopologyChange::Alias { from: address, entity: service("orders") });
    let diagnosis = scene.second();
    assert_eq!(diagnosis.changed.len(), 1);
    scene.check_first(CauseKind::Crash, &service("orders"));
}

#[test]
fn the_deepest_of_a_cascade_is_blamed_and_all_is_one_incident() {
    let mut scene = Scene::new();
    let names = ["gateway", "checkout", "payment", "ledger"];
    for pair in names.windows(2) {
        scene.calls(&service(pair[0]), &service(pair[1]), well(5));
    }
    for (name, pid) in names.iter().zip(100..) {
        scene.serves(&service(name), well(5)).runs(name, &service(name), pid);
    }
    scene.seconds(300);
    let onset = scene.now;
    scene.goes("ledger", false).hushes(&service("ledger"));
    for pair in names.windows(2) {
        scene.calls(&service(pair[0]), &service(pair[1]), failing(5, 5, "http_500"));
        scene.serves(&service(pair[0]), failing(5, 5, "http_500"));
    }
    scene.calls(&service("payment"), &service("ledger"), failing(5, 5, "connection_refused"));
    scene.seconds(8);
    for name in &names[..3] {
        scene.fires(&service(name), 1.0, onset).second();
    }
    assert_eq!(scene.count(), 1);
    scene.check_first(CauseKind::Crash, &service("ledger"));
    assert!(scene.incident(1).title.starts_with("gateway fails 100 %"));
    assert_eq!(scene.incident(1).impact.services.len(), 3);
}

#[test]
fn a_process_that_was_asked_to_stop_did_not_crash() {
    let mut scene = polyglot(600);
    scene.goes("orders", true);
    kill_orders(&mut scene);
    scene.seconds(60);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
    let evidence = &scene.first_cause(1).evidence;
    assert!(evidence.iter().any(|line| line.summary.contains("asked to stop")), "{evidence:#?}");
    assert!(scene.incident(1).causes.iter().all(|cause| cause.kind != CauseKind::Crash));
}

#[test]
fn a_process_that_went_long_before_did_not_cause_it() {
    let mut scene = shop(300);
    scene.goes("catalog", false).seconds(300);
    let onset = scene.now;
    scene.serves(&service("gateway"), failing(20, 10, "http_500"));
    scene.seconds(5).fires(&service("gateway"), 0.5, onset).second();
    assert!(scene.incident(1).causes.iter().all(|cause| cause.kind != CauseKind::Crash));
}

#[test]
fn a_crash_off_the_failing_path_is_not_named() {
    let mut scene = shop(300);
    let onset = scene.now;
    scene.goes("catalog", false);
    scene.serves(&service("checkout"), failing(4, 4, "http_500"));
    scene.seconds(5).fires(&service("checkout"), 1.0, onset).seconds(30);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
}

#[test]
fn our_own_restart_keeps_the_cause_through_to_the_end() {
    let mut scene = polyglot(600);
    kill_orders(&mut scene);
    scene.seconds(5).runs("orders", &service("orders"), 4400);
    scene.changes(model::ChangeKind::Restart, &service("orders"), "immune");
    scene.seconds(5);
    scene.check_first(CauseKind::Crash, &service("orders"));
    scene.calls(&service("storefront"), &service("orders"), well(10));
    scene.serves(&service("storefront"), well(10)).serves(&service("orders"), well(10));
    scene.seconds(10).recovers(&service("storefront")).seconds(60);
    assert_eq!(scene.incident(1).state, IncidentState::Mitigated);
    scene.clears(&service("storefront"));
    assert_eq!(scene.second().ended.len(), 1);
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.95);
    assert_eq!(scene.first_cause(1).process, Some(identity(4121)));
}

#[test]
fn a_restart_that_does_not_help_makes_the_crash_unsure() {
    let mut scene = polyglot(600);
    kill_orders(&mut scene);
    scene.seconds(5).runs("orders", &service("orders"), 4400).seconds(55);
    scene.check_first(CauseKind::Crash, &service("orders"));
    scene.seconds(15);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
    let crash = &scene.incident(1).causes[1];
    assert_eq!((crash.kind, crash.confidence), (CauseKind::Crash, 0.45));
    assert!(crash.evidence.iter().any(|line| !line.supports));
}

#[test]
fn a_crash_loop_blames_the_process_that_went_last() {
    let mut scene = polyglot(600);
    kill_orders(&mut scene);
    for pid in [4400, 4401, 4402] {
        scene.seconds(5).runs("orders", &service("orders"), pid).seconds(3).goes("orders", false);
    }
    scene.seconds(2);
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert_eq!(scene.first_cause(1).process, Some(identity(4402)));
}

#[test]
fn the_remaining_instance_is_mentioned() {
    let mut scene = shop(300);
    let onset = scene.now;
    let last_heard = scene.now;
    scene.goes("payment-1", false);
    let silent = InstanceEventKind::Silent { last_heard };
    scene.instance_event(&instance("payment", "payment-1"), silent);
    scene.calls(&service("gateway"), &service("payment"), failing(4, 2, "connection_refused"));
    scene.serves(&service("gateway"), failing(20, 2, "http_502"));
    scene.seconds(12).fires(&service("gateway"), 0.1, onset).second();
    scene.check_first(CauseKind::Crash, &instance("payment", "payment-1"));
    let evidence = &scene.first_cause(1).evidence;
    assert!(evidence.iter().any(|line| line.summary.contains("payment-2 still sends")));
    assert!(evidence.iter().any(|line| line.summary.contains("payment-1: no telemetry since")));
}

#[test]
fn two_failed_calls_are_enough_beside_a_process_that_is_gone() {
    let mut scene = Scene::new();
    scene
        .serves(&service("storefront"), well(10))
        .serves(&service("orders"), well(0))
        .calls(&service("storefront"), &service("orders"), well(0))
        .runs("orders", &service("orders"), 4121)
        .seconds(120);
    let onset = scene.now;
    let refused = failing(1, 1, "connection_refused");
    scene.goes("orders", false).calls(&service("storefront"), &service("orders"), refused);
    scene.serves(&service("storefront"), failing(10, 1, "http_502"));
    scene.seconds(1).fires(&service("storefront"), 0.1, onset).second();
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.6);
}

#[test]
fn a_crash_long_after_the_incident_was_opened_comes_first() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.serves(&service("storefront"), failing(10, 2, "http_500"));
    scene.seconds(8).fires(&service("storefront"), 0.2, onset).seconds(2_100);
    scene.check_first(CauseKind::Unknown, &service("storefront"));
    scene.goes("orders", false).hushes(&service("orders"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_502"));
    scene.serves(&service("storefront"), failing(10, 10, "http_502")).seconds(5);
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.95);
}

#[test]
fn a_ticket_that_turns_into_a_page_is_looked_at_anew() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.serves(&service("storefront"), failing(100, 3, "http_500")).seconds(300);
    scene.ticket(&service("storefront"), onset).seconds(3_000);
    let onset = scene.now;
    scene.goes("orders", false).hushes(&service("orders"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_502"));
    scene.serves(&service("storefront"), failing(10, 10, "http_502")).seconds(3);
    scene.fires(&service("storefront"), 1.0, onset).seconds(3);
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.95);
}

#[test]
fn calls_that_newly_fail_late_lead_to_the_database_that_went_down() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.serves(&service("storefront"), failing(10, 2, "http_500"));
    scene.seconds(8).fires(&service("storefront"), 0.2, onset).seconds(2_100);
    scene.calls(&service("orders"), &database("orders"), failing(10, 10, "ECONNREFUSED"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_500"));
    scene.serves(&service("orders"), failing(10, 10, "http_500")).seconds(40);
    scene.check_first(CauseKind::DependencyDown, &database("orders"));
    scene.seconds(1_800);
    scene.check_first(CauseKind::DependencyDown, &database("orders"));
}

#[test]
fn a_process_that_went_while_nobody_asked_crashed_all_the_same() {
    let mut scene = polyglot(300);
    scene.calls(&service("storefront"), &service("orders"), well(0)).hushes(&service("orders"));
    scene.serves(&service("storefront"), well(0)).seconds(20).goes("orders", false).seconds(180);
    let onset = scene.now;
    let refused = failing(10, 10, "connection_refused");
    scene.calls(&service("storefront"), &service("orders"), refused);
    scene.serves(&service("storefront"), failing(10, 10, "http_502")).seconds(4);
    scene.fires(&service("storefront"), 1.0, onset).second();
    scene.check_first(CauseKind::Crash, &service("orders"));
}

#[test]
fn a_process_whose_absence_did_no_harm_for_minutes_did_not_cause_it() {
    let mut scene = shop(300);
    scene.goes("payment-1", false).seconds(300);
    let onset = scene.now;
    scene.calls(&service("gateway"), &service("payment"), failing(4, 4, "http_500"));
    scene.serves(&service("gateway"), failing(20, 4, "http_500"));
    scene.seconds(10).fires(&service("gateway"), 0.2, onset).second();
    assert!(scene.incident(1).causes.iter().all(|cause| cause.kind != CauseKind::Crash));
}

#[test]
fn a_restart_in_vain_is_not_the_cause_again_once_users_are_well() {
    let mut scene = polyglot(600);
    kill_orders(&mut scene);
    scene.seconds(5).runs("orders", &service("orders"), 4400).seconds(200);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
    scene.recovers(&service("storefront")).seconds(30);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
}

#[test]
fn a_stop_order_after_the_crash_does_not_unmake_it() {
    let mut scene = polyglot(600);
    kill_orders(&mut scene);
    scene.second();
    scene.runs("orders", &service("orders"), 4121);
    scene.goes("orders", true).seconds(60);
    scene.check_first(CauseKind::Crash, &service("orders"));
}

#[test]
fn a_crash_soon_after_a_recovery_is_compared_with_the_time_when_all_was_well() {
    let mut scene = polyglot(600);
    kill_orders(&mut scene);
    scene.seconds(600).runs("orders", &service("orders"), 4400);
    scene.calls(&service("storefront"), &service("orders"), well(10));
    scene.serves(&service("storefront"), well(10)).serves(&service("orders"), well(10));
    scene.recovers(&service("storefront")).seconds(60).clears(&service("storefront"));
    scene.seconds(120);
    kill_orders(&mut scene);
    scene.seconds(2);
    assert_eq!(scene.incident(1).state, IncidentState::Open);
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.95);
}

#[test]
fn a_process_that_was_back_before_the_harm_began_is_no_turn_of_it() {
    let mut scene = shop(300);
    let (gateway, checkout, payment) =
        (service("gateway"), service("checkout"), service("payment"));
    let onset = scene.now;
    scene.serves(&gateway, failing(20, 5, "http_500")).fires(&gateway, 0.25, onset).seconds(20);
    scene.serves(&gateway, well(20)).recovers(&gateway).seconds(60).clears(&gateway).seconds(30);
    // One of two dies; the other does its work, after a refused call each time. Nobody is hurt.
    scene.goes("payment-1", false);
    scene.calls(&gateway, &payment, failing(8, 4, "connection_refused")).seconds(60);
    scene.runs("payment-1", &instance("payment", "payment-1"), 900);
    scene.calls(&gateway, &payment, well(4)).seconds(30);
    let onset = scene.now;
    scene.goes("checkout", false).calls(&gateway, &checkout, failing(4, 4, "connection_refused"));
    scene.serves(&gateway, failing(20, 4, "http_502")).seconds(5);
    scene.fires(&gateway, 0.2, onset).second();
    assert_eq!(scene.count(), 1, "it is opened again");
    scene.check_first(CauseKind::Crash, &checkout);
    let causes = &scene.incident(1).causes;
    let is_payment = |cause: &&model::Cause| cause.entity.name.starts_with("payment");
    assert!(!causes.iter().any(|cause| is_payment(&cause)), "{causes:#?}");
}

/// Orders with one instance, of whose version telemetry tells.
fn versioned() -> Scene {
    let mut scene = polyglot(1);
    let seen = InstanceEventKind::Seen { version: "v1".to_owned() };
    scene.instance_event(&instance("orders", "orders-1"), seen).seconds(600);
    scene
}

fn upgrades(scene: &mut Scene) {
    let kind = InstanceEventKind::Version { from: "v1".to_owned(), to: "v2".to_owned() };
    scene.instance_event(&instance("orders", "orders-1"), kind);
    scene.changes(ChangeKind::Deploy, &service("orders"), "telemetry");
}

fn crash_is_named(scene: &Scene) -> bool {
    scene.incident(1).causes.iter().any(|cause| cause.kind == CauseKind::Crash)
}

#[test]
fn a_process_whose_place_another_version_took_at_once_did_not_crash() {
    let mut scene = versioned();
    scene.goes("orders", false);
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "ECONNREFUSED"));
    scene.seconds(2).runs("orders", &service("orders"), 5000);
    let onset = scene.now;
    scene.calls(&service("storefront"), &service("orders"), failing(10, 8, "http_500"));
    scene.serves(&service("orders"), failing(10, 8, "http_500"));
    scene.serves(&service("storefront"), failing(10, 8, "http_502"));
    scene.seconds(2).fires(&service("storefront"), 0.8, onset).second();
    upgrades(&mut scene);
    scene.seconds(20);
    assert!(!crash_is_named(&scene));
    scene.check_first(CauseKind::Change, &service("orders"));
}

#[test]
fn while_versions_change_a_process_has_crashed_once_it_stays_away() {
    let mut scene = versioned();
    upgrades(&mut scene);
    scene.seconds(60);
    let onset = scene.now;
    scene.goes("orders", false).hushes(&service("orders"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "ECONNREFUSED"));
    scene.serves(&service("storefront"), failing(10, 10, "http_502"));
    scene.seconds(2).fires(&service("storefront"), 1.0, onset).second();
    assert!(!crash_is_named(&scene));
    scene.seconds(5);
    scene.check_first(CauseKind::Crash, &service("orders"));
}
