//! The agent's clock, in one place.
//!
//! The agent is a part with I/O: it is where deadlines and leases are kept, so it may read clocks,
//! but only here. Wall-clock time goes into records and is compared with deadlines that the server
//! gave; monotonic time measures waiting, so that a clock jump can neither prolong a wait nor cut
//! it short.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use model::Timestamp;
use rustix::event::Timespec;
use rustix::time::{ClockId, clock_gettime};

/// The wall clock. A clock before 1970 reads as 1970.
#[allow(clippy::disallowed_methods, reason = "the one place of this crate that reads this clock")]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Both clocks at one moment: what files are dated by, and what the kernel dates processes by. Only
/// ages can be compared between the two, for the wall clock is set now and then.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub wall: Timestamp,
    pub since_boot: Duration,
}

pub fn moment() -> Moment {
    let since_boot = clock_gettime(ClockId::Boottime);
    let since_boot = Duration::try_from(since_boot).unwrap_or_default();
    Moment { wall: now(), since_boot }
}

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "the one place of this crate that reads this clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Lets a moment pass between two looks at something that sends no events: `/proc` and listening
/// sockets. Every caller looks again until a deadline; none takes the passing of time for a state.
pub fn pause(duration: Duration) {
    let until = monotonic() + duration;
    loop {
        let left = until.saturating_duration_since(monotonic());
        if left.is_zero() {
            return;
        }
        // Interrupted by a signal: wait for what is left.
        let _ = rustix::event::poll(&mut [], Some(&timespec(left)));
    }
}

/// A duration as the kernel takes it, at most a day.
pub fn timespec(duration: Duration) -> Timespec {
    let seconds = duration.as_secs().min(86_400);
    Timespec { tv_sec: seconds as i64, tv_nsec: i64::from(duration.subsec_nanos()) }
}
