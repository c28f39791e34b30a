//! Harm is noticed, in time, once.

use model::symptom::{Health, Severity, SymptomKind};

use super::{Lcg, at, scene, service, warm};
use crate::Config;
use crate::config::{Availability, Slo};

/// Most seconds from the first bad request to the page, whenever in the rhythm of exports it comes.
fn delay(per_second: f64, ratio: f64) -> Option<u64> {
    let warm = warm("checkout", per_second);
    let delays = (0..10).map(|phase| {
        let mut scene = warm.clone();
        scene.run(phase, |scene| {
            let count = scene.share(per_second);
            scene.serve("checkout", count, 0);
        });
        let begin = scene.second;
        let mut random = Lcg::new(3);
        scene.run(60, |scene| {
            let count = scene.share(per_second);
            let bad = if ratio >= 1.0 { count } else { random.among(count, ratio) };
            scene.serve("checkout", count - bad, bad);
        });
        scene.began.first().map(|(second, _)| second - begin)
    });
    delays.collect::<Option<Vec<u64>>>()?.into_iter().max()
}

#[test]
fn sudden_harm_is_paged_within_seconds_of_its_arrival() {
    // (requests per second, share that fails, seconds at most); telemetry arrives each 5 s.
    for (rate, ratio, most) in [
        (5.0, 1.0, 11),
        (3.0, 0.5, 15),
        (3.0, 1.0, 11),
        (1.0, 1.0, 16),
        (30.0, 0.5, 11),
        (30.0, 0.25, 16),
        (10.0, 0.3, 16),
        (100.0, 0.2, 16),
    ] {
        let delay = delay(rate, ratio);
        assert!(delay.is_some_and(|delay| delay <= most), "{rate}/s at {ratio}: {delay:?}");
    }
}

#[test]
fn the_symptom_says_since_when_how_bad_and_of_what_kind() {
    let mut scene = warm("storefront", 10.0);
    scene.run(3, |scene| scene.serve("storefront", 10, 0));
    let onset = scene.second;
    scene.run(13, |scene| scene.serve("storefront", 5, 5));
    assert_eq!(scene.began.len(), 1);
    let symptom = &scene.observed.firing[0];
    assert_eq!(symptom.entity, service("storefront"));
    assert_eq!(symptom.kind, SymptomKind::AvailabilityBurn);
    assert_eq!(symptom.source, "default-availability");
    assert_eq!(symptom.severity, Severity::Page);
    assert_eq!(symptom.onset, at(onset));
    assert_eq!(symptom.recovering_since, None);
    assert!((0.4..=0.5).contains(&symptom.measured), "{}", symptom.measured);
    assert_eq!(symptom.error_kinds, [("502".to_owned(), symptom.bad)]);
    assert!(symptom.exemplar.as_ref().is_some_and(|exemplar| exemplar.error));
    let expected = "65 of 150 requests to storefront failed since 08:10:03 (43 %), objective 99 %";
    assert_eq!(symptom.summary, expected);
    assert_eq!(scene.health("default-availability"), Health::Burning);
}

#[test]
fn a_service_that_fails_from_its_first_request_on_is_paged() {
    let mut scene = scene(Config::default());
    scene.run(16, |scene| scene.serve("new", 0, 2));
    assert_eq!(scene.began.len(), 1);
}

#[test]
fn slow_harm_is_a_ticket_by_the_burn_rate_and_a_page_overrides_it() {
    // One in 22 fails, evenly: 4.5 times the budget, below what the fast tier is made for.
    let mut scene = scene(Config::default());
    scene.run(17 * 3600, |scene| {
        let bad = u64::from(scene.second.is_multiple_of(22));
        scene.serve("checkout", 1 - bad, bad);
    });
    let (_, first) = &scene.began[0];
    assert_eq!((scene.began.len(), scene.ended.len()), (1, 0), "{:?}", scene.began);
    assert_eq!(first.severity, Severity::Ticket, "{}", first.summary);
    assert!(first.summary.contains("in 1d, objective 99 %: the error budget of 28d lasts"));
    let mut well = scene.clone();
    well.run(3 * 3600, |scene| scene.serve("checkout", 1, 0));
    assert_eq!(well.ended.len(), 1, "the ticket ends with its short window");
    assert!(well.observed.firing.is_empty());
    let onset = scene.second;
    scene.run(16, |scene| scene.serve("checkout", 0, 2));
    let symptom = &scene.observed.firing[0];
    assert_eq!(scene.observed.firing.len(), 1);
    assert_eq!(symptom.severity, Severity::Page);
    assert!(symptom.onset >= at(onset - 22) && symptom.onset <= at(onset), "{}", symptom.onset);
}

#[test]
fn harm_between_the_tiers_stands_instead_of_flapping() {
    let mut scene = warm("checkout", 20.0);
    let mut random = Lcg::new(9);
    scene.run(2 * 3600, |scene| {
        let bad = random.among(20, 0.055);
        scene.serve("checkout", 20 - bad, bad);
    });
    assert_eq!((scene.began.len(), scene.ended.len()), (1, 0), "{:?}", scene.ended);
}

#[test]
fn trouble_that_becomes_clearly_worse_is_told_of_anew() {
    for (first, then) in [(0.2, 1.0), (0.5, 1.0), (0.1, 0.6)] {
        let mut scene = warm("checkout", 20.0);
        let mut random = Lcg::new(4);
        let mut fail = |scene: &mut super::Scene, share: f64| {
            let bad = random.among(20, share);
            scene.serve("checkout", 20 - bad, bad);
        };
        scene.run(15 * 60, |scene| fail(scene, first));
        let raised = scene.observed.firing[0].clone();
        assert!(raised.detected <= at(600 + 15), "{first} is told of once: {}", raised.detected);
        let begin = scene.second;
        scene.run(22, |scene| fail(scene, then));
        let symptom = scene.observed.firing[0].clone();
        assert!(symptom.detected > at(begin), "{first} -> {then}: {}", symptom.detected);
        assert_eq!((symptom.onset, symptom.key()), (raised.onset, raised.key()));
        assert_eq!(symptom.severity, Severity::Page);
        let since = format!("worse since {}", at(begin).clock());
        assert!(symptom.summary.contains(&since), "{}", symptom.summary);
        scene.run(600, |scene| fail(scene, then));
        assert_eq!(scene.observed.firing[0].detected, symptom.detected, "and that once");
    }
}

#[test]
fn an_outage_as_a_whole_is_told_of_once() {
    for rate in [1, 5, 20] {
        let mut scene = warm("checkout", rate as f64);
        scene.run(3, |scene| scene.serve("checkout", rate, 0));
        scene.run(1800, |scene| scene.serve("checkout", 0, rate));
        let symptom = &scene.observed.firing[0];
        assert!(symptom.detected <= at(603 + 20), "{rate}/s: {}", symptom.detected);
    }
}

#[test]
fn trouble_that_stays_as_bad_is_told_of_once() {
    let mut random = Lcg::new(8);
    for share in [0.1, 0.33, 0.5] {
        let mut scene = warm("checkout", 10.0);
        scene.run(2 * 3600, |scene| {
            let bad = random.among(10, share);
            scene.serve("checkout", 10 - bad, bad);
        });
        assert!(scene.observed.firing[0].detected <= at(660), "{share}");
    }
}

#[test]
fn one_bad_instance_of_two_that_export_in_turn_is_not_worse_by_turns() {
    let mut scene = warm("checkout", 10.0);
    scene.export_every = 1;
    scene.run(1800, |scene| match scene.second % 10 {
        0 => scene.serve("checkout", 0, 50),
        5 => scene.serve("checkout", 50, 0),
        _ => {}
    });
    let detected = scene.observed.firing[0].detected;
    assert!(detected <= at(640), "after {:?}", detected.since(at(600)));
}

#[test]
fn an_slo_of_an_operation_is_judged_by_that_operation_alone() {
    let slo = Slo {
        name: "buy".to_owned(),
        service: "checkout".to_owned(),
        environment: Some("production".to_owned()),
        operation: Some("POST /checkout".to_owned()),
        objective: 99.9,
        availability: Some(Availability {}),
        latency: None,
        window: crate::config::default_window(),
    };
    let mut scene = scene(Config { slos: vec![slo], ..Config::default() });
    scene.run(60, |scene| {
        scene.serve("checkout", 100, 2);
        let entity = model::Entity::operation(&super::scope(), "checkout", "POST /checkout");
        scene.requests(model::tick::SeriesKey::Operation(entity), 2, 2, 0.02);
    });
    let sources: Vec<_> = scene.observed.firing.iter().map(|symptom| &symptom.source).collect();
    assert_eq!(sources, ["buy"]);
    assert_eq!(scene.observed.firing[0].entity.to_string(), "checkout POST /checkout");
}
