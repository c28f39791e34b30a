//! The only place that reads the clocks: everything else is handed a time.

use std::time::{Instant, SystemTime};

/// The steady clock, for durations.
#[expect(clippy::disallowed_methods, reason = "the shop's one reading of the steady clock")]
pub fn steady_now() -> Instant {
    Instant::now()
}

/// The wall clock, for the users' log.
#[expect(clippy::disallowed_methods, reason = "the shop's one reading of the wall clock")]
pub fn wall_now() -> SystemTime {
    SystemTime::now()
}
