//! Explicit and exponential histograms in one form that can be subtracted.

use model::signal::{ExponentialPoint, HistogramPoint};
use serde::{Deserialize, Serialize};

/// Most buckets read of one point; SDKs send at most 160 (exponential) or a few dozen (explicit).
const BUCKETS_MAX: usize = 1_000;
/// Most requests believed of one point; beyond it the point is broken or forged.
const REQUESTS_MAX: u64 = 1 << 40;
/// Longest mean duration believed, in seconds or whatever the unit is: sums stay finite.
const MEAN_MAX: f64 = 1e9;
/// Scales that OpenTelemetry allows.
const SCALE_MIN: i32 = -10;
const SCALE_MAX: i32 = 20;

/// A histogram: requests by bucket, sparse, sorted by bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    shape: Shape,
    pub count: u64,
    pub sum: f64,
    buckets: Vec<(i32, u64)>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    /// Bucket `i` ends at `bounds[i]`, the last one never.
    Explicit(Vec<f64>),
    /// Bucket `i` ends at `2^((i+1) / 2^scale)`; `zeros` are those that round to nothing.
    Exponential { scale: i32, zeros: u64 },
}

impl Counts {
    /// `None`: not a histogram that can be read (more counts than bounds allow, absurdly many
    /// buckets).
    pub(crate) fn explicit(point: &HistogramPoint) -> Option<Counts> {
        let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
        let is_whole = counts.is_empty() || counts.len() == bounds.len() + 1;
        let is_sorted = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if counts.len() > BUCKETS_MAX || bounds.len() > BUCKETS_MAX || !is_whole || !is_sorted {
            return None;
        }
        let buckets = sparse(0, counts);
        let told = checked_sum(&buckets)?;
        Counts::whole(Shape::Explicit(bounds.clone()), point.count.max(told), point.sum, buckets)
    }

    /// Durations are never negative; negative buckets are counted with the zeros.
    pub(crate) fn exponential(point: &ExponentialPoint) -> Option<Counts> {
        let positive = &point.positive;
        let sizes = [positive.bucket_counts.len(), point.negative.bucket_counts.len()];
        if sizes.iter().any(|size| *size > BUCKETS_MAX)
            || !(SCALE_MIN..=SCALE_MAX).contains(&point.scale)
        {
            return None;
        }
        let buckets = sparse(positive.offset, &positive.bucket_counts);
        let negative = checked_sum(&sparse(0, &point.negative.bucket_counts))?;
        let zeros = point.zero_count.checked_add(negative)?;
        let told = checked_sum(&buckets)?.checked_add(zeros)?;
        let shape = Shape::Exponential { scale: point.scale, zeros };
        Counts::whole(shape, point.count.max(told), point.sum, buckets)
    }

    fn whole(
        shape: Shape,
        count: u64,
        sum: Option<f64>,
        buckets: Vec<(i32, u64)>,
    ) -> Option<Counts> {
        let sum = sum.filter(|sum| sum.is_finite()).unwrap_or(0.0);
        let sum = sum.clamp(0.0, count as f64 * MEAN_MAX);
        (count <= REQUESTS_MAX).then_some(Counts { shape, count, sum, buckets })
    }

    /// Numbers that it holds: bounds and buckets.
    pub(crate) fn cells(&self) -> usize {
        let bounds = match &self.shape {
            Shape::Explicit(bounds) => bounds.len(),
            Shape::Exponential { .. } => 0,
        };
        bounds + self.buckets.len()
    }

    /// What was added since `earlier`; `None` when this cannot be a later state of it.
    pub(crate) fn minus(&self, earlier: &Counts) -> Option<Counts> {
        let (shape, now, before) = match (&self.shape, &earlier.shape) {
            (Shape::Explicit(bounds), Shape::Explicit(old)) if bounds == old => {
                (self.shape.clone(), self.buckets.clone(), earlier.buckets.clone())
            }
            (
                Shape::Exponential { scale, zeros },
                Shape::Exponential { scale: old_scale, zeros: old_zeros },
            ) => {
                // Scales only ever fall while a stream goes on: the coarser form holds both.
                let common = (*scale).min(*old_scale);
                let shape =
                    Shape::Exponential { scale: common, zeros: zeros.checked_sub(*old_zeros)? };
                let now = coarser(&self.buckets, scale - common);
                (shape, now, coarser(&earlier.buckets, old_scale - common))
            }
            _ => return None,
        };
        let mut buckets = now;
        for (index, count) in before {
            let at = buckets.binary_search_by_key(&index, |(index, _)| *index).ok()?;
            buckets[at].1 = buckets[at].1.checked_sub(count)?;
        }
        buckets.retain(|(_, count)| *count > 0);
        let count = self.count.checked_sub(earlier.count)?;
        Some(Counts { shape, count, sum: (self.sum - earlier.sum).max(0.0), buckets })
    }

    /// Upper bounds in seconds with their requests, ascending; `unit` is seconds per unit of the
    /// metric.
    pub(crate) fn in_seconds(&self, unit: f64) -> Vec<(f64, u64)> {
        match &self.shape {
            Shape::Explicit(bounds) => {
                let bound = |index: i32| {
                    usize::try_from(index)
                        .ok()
                        .and_then(|at| bounds.get(at))
                        .map_or(f64::INFINITY, |b| b * unit)
                };
                self.buckets.iter().map(|(index, count)| (bound(*index), *count)).collect()
            }
            Shape::Exponential { scale, zeros } => {
                let bound = |index: i32| {
                    let power = (f64::from(index) + 1.0) * f64::powi(2.0, -scale);
                    f64::powf(2.0, power) * unit
                };
                let zeros = (*zeros > 0).then_some((0.0, *zeros));
                zeros
                    .into_iter()
                    .chain(self.buckets.iter().map(|(i, count)| (bound(*i), *count)))
                    .collect()
            }
        }
    }
}

fn sparse(offset: i32, counts: &[u64]) -> Vec<(i32, u64)> {
    let index = |at: usize| offset.saturating_add(i32::try_from(at).unwrap_or(i32::MAX));
    let mut buckets: Vec<(i32, u64)> = Vec::new();
    for (at, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        match buckets.last_mut() {
            Some((last, held)) if *last == index(at) => *held = held.saturating_add(*count),
            _ => buckets.push((index(at), *count)),
        }
    }
    buckets
}

fn coarser(buckets: &[(i32, u64)], steps: i32) -> Vec<(i32, u64)> {
    let mut merged: Vec<(i32, u64)> = Vec::new();
    for (index, count) in buckets {
        let index = index >> steps.clamp(0, 31);
        match merged.last_mut() {
            Some((last, held)) if *last == index => *held = held.saturating_add(*count),
            _ => merged.push((index, *count)),
        }
    }
    merged
}

/// Counts that do not even add up to a number are broken.
fn checked_sum(buckets: &[(i32, u64)]) -> Option<u64> {
    buckets.iter().try_fold(0_u64, |sum, (_, count)| sum.checked_add(*count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::ExponentialBuckets;

    fn exponential(scale: i32, offset: i32, counts: &[u64]) -> Counts {
        let positive = ExponentialBuckets { offset, bucket_counts: counts.to_vec() };
        let count = counts.iter().sum();
        let point = ExponentialPoint { scale, positive, count, ..ExponentialPoint::default() };
        Counts::exponential(&point).unwrap()
    }

    #[test]
    fn a_stream_that_grew_coarser_can_still_be_subtracted() {
        let earlier = exponential(1, -2, &[1, 2, 3, 4]);
        let later = exponential(0, -1, &[3, 8]);
        let added = later.minus(&earlier).unwrap();
        assert_eq!(added.in_seconds(1.0), [(2.0, 1)]);
        assert_eq!(added.count, 1);
        assert!(earlier.minus(&later).is_none());
    }

    #[test]
    fn explicit_bounds_become_seconds() {
        let point = HistogramPoint {
            count: 6,
            sum: Some(1000.0),
            bucket_counts: vec![1, 2, 3],
            explicit_bounds: vec![5.0, 250.0],
            ..HistogramPoint::default()
        };
        let counts = Counts::explicit(&point).unwrap();
        assert_eq!(counts.in_seconds(1e-3), [(0.005, 1), (0.25, 2), (f64::INFINITY, 3)]);
    }

    #[test]
    fn broken_histograms_are_refused() {
        let point = |counts: &[u64], bounds: &[f64]| HistogramPoint {
            bucket_counts: counts.to_vec(),
            explicit_bounds: bounds.to_vec(),
            ..HistogramPoint::default()
        };
        assert!(Counts::explicit(&point(&[1, 2], &[1.0, 2.0])).is_none());
        assert!(Counts::explicit(&point(&[1, 2, 3], &[2.0, 1.0])).is_none());
        assert!(Counts::explicit(&point(&[u64::MAX, 1], &[1.0])).is_none());
        assert!(Counts::explicit(&point(&[1, 2], &[f64::NAN])).is_some());
        let far = exponential(0, i32::MAX - 1, &[1, 1, 1]);
        assert_eq!(far.count, 3);
    }
}
