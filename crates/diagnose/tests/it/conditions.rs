//! What agents see of databases and disks: who holds up others, what is full, what merely is so.

use std::time::Duration;

use model::condition::{Blocker, Condition, DatabaseCondition, DatabaseFailure, Disk};
use model::{CauseKind, Timestamp};

use crate::scene::*;

fn blocked(waiting: u32, since: Timestamp, overdue: bool) -> Condition {
    let blocker = (waiting > 0).then_some(Blocker { pid: 812, since, overdue });
    let (connections, connections_max) = (12, 97);
    let answers = DatabaseCondition::Answers { waiting, blocker, connections, connections_max };
    Condition::Database(answers)
}

fn flows() -> Condition {
    blocked(0, Timestamp::ZERO, false)
}

fn disk(free_mib: u64) -> Condition {
    let folder = "/var/lib/postgresql".to_owned();
    Condition::Disks(vec![Disk { folder, bytes: 192 << 20, free_bytes: free_mib << 20 }])
}

/// Calls to the database no longer end, then those to orders time out; it is noticed.
fn orders_waits_for_its_database(scene: &mut Scene) -> Timestamp {
    let began = scene.now;
    scene.calls(&service("orders"), &database("orders"), well(0));
    scene.serves(&service("orders"), well(0)).seconds(10);
    let onset = scene.now;
    scene.calls(&service("storefront"), &service("orders"), failing(10, 6, "timeout"));
    scene.serves(&service("storefront"), failing(10, 6, "http_504"));
    scene.seconds(5).fires(&service("storefront"), 0.6, onset);
    began
}

#[test]
fn a_transaction_that_blocks_since_the_trouble_began_is_blamed_and_sure_once_overdue() {
    let mut scene = polyglot(300);
    scene.looks_at(&database("orders"), flows());
    let began = orders_waits_for_its_database(&mut scene);
    scene.looks_at(&database("orders"), blocked(8, began, false)).second();
    scene.check_first(CauseKind::Lock, &database("orders"));
    let young = scene.first_cause(1).confidence;
    assert!(young < 0.8, "{young}");
    scene.seconds(15).looks_at(&database("orders"), blocked(8, began, true)).second();
    scene.check_first(CauseKind::Lock, &database("orders"));
    let cause = scene.first_cause(1);
    assert!(cause.confidence >= 0.8, "{cause:#?}");
    assert!(cause.summary.contains("pid 812"));
}

#[test]
fn beside_a_transaction_that_blocks_nothing_is_lost_on_the_way_to_who_waits_for_it() {
    let mut scene = polyglot(300);
    scene.looks_at(&database("orders"), flows());
    let began = scene.now;
    // What hangs has not ended: orders serves the rest as ever, while its caller waits.
    let waits = Flow { seconds: 3.0, ..failing(10, 6, "timeout") };
    scene.calls(&service("storefront"), &service("orders"), waits);
    scene.serves(&service("storefront"), failing(10, 6, "http_504"));
    scene.seconds(15).fires(&service("storefront"), 0.6, began).second();
    scene.check_first(CauseKind::Network, &service("orders"));
    scene.looks_at(&database("orders"), blocked(8, began, true)).second();
    scene.check_first(CauseKind::Lock, &database("orders"));
}

#[test]
fn a_transaction_that_was_ended_stays_the_cause_while_users_recover() {
    let mut scene = polyglot(300);
    let began = orders_waits_for_its_database(&mut scene);
    scene.looks_at(&database("orders"), blocked(8, began, true)).second();
    scene.looks_at(&database("orders"), flows());
    scene.calls(&service("storefront"), &service("orders"), well(10));
    scene.serves(&service("storefront"), well(10)).seconds(40).recovers(&service("storefront"));
    scene.seconds(60);
    scene.check_first(CauseKind::Lock, &database("orders"));
}

#[test]
fn a_transaction_is_contradicted_when_nobody_is_blocked_for_a_minute_and_users_are_hurt() {
    let mut scene = polyglot(300);
    let began = orders_waits_for_its_database(&mut scene);
    scene.looks_at(&database("orders"), blocked(8, began, true)).second();
    scene.looks_at(&database("orders"), flows()).seconds(70);
    assert_ne!(scene.first_cause(1).kind, CauseKind::Lock);
}

#[test]
fn row_locks_that_are_waited_for_briefly_under_load_are_innocent() {
    let mut scene = polyglot(300);
    orders_waits_for_its_database(&mut scene);
    for _ in 0..6 {
        let since = scene.now - Duration::from_millis(800);
        scene.looks_at(&database("orders"), blocked(2, since, false)).seconds(5);
    }
    assert!(scene.incident(1).causes.iter().all(|cause| cause.kind != CauseKind::Lock));
}

#[test]
fn a_transaction_that_blocks_nobody_who_is_hurt_is_innocent() {
    let mut scene = polyglot(300);
    let since = scene.now;
    scene.looks_at(&database("reports"), blocked(1, since, true)).seconds(10);
    let onset = kill_orders(&mut scene);
    scene.second();
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert!(onset > since);
    assert!(scene.incident(1).causes.iter().all(|cause| cause.kind != CauseKind::Lock));
}

#[test]
fn a_transaction_that_blocks_while_nobody_is_hurt_opens_nothing() {
    let mut scene = polyglot(300);
    let since = scene.now;
    scene.seconds(40).looks_at(&database("orders"), blocked(1, since, true)).seconds(60);
    assert_eq!(scene.count(), 0);
}

#[test]
fn a_look_that_is_long_past_tells_nothing_of_now() {
    let mut scene = polyglot(300);
    let since = scene.now;
    scene.seconds(10).looks_at(&database("orders"), blocked(3, since, true)).seconds(100);
    orders_waits_for_its_database(&mut scene);
    scene.second();
    assert!(scene.incident(1).causes.iter().all(|cause| cause.kind != CauseKind::Lock));
}

/// Writes to the database fail, what it can still read is read.
fn writes_fail(scene: &mut Scene) {
    let onset = scene.now;
    scene.calls(&service("orders"), &database("orders"), failing(20, 6, "DiskFull"));
    scene.serves(&service("orders"), failing(10, 3, "http_503"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 3, "http_503"));
    scene.serves(&service("storefront"), failing(10, 3, "http_502"));
    scene.seconds(6).fires(&service("storefront"), 0.3, onset).second();
}

#[test]
fn a_disk_that_filled_up_as_calls_began_to_fail_is_blamed() {
    let mut scene = polyglot(300);
    scene.looks_at(&database("orders"), disk(90)).seconds(5);
    scene.looks_at(&database("orders"), disk(0)).seconds(20);
    writes_fail(&mut scene);
    scene.check_first(CauseKind::Disk, &database("orders"));
    assert!(scene.first_cause(1).confidence >= 0.8);
}

#[test]
fn a_disk_that_has_long_been_nearly_full_is_mentioned_and_not_named() {
    let mut scene = polyglot(30);
    for _ in 0..6 {
        scene.looks_at(&database("orders"), disk(5)).seconds(60);
    }
    writes_fail(&mut scene);
    let disk = scene.incident(1).causes.iter().find(|cause| cause.kind == CauseKind::Disk);
    assert!(disk.is_none_or(|cause| cause.confidence < 0.5), "{disk:#?}");
}

#[test]
fn a_full_disk_while_calls_go_well_is_innocent() {
    let mut scene = polyglot(300);
    scene.looks_at(&database("orders"), disk(0)).seconds(5);
    kill_orders(&mut scene);
    scene.second();
    assert!(scene.incident(1).causes.iter().all(|cause| cause.kind != CauseKind::Disk));
}

fn unreachable() -> Condition {
    Condition::Database(DatabaseCondition::Fails(DatabaseFailure::Unreachable))
}

#[test]
fn a_database_that_no_longer_answers_is_blamed_though_its_clients_leave_no_span() {
    let mut scene = polyglot(300);
    scene.looks_at(&database("orders"), flows()).seconds(10);
    scene.looks_at(&database("orders"), unreachable());
    // Some calls ended just before, and too few are missing to lead anywhere.
    scene.calls(&service("orders"), &database("orders"), well(8));
    scene.serves(&service("orders"), failing(10, 5, "http_503"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 5, "http_503"));
    scene.serves(&service("storefront"), failing(10, 5, "http_502"));
    let onset = scene.now;
    scene.seconds(6).fires(&service("storefront"), 0.5, onset).second();
    scene.check_first(CauseKind::DependencyDown, &database("orders"));
}

#[test]
fn a_database_that_never_answered_is_declared_wrong_and_innocent() {
    let mut scene = polyglot(30);
    scene.looks_at(&database("orders"), unreachable()).seconds(60);
    scene.looks_at(&database("orders"), unreachable());
    kill_orders(&mut scene);
    scene.second();
    scene.check_first(CauseKind::Crash, &service("orders"));
    let is_down = |cause: &model::Cause| cause.kind == CauseKind::DependencyDown;
    assert!(!scene.incident(1).causes.iter().any(is_down));
}

#[test]
fn a_database_that_answers_the_agent_is_less_likely_gone() {
    let check = |condition: Condition| {
        let mut scene = polyglot(300);
        scene.looks_at(&database("orders"), flows()).seconds(5);
        let refuses = failing(20, 20, "connection_refused");
        let onset = scene.now;
        scene.calls(&service("orders"), &database("orders"), refuses).seconds(2);
        scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_503"));
        scene.serves(&service("storefront"), failing(10, 10, "http_502"));
        scene.looks_at(&database("orders"), condition).seconds(6);
        scene.fires(&service("storefront"), 1.0, onset).seconds(2);
        let mut causes = scene.incident(1).causes.iter();
        let down = causes.find(|cause| cause.kind == CauseKind::DependencyDown);
        down.map_or(0.0, |cause| cause.confidence)
    };
    assert_eq!(check(unreachable()), 0.99);
    assert!(check(flows()) < 0.65);
}

#[test]
fn a_transaction_that_one_session_waits_for_while_calls_go_on_is_not_sure() {
    let mut scene = polyglot(300);
    let since = scene.now;
    scene.serves(&service("orders"), failing(10, 5, "http_500"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 5, "http_500"));
    scene.serves(&service("storefront"), failing(10, 5, "http_502"));
    scene.seconds(20).fires(&service("storefront"), 0.5, since);
    scene.looks_at(&database("orders"), blocked(1, since, true)).second();
    let mut causes = scene.incident(1).causes.iter();
    let lock = causes.find(|cause| cause.kind == CauseKind::Lock);
    assert!(lock.is_none_or(|cause| cause.confidence < 0.8), "{lock:#?}");
}
