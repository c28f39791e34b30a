//! What does not come: completions, answers to probes; and the innocent reasons for it.

use std::time::Duration;

use model::human::HumanDuration;
use model::symptom::SymptomKind;
use model::tick::{ProbeResult, TopologyChange};
use model::{Entity, EntityKind};

use super::{Scene, at, scene, scope, service};
use crate::Config;
use crate::config::{Probe, TcpProbe};

/// A storefront with a frequent and a rare operation and calls to a database; metrics each minute.
pub fn shop(scene: &mut Scene, browse: u64, buy: u64, in_flight: f64) {
    scene.serve("shop", browse + buy, 0);
    scene.operate("shop", "GET /", browse);
    scene.operate("shop", "POST /buy", buy);
    scene.call("shop", EntityKind::Database, "stock", buy);
    if scene.second.is_multiple_of(60) {
        scene.in_flight("shop", in_flight);
        scene.heard("shop");
    }
}

pub fn warm_shop() -> Scene {
    let mut scene = scene(Config::default());
    scene.run(1200, |scene| shop(scene, 6, 2, 1.0));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
    scene
}

#[test]
fn a_service_in_which_requests_wait_and_none_ends_is_stalled() {
    let mut scene = warm_shop();
    scene.run(90, |scene| shop(scene, 0, 0, 40.0));
    let pages = scene.pages(SymptomKind::Stalled);
    assert_eq!(pages.len(), 1, "{pages:?}");
    assert!(pages[0].summary.contains("while 37 are waiting"), "{}", pages[0].summary);
    assert!(pages[0].onset <= at(1200));
    scene.run(90, |scene| shop(scene, 6, 2, 1.0));
    assert_eq!(scene.ended.len(), 1);
}

#[test]
fn users_who_leave_while_some_connections_stand_are_no_stall() {
    let mut scene = scene(Config::default());
    scene.run(1200, |scene| shop(scene, 1, 0, 12.0));
    scene.run(600, |scene| shop(scene, 0, 0, 12.0));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn an_operation_that_hangs_is_noticed_while_the_others_go_on() {
    let mut scene = warm_shop();
    scene.run(1200, |scene| shop(scene, 6, 2, 1.0));
    let begin = scene.second;
    scene.run(60, |scene| shop(scene, 6, 0, 1.0));
    let (second, symptom) = &scene.began[0];
    assert_eq!(symptom.kind, SymptomKind::Stalled);
    assert_eq!(symptom.entity, service("shop"));
    assert!(second - begin <= 40, "{}", second - begin);
    let sources: Vec<&str> = scene.observed.firing.iter().map(|it| it.source.as_str()).collect();
    assert_eq!(sources, ["calls to database stock", "operation POST /buy"]);
    scene.run(90, |scene| shop(scene, 6, 2, 1.0));
    assert_eq!(scene.ended.len(), 2);
    assert!(scene.observed.firing.is_empty());
}

#[test]
fn a_cache_that_makes_calls_unnecessary_is_silent() {
    let mut scene = scene(Config::default());
    let each = |calls: u64| {
        move |scene: &mut Scene| {
            scene.serve("shop", 8, 0);
            scene.call("shop", EntityKind::Database, "stock", calls);
        }
    };
    scene.run(1200, each(4));
    scene.run(600, each(0));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn an_address_that_is_scaled_in_is_silent() {
    let mut scene = scene(Config::default());
    let each = |first: u64, second: u64| {
        move |scene: &mut Scene| {
            scene.serve("gateway", 8, 0);
            scene.call("gateway", EntityKind::Peer, "10.0.0.1:80", first);
            scene.call("gateway", EntityKind::Peer, "10.0.0.2:80", second);
        }
    };
    scene.run(1200, each(4, 4));
    scene.run(600, each(8, 0));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn a_peer_that_gets_its_name_is_silent() {
    let mut scene = scene(Config::default());
    let each = |kind: EntityKind, name: &'static str| {
        move |scene: &mut Scene| {
            scene.serve("gateway", 8, 0);
            scene.call("gateway", kind, name, 8);
        }
    };
    scene.run(1200, each(EntityKind::Database, "10.0.0.1:5432"));
    let from = Entity::new(&scope(), EntityKind::Database, "10.0.0.1:5432");
    let entity = Entity::new(&scope(), EntityKind::Database, "orders");
    scene.tick().topology.push(TopologyChange::Alias { from, entity });
    scene.run(600, each(EntityKind::Database, "orders"));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn a_function_that_users_slowly_stop_using_is_silent() {
    let mut scene = scene(Config::default());
    scene.run(1200, |scene| shop(scene, 6, 2, 1.0));
    for remaining in (0..40).rev() {
        scene.run(60, |scene| {
            let buy = scene.share(f64::from(remaining) / 20.0);
            shop(scene, 6, buy, 1.0);
        });
    }
    scene.run(900, |scene| shop(scene, 6, 0, 1.0));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn a_rare_operation_that_ceases_needs_requests_that_wait() {
    for (waiting, expected) in [(1.0, 0), (9.0, 2)] {
        let mut scene = scene(Config::default());
        scene.run(1200, |scene| {
            let buy = u64::from(scene.second.is_multiple_of(4));
            shop(scene, 10, buy, 1.0);
        });
        scene.run(180, |scene| shop(scene, 10, 0, waiting));
        assert_eq!(scene.began.len(), expected, "{waiting} waiting: {:?}", scene.began);
    }
}

#[test]
fn what_did_not_come_while_nobody_watched_says_nothing() {
    let mut scene = warm_shop();
    scene.second += 900;
    // Heard at once, requests a little later; then each operation in its turn.
    scene.run(7, |scene| scene.heard("shop"));
    scene.in_flight("shop", 30.0);
    scene.run(5, |scene| shop(scene, 6, 0, 1.0));
    scene.run(300, |scene| shop(scene, 6, 2, 1.0));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

fn probed() -> Scene {
    let probe = Probe {
        name: "front".to_owned(),
        service: "gateway".to_owned(),
        environment: "production".to_owned(),
        http: None,
        tcp: Some(TcpProbe { address: "127.0.0.1:80".to_owned() }),
        interval: HumanDuration::from_secs(5),
        timeout: HumanDuration::from_secs(2),
        failures: 3,
    };
    scene(Config { probes: vec![probe], ..Config::default() })
}

fn answer(scene: &mut Scene, error: Option<&str>) {
    if scene.second.is_multiple_of(5) {
        let result = ProbeResult {
            at: at(scene.second) - Duration::from_millis(100),
            probe: "front".to_owned(),
            entity: service("gateway"),
            error: error.map(str::to_owned),
            duration_nanos: 1,
            certificate_until: None,
        };
        scene.tick().probes.push(result);
    }
}

#[test]
fn a_probe_that_fails_three_times_in_a_row_is_a_symptom_until_it_answers_again() {
    let mut scene = probed();
    scene.run(60, |scene| answer(scene, None));
    scene.run(10, |scene| answer(scene, Some("timed out after 2s")));
    scene.run(5, |scene| answer(scene, None));
    assert!(scene.began.is_empty(), "twice is not three times");
    let onset = scene.second;
    scene.run(30, |scene| answer(scene, Some("timed out after 2s")));
    let (second, symptom) = &scene.began[0];
    assert_eq!((*second, symptom.kind), (onset + 10, SymptomKind::ProbeFailing));
    assert_eq!(symptom.onset, at(onset) - Duration::from_millis(100));
    assert!(
        symptom.summary.ends_with("3 times in a row: timed out after 2s"),
        "{}",
        symptom.summary
    );
    scene.run(300, |_| {});
    assert_eq!(scene.observed.firing.len(), 1, "no answers are no good answers");
    scene.run(70, |scene| answer(scene, None));
    assert_eq!(scene.ended.len(), 1);
}
