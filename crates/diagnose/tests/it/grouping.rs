//! Which symptoms make one incident.

use std::time::Duration;

use model::{CauseKind, Entity, IncidentState, Scope, Severity, SymptomKind};

use crate::scene::*;

fn chain(names: &[&str]) -> Scene {
    let mut scene = Scene::new();
    for pair in names.windows(2) {
        scene.calls(&service(pair[0]), &service(pair[1]), well(5));
    }
    scene.seconds(60);
    scene
}

#[test]
fn two_troubles_in_unconnected_parts_stay_apart_each_with_its_cause() {
    let mut scene = polyglot(300);
    scene
        .serves(&service("mailer"), well(5))
        .calls(&service("mailer"), &service("smtp"), well(5))
        .runs("smtp", &service("smtp"), 90)
        .seconds(300);
    scene.goes("smtp", false);
    scene.calls(&service("mailer"), &service("smtp"), failing(5, 5, "connection_refused"));
    let onset = kill_orders(&mut scene);
    scene.fires(&service("mailer"), 1.0, onset).second();
    assert_eq!(scene.count(), 2);
    let mut blamed: Vec<String> = scene
        .diagnoser
        .incidents()
        .map(|incident| {
            let cause = &incident.causes[0];
            assert_eq!(cause.kind, CauseKind::Crash);
            assert_eq!(incident.causes.len(), 2, "{:#?}", incident.causes);
            format!("{} {}", incident.symptoms[0].entity, cause.entity)
        })
        .collect();
    blamed.sort();
    assert_eq!(blamed, ["mailer smtp", "storefront orders"]);
}

#[test]
fn two_calls_apart_is_one_incident_and_three_are_two() {
    for (other, incidents) in [("c", 1), ("d", 2)] {
        let mut scene = chain(&["a", "b", "c", "d"]);
        let onset = scene.now;
        scene.fires(&service("a"), 0.5, onset).fires(&service(other), 0.5, onset).second();
        assert_eq!(scene.count(), incidents, "{other}");
    }
}

#[test]
fn a_symptom_between_two_others_brings_them_together_in_the_same_tick() {
    let mut scene = chain(&["a", "b", "c", "d", "e"]);
    let onset = scene.now;
    for name in ["a", "c", "e"] {
        scene.fires(&service(name), 0.5, onset);
    }
    scene.second();
    assert_eq!(scene.count(), 1);
}

#[test]
fn trouble_nearby_more_than_ten_minutes_later_is_another_incident() {
    for (wait, incidents) in [(500, 1), (700, 2)] {
        let mut scene = chain(&["a", "b"]);
        let onset = scene.now;
        scene.fires(&service("a"), 0.5, onset).seconds(wait);
        let onset = scene.now;
        scene.fires(&service("b"), 0.5, onset).second();
        assert_eq!(scene.count(), incidents, "{wait} s");
    }
}

#[test]
fn another_symptom_of_the_same_service_joins_at_any_time() {
    let mut scene = chain(&["a", "b"]);
    let onset = scene.now;
    scene.fires(&service("a"), 0.5, onset).seconds(900);
    let onset = scene.now;
    let operation = Entity::operation(&Scope::default(), "a", "GET /cart");
    scene.fires_as(&operation, SymptomKind::LatencyBurn, 0.5, onset).second();
    assert_eq!(scene.count(), 1);
    assert_eq!(scene.incident(1).firing, [0, 1]);
}

#[test]
fn a_ticket_joins_what_is_open_and_opens_only_for_itself() {
    let mut scene = chain(&["a", "b"]);
    let onset = scene.now;
    scene.ticket(&service("b"), onset).fires(&service("a"), 0.5, onset).second();
    assert_eq!(scene.count(), 1);
    assert_eq!(scene.incident(1).symptoms[0].severity, Severity::Page);

    let mut scene = chain(&["a", "b"]);
    let onset = scene.now;
    scene.ticket(&service("b"), onset).second();
    assert_eq!(scene.incident(1).title, "ticket: b fails 2 % of requests; cause unknown");
    assert!(scene.incident(1).needs_human.is_empty());
}

#[test]
fn an_incident_is_opened_again_within_five_minutes_and_not_later() {
    for (wait, incidents) in [(200, 1), (400, 2)] {
        let mut scene = chain(&["a", "b"]);
        let onset = scene.now;
        scene.fires(&service("a"), 0.5, onset).seconds(10).recovers(&service("a")).seconds(60);
        scene.clears(&service("a")).second();
        assert_eq!(scene.incident(1).state, IncidentState::Resolved);
        scene.seconds(wait);
        let onset = scene.now;
        let diagnosis = scene.fires(&service("a"), 0.5, onset).second();
        assert_eq!(scene.count(), incidents, "{wait} s");
        assert_eq!(diagnosis.changed.len(), 2 - incidents);
        assert_eq!(diagnosis.opened.len(), incidents - 1);
        if incidents == 1 {
            let incident = scene.incident(1);
            assert_eq!((incident.state, incident.resolved), (IncidentState::Open, None));
            assert!(incident.timeline.iter().any(|e| e.text.starts_with("opened again")));
        }
    }
}

#[test]
fn a_symptom_noticed_late_joins_the_incident_it_began_in() {
    let mut scene = chain(&["a", "b"]);
    let onset = scene.now;
    scene.fires(&service("a"), 0.5, onset).seconds(10).recovers(&service("a")).seconds(5);
    scene.fires(&service("b"), 0.5, onset + Duration::from_secs(3)).second();
    assert_eq!(scene.count(), 1);
    assert_eq!(scene.incident(1).state, IncidentState::Open);
}

#[test]
fn one_trouble_near_what_is_resolved_opens_one_incident_and_nothing_again() {
    let mut scene = chain(&["a", "b"]);
    let onset = scene.now;
    scene.fires(&service("a"), 0.5, onset).seconds(10).recovers(&service("a")).seconds(60);
    scene.clears(&service("a")).seconds(60);
    let onset = scene.now;
    scene.fires(&service("b"), 0.5, onset).seconds(2);
    scene.fires(&service("a"), 0.5, onset).second();
    assert_eq!(scene.incident(1).state, IncidentState::Resolved);
    assert_eq!(scene.incident(2).firing, [0, 1], "both are of one trouble");

    let mut scene = chain(&["a", "b"]);
    let onset = scene.now;
    scene.fires(&service("a"), 0.5, onset).seconds(10).recovers(&service("a")).seconds(5);
    let onset = scene.now;
    scene.fires(&service("b"), 0.5, onset).fires(&service("a"), 0.5, onset).second();
    let incident = scene.incident(1);
    assert_eq!(incident.state, IncidentState::Open, "its recovery had not held");
}
