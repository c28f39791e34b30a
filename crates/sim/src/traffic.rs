//! How many users come: day and night, weekdays and weekends, slow drift, and chance.

use crate::fleet::Fleet;
use crate::random::Random;

const DAY: f64 = 86_400.0;
/// 2026-01-05, on which simulations begin, is a Monday: days 5 and 6 of a week are its weekend.
const WEEKEND_FROM: u64 = 5;
/// The drift forgets what it was in about this many seconds, and is rarely beyond this share.
const DRIFT_SECONDS: f64 = 300.0;
const DRIFT_SHARE: f64 = 0.06;

#[derive(Clone, Debug)]
pub struct Traffic {
    random: Random,
    drift: Vec<f64>,
    /// The simulation begins at this second of the week.
    begins_at: u64,
}

impl Traffic {
    pub fn new(fleet: &Fleet, random: &Random) -> Traffic {
        let mut random = random.stream(21);
        let begins_at = random.below(7 * 86_400) as u64;
        Traffic { drift: vec![0.0; fleet.entries.len()], random, begins_at }
    }

    /// Share of the mean of a week that is to be expected at `second`.
    pub(crate) fn share(&self, fleet: &Fleet, second: u64) -> f64 {
        of_week(fleet, self.begins_at + second)
    }

    /// Users who come to entry `at` in this second, `times` as many as usual.
    pub fn users(&mut self, fleet: &Fleet, at: usize, second: u64, times: f64) -> u64 {
        let keep = 1.0 - 1.0 / DRIFT_SECONDS;
        let step = DRIFT_SHARE * (1.0 - keep * keep).sqrt();
        self.drift[at] = keep * self.drift[at] + step * self.random.normal();
        let second = self.begins_at + second;
        let mean = fleet.entries[at].rate * times * (1.0 + self.drift[at]).max(0.1);
        self.random.poisson(mean * of_week(fleet, second))
    }
}

/// Share of the mean that is asked at a second of the week.
pub fn of_week(fleet: &Fleet, second: u64) -> f64 {
    let angle = std::f64::consts::TAU * (second as f64 - fleet.peak_at) / DAY;
    let day = second / 86_400 % 7;
    let weekend = if day >= WEEKEND_FROM { fleet.weekend } else { 1.0 };
    weekend * (1.0 + fleet.daily_swing * angle.cos())
}
