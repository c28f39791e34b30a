//! The one form in which durations are kept: an exponential base-2 histogram at a fixed scale, as
//! OpenTelemetry's exponential histogram and Prometheus' native histogram define it (scale 3: eight
//! buckets per doubling, so a quantile is at most 4.4 % off).
//!
//! Bucket `i` holds values in `(2^(i/8), 2^((i+1)/8)]` seconds. The scale never changes, so a sum
//! of two histograms is exact and a threshold on a bucket's bound is counted exactly.

use serde::{Deserialize, Serialize};

/// Buckets per doubling are `2^SCALE`.
pub const SCALE: i32 = 3;
const PER_DOUBLING: f64 = 8.0;
/// 2^-24 s (60 ns) … 2^20 s (12 days): everything outside is counted in the outermost bucket.
const INDEX_MIN: i16 = -24 * 8;
const INDEX_MAX: i16 = 20 * 8;

/// Sparse buckets sorted by index; counts may be fractional after sampling was undone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    buckets: Vec<(i16, f64)>,
    count: f64,
    sum_seconds: f64,
}

impl Histogram {
    pub fn record(&mut self, seconds: f64, weight: f64) {
        self.add_bucket(index_of(seconds), weight);
        self.sum_seconds += seconds.max(0.0) * weight;
    }

    /// Adds `weight` observations to bucket `index` without touching the sum.
    fn add_bucket(&mut self, index: i16, weight: f64) {
        match self.buckets.binary_search_by_key(&index, |(bucket, _)| *bucket) {
            Ok(at) => self.buckets[at].1 += weight,
            Err(at) => self.buckets.insert(at, (index, weight)),
        }
        self.count += weight;
    }

    /// Adds observations known only to lie near `seconds`, with their own exact sum.
    pub fn record_bucket(&mut self, seconds: f64, weight: f64, sum_seconds: f64) {
        self.add_bucket(index_of(seconds), weight);
        self.sum_seconds += sum_seconds;
    }

    pub fn merge(&mut self, other: &Histogram) {
        for (index, weight) in &other.buckets {
            self.add_bucket(*index, *weight);
        }
        self.sum_seconds += other.sum_seconds;
    }

    pub fn count(&self) -> f64 {
        self.count
    }

    pub fn sum_seconds(&self) -> f64 {
        self.sum_seconds
    }

    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    pub fn mean_seconds(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum_seconds / self.count)
    }

    /// Observations in buckets whose upper bound is at most `seconds` (exact when `seconds` is a
    /// bound).
    pub fn count_at_most(&self, seconds: f64) -> f64 {
        self.buckets
            .iter()
            .take_while(|(index, _)| upper_bound(*index) <= seconds * (1.0 + 1e-12))
            .map(|(_, weight)| weight)
            .sum()
    }

    /// The upper bound of the bucket in which quantile `q` (0–1) lies, in seconds.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let rank = q.clamp(0.0, 1.0) * self.count;
        let mut seen = 0.0;
        for (index, weight) in &self.buckets {
            seen += weight;
            if seen >= rank - 1e-9 {
                return Some(upper_bound(*index));
            }
        }
        self.buckets.last().map(|(index, _)| upper_bound(*index))
    }

    /// Pairs of (upper bound in seconds, observations), ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.buckets.iter().map(|(index, weight)| (upper_bound(*index), *weight))
    }

    /// The smallest bucket bound that is at least `seconds`.
    pub fn bound_at_least(seconds: f64) -> f64 {
        upper_bound(index_of(seconds))
    }
}

/// Upper bound of bucket `index`, in seconds.
fn upper_bound(index: i16) -> f64 {
    // Powers of two first: exact for every eighth bound, and the same on every platform.
    let whole = (index + 1).div_euclid(8);
    let eighth = (index + 1).rem_euclid(8);
    EIGHTHS[eighth as usize] * f64::powi(2.0, i32::from(whole))
}

/// 2^(k/8), correctly rounded.
const EIGHTHS: [f64; 8] = [
    1.0,
    1.090_507_732_665_257_7,
    1.189_207_115_002_721,
    1.296_839_554_651_009_6,
    std::f64::consts::SQRT_2,
    1.542_210_825_407_940_7,
    1.681_792_830_507_429,
    1.834_008_086_409_342_4,
];

fn index_of(seconds: f64) -> i16 {
    if seconds.is_nan() || seconds <= 0.0 {
        return INDEX_MIN;
    }
    // A first guess by logarithm, then corrected against the very bounds that are reported.
    let guess = (seconds.log2() * PER_DOUBLING).ceil() - 1.0;
    let mut index = guess.clamp(f64::from(INDEX_MIN), f64::from(INDEX_MAX)) as i16;
    while index < INDEX_MAX && seconds > upper_bound(index) {
        index += 1;
    }
    while index > INDEX_MIN && seconds <= upper_bound(index - 1) {
        index -= 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket() {
        for index in INDEX_MIN + 1..INDEX_MAX {
            assert_eq!(index_of(upper_bound(index)), index);
            assert_eq!(index_of(upper_bound(index) * 1.000_001), index + 1);
        }
    }

    #[test]
    fn quantiles_are_within_one_bucket() {
        let mut histogram = Histogram::default();
        for millis in 1..=1000 {
            histogram.record(f64::from(millis) / 1000.0, 1.0);
        }
        let p99 = histogram.quantile(0.99).unwrap();
        assert!((0.99..0.99 * 1.0906).contains(&p99), "{p99}");
        let bound = Histogram::bound_at_least(0.5);
        assert!((500.0..=545.0).contains(&histogram.count_at_most(bound)));
    }

    #[test]
    fn odd_values_stay_inside() {
        let mut histogram = Histogram::default();
        for value in [f64::NAN, -1.0, 0.0, f64::INFINITY, 1e300, 1e-300] {
            histogram.record_bucket(value, 1.0, 0.0);
        }
        assert_eq!(histogram.count(), 6.0);
    }
}
