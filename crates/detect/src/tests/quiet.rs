//! Healthy stays quiet.

use std::time::Duration;

use model::symptom::Health;
use model::tick::{BUCKET, RequestPoint, SeriesKey};
use model::{Histogram, Tick, Timestamp};

use super::{Lcg, START, scene, service, warm};
use crate::{Config, Detectors};

#[test]
fn a_single_burst_of_errors_in_healthy_traffic_is_silent() {
    for (rate, burst) in [(3, 3), (3, 4), (10, 4), (30, 10)] {
        let mut scene = warm("checkout", f64::from(rate));
        scene.serve("checkout", 0, burst);
        scene.run(600, |scene| scene.serve("checkout", rate as u64, 0));
        assert!(scene.began.is_empty(), "{rate}/s, {burst} errors: {:?}", scene.began);
    }
}

#[test]
fn a_single_second_in_which_everything_fails_is_silent() {
    for rate in [5, 20, 100] {
        let warm = warm("checkout", rate as f64);
        for phase in 0..10 {
            let mut scene = warm.clone();
            scene.run(phase, |scene| scene.serve("checkout", rate, 0));
            scene.run(1, |scene| scene.serve("checkout", 0, rate));
            scene.run(60, |scene| scene.serve("checkout", rate, 0));
            assert!(scene.began.is_empty(), "{rate}/s, {phase}: {:?}", scene.began);
        }
    }
}

#[test]
fn a_steady_half_percent_against_ninety_nine_is_silent() {
    let mut scene = warm("checkout", 20.0);
    let mut random = Lcg::new(5);
    scene.run(4 * 3600, |scene| {
        let bad = random.among(20, 0.005);
        scene.serve("checkout", 20 - bad, bad);
    });
    assert!(scene.began.is_empty(), "{:?}", scene.began);
    assert_eq!(scene.health("default-availability"), Health::Well);
}

#[test]
fn a_surge_with_the_same_share_of_errors_is_silent() {
    let mut scene = warm("checkout", 10.0);
    let mut random = Lcg::new(6);
    scene.run(900, |scene| {
        let bad = random.among(200, 0.005);
        scene.serve("checkout", 200 - bad, bad);
    });
    scene.run(900, |scene| scene.serve("checkout", 10, 0));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn rolling_restarts_with_a_couple_of_errors_are_silent() {
    let mut scene = warm("orders", 10.0);
    for _ in 0..6 {
        scene.serve("orders", 8, 2);
        scene.run(1, |_| {});
        scene.serve("orders", 9, 1);
        scene.run(59, |scene| scene.serve("orders", 10, 0));
    }
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn with_hardly_any_traffic_single_errors_are_silent() {
    let mut scene = scene(Config::default());
    scene.run(24 * 3600, |scene| {
        let error = scene.second % (5 * 3600) == 7 * 60;
        if scene.second % 60 == 0 {
            scene.serve("batch", u64::from(!error), u64::from(error));
        }
    });
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

#[test]
fn the_first_errors_of_a_life_cannot_fill_an_hour() {
    let mut scene = scene(Config::default());
    // Two of the first forty requests fail, then all is well: 5 %, five times the budget.
    scene.run(40, |scene| {
        let bad = u64::from(scene.second == 3 || scene.second == 30);
        scene.serve("young", 1 - bad, bad);
    });
    scene.run(3600, |scene| scene.serve("young", 1, 0));
    assert!(scene.began.is_empty(), "{:?}", scene.began);
}

/// An objective that is just kept, in ticks of 40 s, for `days`: how many symptoms by the fast
/// tier.
fn false_pages(days: u64, per_tick: u64, ratio: f64, seed: u64) -> usize {
    let mut config = Config::default();
    config.default_slo.latency.enabled = false;
    config.burn.enabled = false;
    let mut detectors = Detectors::new(config);
    let mut random = Lcg::new(seed);
    let mut began = 0;
    let mut firing = 0;
    for step in 1..days * 2160 {
        let now = Timestamp::from_secs(START) + Duration::from_secs(step * 40);
        let bad = random.among(per_tick, ratio);
        let point = RequestPoint {
            series: SeriesKey::Service(service("steady")),
            bucket: (now - Duration::from_secs(5)).floor_to(BUCKET),
            total: per_tick as f64,
            errors: bad as f64,
            total_raw: per_tick,
            errors_raw: bad,
            durations: Histogram::default(),
            within: Vec::new(),
            error_kinds: Vec::new(),
            first_error_at: (bad > 0).then(|| now - Duration::from_secs(3)),
            exemplar: None,
        };
        let tick = Tick { seq: step, now, requests: vec![point], ..Tick::default() };
        let observed = detectors.step(&tick);
        began += usize::from(observed.firing.len() > firing);
        firing = observed.firing.len();
    }
    began
}

#[test]
fn two_hundred_days_at_the_very_edge_of_the_objective_page_at_most_once() {
    // 0.1 a year are promised; 50 days each at four rates of errors up to the whole budget.
    let pages: usize = [(1, 0.01), (2, 0.01), (3, 0.005), (4, 0.002)]
        .iter()
        .map(|(seed, ratio)| false_pages(50, 40, *ratio, *seed))
        .sum();
    assert!(pages <= 1, "{pages} false pages in 200 days");
}

/// A day's shape of traffic, half as much at night, in six hours; sessions that look, and sometimes
/// buy in several steps; a call per purchase; a rolling restart each hour; readings in flight each
/// minute.
fn ordinary_day(seed: u64) -> super::Scene {
    let mut scene = scene(Config::default());
    let mut random = Lcg::new(seed);
    // Purchases under way: seconds at which their next steps come.
    let mut steps: Vec<u64> = Vec::new();
    scene.run(6 * 3600, |scene| {
        let phase = scene.second as f64 / (6.0 * 3600.0) * std::f64::consts::TAU;
        let looks = random.poisson(6.0 - 3.0 * phase.cos());
        for _ in 0..random.poisson(0.12) {
            let begin = scene.second;
            steps.extend((0..10).map(|step| begin + 4 * step));
        }
        let buys = steps.iter().filter(|step| **step == scene.second).count() as u64;
        steps.retain(|step| *step > scene.second);
        let restart = scene.second % 3600 < 2;
        let bad = if restart { random.among(looks, 0.2) } else { random.among(looks, 0.002) };
        scene.serve("shop", looks + buys - bad, bad);
        scene.operate("shop", "GET /", looks);
        scene.operate("shop", "POST /cart", buys);
        scene.call("shop", model::EntityKind::Service, "stock", buys);
        scene.serve("stock", buys, 0);
        if scene.second.is_multiple_of(60) {
            scene.in_flight("shop", random.poisson(2.0) as f64);
            scene.heard("shop");
            scene.heard("stock");
        }
    });
    scene
}

#[test]
fn ordinary_days_are_silent() {
    for seed in 1..=3 {
        let scene = ordinary_day(seed);
        assert!(scene.began.is_empty(), "seed {seed}: {:?}", scene.began);
    }
}

#[test]
fn trouble_of_one_environment_is_none_of_another() {
    let mut scene = warm("checkout", 10.0);
    let staging = model::Entity::service(&model::Scope::new("default", "staging"), "checkout");
    scene.run(60, |scene| {
        scene.serve("checkout", 10, 0);
        scene.requests(SeriesKey::Service(staging.clone()), 0, 10, 0.02);
    });
    let environments: Vec<_> =
        scene.observed.firing.iter().map(|it| it.entity.scope.environment.as_str()).collect();
    assert_eq!(environments, ["staging"]);
}
