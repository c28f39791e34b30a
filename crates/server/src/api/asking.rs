//! How telemetry is asked: times in words, and queries run within limits where they hold nobody
//! up.
//!
//! Bounds: queries at a time (a semaphore), and time and memory of each ([`query::Limits`]). A
//! query whose client went away is cancelled.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::Timestamp;
use model::human::HumanDuration;
use storage::query::Limits;
use storage::store::Store;

use super::{App, Error};
use crate::clock;

/// Queries that run at a time; others wait for their turn.
pub const QUERIES_MAX: usize = 2;
/// Waiting longer than this for a turn is told as overload.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);
/// A query is answered from what had been taken when it came; with the loop behind for longer than
/// this, from what the loop has come to.
const BARRIER_TIMEOUT: Duration = Duration::from_millis(500);

/// A point in time as people and programs write it: RFC 3339, `now`, or a duration before now.
pub(super) fn moment(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    if text == "now" {
        return Ok(now);
    }
    if let Ok(before) = HumanDuration::parse(text.trim_start_matches('-')) {
        return Ok(now - before.0);
    }
    Timestamp::parse_rfc3339(text).ok_or_else(|| {
        format!(
            "`{text}` is neither a time such as 2026-01-31T12:00:00Z nor a duration such as 15m"
        )
    })
}

/// Sets the flag when it is dropped: the client went away, or has its answer.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a query over all that was acknowledged before it came.
pub(super) async fn run<T: Send + 'static>(
    app: &App,
    query: impl FnOnce(&Store, &Limits) -> Result<T, storage::Error> + Send + 'static,
) -> Result<T, Error> {
    let turn = tokio::time::timeout(TURN_TIMEOUT, app.turns.querying.clone().acquire_owned()).await;
    let Ok(Ok(turn)) = turn else { return Err(Error::TooManyQueries) };
    // What is before this question in the loop's queue is in the store after it.
    let _ = tokio::time::timeout(BARRIER_TIMEOUT, app.handle.ask(|_| ())).await;
    let storage = &app.config.storage;
    let memory = app.config.query_bytes(QUERIES_MAX);
    let limits = Limits::new(Arc::new(clock::now), storage.queries.timeout.0, memory, u64::MAX);
    let _cancel = CancelOnDrop(limits.cancelled.clone());
    let store = app.store.clone();
    let work = move || {
        let _turn = turn;
        query(&store, &limits)
    };
    let answer = tokio::task::spawn_blocking(work).await;
    Ok(answer.map_err(|_| Error::QueryBroke)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now = Timestamp::parse_rfc3339("2026-01-31T12:00:00Z").unwrap();
        let hour = Duration::from_secs(3600);
        assert_eq!(moment("now", now), Ok(now));
        assert_eq!(moment("-2h", now), Ok(now - 2 * hour));
        assert_eq!(moment("1h", now), Ok(now - hour));
        assert_eq!(moment("2026-01-31T11:00:00Z", now), Ok(now - hour));
        assert!(moment("yesterday", now).is_err());
    }
}
