//! Arithmetic of figures: quantiles of few values, seconds between times, counts.

use model::Timestamp;
use model::time::SECOND;
use serde_json::Value;

/// What a bench came to.
#[derive(Debug)]
pub struct Outcome {
    pub figures: Value,
    /// Promises of the product that were broken, one line each; empty where all is as it should be.
    pub broken: Vec<String>,
}

impl Outcome {
    pub fn new(figures: Value) -> Outcome {
        Outcome { figures, broken: Vec::new() }
    }

    /// Notes a promise, and whether it was kept.
    pub fn promise(&mut self, kept: bool, broken: impl Into<String>) {
        if !kept {
            self.broken.push(broken.into());
        }
    }
}

/// Quantile `q` (0–1) of the values that are there, by linear interpolation between order
/// statistics (Hyndman and Fan 1996, definition 7). `None` without values.
pub fn quantile(values: &[f64], q: f64) -> Option<f64> {
    let mut sorted: Vec<f64> = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let place = q * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    let part = place - below as f64;
    Some(rounded(sorted[below] + (sorted[above] - sorted[below]) * part))
}

/// Seconds from `from` to `to`, negative when it lies before, to the millisecond.
pub fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    rounded((to.0 as f64 - from.0 as f64) / SECOND as f64)
}

/// To three places, as figures are printed.
pub fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

pub fn count<T>(all: &[T], is: impl Fn(&T) -> bool) -> usize {
    all.iter().filter(|one| is(one)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values_around_them() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[7.0], 0.95), Some(7.0));
        assert_eq!(quantile(&[3.0, 1.0, 2.0], 0.5), Some(2.0));
        assert_eq!(quantile(&[0.0, 10.0], 0.95), Some(9.5));
    }

    #[test]
    fn seconds_have_a_sign() {
        let (early, late) = (Timestamp::from_secs(10), Timestamp::from_secs(12));
        assert_eq!((seconds(early, late), seconds(late, early)), (2.0, -2.0));
    }
}
