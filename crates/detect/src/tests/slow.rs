//! Latency objectives, configured and learned.

use std::collections::BTreeSet;

use model::human::HumanDuration;
use model::symptom::{Health, Severity, SymptomKind};
use model::tick::SeriesKey;

use super::{Scene, scene, service};
use crate::Config;
use crate::config::{Latency, Slo};

fn serve(scene: &mut Scene, good: u64, seconds: f64) {
    scene.requests(SeriesKey::Service(service("catalog")), good, 0, seconds);
}

fn configured() -> Config {
    let slo = Slo {
        name: "catalog-fast".to_owned(),
        service: "catalog".to_owned(),
        environment: None,
        operation: None,
        objective: 99.0,
        availability: None,
        latency: Some(Latency { threshold: HumanDuration::from_millis(300) }),
        window: crate::config::default_window(),
    };
    Config { slos: vec![slo], ..Config::default() }
}

#[test]
fn requests_slower_than_the_configured_threshold_are_paged() {
    let mut scene = scene(configured());
    scene.run(600, |scene| serve(scene, 10, 0.05));
    let limits = scene.detectors.thresholds();
    assert_eq!(limits[&SeriesKey::Service(service("catalog"))], [0.3]);
    let begin = scene.second;
    scene.run(60, |scene| serve(scene, 10, 0.8));
    let (second, symptom) = &scene.began[0];
    assert_eq!(scene.began.len(), 1);
    assert_eq!((symptom.kind, &*symptom.source), (SymptomKind::LatencyBurn, "catalog-fast"));
    assert!(second - begin <= 20, "{}", second - begin);
    let summary = &scene.observed.firing[0].summary;
    assert!(summary.contains("took longer than 300 ms"), "{summary}");
    scene.run(90, |scene| serve(scene, 10, 0.05));
    assert_eq!(scene.ended.len(), 1);
}

#[test]
fn a_pause_of_some_seconds_is_silent() {
    let mut scene = scene(configured());
    scene.run(600, |scene| serve(scene, 10, 0.05));
    scene.run(4, |_| {});
    serve(&mut scene, 40, 2.0);
    scene.run(600, |scene| serve(scene, 10, 0.05));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn a_threshold_is_learned_from_quiet_traffic_only() {
    let mut scene = scene(Config::default());
    scene.run(29 * 60, |scene| serve(scene, 10, 0.2));
    assert_eq!(scene.objective("default-latency").threshold_seconds, None);
    assert_eq!(scene.health("default-latency"), Health::Learning);
    scene.detectors.set_incident_services(BTreeSet::from([service("catalog")]));
    scene.run(30 * 60, |scene| serve(scene, 10, 5.0));
    assert_eq!(scene.objective("default-latency").threshold_seconds, None);
    scene.detectors.set_incident_services(BTreeSet::new());
    scene.run(3 * 60, |scene| serve(scene, 10, 0.2));
    let threshold = scene.objective("default-latency").threshold_seconds.unwrap();
    assert!((0.4..0.5).contains(&threshold), "{threshold}");
    let limits = scene.detectors.thresholds();
    let counted = &limits[&SeriesKey::Service(service("catalog"))];
    assert_eq!((counted.len(), counted[0]), (2, threshold), "the limit, and that of a page");
    scene.run(60, |scene| serve(scene, 10, 0.2));
    assert_eq!(scene.health("default-latency"), Health::Well);
    scene.run(60, |scene| serve(scene, 10, 0.6));
    assert_eq!(scene.pages(SymptomKind::LatencyBurn).len(), 1);
    // Somebody says that this is how it is meant to be.
    assert_eq!(scene.detectors.relearn("default-latency", super::at(scene.second)), 1);
    scene.step();
    assert!(scene.observed.firing.is_empty());
    assert_eq!(scene.ended.len(), 1);
    scene.run(31 * 60, |scene| serve(scene, 10, 0.6));
    let threshold = scene.objective("default-latency").threshold_seconds.unwrap();
    assert!((1.2..1.5).contains(&threshold), "{threshold}");
}

/// A service that always took 5 ms, and learned its limit from that.
fn learned() -> Scene {
    let mut scene = scene(Config::default());
    scene.run(40 * 60, |scene| serve(scene, 10, 0.005));
    assert!(scene.objective("default-latency").threshold_seconds.is_some());
    scene
}

#[test]
fn slower_than_a_learned_limit_is_a_ticket_and_no_page() {
    let mut scene = learned();
    scene.run(2 * 3600, |scene| serve(scene, 10, 0.065));
    let severities: Vec<_> = scene.began.iter().map(|(_, symptom)| symptom.severity).collect();
    assert_eq!(severities, [Severity::Ticket]);
    assert_eq!(scene.observed.firing[0].severity, Severity::Ticket);
    scene.run(90, |scene| serve(scene, 10, 0.005));
    assert_eq!(scene.ended.len(), 1);
}

#[test]
fn requests_that_users_take_for_hanging_are_a_page_without_a_configured_limit_too() {
    let mut scene = learned();
    let mut at_once = scene.clone();
    at_once.run(60, |scene| serve(scene, 10, 2.0));
    assert_eq!(at_once.began.len(), 1);
    assert_eq!(at_once.observed.firing[0].severity, Severity::Page);
    scene.run(600, |scene| serve(scene, 10, 0.065));
    let ticket = scene.observed.firing[0].clone();
    scene.run(60, |scene| serve(scene, 10, 2.0));
    let page = &scene.observed.firing[0];
    assert_eq!((page.severity, page.key()), (Severity::Page, ticket.key()));
    assert!(page.detected > ticket.detected);
    assert_eq!(scene.ended.len(), 0);
}

#[test]
fn an_outage_is_told_of_once_not_as_slowness_too() {
    let mut scene = scene(configured());
    scene.run(600, |scene| serve(scene, 10, 0.05));
    scene.run(60, |scene| {
        scene.requests(SeriesKey::Service(service("catalog")), 0, 10, 3.0);
    });
    assert_eq!(scene.pages(SymptomKind::LatencyBurn).len(), 0);
    assert_eq!(scene.pages(SymptomKind::AvailabilityBurn).len(), 1);
}
