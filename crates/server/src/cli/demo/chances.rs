//! What a seed decides: the victim, the moment, how many users come and who they are.
//!
//! The same seed draws the same; how the drill then goes is up to real processes and real time.

use std::time::Duration;

/// Sessions per second that a seed may draw.
const RATE_MIN: u64 = 3;
const RATE_MAX: u64 = 8;
/// Seconds of healthy traffic that a seed may draw, before the drill's own check of the steady
/// state.
const HEALTHY_SECONDS_MIN: u64 = 10;
const HEALTHY_SECONDS_MAX: u64 = 30;

pub(super) struct Chances {
    /// Sessions that arrive per second.
    pub rate: u64,
    pub users_seed: u64,
    /// `None`: no seed was given, the plain story is told.
    source: Option<SplitMix>,
    drills: u64,
}

/// One drill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw {
    /// 1 or 2: which payment instance is killed.
    pub victim: u64,
    /// Traffic without any fault before the drill is started.
    pub healthy_for: Duration,
}

impl Chances {
    pub(super) fn new(seed: Option<u64>) -> Chances {
        let Some(seed) = seed else {
            return Chances { rate: 5, users_seed: 1, source: None, drills: 0 };
        };
        let mut source = SplitMix(seed);
        Chances {
            rate: source.between(RATE_MIN, RATE_MAX),
            users_seed: source.next() >> 1,
            source: Some(source),
            drills: 0,
        }
    }

    /// The next drill; without a seed payment-1 and payment-2 take turns.
    pub(super) fn draw(&mut self) -> Draw {
        self.drills += 1;
        match &mut self.source {
            None => Draw { victim: 2 - self.drills % 2, healthy_for: Duration::from_secs(15) },
            Some(source) => Draw {
                victim: source.between(1, 2),
                healthy_for: Duration::from_secs(
                    source.between(HEALTHY_SECONDS_MIN, HEALTHY_SECONDS_MAX),
                ),
            },
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014): small,
/// and the same everywhere.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Both ends included; the ranges are so small that the bias does not matter.
    fn between(&mut self, min: u64, max: u64) -> u64 {
        min + self.next() % (max - min + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_stays_in_range() {
        let mut victims = [0, 0];
        for seed in 0..100 {
            let (mut one, mut other) = (Chances::new(Some(seed)), Chances::new(Some(seed)));
            assert_eq!((one.rate, one.users_seed), (other.rate, other.users_seed));
            assert!((3..=8).contains(&one.rate));
            let draw = one.draw();
            assert_eq!(draw, other.draw());
            assert!((10..=30).contains(&draw.healthy_for.as_secs()));
            victims[draw.victim as usize - 1] += 1;
        }
        assert!(victims.iter().all(|count| *count > 20), "{victims:?}");
    }

    #[test]
    fn without_a_seed_the_instances_take_turns() {
        let mut chances = Chances::new(None);
        let victims: Vec<u64> = (0..4).map(|_| chances.draw().victim).collect();
        assert_eq!(victims, [1, 2, 1, 2]);
    }
}
