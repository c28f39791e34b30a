//! The crate's clocks, in one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::Timestamp;

/// The wall clock.
#[allow(clippy::disallowed_methods, reason = "the one place of this crate that reads this clock")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "the one place of this crate that reads this clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// As journals write moments: `2026-11-28T11:53:33.123456+00:00`.
pub fn written(moment: Timestamp) -> String {
    let seconds = moment.0 / 1_000_000_000;
    let micros = moment.0 % 1_000_000_000 / 1_000;
    let whole = Timestamp(seconds * 1_000_000_000).to_string();
    let whole = whole.split('.').next().unwrap_or_default();
    format!("{whole}.{micros:06}+00:00")
}

/// Seconds as a duration; what is negative or no number is none at all, and a year is enough.
pub fn seconds(seconds: f64) -> Duration {
    const YEAR: f64 = 366.0 * 86_400.0;
    if seconds.is_nan() {
        Duration::ZERO
    } else {
        Duration::from_secs_f64(seconds.clamp(0.0, YEAR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_to_the_microsecond() {
        let moment = Timestamp(1_795_866_813_000_001_999);
        assert!(written(moment).ends_with(":33.000001+00:00"), "{}", written(moment));
        assert_eq!(seconds(-1.0), Duration::ZERO);
        assert_eq!(seconds(f64::NAN), Duration::ZERO);
    }
}
