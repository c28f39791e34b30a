//! Randomness from a seed, and the few distributions that a fleet is made of.
//!
//! SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number generators",
//! OOPSLA 2014). Each part of a simulation has a stream of its own, split off by a name, so that
//! one part that draws more often does not move the others. The same seed gives the same numbers.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
/// Beyond this mean the Poisson, and beyond this many expected successes the binomial distribution,
/// is as good as normal.
const NORMAL_FROM: f64 = 16.0;

impl Random {
    pub fn new(seed: u64) -> Self {
        Random { state: mix(seed ^ GOLDEN) }
    }

    /// A stream of its own for `label`; `self` does not move.
    pub fn stream(&self, label: u64) -> Random {
        Random { state: mix(self.state ^ mix(label.wrapping_add(1).wrapping_mul(GOLDEN))) }
    }

    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// In (0, 1).
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Between two positive numbers, each magnitude as likely as another.
    pub fn magnitude(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high.ln() - low.ln()) * self.uniform()).exp()
    }

    /// In `0..count`; 0 where `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        ((self.uniform() * count as f64) as usize).min(count.saturating_sub(1))
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.uniform() < share
    }

    pub fn normal(&mut self) -> f64 {
        quantile(self.uniform())
    }

    /// A whole number whose mean is `value`.
    pub fn whole(&mut self, value: f64) -> u64 {
        let floor = value.max(0.0).floor();
        floor as u64 + u64::from(self.uniform() < value - floor)
    }

    /// Events in a time in which `mean` are expected.
    pub fn poisson(&mut self, mean: f64) -> u64 {
        if mean.is_nan() || mean <= 0.0 {
            return 0;
        }
        if mean > NORMAL_FROM {
            return (mean + mean.sqrt() * self.normal() + 0.5).max(0.0) as u64;
        }
        let limit = (-mean).exp();
        let (mut product, mut count) = (self.uniform(), 0);
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    /// Successes among `count` trials that each succeed with probability `share`.
    pub fn binomial(&mut self, count: u64, share: f64) -> u64 {
        if count == 0 || share.is_nan() || share <= 0.0 {
            return 0;
        }
        if share >= 1.0 {
            return count;
        }
        if share > 0.5 {
            return count - self.binomial(count, 1.0 - share);
        }
        let mean = count as f64 * share;
        if mean > NORMAL_FROM {
            let spread = (mean * (1.0 - share)).sqrt();
            return ((mean + spread * self.normal() + 0.5).max(0.0) as u64).min(count);
        }
        self.binomial_by_inversion(count, share)
    }

    /// Walks up the distribution (V. Kachitvichyanukul, B. W. Schmeiser, "Binomial random variate
    /// generation", CACM 1988: algorithm BINV).
    fn binomial_by_inversion(&mut self, count: u64, share: f64) -> u64 {
        let odds = share / (1.0 - share);
        let mut probability = (count as f64 * (-share).ln_1p()).exp();
        let mut rest = self.uniform();
        let mut successes = 0;
        while rest > probability && successes < count {
            rest -= probability;
            successes += 1;
            probability *= odds * (count - successes + 1) as f64 / successes as f64;
        }
        successes
    }
}

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Share of a standard normal distribution above `z` (M. Abramowitz, I. Stegun, "Handbook of
/// Mathematical Functions", 26.2.17; error below 7.5e-8).
pub fn above(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - above(-z);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = t
        * (0.319_381_530
            + t * (-0.356_563_782
                + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    (-0.5 * z * z).exp() * 0.398_942_280_401_432_7 * series
}

/// The value below which a share of a standard normal distribution lies (P. J. Acklam's rational
/// approximation; relative error below 1.2e-9).
pub fn quantile(share: f64) -> f64 {
    const A: [f64; 6] = [
        -39.696_830_286_653_76,
        220.946_098_424_520_5,
        -275.928_510_446_968_7,
        138.357_751_867_269,
        -30.664_798_066_147_16,
        2.506_628_277_459_239,
    ];
    const B: [f64; 5] = [
        -54.476_098_798_224_06,
        161.585_836_858_040_9,
        -155.698_979_859_886_6,
        66.801_311_887_719_72,
        -13.280_681_552_885_72,
    ];
    const C: [f64; 6] = [
        -0.007_784_894_002_430_293,
        -0.322_396_458_041_136_5,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const D: [f64; 4] = [
        0.007_784_695_709_041_462,
        0.322_467_129_070_039_8,
        2.445_134_137_142_996,
        3.754_408_661_907_416,
    ];
    const LOW: f64 = 0.02425;
    let tail = |share: f64| {
        let q = (-2.0 * share.ln()).sqrt();
        let top = ((((C[0] * q + C[1]) * q + C[2]) * q + C[3]) * q + C[4]) * q + C[5];
        top / ((((D[0] * q + D[1]) * q + D[2]) * q + D[3]) * q + 1.0)
    };
    if share < LOW {
        return tail(share);
    }
    if share > 1.0 - LOW {
        return -tail(1.0 - share);
    }
    let q = share - 0.5;
    let r = q * q;
    let top = (((((A[0] * r + A[1]) * r + A[2]) * r + A[3]) * r + A[4]) * r + A[5]) * q;
    top / (((((B[0] * r + B[1]) * r + B[2]) * r + B[3]) * r + B[4]) * r + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_the_mean_and_the_spread_that_they_should() {
        let mut random = Random::new(1);
        for (count, share) in [(10_u64, 0.3), (1_000, 0.002), (1_000, 0.4), (50, 0.97)] {
            let draws: Vec<f64> =
                (0..20_000).map(|_| random.binomial(count, share) as f64).collect();
            let (mean, variance) = moments(&draws);
            let (n, p) = (count as f64, share);
            assert!((mean - n * p).abs() < 0.02 * n * p + 0.02, "{count} {share}: {mean}");
            let expected = n * p * (1.0 - p);
            assert!((variance - expected).abs() < 0.06 * expected, "{count} {share}: {variance}");
        }
        for expected in [0.01, 0.7, 12.0, 300.0] {
            let draws: Vec<f64> = (0..40_000).map(|_| random.poisson(expected) as f64).collect();
            let (mean, variance) = moments(&draws);
            assert!((mean - expected).abs() < 0.03 * expected + 0.005, "{expected}: {mean}");
            assert!((variance - expected).abs() < 0.08 * expected + 0.005, "{expected}");
        }
    }

    fn moments(draws: &[f64]) -> (f64, f64) {
        let count = draws.len() as f64;
        let mean = draws.iter().sum::<f64>() / count;
        (mean, draws.iter().map(|draw| (draw - mean).powi(2)).sum::<f64>() / count)
    }

    #[test]
    fn a_quantile_and_the_share_above_it_agree() {
        for share in [0.001, 0.02, 0.3, 0.5, 0.9, 0.99, 0.9999] {
            assert!((1.0 - above(quantile(share)) - share).abs() < 1e-6, "{share}");
        }
    }

    #[test]
    fn streams_differ_and_repeat() {
        let root = Random::new(7);
        let draw = |label| root.stream(label).bits();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(Random::new(7).bits(), Random::new(8).bits());
    }
}
