//! The one place that reads the wall clock. Everything else is handed the time.

use model::Timestamp;

/// Now, by the system's clock.
#[allow(clippy::disallowed_methods, reason = "this is the clock that others are told to use")]
pub fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_epoch.map_or(0, |passed| u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)))
}
