//! Silence, dependencies, changes, and not knowing.

use std::time::Duration;

use model::tick::{InstanceEventKind, ProbeResult};
use model::{CauseKind, ChangeKind, SymptomKind};

use crate::scene::*;

#[test]
fn a_database_that_refuses_is_blamed_below_its_caller() {
    for (name, kind) in [("orders", "psycopg2.OperationalError"), ("redis", "ECONNREFUSED")] {
        let mut scene = polyglot(600);
        let onset = scene.now;
        scene.calls(&service("orders"), &database(name), failing(10, 10, kind));
        scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_500"));
        scene.serves(&service("orders"), failing(10, 10, "http_500"));
        scene.serves(&service("storefront"), failing(10, 10, "http_502"));
        scene.seconds(8).fires(&service("storefront"), 1.0, onset).second();
        scene.check_first(CauseKind::DependencyDown, &database(name));
        assert_eq!(scene.first_cause(1).confidence, 0.65);
        let why = format!(" because database {name} does not answer");
        assert!(scene.incident(1).title.ends_with(&why), "{}", scene.incident(1).title);
    }
}

#[test]
fn a_database_that_answers_with_errors_is_not_down() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.calls(&service("orders"), &database("orders"), failing(10, 10, "UniqueViolation"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_500"));
    scene.serves(&service("orders"), failing(10, 10, "http_500"));
    scene.seconds(8).fires(&service("storefront"), 1.0, onset).second();
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
}

#[test]
fn calls_that_are_no_longer_made_and_a_failing_probe_name_the_database() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.calls(&service("orders"), &database("orders"), well(0));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_500"));
    scene.serves(&service("orders"), failing(10, 10, "http_500"));
    scene.seconds(15).fires(&service("storefront"), 1.0, onset).second();
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown, "missing calls alone name nothing");
    scene.next.probes.push(ProbeResult {
        at: scene.now,
        probe: "postgres".to_owned(),
        entity: database("orders"),
        error: Some("connection refused".to_owned()),
        duration_nanos: 1_000_000,
        certificate_until: None,
    });
    scene.second();
    scene.check_first(CauseKind::DependencyDown, &database("orders"));
}

#[test]
fn a_service_without_an_agent_that_stops_sending_is_silent() {
    let mut scene = Scene::new();
    scene
        .serves(&service("storefront"), well(10))
        .serves(&service("orders"), well(10))
        .calls(&service("storefront"), &service("orders"), well(10))
        .seconds(600);
    kill_orders(&mut scene);
    scene.seconds(1);
    assert_eq!(scene.first_cause(1).kind, CauseKind::Unknown);
    scene.seconds(20);
    scene.check_first(CauseKind::Silent, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.8);
    assert!(scene.incident(1).title.ends_with(" because orders went silent"));
}

#[test]
fn one_silent_instance_of_two_is_named_when_calls_are_refused() {
    let mut scene = Scene::new();
    for name in ["payment-1", "payment-2"] {
        let seen = InstanceEventKind::Seen { version: String::new() };
        scene.instance_event(&instance("payment", name), seen);
    }
    scene
        .serves(&service("checkout"), well(4))
        .serves(&service("payment"), well(4))
        .calls(&service("checkout"), &service("payment"), well(4))
        .seconds(300);
    let onset = scene.now;
    scene.calls(&service("checkout"), &service("payment"), failing(4, 2, "timeout"));
    scene.serves(&service("checkout"), failing(4, 2, "http_504"));
    scene.seconds(10).fires(&service("checkout"), 0.5, onset);
    let silent = InstanceEventKind::Silent { last_heard: onset };
    scene.instance_event(&instance("payment", "payment-1"), silent).second();
    scene.check_first(CauseKind::Silent, &instance("payment", "payment-1"));
}

#[test]
fn a_deploy_just_before_on_the_node_where_the_path_ends_is_blamed() {
    let mut scene = polyglot(600);
    scene.changes(ChangeKind::Deploy, &instance("orders", "orders-1"), "telemetry").seconds(20);
    let onset = scene.now;
    scene.calls(&service("storefront"), &service("orders"), failing(10, 6, "http_500"));
    scene.serves(&service("orders"), failing(10, 6, "http_500"));
    scene.serves(&service("storefront"), failing(10, 6, "http_502"));
    scene.seconds(10).fires(&service("storefront"), 0.6, onset).second();
    scene.check_first(CauseKind::Change, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.85);
    assert!(scene.incident(1).title.contains("because of deploy of orders"));
    let timeline = &scene.incident(1).timeline;
    assert!(timeline.iter().any(|entry| entry.text.starts_with("deploy of orders")));
}

#[test]
fn a_crash_beats_a_deploy() {
    let mut scene = polyglot(600);
    scene.changes(ChangeKind::Deploy, &service("orders"), "api").seconds(30);
    kill_orders(&mut scene);
    scene.second();
    scene.check_first(CauseKind::Crash, &service("orders"));
    assert!(scene.incident(1).causes.iter().any(|cause| cause.kind == CauseKind::Change));
}

#[test]
fn what_cannot_be_explained_is_unknown_and_says_what_was_looked_at() {
    let mut scene = shop(600);
    let onset = scene.now;
    scene.serves(&service("checkout"), failing(4, 2, "http_500"));
    scene.seconds(8).fires(&service("checkout"), 0.48, onset).second();
    let incident = scene.incident(1);
    assert_eq!(incident.title, "checkout fails 48 % of requests; cause unknown");
    assert_eq!(incident.causes.len(), 1);
    let cause = &incident.causes[0];
    assert_eq!((cause.kind, &cause.entity), (CauseKind::Unknown, &service("checkout")));
    let says = |text: &str| cause.evidence.iter().any(|line| line.summary.contains(text));
    assert!(says("agents watch 1 targets") && says("0 changes"), "{cause:#?}");
}

#[test]
fn unknown_names_the_deepest_service_that_got_worse() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.calls(&service("storefront"), &service("orders"), failing(10, 5, "http_500"));
    scene.serves(&service("orders"), failing(10, 5, "http_500"));
    scene.seconds(8).fires(&service("storefront"), 0.5, onset).second();
    scene.check_first(CauseKind::Unknown, &service("orders"));
}

#[test]
fn who_hangs_above_a_silent_service_may_merely_not_ask_it() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.hushes(&service("orders"));
    scene.calls(&service("storefront"), &service("orders"), well(0));
    scene.serves(&service("storefront"), well(0)).seconds(20);
    scene.fires_as(&service("storefront"), SymptomKind::Stalled, 50.0, onset).seconds(5);
    scene.check_first(CauseKind::Unknown, &service("storefront"));
    let says = |at: usize| scene.first_cause(1).evidence[at].summary.as_str();
    assert!(says(0).contains("storefront itself does not finish requests"), "{}", says(0));
    assert!(says(1).ends_with("by itself, or in a call, is not known"), "{}", says(1));
    let silent = &scene.incident(1).causes[1];
    assert_eq!((silent.kind, silent.confidence), (CauseKind::Silent, 0.3));
    let runs = silent.evidence.iter().find(|line| !line.supports).unwrap();
    assert!(runs.summary.contains("process 4121 of target orders runs"));
}

#[test]
fn who_hangs_is_named_and_not_the_database_that_it_no_longer_asks() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.calls(&service("storefront"), &service("orders"), well(0));
    scene.calls(&service("orders"), &database("orders"), well(0));
    scene.calls(&service("orders"), &database("redis"), well(0));
    scene.serves(&service("orders"), well(0)).serves(&service("storefront"), well(0));
    scene.seconds(20).fires_as(&service("orders"), SymptomKind::Stalled, 50.0, onset).seconds(5);
    scene.check_first(CauseKind::Unknown, &service("orders"));
    scene.fires_as(&service("storefront"), SymptomKind::Stalled, 50.0, onset).seconds(5);
    scene.check_first(CauseKind::Unknown, &service("orders"));
}

#[test]
fn an_old_error_rate_leads_nowhere() {
    let mut scene = polyglot(1);
    scene.calls(&service("orders"), &database("redis"), failing(10, 3, "timeout")).seconds(600);
    let onset = scene.now + Duration::from_secs(1);
    kill_orders(&mut scene);
    scene.fires(&service("storefront"), 1.0, onset).second();
    let blamed: Vec<_> = scene.incident(1).causes.iter().map(|cause| &cause.entity).collect();
    assert!(!blamed.contains(&&database("redis")), "{blamed:?}");
}

#[test]
fn a_slow_database_is_followed_to_and_not_said_to_be_down() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    let slow = |total| Flow { seconds: 2.0, ..well(total) };
    scene.calls(&service("orders"), &database("orders"), slow(20));
    scene.calls(&service("storefront"), &service("orders"), slow(10));
    scene.serves(&service("storefront"), slow(10)).seconds(20);
    scene.fires_as(&service("storefront"), SymptomKind::LatencyBurn, 0.9, onset).second();
    scene.check_first(CauseKind::Unknown, &database("orders"));
    assert_eq!(scene.incident(1).causes.len(), 1);
    let says = &scene.first_cause(1).evidence[0].summary;
    assert!(says.contains("s on average since 08:10:00, 20 ms in the 10 min before"), "{says}");
}

#[test]
fn evidence_that_comes_far_too_late_changes_nothing() {
    let mut scene = shop(600);
    let onset = scene.now;
    scene.serves(&service("checkout"), failing(4, 2, "http_500"));
    scene.seconds(8).fires(&service("checkout"), 0.48, onset).seconds(1_300);
    scene.changes(ChangeKind::Deploy, &service("checkout"), "api").seconds(5);
    assert_eq!(scene.incident(1).causes.len(), 1);
}

#[test]
fn a_silent_instance_stays_the_cause_for_a_minute_after_it_is_back() {
    let mut scene = Scene::new();
    let (first, second) = (instance("payment", "payment-1"), instance("payment", "payment-2"));
    for one in [&first, &second] {
        scene.instance_event(one, InstanceEventKind::Seen { version: String::new() });
    }
    scene
        .serves(&service("checkout"), well(4))
        .serves(&service("payment"), well(4))
        .calls(&service("checkout"), &service("payment"), well(4))
        .seconds(300);
    let onset = scene.now;
    scene.calls(&service("checkout"), &service("payment"), failing(4, 2, "timeout"));
    scene.serves(&service("checkout"), failing(4, 2, "http_504"));
    scene.instance_event(&first, InstanceEventKind::Silent { last_heard: onset });
    scene.seconds(10).fires(&service("checkout"), 0.5, onset).seconds(5);
    scene.instance_event(&first, InstanceEventKind::Back).seconds(55);
    scene.check_first(CauseKind::Silent, &first);
    scene.seconds(15);
    // All of payment is heard of and serves what reaches it, and calls still end in timeouts.
    assert_eq!(scene.first_cause(1).kind, CauseKind::Network);
}

#[test]
fn a_configuration_after_which_a_probe_fails_is_sure_enough_to_be_taken_back() {
    // The front answers all by itself, or only that for which orders would be asked.
    for pages in [0, 6] {
        let mut scene = polyglot(300);
        scene.changes(ChangeKind::Configuration, &service("storefront"), "api").seconds(2);
        let onset = scene.now;
        scene.next.probes.push(ProbeResult {
            at: onset,
            probe: "front".to_owned(),
            entity: service("storefront"),
            error: Some("status 502, expected 200".to_owned()),
            duration_nanos: 1_000_000,
            certificate_until: None,
        });
        scene.serves(&service("storefront"), well(pages));
        scene.serves(&service("orders"), well(0));
        scene.calls(&service("storefront"), &service("orders"), well(0)).seconds(10);
        scene.fires_as(&service("storefront"), SymptomKind::ProbeFailing, 3.0, onset).second();
        scene.check_first(CauseKind::Change, &service("storefront"));
        assert!(scene.first_cause(1).confidence >= 0.8, "{:#?}", scene.first_cause(1));
    }
}
