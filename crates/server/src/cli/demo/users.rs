//! What users felt, read from their own log while it grows: whole lines, each one request that
//! ended.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use model::Timestamp;
use serde::Deserialize;

/// Read at most this much in one look.
const READ_BYTES_MAX: u64 = 8 << 20;
/// Requests that are kept; the oldest go first. A day at the highest rate of the demo has fewer
/// failures.
const REQUESTS_MAX: usize = 500_000;

pub(super) struct UsersLog {
    path: PathBuf,
    offset: u64,
    requests: Vec<Request>,
}

/// One request as its user saw it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(super) struct Request {
    start_unix_ns: u64,
    end_unix_ns: u64,
    method: String,
    path: String,
    status: Option<u16>,
    error: Option<String>,
    pub ok: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub requests: u64,
    pub failed: u64,
}

impl Request {
    pub(super) fn end(&self) -> Timestamp {
        Timestamp(self.end_unix_ns)
    }

    /// `POST /api/checkout was answered with 502 after 3 ms`.
    pub(super) fn told(&self) -> String {
        let (method, path) = (&self.method, &self.path);
        let took = self.end_unix_ns.saturating_sub(self.start_unix_ns) / 1_000_000;
        match (self.status, self.error.as_deref()) {
            (Some(status), None) => {
                format!("{method} {path} was answered with {status} after {took} ms")
            }
            (Some(status), Some("slow")) => {
                format!("{method} {path} was answered with {status}, but only after {took} ms")
            }
            (_, error) => {
                let error = error.unwrap_or("no reason given");
                format!("{method} {path} got no usable answer ({error}) within {took} ms")
            }
        }
    }
}

impl UsersLog {
    pub(super) fn new(path: &Path) -> UsersLog {
        UsersLog { path: path.to_owned(), offset: 0, requests: Vec::new() }
    }

    /// Reads what is new. A log that is not there yet has nothing new.
    pub(super) fn read(&mut self) -> Result<()> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                return Err(error).context(format!("cannot read {}", self.path.display()));
            }
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        self.add(&bytes);
        Ok(())
    }

    /// Takes whole lines; what is no request, such as the header, is passed over.
    fn add(&mut self, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            if line.ends_with(b"\n") {
                self.offset += line.len() as u64;
                self.requests.extend(serde_json::from_slice::<Request>(line));
            }
        }
        let surplus = self.requests.len().saturating_sub(REQUESTS_MAX);
        self.requests.drain(..surplus);
    }

    /// Requests that ended after `from` and not after `to`.
    pub(super) fn count(&self, from: Timestamp, to: Timestamp) -> Count {
        let mut count = Count::default();
        for request in self.requests.iter().filter(|r| r.end() > from && r.end() <= to) {
            count.requests += 1;
            count.failed += u64::from(!request.ok);
        }
        count
    }

    pub(super) fn first_failed(&self, from: Timestamp) -> Option<&Request> {
        self.failed(from).min_by_key(|request| request.end_unix_ns)
    }

    pub(super) fn last_failed(&self, from: Timestamp) -> Option<&Request> {
        self.failed(from).max_by_key(|request| request.end_unix_ns)
    }

    fn failed(&self, from: Timestamp) -> impl Iterator<Item = &Request> {
        self.requests.iter().filter(move |request| !request.ok && request.end() >= from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(start: u64, end: u64, ok: bool) -> String {
        let status = if ok { 201 } else { 502 };
        format!(
            "{{\"start_unix_ns\":{start},\"end_unix_ns\":{end},\"session\":\"s\",\
             \"journey\":\"buy\",\
             \"step\":\"checkout\",\"method\":\"POST\",\"path\":\"/api/checkout\",\
             \"status\":{status},\"error\":null,\"ok\":{ok}}}\n"
        )
    }

    #[test]
    fn counts_requests_and_finds_the_first_and_the_last_that_failed() {
        let mut log = UsersLog::new(Path::new("users.jsonl"));
        let text = ["{\"log\":\"immune-users/1\"}\n", &line(1, 5, true)].concat();
        log.add(text.as_bytes());
        log.add(&line(2, 3_000_009, false).as_bytes()[..40]);
        assert_eq!(log.offset, text.len() as u64);
        log.add([line(2, 3_000_009, false), line(6, 9, false)].concat().as_bytes());
        let all = log.count(Timestamp(0), Timestamp(u64::MAX));
        assert_eq!(all, Count { requests: 3, failed: 2 });
        assert_eq!(log.count(Timestamp(5), Timestamp(9)).failed, 1);
        assert_eq!(log.first_failed(Timestamp(6)).unwrap().end(), Timestamp(9));
        let last = log.last_failed(Timestamp(6)).unwrap();
        assert_eq!(last.told(), "POST /api/checkout was answered with 502 after 3 ms");
        assert_eq!(log.first_failed(Timestamp(4_000_000)), None);
    }
}
