//! Series that are usual, that jump, that move, and that are not whole.

use std::time::Duration;

use model::Timestamp;
use proptest::prelude::*;

use super::*;

const STEP: u64 = 300;
const A_DAY: u64 = 86_400 / STEP;

/// Noise that is the same each time: a small linear congruential generator, -1 to 1.
fn noise(at: u64) -> f64 {
    let mixed = (at ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    f64::from((mixed >> 40) as u32) / f64::from(1 << 23) - 1.0
}

/// Two weeks of a value that is higher by day than by night.
fn daily(at: u64) -> f64 {
    let hours = (at % A_DAY) as f64 / A_DAY as f64;
    1_000.0 - 400.0 * (hours * std::f64::consts::TAU).cos() + 20.0 * noise(at)
}

fn at(step: u64) -> Timestamp {
    Timestamp::from_secs(1_600_000_000 + step * STEP)
}

/// Anomalies of the steps, by step.
fn anomalies(steps: std::ops::Range<u64>, value: impl Fn(u64) -> f64) -> Vec<(u64, Anomaly)> {
    let mut series = Series::default();
    steps.filter_map(|step| Some((step, series.observe(at(step), value(step))?))).collect()
}

#[test]
fn it_is_small() {
    assert!(size_of::<Series>() <= 1_024, "{} bytes", size_of::<Series>());
}

#[test]
fn days_that_are_alike_are_usual() {
    assert_eq!(anomalies(0..14 * A_DAY, daily), []);
}

#[test]
fn a_spike_is_sudden_and_says_what_was_expected() {
    let spike = 10 * A_DAY + 50;
    let found =
        anomalies(0..14 * A_DAY, |step| daily(step) * if step == spike { 2.0 } else { 1.0 });
    let [(step, anomaly)] = found[..] else { panic!("{found:?}") };
    assert_eq!((step, anomaly.kind), (spike, Kind::Sudden));
    assert!((anomaly.expected - daily(spike)).abs() < 200.0, "{anomaly:?}");
    assert!(anomaly.rarity < 1e-3, "{anomaly:?}");
}

#[test]
fn a_new_level_is_told_once_and_then_is_usual() {
    let begin = 7 * A_DAY;
    let found =
        anomalies(0..14 * A_DAY, |step| daily(step) + if step >= begin { 800.0 } else { 0.0 });
    assert!(!found.is_empty() && found.len() <= 2, "{found:?}");
    assert!(found[0].0 < begin + 12, "{found:?}");
}

#[test]
fn what_alarms_again_and_again_rests_longer_and_longer() {
    let every = 36;
    let found = anomalies(0..14 * A_DAY, |step| {
        daily(step) + if step > A_DAY && step % every == 0 { 3_000.0 } else { 0.0 }
    });
    let spikes = 13 * A_DAY / every;
    assert!(!found.is_empty() && found.len() as u64 <= spikes / 6, "{} of {spikes}", found.len());
}

#[test]
fn a_gap_and_what_is_not_newer_are_no_anomaly() {
    let mut series = Series::default();
    let mut told = 0;
    for step in (0..5 * A_DAY).chain(7 * A_DAY..12 * A_DAY) {
        told += usize::from(series.observe(at(step), daily(step)).is_some());
        assert_eq!(series.observe(at(step), 1e9), None, "the same moment again");
        assert_eq!(series.observe(at(step) + Duration::from_secs(1), f64::NAN), None);
    }
    assert_eq!(told, 0);
}

proptest! {
    #[test]
    fn any_values_leave_it_whole(values in prop::collection::vec(
        (0_u64..10_000_000, prop::num::f64::ANY), 0..300,
    )) {
        let mut series = Series::default();
        let mut secs = 0;
        for (step, value) in values {
            secs += step;
            if let Some(anomaly) = series.observe(Timestamp::from_secs(secs), value) {
                prop_assert!(anomaly.rarity.is_finite() && anomaly.value.is_finite());
            }
            prop_assert!(series.scale.is_finite() && series.season_scale.is_finite());
            prop_assert!(series.moved.is_finite());
        }
    }

    /// Units do not matter: seconds or milliseconds give the same anomalies.
    #[test]
    fn a_series_in_another_unit_tells_the_same(spike in 3 * A_DAY..5 * A_DAY, power in -3_i32..10) {
        let factor = 2_f64.powi(power);
        let value = |step| daily(step) * if step == spike { 3.0 } else { 1.0 };
        let steps = |found: Vec<(u64, Anomaly)>| -> Vec<u64> {
            found.iter().map(|(step, _)| *step).collect()
        };
        let one = steps(anomalies(0..5 * A_DAY, value));
        let other = steps(anomalies(0..5 * A_DAY, |step| value(step) * factor));
        prop_assert_eq!(one, other);
    }
}
