//! Waiting for states, and the one place of these tests that reads a clock.

use std::time::{Duration, Instant};

/// Generous: it is only ever reached when something is broken.
pub const WITHIN: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until there is something to see.
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(WITHIN, look).unwrap_or_else(|| panic!("not within {WITHIN:?}: {what}"))
}

/// Looks for a while; `None` when nothing was to be seen.
#[allow(clippy::disallowed_methods, reason = "a deadline for the test itself")]
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if begun.elapsed() > limit {
            return None;
        }
        pause(LOOK_EVERY);
    }
}

/// Runs cases that mostly wait side by side, and says which of them failed.
pub fn all_of(cases: &[(&str, fn())]) {
    let failed: Vec<&str> = std::thread::scope(|scope| {
        let started = cases.iter().map(|(name, case)| {
            let thread = std::thread::Builder::new().name((*name).to_owned());
            (*name, thread.spawn_scoped(scope, case).unwrap())
        });
        let started: Vec<_> = started.collect();
        let failed = started.into_iter().filter_map(|(name, case)| case.join().err().map(|_| name));
        failed.collect()
    });
    assert!(failed.is_empty(), "failed: {failed:?}");
}

#[allow(clippy::disallowed_methods, reason = "between two looks")]
pub fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[allow(clippy::disallowed_methods, reason = "telemetry and client logs bear the time of day")]
pub fn unix_nanos() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_nanos()).unwrap()
}
