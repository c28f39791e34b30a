//! Durations as people write them: `250ms`, `2s`, `1.5s`, `10m`, `2h`; and ranges `1s..3s`.

use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

/// A time drawn evenly from a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DurationRange {
    min: Duration,
    max: Duration,
}

impl DurationRange {
    /// No time at all.
    pub const ZERO: DurationRange = DurationRange { min: Duration::ZERO, max: Duration::ZERO };

    /// Reads `2s` or `1s..3s`.
    pub fn parse(text: &str) -> Result<DurationRange, String> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        let range = DurationRange { min: parse_duration(min)?, max: parse_duration(max)? };
        if range.min > range.max {
            return Err(format!("{text:?} ends before it begins"));
        }
        Ok(range)
    }

    /// A time from the range.
    pub fn draw(&self, generator: &mut StdRng) -> Duration {
        let share: f64 = generator.random();
        self.min + (self.max - self.min).mul_f64(share)
    }
}

/// Reads a number with one of the units ms, s, m, h.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let seconds_per_unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text:?} is not a time; write 250ms, 2s, 10m or 2h")),
    };
    let seconds = number.parse::<f64>().ok().map(|number| number * seconds_per_unit);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("{text:?} is not a time; write 250ms, 2s, 10m or 2h"))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, ms) in [("250ms", 250), ("2s", 2_000), ("1.5s", 1_500), ("1m", 60_000)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "5", "s", "-1s", "1d", "1e99h", "é", "NaNs"] {
            assert!(parse_duration(text).is_err(), "{text:?} was accepted");
        }
        assert!(DurationRange::parse("3s..1s").is_err());
    }

    #[test]
    fn a_drawn_time_lies_within_its_range() {
        let range = DurationRange::parse("1s..3s").expect("a range");
        let mut generator = StdRng::seed_from_u64(1);
        for _ in 0..100 {
            let drawn = range.draw(&mut generator);
            assert!((Duration::from_secs(1)..=Duration::from_secs(3)).contains(&drawn));
        }
    }
}
