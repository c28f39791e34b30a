//! What was observed, as a histogram of any of OpenTelemetry's forms: added, subtracted, asked for
//! quantiles.
//!
//! Counts are fractions here: an increase between two points is spread over the windows that it
//! touches. Quantiles interpolate inside a bucket as Prometheus does: evenly in explicit buckets,
//! exponentially in exponential ones; the smallest and largest observation, where known, narrow the
//! outermost buckets.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Scales outside of these are not in OpenTelemetry's range, nor sound as floating point.
const SCALE_MIN: i32 = -10;
const SCALE_MAX: i32 = 20;
/// Most buckets of an exponential histogram; SDKs have 160, merged ones some more.
const BUCKETS_MAX: usize = 4_096;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    pub count: f64,
    /// NaN where it is not told.
    pub sum: f64,
    pub min: Option<f64>,
    pub max: Option<f64>,
    pub buckets: Buckets,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub enum Buckets {
    /// Only count and sum are known.
    #[default]
    Unknown,
    /// One more count than bounds; a bucket includes its upper bound.
    Explicit {
        bounds: Arc<[f64]>,
        counts: Vec<f64>,
    },
    Exponential(Exponential),
    /// Pairs of quantile and value, as a summary tells them: they cannot be added.
    Quantiles(Vec<(f64, f64)>),
}

/// Bucket `i` holds what is in `(base^i, base^(i+1)]`, `base` being `2^(2^-scale)`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exponential {
    scale: i32,
    zero_threshold: f64,
    zero: f64,
    positive: BTreeMap<i32, f64>,
    negative: BTreeMap<i32, f64>,
}

impl Distribution {
    /// Adds `part` of `other`.
    pub fn add(&mut self, other: &Distribution, part: f64) {
        let is_first = self.count == 0.0 && self.buckets == Buckets::Unknown;
        self.count += other.count * part;
        self.sum += other.sum * part;
        self.min = either(self.min, other.min, f64::min);
        self.max = either(self.max, other.max, f64::max);
        if is_first {
            self.buckets = other.buckets.scaled(part);
        } else {
            self.buckets.add(&other.buckets, part);
        }
    }

    /// What came since `before`; `None` where it counts from anew.
    pub fn since(&self, before: &Distribution) -> Option<Distribution> {
        if self.count < before.count {
            return None;
        }
        let buckets = self.buckets.since(&before.buckets)?;
        // Smallest and largest are of all time, so they say nothing about the time between.
        let (count, sum) = (self.count - before.count, self.sum - before.sum);
        Some(Distribution { count, sum, min: None, max: None, buckets })
    }

    /// `None` where nothing was observed or the form does not tell.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let q = q.clamp(0.0, 1.0);
        match &self.buckets {
            Buckets::Unknown => None,
            Buckets::Quantiles(pairs) => {
                pairs.iter().find(|(known, _)| (known - q).abs() < 1e-9).map(|(_, value)| *value)
            }
            Buckets::Explicit { bounds, counts } => self.quantile_explicit(q, bounds, counts),
            Buckets::Exponential(exponential) => exponential.quantile(q).map(|value| {
                value.max(self.min.unwrap_or(value)).min(self.max.unwrap_or(f64::INFINITY))
            }),
        }
    }

    fn quantile_explicit(&self, q: f64, bounds: &[f64], counts: &[f64]) -> Option<f64> {
        let total: f64 = counts.iter().sum();
        if total <= 0.0 {
            return None;
        }
        let mut rank = q * total;
        let last = counts.iter().rposition(|count| *count > 0.0)?;
        let at = counts.iter().position(|count| {
            let here = rank <= *count && *count > 0.0;
            rank -= if here { 0.0 } else { *count };
            here
        });
        let at = at.unwrap_or(last);
        let is_first = counts[..at].iter().all(|count| *count == 0.0);
        let below = match at.checked_sub(1) {
            Some(below) => bounds.get(below).copied(),
            None => bounds.first().map(|bound| bound.min(0.0)),
        };
        let lower = self.min.filter(|_| is_first).or(below);
        let upper = self.max.filter(|_| at == last).or(bounds.get(at).copied());
        match (lower, upper) {
            (Some(lower), Some(upper)) if upper >= lower => {
                Some(lower + (upper - lower) * (rank / counts[at]).clamp(0.0, 1.0))
            }
            // Above the highest bound nothing is known but that.
            (known, other) => known.or(other),
        }
    }
}

fn either(one: Option<f64>, other: Option<f64>, of: fn(f64, f64) -> f64) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(of(one, other)),
        (one, other) => one.or(other),
    }
}

impl Buckets {
    fn scaled(&self, part: f64) -> Buckets {
        match self {
            Buckets::Explicit { bounds, counts } => Buckets::Explicit {
                bounds: Arc::clone(bounds),
                counts: counts.iter().map(|count| count * part).collect(),
            },
            Buckets::Exponential(exponential) => {
                let empty = Exponential { scale: exponential.scale, ..Exponential::default() };
                Buckets::Exponential(empty.plus(exponential, part))
            }
            other => other.clone(),
        }
    }

    fn add(&mut self, other: &Buckets, part: f64) {
        match (&mut *self, other) {
            (
                Buckets::Explicit { bounds, counts },
                Buckets::Explicit { bounds: other_bounds, counts: other_counts },
            ) => {
                if bounds != other_bounds {
                    let shared = shared_bounds(bounds, other_bounds);
                    *counts = rebucket(bounds, counts, &shared);
                    *bounds = shared;
                }
                let other_counts = rebucket(other_bounds, other_counts, bounds);
                for (count, other) in counts.iter_mut().zip(other_counts) {
                    *count += other * part;
                }
            }
            (Buckets::Exponential(one), Buckets::Exponential(other)) => {
                *one = std::mem::take(one).plus(other, part);
            }
            // The later of two summaries.
            (Buckets::Quantiles(one), Buckets::Quantiles(other)) => one.clone_from(other),
            (one, _) => *one = Buckets::Unknown,
        }
    }

    fn since(&self, before: &Buckets) -> Option<Buckets> {
        match (self, before) {
            (
                Buckets::Explicit { bounds, counts },
                Buckets::Explicit { bounds: before_bounds, counts: before_counts },
            ) => {
                if bounds != before_bounds || counts.len() != before_counts.len() {
                    return None;
                }
                let pairs = counts.iter().zip(before_counts);
                let counts: Vec<f64> = pairs.map(|(count, before)| count - before).collect();
                let grew = counts.iter().all(|count| *count >= 0.0);
                grew.then(|| Buckets::Explicit { bounds: Arc::clone(bounds), counts })
            }
            (Buckets::Exponential(now), Buckets::Exponential(before)) => {
                now.since(before).map(Buckets::Exponential)
            }
            (now, _) => Some(now.clone()),
        }
    }
}

/// Bounds that both have: what one histogram can be turned into without guessing.
fn shared_bounds(one: &[f64], other: &[f64]) -> Arc<[f64]> {
    one.iter().filter(|bound| other.contains(bound)).copied().collect()
}

/// `to` is a part of `from`.
fn rebucket(from: &[f64], counts: &[f64], to: &[f64]) -> Vec<f64> {
    let mut result = vec![0.0; to.len() + 1];
    let mut at = 0;
    for (bucket, count) in counts.iter().enumerate() {
        // The last bucket has no bound.
        let bound = from.get(bucket).copied().unwrap_or(f64::INFINITY);
        while at < to.len() && to[at] < bound {
            at += 1;
        }
        result[at] += count;
    }
    result
}

impl Exponential {
    /// `None` where the numbers cannot be those of a histogram.
    pub fn new(
        scale: i32,
        zero_threshold: f64,
        zero: u64,
        positive: (i32, &[u64]),
        negative: (i32, &[u64]),
    ) -> Option<Exponential> {
        let side = |(offset, counts): (i32, &[u64])| -> Option<BTreeMap<i32, f64>> {
            if counts.len() > BUCKETS_MAX {
                return None;
            }
            let filled = (0..).zip(counts).filter(|(_, count)| **count > 0);
            filled.map(|(at, count)| Some((offset.checked_add(at)?, *count as f64))).collect()
        };
        if !(SCALE_MIN..=SCALE_MAX).contains(&scale) {
            return None;
        }
        let (positive, negative) = (side(positive)?, side(negative)?);
        Some(Exponential { scale, zero_threshold, zero: zero as f64, positive, negative })
    }

    /// Number of buckets that have any.
    pub fn buckets(&self) -> usize {
        self.positive.len() + self.negative.len()
    }

    /// Pairs of upper bound and count, ascending, for who draws them.
    pub fn bounds(&self) -> Vec<(f64, f64)> {
        self.ranges().into_iter().map(|(_, upper, count)| (upper, count)).collect()
    }

    fn plus(mut self, other: &Exponential, part: f64) -> Exponential {
        let scale = self.scale.min(other.scale);
        let threshold = self.zero_threshold.max(other.zero_threshold);
        self.coarsen(scale, threshold);
        let mut other = other.clone();
        other.coarsen(scale, threshold);
        self.zero += other.zero * part;
        for (index, count) in other.positive {
            *self.positive.entry(index).or_default() += count * part;
        }
        for (index, count) in other.negative {
            *self.negative.entry(index).or_default() += count * part;
        }
        self
    }

    fn since(&self, before: &Exponential) -> Option<Exponential> {
        // A scale only gets coarser while a histogram counts on, and the zero bucket wider.
        if self.scale > before.scale || self.zero_threshold < before.zero_threshold {
            return None;
        }
        let mut before = before.clone();
        before.coarsen(self.scale, self.zero_threshold);
        let mut result = self.clone();
        result.zero -= before.zero;
        for (index, count) in before.positive {
            *result.positive.entry(index).or_default() -= count;
        }
        for (index, count) in before.negative {
            *result.negative.entry(index).or_default() -= count;
        }
        let mut counts = result.positive.values().chain(result.negative.values());
        (result.zero >= 0.0 && counts.all(|count| *count >= 0.0)).then_some(result)
    }

    /// Joins buckets until the scale is `scale`, and those near zero into the zero bucket.
    fn coarsen(&mut self, scale: i32, zero_threshold: f64) {
        let steps = self.scale.saturating_sub(scale).clamp(0, 31);
        if steps > 0 {
            for side in [&mut self.positive, &mut self.negative] {
                let mut joined = BTreeMap::new();
                for (index, count) in std::mem::take(side) {
                    *joined.entry(index >> steps).or_default() += count;
                }
                *side = joined;
            }
            self.scale = scale;
        }
        if zero_threshold > self.zero_threshold {
            self.zero_threshold = zero_threshold;
            let scale = self.scale;
            for side in [&mut self.positive, &mut self.negative] {
                side.retain(|index, count| {
                    let stays = upper_bound(scale, *index) > zero_threshold;
                    self.zero += if stays { 0.0 } else { *count };
                    stays
                });
            }
        }
    }

    /// Lower bound, upper bound and count of each bucket that has any, ascending.
    fn ranges(&self) -> Vec<(f64, f64, f64)> {
        let bound = |index: i32| upper_bound(self.scale, index);
        let below = |index: i32| upper_bound(self.scale, index.saturating_sub(1));
        let mut ranges = Vec::with_capacity(self.negative.len() + self.positive.len() + 1);
        for (index, count) in self.negative.iter().rev() {
            ranges.push((-bound(*index), -below(*index), *count));
        }
        if self.zero > 0.0 {
            let lower = if self.negative.is_empty() { 0.0 } else { -self.zero_threshold };
            ranges.push((lower, self.zero_threshold, self.zero));
        }
        for (index, count) in &self.positive {
            ranges.push((below(*index), bound(*index), *count));
        }
        ranges.retain(|(_, _, count)| *count > 0.0);
        ranges
    }

    fn quantile(&self, q: f64) -> Option<f64> {
        let ranges = self.ranges();
        let total: f64 = ranges.iter().map(|(_, _, count)| count).sum();
        let mut rank = q * total;
        for (lower, upper, count) in &ranges {
            if rank > *count {
                rank -= count;
                continue;
            }
            return Some(between(*lower, *upper, rank / count));
        }
        ranges.last().map(|(_, upper, _)| *upper)
    }
}

fn between(lower: f64, upper: f64, fraction: f64) -> f64 {
    let fraction = fraction.clamp(0.0, 1.0);
    let one_side = lower > 0.0 || upper < 0.0;
    if one_side && lower.is_finite() && upper.is_finite() {
        lower * (upper / lower).powf(fraction)
    } else if lower.is_finite() && upper.is_finite() {
        lower + (upper - lower) * fraction
    } else {
        if lower.is_finite() { lower } else { upper }
    }
}

fn upper_bound(scale: i32, index: i32) -> f64 {
    // A power of two is exact, so are bounds at whole powers.
    ((f64::from(index) + 1.0) * f64::exp2(f64::from(-scale))).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(bounds: &[f64], counts: &[f64]) -> Distribution {
        let count = counts.iter().sum();
        let buckets = Buckets::Explicit { bounds: bounds.into(), counts: counts.to_vec() };
        Distribution { count, buckets, ..Distribution::default() }
    }

    fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Distribution {
        let made = Exponential::new(scale, 0.0, 0, (offset, counts), (0, &[])).unwrap();
        let count = counts.iter().sum::<u64>() as f64;
        Distribution { count, buckets: Buckets::Exponential(made), ..Distribution::default() }
    }

    #[test]
    fn a_quantile_is_interpolated_inside_its_bucket() {
        let found = explicit(&[1.0, 2.0, 4.0], &[10.0, 10.0, 0.0, 0.0]);
        assert_eq!(found.quantile(0.5), Some(1.0));
        assert_eq!(found.quantile(0.75), Some(1.5));
        assert_eq!(found.quantile(0.25), Some(0.5));
        assert_eq!(explicit(&[1.0, 2.0], &[0.0, 0.0, 5.0]).quantile(0.5), Some(2.0));
        assert_eq!(explicit(&[1.0], &[0.0, 0.0]).quantile(0.5), None);
        assert_eq!(explicit(&[], &[5.0]).quantile(0.5), None);
    }

    #[test]
    fn the_smallest_and_largest_observation_narrow_the_outermost_buckets() {
        let known = Distribution {
            min: Some(1.5),
            max: Some(10.0),
            ..explicit(&[1.0, 2.0], &[0.0, 10.0, 10.0])
        };
        assert_eq!(known.quantile(0.0), Some(1.5));
        assert_eq!(known.quantile(1.0), Some(10.0));
        assert_eq!(known.quantile(0.75), Some(6.0));
    }

    #[test]
    fn histograms_of_different_bounds_add_where_their_bounds_agree() {
        let mut sum = explicit(&[1.0, 2.0, 4.0], &[1.0, 2.0, 3.0, 4.0]);
        sum.add(&explicit(&[2.0, 3.0], &[10.0, 20.0, 30.0]), 0.5);
        let Buckets::Explicit { bounds, counts } = &sum.buckets else { panic!("{sum:?}") };
        assert_eq!((&bounds[..], counts.as_slice()), (&[2.0][..], &[8.0, 32.0][..]));
        assert_eq!(sum.count, 40.0);
    }

    #[test]
    fn exponential_histograms_of_different_scales_add() {
        // Scale 1: base is the root of 2. Buckets 0..4 are (1, 4].
        let mut sum = exponential(1, 0, &[1, 1, 1, 1]);
        sum.add(&exponential(0, 0, &[2, 2]), 1.0);
        assert_eq!(sum.quantile(0.5), Some(2.0));
        assert_eq!(sum.quantile(1.0), Some(4.0));
        assert_eq!(sum.quantile(0.25), Some(2f64.sqrt()));
    }

    #[test]
    fn what_shrinks_has_started_from_anew() {
        let before = exponential(1, 0, &[1, 1]);
        assert!(exponential(1, 0, &[3, 0]).since(&before).is_none());
        assert_eq!(exponential(0, 0, &[5]).since(&before).unwrap().count, 3.0);
        assert!(exponential(2, 0, &[5]).since(&before).is_none());
        assert!(explicit(&[1.0], &[5.0, 0.0]).since(&explicit(&[1.0], &[1.0, 1.0])).is_none());
        assert!(explicit(&[2.0], &[5.0, 0.0]).since(&explicit(&[1.0], &[1.0, 1.0])).is_none());
    }

    #[test]
    fn numbers_that_are_no_histogram_are_refused() {
        assert!(Exponential::new(i32::MIN, 0.0, 0, (0, &[1]), (0, &[])).is_none());
        assert!(Exponential::new(0, 0.0, 0, (i32::MAX, &[1, 1]), (0, &[])).is_none());
        assert!(Exponential::new(0, 0.0, 0, (0, &[0; BUCKETS_MAX + 1]), (0, &[])).is_none());
    }

    #[test]
    fn negative_values_and_zeros_have_their_place() {
        let made = Exponential::new(0, 0.5, 2, (0, &[1]), (0, &[1])).unwrap();
        let found = Distribution {
            count: 4.0,
            buckets: Buckets::Exponential(made),
            ..Distribution::default()
        };
        assert_eq!(found.quantile(0.0), Some(-2.0));
        assert_eq!(found.quantile(0.5), Some(0.0));
        assert_eq!(found.quantile(1.0), Some(2.0));
    }
}
