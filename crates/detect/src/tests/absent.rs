//! Traffic that ceases: when users are cut off, and when it merely ended.

use model::symptom::{Health, Severity, SymptomKind};
use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use model::{Entity, EntityKind};

use super::missing::{shop, warm_shop};
use super::{Scene, at, scene, scope, service};
use crate::Config;

fn identity() -> ProcessIdentity {
    let (host, boot_id) = ("host-1".to_owned(), "boot-1".to_owned());
    ProcessIdentity { host, boot_id, pid: 7, start_ticks: 1 }
}

fn report(scene: &mut Scene, target: &str, state: ProcessState) {
    let (at, entity) = (at(scene.second), Entity::instance(&scope(), "gateway", target));
    let target = target.to_owned();
    let report = ProcessReport { at, target, entity, state, memory_bytes: None };
    scene.tick().processes.push(report);
}

fn running(scene: &mut Scene, target: &str) {
    report(scene, target, ProcessState::Running(identity()));
}

/// Gone since a second.
fn gone(scene: &mut Scene, target: &str, since: u64, stop_requested: bool) {
    let state = ProcessState::Gone { last: identity(), last_seen: at(since), stop_requested };
    report(scene, target, state);
}

/// Forty minutes of a gateway in two processes.
fn gateway() -> Scene {
    let mut scene = scene(Config::default());
    scene.run(2400, |scene| {
        scene.serve("gateway", 20, 0);
        running(scene, "gateway-1");
        running(scene, "gateway-2");
    });
    scene
}

#[test]
fn traffic_that_ends_with_the_last_process_is_paged_at_once() {
    let mut scene = gateway();
    let begin = scene.second;
    scene.run(30, |scene| {
        gone(scene, "gateway-1", begin, false);
        gone(scene, "gateway-2", begin, true);
    });
    let (second, symptom) = &scene.began[0];
    assert_eq!((symptom.kind, symptom.severity), (SymptomKind::AbsentTraffic, Severity::Page));
    assert_eq!(symptom.entity, service("gateway"));
    assert!(second - begin <= 15, "{}", second - begin);
    assert!(symptom.summary.ends_with("its last process is gone"), "{}", symptom.summary);
    scene.run(90, |scene| {
        scene.serve("gateway", 20, 0);
        running(scene, "gateway-1");
    });
    assert_eq!((scene.began.len(), scene.ended.len()), (1, 1));
}

#[test]
fn it_is_paged_too_when_it_died_while_nobody_watched() {
    let mut scene = gateway();
    let died = scene.second + 100;
    scene.second += 600;
    scene.run(30, |scene| {
        gone(scene, "gateway-1", died, false);
        gone(scene, "gateway-2", died, false);
    });
    assert_eq!(scene.began.len(), 1);
}

#[test]
fn processes_that_end_by_order_or_while_others_run_are_silent() {
    // Both by order; one dies and the other runs without users; one dies and the other serves.
    for (second_runs, ordered, requests) in [(false, true, 0), (true, false, 0), (true, false, 20)]
    {
        let mut scene = gateway();
        let begin = scene.second;
        scene.run(300, |scene| {
            scene.serve("gateway", requests, 0);
            gone(scene, "gateway-1", begin, ordered);
            if second_runs {
                running(scene, "gateway-2");
            } else {
                gone(scene, "gateway-2", begin, ordered);
            }
        });
        assert!(scene.began.is_empty(), "{:?}", scene.began);
    }
}

#[test]
fn a_process_that_died_long_before_its_traffic_ended_says_nothing() {
    let mut scene = scene(Config::default());
    scene.run(2400, |scene| {
        scene.serve("gateway", 20, 0);
        gone(scene, "gateway-1", 100, false);
    });
    scene.run(300, |scene| gone(scene, "gateway-1", 100, false));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn a_service_that_others_call_needs_no_word_of_its_own_when_it_dies() {
    let mut scene = gateway();
    scene.call("edge", EntityKind::Service, "gateway", 1);
    let begin = scene.second;
    scene.run(60, |scene| {
        gone(scene, "gateway-1", begin, false);
        gone(scene, "gateway-2", begin, false);
    });
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

/// A service with so many requests per second that is heard of all the time, in ticks of 20 s.
fn serve_for(scene: &mut Scene, hours: u64, per_second: u64) {
    scene.export_every = 1;
    scene.run(hours * 180, |scene| {
        scene.second += 19;
        scene.serve("reports", 20 * per_second, 0);
        scene.heard("reports");
    });
}

#[test]
fn traffic_that_was_steady_for_a_day_and_vanishes_is_paged() {
    let mut scene = scene(Config::default());
    serve_for(&mut scene, 25, 5);
    let begin = scene.second;
    serve_for(&mut scene, 1, 0);
    let (second, symptom) = &scene.began[0];
    assert_eq!((symptom.kind, symptom.severity), (SymptomKind::AbsentTraffic, Severity::Page));
    assert!((59..95).contains(&(second - begin)), "{}", second - begin);
    assert_eq!(scene.began.len(), 1);
}

#[test]
fn a_nightly_job_is_a_ticket_the_first_night_and_nothing_from_then_on() {
    let mut scene = scene(Config::default());
    for _night in 0..3 {
        serve_for(&mut scene, 1, 5);
        serve_for(&mut scene, 23, 0);
    }
    let severities: Vec<_> = scene.began.iter().map(|(_, symptom)| symptom.severity).collect();
    assert_eq!(severities, [Severity::Ticket], "{:?}", scene.began);
}

#[test]
fn traffic_of_a_young_service_that_vanishes_is_a_ticket() {
    let mut scene = warm_shop();
    let begin = scene.second;
    scene.run(120, |scene| shop(scene, 0, 0, 0.0));
    assert_eq!(scene.began.len(), 1, "{:?}", scene.began);
    let (second, symptom) = &scene.began[0];
    assert_eq!((symptom.kind, symptom.severity), (SymptomKind::AbsentTraffic, Severity::Ticket));
    assert!((60..95).contains(&(second - begin)), "{}", second - begin);
    assert_eq!(scene.health("default-availability"), Health::NoTraffic);
    scene.run(90, |scene| shop(scene, 6, 2, 1.0));
    assert_eq!(scene.ended.len(), 1);
}

#[test]
fn a_service_that_was_stopped_is_no_data_and_no_page() {
    // At any phase of its minutely metrics.
    for phase in [1, 20, 40, 59] {
        let mut scene = warm_shop();
        scene.run(phase, |scene| shop(scene, 6, 2, 1.0));
        scene.heard("shop");
        scene.run(600, |_| {});
        assert!(scene.began.is_empty(), "{phase}: {:?}", scene.began);
        assert_eq!(scene.health("default-availability"), Health::NoData);
    }
}

#[test]
fn a_service_that_others_call_is_not_watched_for_absence() {
    let mut scene = scene(Config::default());
    scene.run(1200, |scene| {
        scene.serve("payment", 8, 0);
        scene.call("shop", EntityKind::Service, "payment", 8);
    });
    scene.run(300, |scene| scene.heard("payment"));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}
