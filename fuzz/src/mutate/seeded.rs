//! Choices that follow from a seed: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
//! Number Generators, OOPSLA 2014).

pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u32) -> Self {
        Seeded(u64::from(seed))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// 0 to `end`, without `end`; 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len()))
    }

    /// A number that code may treat otherwise than this one: small, next to it, a bit away, or at
    /// the end of a type.
    pub fn number_near(&mut self, number: u64) -> u64 {
        const ENDS: [u64; 6] =
            [0, u64::MAX, i64::MAX as u64, 1 << 63, u32::MAX as u64, i32::MAX as u64 + 1];
        match self.below(4) {
            0 => self.below(16) as u64,
            1 => number.wrapping_add(self.below(17) as u64).wrapping_sub(8),
            2 => number ^ 1 << self.below(64),
            _ => ENDS[self.below(ENDS.len())],
        }
    }
}
