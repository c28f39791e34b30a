//! The users' own log: JSON lines, one per request, written whole when the request has ended.
//!
//! The first line is a header with the format's name. Each line is one write to the file, so a
//! reader sees whole lines and a killed process loses none.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::clock::wall_now;

/// Name and version of the format.
const FORMAT: &str = "immune-users/1";

/// An open log.
pub struct Log {
    inner: Mutex<Inner>,
}

struct Inner {
    file: File,
    counts: Counts,
    told: Counts,
}

/// Requests so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counts {
    /// Requests that ended.
    pub requests: u64,
    /// Those not answered as expected.
    pub failed: u64,
}

/// One request, as its user saw it.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    /// When the user asked, in nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// When the whole answer was there, or the user knew that there is none.
    pub end_unix_ns: u64,
    /// Whose request.
    pub session: &'a str,
    /// What the user is up to.
    pub journey: &'a str,
    /// The step of the journey.
    pub step: &'a str,
    /// Request method.
    pub method: &'a str,
    /// Path as sent.
    pub path: &'a str,
    /// Status of the answer, where one came.
    pub status: Option<u16>,
    /// Why there is no usable answer: `connect`, `timeout`, `reset` or `other`; `slow` where it
    /// came late.
    pub error: Option<&'static str>,
    /// Answered in time, with a status that the step expects.
    pub ok: bool,
}

#[derive(Serialize)]
struct Header<'a> {
    log: &'a str,
    seed: u64,
    url: &'a str,
    started_unix_ns: u64,
}

/// Why the log cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be created.
    #[error("create the log {0}")]
    Create(String, #[source] std::io::Error),
    /// A line cannot be written.
    #[error("write to the log")]
    Write(#[source] std::io::Error),
}

impl Log {
    /// Creates the file anew and writes the header.
    pub fn create(path: &Path, seed: u64, url: &str) -> Result<Log, LogError> {
        let file = File::create(path);
        let file = file.map_err(|error| LogError::Create(path.display().to_string(), error))?;
        let inner = Inner { file, counts: Counts::default(), told: Counts::default() };
        let log = Log { inner: Mutex::new(inner) };
        let started_unix_ns = unix_ns(wall_now());
        log.write_line(&Header { log: FORMAT, seed, url, started_unix_ns })?;
        Ok(log)
    }

    /// Writes a request that has ended.
    pub fn write(&self, entry: &Entry<'_>) -> Result<(), LogError> {
        self.write_line(entry)?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.counts.requests += 1;
        inner.counts.failed += u64::from(!entry.ok);
        Ok(())
    }

    /// All requests so far.
    pub fn counts(&self) -> Counts {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).counts
    }

    /// The requests since this was last asked.
    pub fn counts_since_last(&self) -> Counts {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, before) = (inner.counts, inner.told);
        inner.told = now;
        Counts { requests: now.requests - before.requests, failed: now.failed - before.failed }
    }

    fn write_line(&self, line: &impl Serialize) -> Result<(), LogError> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| LogError::Write(error.into()))?;
        bytes.push(b'\n');
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.file.write_all(&bytes).map_err(LogError::Write)
    }
}

/// Nanoseconds since 1970.
pub fn unix_ns(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn the_log_has_a_header_and_a_line_per_request() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("users.jsonl");
        let log = Log::create(&path, 7, "http://shop.test").expect("create");
        let entry = Entry {
            start_unix_ns: 1,
            end_unix_ns: 2,
            session: "s-000001",
            journey: "buy",
            step: "checkout",
            method: "POST",
            path: "/api/checkout",
            status: None,
            error: Some("timeout"),
            ok: false,
        };
        log.write(&entry).expect("write");
        let text = std::fs::read_to_string(path).expect("read");
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(lines[0]["log"], json!("immune-users/1"));
        assert_eq!(lines[0]["seed"], json!(7));
        assert_eq!(lines[1]["status"], Value::Null);
        assert_eq!(lines[1]["error"], json!("timeout"));
        assert_eq!(log.counts(), Counts { requests: 1, failed: 1 });
        assert_eq!(log.counts_since_last(), Counts { requests: 1, failed: 1 });
        assert_eq!(log.counts_since_last(), Counts::default());
    }
}
