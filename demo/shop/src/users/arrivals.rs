//! When sessions arrive: a Poisson process whose rate may change at any moment.
//!
//! The waiting time is kept as "work" of a unit-rate process that time uses up at the current
//! rate; so a new rate applies at once, also to the wait under way. Pure: time is handed in.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Highest rate accepted, in sessions per second.
const RATE_MAX: f64 = 10_000.0;

/// The arrivals still to come.
pub struct Arrivals {
    generator: StdRng,
    rate_per_s: f64,
    /// Work until the next arrival, exponentially distributed with mean 1.
    work: f64,
}

impl Arrivals {
    /// Arrivals at `rate_per_s`; the same seed gives the same arrivals.
    pub fn new(seed: u64, rate_per_s: f64) -> Arrivals {
        let mut generator = StdRng::seed_from_u64(seed);
        let work = exponential(&mut generator);
        Arrivals { generator, rate_per_s, work }
    }

    /// Changes the rate from now on.
    pub fn set_rate(&mut self, rate_per_s: f64) {
        self.rate_per_s = rate_per_s;
    }

    /// Time until the next arrival; none at rate zero.
    pub fn until_next(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.work / self.rate_per_s).ok()
    }

    /// Lets time pass; returns how many arrived in it.
    pub fn elapse(&mut self, elapsed: Duration) -> u32 {
        self.work -= elapsed.as_secs_f64() * self.rate_per_s;
        let mut arrived = 0;
        while self.work <= 0.0 {
            arrived += 1;
            self.work += exponential(&mut self.generator);
        }
        arrived
    }
}

/// Reads a rate in sessions per second.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=RATE_MAX).contains(&rate) => Ok(rate),
        _ => Err(format!("{text:?} is not a rate from 0 to {RATE_MAX} sessions per second")),
    }
}

fn exponential(generator: &mut StdRng) -> f64 {
    let uniform: f64 = generator.random();
    -(1.0 - uniform).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Arrivals within each tenth of a second of `seconds`.
    fn counts(seed: u64, rate_per_s: f64, seconds: usize) -> Vec<u32> {
        let mut arrivals = Arrivals::new(seed, rate_per_s);
        (0..seconds * 10).map(|_| arrivals.elapse(Duration::from_millis(100))).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_arrivals_and_another_gives_others() {
        assert_eq!(counts(7, 5.0, 60), counts(7, 5.0, 60));
        assert_ne!(counts(7, 5.0, 60), counts(8, 5.0, 60));
    }

    #[test]
    fn arrivals_do_not_depend_on_how_often_time_is_looked_at() {
        let coarse: u32 = counts(7, 5.0, 60).iter().sum();
        let mut arrivals = Arrivals::new(7, 5.0);
        assert_eq!(arrivals.elapse(Duration::from_secs(60)), coarse);
    }

    #[test]
    fn counts_have_the_mean_and_the_variance_of_a_poisson_process() {
        let counts = counts(1, 40.0, 1000);
        let number = counts.len() as f64;
        let mean = counts.iter().map(|c| f64::from(*c)).sum::<f64>() / number;
        let variance = counts.iter().map(|c| (f64::from(*c) - mean).powi(2)).sum::<f64>() / number;
        assert!((mean - 4.0).abs() < 0.1, "mean {mean}");
        assert!((variance - 4.0).abs() < 0.3, "variance {variance}");
    }

    #[test]
    fn a_new_rate_applies_to_the_wait_under_way() {
        let mut arrivals = Arrivals::new(3, 0.001);
        let slow = arrivals.until_next().expect("a rate above zero");
        arrivals.set_rate(1.0);
        let quick = arrivals.until_next().expect("a rate above zero");
        assert!((slow.as_secs_f64() / quick.as_secs_f64() - 1000.0).abs() < 0.01);
    }

    #[test]
    fn nobody_arrives_at_rate_zero() {
        let mut arrivals = Arrivals::new(3, 0.0);
        assert_eq!(arrivals.until_next(), None);
        assert_eq!(arrivals.elapse(Duration::from_secs(1_000_000)), 0);
    }

    #[test]
    fn a_rate_is_a_number_within_bounds() {
        assert_eq!(parse_rate("2.5"), Ok(2.5));
        for text in ["", "-1", "NaN", "inf", "1e9", "many"] {
            assert!(parse_rate(text).is_err(), "{text:?} was accepted");
        }
    }
}
