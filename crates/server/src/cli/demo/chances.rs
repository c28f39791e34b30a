//! What a seed decides. Without a seed nothing is left to chance: the plain story is told.
//!
//! The same seed draws the same; how a drill then goes is up to real processes and real time.

/// Where all draws come from, in one order.
pub(super) struct Chances {
    /// `None`: no seed was given.
    source: Option<SplitMix>,
}

impl Chances {
    pub(super) fn new(seed: Option<u64>) -> Chances {
        Chances { source: seed.map(SplitMix) }
    }

    pub(super) fn are_drawn(&self) -> bool {
        self.source.is_some()
    }

    /// Both ends included; without a seed the lower one. The ranges are so small that the bias does
    /// not matter.
    pub(super) fn between(&mut self, min: u64, max: u64) -> u64 {
        match &mut self.source {
            Some(source) => min + source.next() % (max - min + 1),
            None => min,
        }
    }

    /// Without a seed the first.
    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let last = of.len().checked_sub(1).expect("there is something to pick from");
        &of[self.between(0, last as u64) as usize]
    }

    /// In another order (R. Durstenfeld, "Algorithm 235", 1964); without a seed as it is.
    pub(super) fn shuffle<T>(&mut self, these: &mut [T]) {
        for last in (1..these.len()).rev() {
            if self.are_drawn() {
                let other = self.between(0, last as u64) as usize;
                these.swap(last, other);
            }
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_seed_nothing_is_left_to_chance() {
        let mut chances = Chances::new(None);
        let mut order = [1, 2, 3];
        chances.shuffle(&mut order);
        assert_eq!((order, chances.between(3, 8), *chances.pick(&["a", "b"])), ([1, 2, 3], 3, "a"));
    }

    #[test]
    fn a_seed_draws_the_same_again_within_its_range() {
        let mut counts = [0; 6];
        for seed in 0..600 {
            let (mut one, mut other) = (Chances::new(Some(seed)), Chances::new(Some(seed)));
            let drawn = one.between(3, 8);
            assert_eq!(drawn, other.between(3, 8));
            counts[drawn as usize - 3] += 1;
        }
        assert!(counts.iter().all(|count| *count > 60), "{counts:?}");
    }

    #[test]
    fn a_shuffle_keeps_everything_and_every_place_is_possible() {
        let mut firsts = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut order = [0, 1, 2, 3, 4, 5, 6];
            Chances::new(Some(seed)).shuffle(&mut order);
            firsts.insert(order[0]);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert_eq!(firsts.len(), 7);
    }
}
