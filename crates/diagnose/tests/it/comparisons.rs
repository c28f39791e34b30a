//! Causes that rest on a comparison: versions, siblings, caller and callee, memory over time,
//! users then and now.

use model::tick::InstanceEventKind;
use model::{CauseKind, ChangeKind, SymptomKind};

use crate::scene::*;

fn slow(total: u64, seconds: f64) -> Flow {
    Flow { seconds, ..well(total) }
}

/// gateway -> catalog with two instances, both of version v1.
fn catalogs() -> Scene {
    let mut scene = Scene::new();
    for name in ["catalog-1", "catalog-2"] {
        let version = "v1".to_owned();
        let seen = InstanceEventKind::Seen { version };
        scene.instance_event(&instance("catalog", name), seen);
        scene.serves(&instance("catalog", name), well(5));
    }
    scene
        .serves(&service("gateway"), well(10))
        .serves(&service("catalog"), well(10))
        .calls(&service("gateway"), &service("catalog"), well(10))
        .seconds(600);
    scene
}

fn upgrades(scene: &mut Scene, name: &str) {
    let (from, to) = ("v1".to_owned(), "v2".to_owned());
    scene.instance_event(&instance("catalog", name), InstanceEventKind::Version { from, to });
}

/// So many of ten calls of the gateway fail each second, and of five at each instance.
fn fails(scene: &mut Scene, first: u64, second: u64) {
    let all = first + second;
    scene.serves(&instance("catalog", "catalog-1"), failing(5, first, "http_500"));
    scene.serves(&instance("catalog", "catalog-2"), failing(5, second, "http_500"));
    scene.serves(&service("catalog"), failing(10, all, "http_500"));
    scene.calls(&service("gateway"), &service("catalog"), failing(10, all, "http_500"));
    scene.serves(&service("gateway"), failing(10, all, "http_502"));
}

fn says(scene: &Scene, text: &str) -> bool {
    scene.first_cause(1).evidence.iter().any(|line| line.summary.contains(text))
}

#[test]
fn a_new_version_that_hurts_beside_an_old_one_that_does_not_is_sure_minutes_later() {
    let mut scene = catalogs();
    upgrades(&mut scene, "catalog-2");
    scene.changes(ChangeKind::Deploy, &service("catalog"), "telemetry").seconds(240);
    let onset = scene.now;
    fails(&mut scene, 0, 3);
    scene.seconds(25).fires(&service("gateway"), 0.3, onset).second();
    scene.check_first(CauseKind::Change, &service("catalog"));
    assert!(scene.first_cause(1).confidence >= 0.9, "{:#?}", scene.first_cause(1));
    assert!(says(&scene, "beside it v1: 0 of"));
}

#[test]
fn a_version_whose_predecessor_hurts_as_well_is_not_named() {
    let mut scene = catalogs();
    upgrades(&mut scene, "catalog-2");
    scene.changes(ChangeKind::Deploy, &service("catalog"), "telemetry").seconds(60);
    let onset = scene.now;
    fails(&mut scene, 3, 3);
    scene.seconds(25).fires(&service("gateway"), 0.6, onset).second();
    let change = scene.incident(1).causes.iter().find(|cause| cause.kind == CauseKind::Change);
    assert!(change.is_some_and(|change| change.confidence < 0.5), "{change:#?}");
}

#[test]
fn one_of_two_that_were_upgraded_alike_is_an_outlier_and_clears_the_version() {
    let mut scene = catalogs();
    upgrades(&mut scene, "catalog-1");
    upgrades(&mut scene, "catalog-2");
    scene.changes(ChangeKind::Deploy, &service("catalog"), "telemetry").seconds(60);
    let onset = scene.now;
    fails(&mut scene, 4, 0);
    scene.seconds(25).fires(&service("gateway"), 0.4, onset).second();
    scene.check_first(CauseKind::Outlier, &instance("catalog", "catalog-1"));
    assert!(scene.first_cause(1).confidence >= 0.8);
}

#[test]
fn a_slow_instance_is_named_with_its_siblings_as_evidence() {
    let mut scene = catalogs();
    let onset = scene.now;
    scene.serves(&instance("catalog", "catalog-2"), slow(5, 0.8));
    scene.serves(&service("catalog"), slow(10, 0.41));
    scene.calls(&service("gateway"), &service("catalog"), slow(10, 0.41));
    scene.serves(&service("gateway"), slow(10, 0.42)).seconds(15);
    scene.fires_as(&service("gateway"), SymptomKind::LatencyBurn, 0.5, onset).second();
    scene.check_first(CauseKind::Outlier, &instance("catalog", "catalog-2"));
    assert_eq!(scene.first_cause(1).confidence, 0.85);
    assert!(says(&scene, "catalog-1 in the same time"));
    let title = &scene.incident(1).title;
    assert!(title.contains("because catalog-2 takes 7"), "{title}");
    assert!(title.ends_with("on average, its siblings 20 ms"), "{title}");
}

#[test]
fn instances_that_are_slow_together_are_no_outliers() {
    let mut scene = catalogs();
    let onset = scene.now;
    for name in ["catalog-1", "catalog-2"] {
        scene.serves(&instance("catalog", name), slow(5, 0.8));
    }
    scene.serves(&service("catalog"), slow(10, 0.8));
    scene.calls(&service("gateway"), &service("catalog"), slow(10, 0.8)).seconds(15);
    scene.fires_as(&service("gateway"), SymptomKind::LatencyBurn, 0.5, onset).second();
    scene.check_first(CauseKind::Unknown, &service("catalog"));
}

#[test]
fn time_lost_between_two_that_work_as_before_names_the_way() {
    let mut scene = polyglot(600);
    let onset = scene.now;
    scene.calls(&service("storefront"), &service("orders"), slow(10, 2.02));
    scene.serves(&service("storefront"), slow(10, 2.1)).seconds(15);
    scene.fires_as(&service("storefront"), SymptomKind::LatencyBurn, 1.0, onset).second();
    scene.check_first(CauseKind::Network, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.8);
    assert!(says(&scene, "storefront waited 1.9 s"));
    // Orders itself is slow: nothing is said against the way any more.
    let mut scene = polyglot(600);
    scene.serves(&service("orders"), slow(10, 2.0));
    scene.calls(&service("storefront"), &service("orders"), slow(10, 2.02)).seconds(15);
    scene.fires_as(&service("storefront"), SymptomKind::LatencyBurn, 1.0, onset).second();
    scene.check_first(CauseKind::Unknown, &service("orders"));
}

/// Orders grows by so many mebibytes a second for a minute and takes so much longer each second.
fn grows(scene: &mut Scene, mebibytes: u64, seconds: f64) {
    for second in 0..60_u64 {
        scene.memory.insert("orders".to_owned(), 64 + mebibytes * second);
        let flow = slow(10, 0.02 + seconds * second as f64);
        scene.serves(&service("orders"), flow.clone());
        scene.calls(&service("storefront"), &service("orders"), flow).second();
    }
}

#[test]
fn a_process_that_slows_down_as_it_grows_leaks() {
    let mut scene = polyglot(0);
    scene.memory.insert("orders".to_owned(), 64);
    scene.seconds(600);
    let onset = scene.now + std::time::Duration::from_secs(20);
    grows(&mut scene, 4, 0.02);
    scene.fires_as(&service("storefront"), SymptomKind::LatencyBurn, 0.5, onset).second();
    scene.check_first(CauseKind::Leak, &service("orders"));
    assert_eq!(scene.first_cause(1).confidence, 0.85, "{:#?}", scene.first_cause(1));
    assert_eq!(scene.first_cause(1).process, Some(identity(4121)));
}

#[test]
fn growth_that_slows_nothing_is_no_cause() {
    let mut scene = polyglot(0);
    scene.memory.insert("orders".to_owned(), 64);
    scene.seconds(600);
    grows(&mut scene, 4, 0.0);
    let onset = scene.now;
    scene.calls(&service("orders"), &database("orders"), failing(10, 10, "ECONNREFUSED"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_500"));
    scene.serves(&service("orders"), failing(10, 10, "http_500"));
    scene.seconds(8).fires(&service("storefront"), 1.0, onset).second();
    scene.check_first(CauseKind::DependencyDown, &database("orders"));
}

#[test]
fn users_that_came_fourfold_before_they_were_hurt_are_the_cause() {
    let mut scene = polyglot(600);
    scene.serves(&service("storefront"), failing(40, 20, "http_503"));
    scene.serves(&service("orders"), failing(40, 20, "http_503"));
    scene.calls(&service("storefront"), &service("orders"), failing(40, 20, "http_503"));
    let onset = scene.now;
    scene.seconds(12).fires(&service("storefront"), 0.5, onset).second();
    scene.check_first(CauseKind::Surge, &service("storefront"));
    assert!(says(&scene, "requests/s, 10.0 before"));
}

#[test]
fn a_crash_that_was_over_when_users_were_well_is_not_blamed_for_what_hurts_them_next() {
    let mut scene = polyglot(600);
    let onset = kill_orders(&mut scene);
    scene.second();
    scene.check_first(CauseKind::Crash, &service("orders"));
    scene.seconds(20).runs("orders", &service("orders"), 5000);
    let calm = |scene: &mut Scene| {
        scene
            .serves(&service("orders"), well(10))
            .serves(&service("storefront"), well(10))
            .calls(&service("storefront"), &service("orders"), well(10))
            .calls(&service("orders"), &database("orders"), well(20))
            .calls(&service("orders"), &database("redis"), well(10));
    };
    calm(&mut scene);
    scene.seconds(15).recovers(&service("storefront")).seconds(20);
    scene.calls(&service("orders"), &database("orders"), failing(10, 10, "ECONNREFUSED"));
    scene.calls(&service("storefront"), &service("orders"), failing(10, 10, "http_500"));
    scene.serves(&service("orders"), failing(10, 10, "http_500"));
    scene.serves(&service("storefront"), failing(10, 10, "http_502"));
    scene.seconds(8).fires(&service("storefront"), 1.0, onset).second();
    scene.check_first(CauseKind::DependencyDown, &database("orders"));
}
