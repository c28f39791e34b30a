//! Bad and all requests of the last three days, in four rings of growing step, by event time.
//!
//! 10 s for a minute, 1 min for an hour, 5 min for six hours, 1 h for three days: 211 slots, about
//! 3.4 KB for an objective, whatever the traffic. What is older than a ring only misses in that
//! ring.

use std::time::Duration;

use model::Timestamp;
use model::time::SECOND;
use serde::{Deserialize, Serialize};

/// Sums over a window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sum {
    pub bad: f64,
    pub total: f64,
}

impl Sum {
    pub fn ratio(&self) -> Option<f64> {
        (self.total > 0.0).then(|| (self.bad / self.total).min(1.0))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Ring {
    step_secs: u64,
    /// Number of the newest slot since the epoch.
    newest: u64,
    /// (bad, total); slot `n` lives at `n % len`.
    slots: Vec<(f64, f64)>,
    /// What all slots but the newest hold together: asked for each second, and seldom another.
    closed: (f64, f64),
    /// Number of the first slot that ever held anything.
    first: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rings {
    rings: [Ring; 4],
}

/// (step in seconds, slots): one slot more than the window, since the newest is never full.
const SHAPE: [(u64, usize); 4] = [(10, 7), (60, 61), (300, 73), (3600, 73)];

impl Rings {
    pub fn new(now: Timestamp) -> Self {
        let ring = |(step_secs, len): (u64, usize)| Ring {
            step_secs,
            newest: slot_of(now, step_secs),
            slots: vec![(0.0, 0.0); len],
            closed: (0.0, 0.0),
            first: u64::MAX,
        };
        Rings { rings: SHAPE.map(ring) }
    }

    /// Forgets what left the rings by `now`.
    pub fn advance(&mut self, now: Timestamp) {
        for ring in &mut self.rings {
            ring.advance(now);
        }
    }

    pub fn add(&mut self, at: Timestamp, bad: f64, total: f64) {
        for ring in &mut self.rings {
            ring.add(at, bad, total);
        }
    }

    /// The last `window`, but nothing from before `not_before`. At most one step more than the
    /// window.
    pub fn sum(&self, window: Duration, not_before: Timestamp) -> Sum {
        self.ring_for(window).sum(window, not_before)
    }

    /// The `window` that ended at `until`, without the slot in which that lies; as far as a ring
    /// still reaches.
    pub fn before(&self, until: Timestamp, window: Duration) -> Sum {
        let newest = Timestamp::from_secs(self.rings[0].newest * self.rings[0].step_secs);
        let reach = newest.since(until) + window;
        let ring = self.ring_for(reach);
        let not_before = Timestamp(until.as_nanos().saturating_sub(window.as_nanos() as u64));
        let mut sum = ring.sum(reach, not_before);
        let after = ring.sum(reach, until.floor_to(Duration::from_secs(ring.step_secs)));
        sum.bad = (sum.bad - after.bad).max(0.0);
        sum.total = (sum.total - after.total).max(0.0);
        sum
    }

    /// Start of the earliest slot within `window` that holds anything bad.
    pub fn first_bad(&self, window: Duration) -> Option<Timestamp> {
        let ring = self.ring_for(window);
        ring.numbers(window)
            .find(|number| ring.slot(*number).0 > 0.0)
            .map(|number| Timestamp::from_secs(number * ring.step_secs))
    }

    /// The finest ring that reaches as far.
    fn ring_for(&self, window: Duration) -> &Ring {
        let reaches =
            |ring: &&Ring| ring.step_secs * (ring.slots.len() as u64 - 1) >= window.as_secs();
        self.rings.iter().find(reaches).unwrap_or(&self.rings[3])
    }
}

impl Ring {
    fn advance(&mut self, now: Timestamp) {
        let target = slot_of(now, self.step_secs);
        let len = self.slots.len() as u64;
        let passed = target.saturating_sub(self.newest).min(len);
        if passed == 0 {
            return;
        }
        for number in target - passed + 1..=target {
            self.slots[(number % len) as usize] = (0.0, 0.0);
        }
        self.newest = target;
        self.close();
    }

    fn close(&mut self) {
        let numbers = self.newest.saturating_sub(self.slots.len() as u64 - 1)..self.newest;
        self.closed = numbers.map(|number| self.slot(number)).fold((0.0, 0.0), plus);
    }

    fn add(&mut self, at: Timestamp, bad: f64, total: f64) {
        let number = slot_of(at, self.step_secs).min(self.newest);
        let len = self.slots.len() as u64;
        if self.newest - number >= len {
            return;
        }
        let slot = &mut self.slots[(number % len) as usize];
        *slot = plus(*slot, (bad, total));
        self.first = self.first.min(number);
        if number < self.newest {
            self.close();
        }
    }

    fn slot(&self, number: u64) -> (f64, f64) {
        self.slots[(number % self.slots.len() as u64) as usize]
    }

    /// Slots of the last `window`, oldest first.
    fn numbers(&self, window: Duration) -> std::ops::RangeInclusive<u64> {
        let back = (window.as_secs() / self.step_secs).min(self.slots.len() as u64 - 1);
        self.newest.saturating_sub(back)..=self.newest
    }

    fn sum(&self, window: Duration, not_before: Timestamp) -> Sum {
        let earliest = not_before.as_nanos().div_ceil(self.step_secs * SECOND);
        let numbers = self.numbers(window);
        let reach = self.newest - numbers.start();
        let (bad, total) = match reach + 1 == self.slots.len() as u64 && earliest <= self.first {
            true => plus(self.closed, self.slot(self.newest)),
            false => {
                let counted = (*numbers.start()).max(earliest)..=*numbers.end();
                counted.map(|number| self.slot(number)).fold((0.0, 0.0), plus)
            }
        };
        Sum { bad, total }
    }
}

fn plus(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0 + b.0, a.1 + b.1)
}

fn slot_of(at: Timestamp, step_secs: u64) -> u64 {
    at.as_nanos() / (step_secs * SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_window_counts_what_lies_in_it() {
        let start = Timestamp::from_secs(1_000_000_800);
        let mut rings = Rings::new(start);
        for minute in 0..3 * 24 * 60 {
            let now = start + Duration::from_secs(minute * 60);
            rings.advance(now);
            rings.add(now, 1.0, 10.0);
        }
        for (secs, least, most) in [
            (300, 50.0, 60.0),
            (3600, 600.0, 610.0),
            (21_600, 3600.0, 3650.0),
            (86_400, 14_400.0, 15_000.0),
        ] {
            let sum = rings.sum(Duration::from_secs(secs), Timestamp::ZERO);
            assert!((least..=most).contains(&sum.total), "{secs}: {}", sum.total);
            assert_eq!(sum.ratio(), Some(0.1));
        }
    }

    #[test]
    fn the_time_before_a_moment_is_summed_without_what_came_since() {
        let start = Timestamp::from_secs(1_000_000_800);
        let mut rings = Rings::new(start);
        for minute in 0..120 {
            let now = start + Duration::from_secs(minute * 60);
            rings.advance(now);
            rings.add(now, if minute < 90 { 1.0 } else { 10.0 }, 10.0);
        }
        let onset = start + Duration::from_secs(90 * 60 + 20);
        let before = rings.before(onset, Duration::from_secs(3600));
        assert_eq!(before.ratio(), Some(0.1), "{before:?}");
        assert!((500.0..=600.0).contains(&before.total), "{before:?}");
    }

    #[test]
    fn a_whole_ring_counts_as_its_slots_do() {
        let start = Timestamp::from_secs(1_000_000_000);
        let earliest = Timestamp::from_secs(1_000_000_000 - 4_000);
        let mut rings = Rings::new(start);
        for second in 0..20_000_u64 {
            let now = start + Duration::from_secs(second * 7);
            rings.advance(now);
            let late = Duration::from_secs(second * 31 % 400);
            let at = Timestamp(now.as_nanos() - late.as_nanos() as u64);
            rings.add(at, (second % 3) as f64 * 0.1, 0.7);
            for ring in &rings.rings {
                let window = Duration::from_secs(ring.step_secs * (ring.slots.len() as u64 - 1));
                let slots = ring.numbers(window).map(|number| ring.slot(number));
                let (bad, total) = slots.fold((0.0, 0.0), plus);
                assert_eq!(ring.sum(window, Timestamp::ZERO), Sum { bad, total });
                assert_eq!(ring.sum(window, earliest), Sum { bad, total });
            }
        }
    }

    #[test]
    fn a_long_silence_empties_every_ring() {
        let mut rings = Rings::new(Timestamp::from_secs(1000));
        rings.add(Timestamp::from_secs(1000), 1.0, 1.0);
        rings.advance(Timestamp::from_secs(1000 + 4 * 86_400));
        assert_eq!(rings.sum(Duration::from_secs(3 * 86_400), Timestamp::ZERO), Sum::default());
        assert_eq!(rings.first_bad(Duration::from_secs(3 * 86_400)), None);
    }

    #[test]
    fn an_objective_stays_within_its_memory() {
        let bytes = postcard::to_stdvec(&Rings::new(Timestamp::from_secs(1 << 31))).unwrap();
        assert!(bytes.len() < 4_000, "{}", bytes.len());
    }
}
