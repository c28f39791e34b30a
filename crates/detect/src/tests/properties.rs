//! Whatever comes in: no panic, no absurd figure, the same again from a snapshot.

use model::symptom::Observed;
use model::tick::{RequestPoint, SeriesKey, TopologyChange};
use model::{Entity, EntityKind, Histogram, Tick, Timestamp};
use proptest::prelude::*;

use super::{START, scope, service, warm};
use crate::{Config, Detectors};

fn count() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => (0u32..50).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(-3.0),
        1 => Just(f64::MAX),
    ]
}

fn entity() -> impl Strategy<Value = Entity> {
    prop_oneof![
        (0..3u8).prop_map(|n| service(&format!("s{n}"))),
        (0..3u8).prop_map(|n| Entity::operation(&scope(), "s0", &format!("op{n}"))),
        (0..2u8).prop_map(|n| Entity::instance(&scope(), "s0", &format!("i{n}"))),
        Just(Entity::new(&scope(), EntityKind::Peer, "10.0.0.1:80")),
    ]
}

fn series() -> impl Strategy<Value = SeriesKey> {
    prop_oneof![
        entity().prop_map(SeriesKey::Service),
        entity().prop_map(SeriesKey::Operation),
        entity().prop_map(SeriesKey::Instance),
        (entity(), entity()).prop_map(|(caller, callee)| SeriesKey::Edge { caller, callee }),
    ]
}

fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        10 => (0u64..400).prop_map(|second| Timestamp::from_secs(START + second)),
        1 => Just(Timestamp::ZERO),
        1 => Just(Timestamp(u64::MAX)),
    ]
}

fn point() -> impl Strategy<Value = RequestPoint> {
    (series(), moment(), count(), count(), 0u64..100, 0u64..200, prop::option::of(moment()))
        .prop_map(|(series, bucket, total, errors, total_raw, errors_raw, first_error_at)| {
            RequestPoint {
                series,
                bucket,
                total,
                errors,
                total_raw,
                errors_raw,
                durations: Histogram::default(),
                within: vec![(0.3, total / 2.0)],
                error_kinds: vec![("500".to_owned(), errors)],
                first_error_at,
                exemplar: None,
            }
        })
}

fn tick() -> impl Strategy<Value = Tick> {
    let heard = prop::collection::vec((entity(), moment()), 0..3);
    let in_flight = prop::collection::vec((entity(), count()), 0..3);
    let alias = prop::option::of((entity(), entity()));
    (moment(), prop::collection::vec(point(), 0..8), heard, in_flight, alias).prop_map(
        |(now, requests, heard, in_flight, alias)| Tick {
            now,
            requests,
            heard,
            in_flight,
            topology: alias
                .into_iter()
                .map(|(from, entity)| TopologyChange::Alias { from, entity })
                .collect(),
            ..Tick::default()
        },
    )
}

fn check(observed: &Observed) {
    for symptom in &observed.firing {
        assert!(symptom.onset <= symptom.detected, "{symptom:?}");
        let figures = [symptom.bad, symptom.total, symptom.measured, symptom.threshold];
        assert!(figures.iter().all(|figure| figure.is_finite() && *figure >= 0.0), "{symptom:?}");
        assert!(symptom.bad <= symptom.total, "{symptom:?}");
    }
    for state in &observed.objectives {
        assert!(state.requests_1m.is_finite() && state.requests_1m >= 0.0, "{state:?}");
        assert!(state.good_ratio_1m.is_none_or(|ratio| (0.0..=1.0).contains(&ratio)), "{state:?}");
        assert!(state.burn.iter().flatten().all(|burn| *burn >= 0.0), "{state:?}");
    }
    assert!(observed.firing.is_sorted_by_key(|symptom| symptom.key()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_input_panics_or_makes_absurd_figures(ticks in prop::collection::vec(tick(), 1..30)) {
        let mut detectors = Detectors::new(Config::default());
        for tick in &ticks {
            check(&detectors.step(tick));
        }
        let bytes = postcard::to_stdvec(&detectors).unwrap();
        let again: Detectors = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(again, detectors);
    }
}

#[test]
fn a_snapshot_goes_on_as_if_nothing_had_happened() {
    let mut scene = warm("orders", 10.0);
    scene.run(12, |scene| scene.serve("orders", 2, 8));
    let bytes = postcard::to_stdvec(&scene.detectors).unwrap();
    let mut again: Detectors = postcard::from_bytes(&bytes).unwrap();
    for second in scene.second..scene.second + 200 {
        let tick = Tick { now: super::at(second), ..Tick::default() };
        assert_eq!(again.step(&tick), scene.detectors.step(&tick));
    }
    assert_eq!(
        postcard::to_stdvec(&again).unwrap(),
        postcard::to_stdvec(&scene.detectors).unwrap()
    );
}

#[test]
fn an_objective_takes_at_most_six_kilobytes() {
    let scene = warm("orders", 10.0);
    let bytes = postcard::to_stdvec(&scene.detectors).unwrap();
    // Two objectives, a service, the configuration.
    assert!(bytes.len() < 2 * 6_000, "{}", bytes.len());
}
