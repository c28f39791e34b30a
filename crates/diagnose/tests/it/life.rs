//! The course of an incident: states, what is told, what is kept.

use diagnose::{Config, Diagnoser};
use model::{IncidentId, IncidentState, PlanId};

use crate::scene::*;

#[test]
fn states_follow_the_symptoms_and_times_are_kept() {
    let mut scene = polyglot(60);
    let onset = kill_orders(&mut scene);
    scene.seconds(3);
    let incident = scene.incident(1);
    assert_eq!((incident.state, incident.onset), (IncidentState::Open, onset));
    let well = scene.now;
    scene.recovers(&service("storefront")).seconds(1);
    let incident = scene.incident(1);
    assert_eq!((incident.state, incident.mitigated), (IncidentState::Mitigated, Some(well)));
    scene.fires(&service("storefront"), 0.4, onset).seconds(1);
    let incident = scene.incident(1);
    assert_eq!((incident.state, incident.mitigated), (IncidentState::Open, None));
    scene.recovers(&service("storefront")).seconds(60);
    let diagnosis = scene.clears(&service("storefront")).second();
    assert_eq!(diagnosis.ended, [IncidentId(1)]);
    let incident = scene.incident(1);
    assert_eq!((incident.state, incident.resolved), (IncidentState::Resolved, Some(scene.now)));
    assert!(incident.mitigated < incident.resolved);
    assert!(incident.timeline.is_sorted_by_key(|entry| entry.at));
    assert_eq!(scene.diagnoser.active().count(), 0);
}

#[test]
fn silence_of_the_detectors_ends_nothing_for_a_minute_and_then_calls_a_person() {
    let mut scene = polyglot(60);
    kill_orders(&mut scene);
    scene.seconds(3).lets_drop(&service("storefront")).seconds(59);
    assert_eq!(scene.incident(1).state, IncidentState::Open);
    scene.seconds(5);
    let incident = scene.incident(1);
    assert_eq!(incident.state, IncidentState::Resolved);
    assert!(incident.needs_human.contains("no longer judged"), "{}", incident.needs_human);
}

#[test]
fn a_steady_incident_is_told_of_once() {
    let mut scene = polyglot(600);
    kill_orders(&mut scene);
    scene.seconds(120);
    let told: usize = scene.told.iter().map(|one| one.opened.len() + one.changed.len()).sum();
    assert!(told <= 2, "told {told} times");
}

#[test]
fn what_others_say_is_kept_and_bounded() {
    let mut scene = polyglot(60);
    kill_orders(&mut scene);
    scene.second();
    let (id, now) = (IncidentId(1), scene.now);
    assert!(scene.diagnoser.attach_plan(id, PlanId(7)));
    assert!(scene.diagnoser.attach_plan(id, PlanId(7)));
    assert!(scene.diagnoser.needs_human(id, "attempts are used up"));
    assert!(scene.diagnoser.acknowledge(id, "ada", now));
    for number in 0..1_000 {
        scene.diagnoser.note(id, now, &format!("note {number} {}", "é".repeat(2_000)));
    }
    assert!(!scene.diagnoser.note(IncidentId(9), now, "nobody there"));
    let incident = scene.incident(1);
    assert_eq!(incident.plans, [PlanId(7)]);
    assert_eq!(incident.acknowledged_by, "ada");
    assert!(incident.timeline.len() <= 200);
    let left_out = incident.timeline.iter().find(|e| e.text.ends_with("left out here")).unwrap();
    let shown = incident.timeline.len() - 1;
    let count: usize = left_out.text.split(' ').next().unwrap().parse().unwrap();
    assert!(count + shown >= 1_000, "{count} + {shown}");
    assert!(incident.timeline.last().unwrap().text.starts_with("note 999"));
}

#[test]
fn ended_incidents_beyond_the_bound_are_forgotten_oldest_first() {
    let mut scene = Scene::new();
    scene.diagnoser = Diagnoser::new(Config { ended_kept: 3, ..Config::default() });
    for name in ["a", "b", "c", "d", "e"] {
        let onset = scene.now;
        scene.fires(&service(name), 1.0, onset).seconds(2).recovers(&service(name)).seconds(2);
        scene.clears(&service(name)).second();
    }
    let kept: Vec<u64> = scene.diagnoser.incidents().map(|incident| incident.id.0).collect();
    assert_eq!(kept, [3, 4, 5]);
}

#[test]
fn services_of_an_active_incident_are_named_for_the_baselines() {
    let mut scene = polyglot(600);
    kill_orders(&mut scene);
    scene.second();
    let named = scene.diagnoser.incident_services();
    assert!(named.contains(&service("storefront")) && named.contains(&service("orders")));
    scene.recovers(&service("storefront")).seconds(2).clears(&service("storefront")).second();
    assert!(scene.diagnoser.incident_services().is_empty());
}

#[test]
fn settings_out_of_range_are_refused_with_what_is_allowed() {
    assert_eq!(Config::default().validate(), Ok(()));
    let config = Config { join_hops: 9, ..Config::default() };
    let error = config.validate().unwrap_err().to_string();
    assert_eq!(error, "diagnose.join_hops: 9 is out of range; use 0 to 5");
}

#[test]
fn an_incident_closed_by_a_person_stays_closed_while_nothing_new_is_raised() {
    let mut scene = polyglot(60);
    let onset = kill_orders(&mut scene);
    scene.second();
    let (id, now) = (IncidentId(1), scene.now);
    assert!(scene.diagnoser.needs_human(id, "attempts are used up"));
    assert!(scene.diagnoser.close(id, "ada", now));
    assert!(!scene.diagnoser.close(id, "ada", now));
    scene.seconds(120);
    assert_eq!(scene.count(), 1);
    let incident = scene.incident(1);
    assert_eq!((incident.state, incident.resolved), (IncidentState::Resolved, Some(now)));
    assert_eq!(incident.needs_human, "");
    let closed = "closed by ada without proof of recovery";
    assert!(incident.timeline.iter().any(|entry| entry.text == closed));
    // The same symptom, raised anew.
    scene.fires(&service("storefront"), 1.0, onset).second();
    let incident = scene.incident(1);
    assert_eq!((incident.state, incident.needs_human.as_str()), (IncidentState::Open, ""));
}

#[test]
fn nobody_has_to_look_any_more_once_the_recovery_held() {
    let mut scene = polyglot(60);
    kill_orders(&mut scene);
    scene.second();
    scene.diagnoser.needs_human(IncidentId(1), "cause unknown");
    scene.recovers(&service("storefront")).seconds(60).clears(&service("storefront")).second();
    let incident = scene.incident(1);
    assert_eq!(incident.state, IncidentState::Resolved);
    assert_eq!(incident.needs_human, "");
}
