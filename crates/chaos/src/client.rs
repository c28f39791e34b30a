//! What users felt, from the load generator's own log: JSON lines, one per request.
//!
//! `{"start_unix_ns":…,"end_unix_ns":…,"ok":true,…}`; other fields are ignored, a half-written last
//! line too.

use model::Timestamp;
use serde::Deserialize;

/// Requests in the order in which they ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientLog {
    requests: Vec<Request>,
    unread_lines: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Request {
    start: Timestamp,
    end: Timestamp,
    ok: bool,
}

#[derive(Deserialize)]
struct Line {
    start_unix_ns: u64,
    end_unix_ns: u64,
    ok: bool,
}

/// Newer requests beyond this many drop the oldest: days of a busy generator.
const REQUESTS_MAX: usize = 2_000_000;

impl ClientLog {
    /// Adds whole lines; returns how many bytes were used, so that a half line can be offered
    /// again.
    pub fn read(&mut self, text: &str) -> usize {
        let mut used = 0;
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            used += line.len();
            match serde_json::from_str::<Line>(line) {
                Ok(line) => self.requests.push(Request {
                    start: Timestamp(line.start_unix_ns),
                    end: Timestamp(line.end_unix_ns),
                    ok: line.ok,
                }),
                Err(_) => self.unread_lines += 1,
            }
        }
        if self.requests.len() > REQUESTS_MAX {
            self.requests.drain(..self.requests.len() - REQUESTS_MAX);
        }
        used
    }

    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Lines that are not requests (the header is one).
    pub fn unread_lines(&self) -> u64 {
        self.unread_lines
    }

    /// Harmed requests that ended in `from..=to`: how many, end of the first and of the last.
    pub fn harmed(&self, from: Timestamp, to: Timestamp) -> Harmed {
        let mut harmed = Harmed::default();
        for request in self.requests.iter().filter(|r| !r.ok && (from..=to).contains(&r.end)) {
            harmed.count += 1;
            harmed.first = Some(harmed.first.map_or(request.end, |first| first.min(request.end)));
            harmed.last = harmed.last.max(Some(request.end));
        }
        harmed
    }

    /// Requests that went well and were begun after `from`.
    pub fn well_after(&self, from: Timestamp) -> u64 {
        self.requests.iter().filter(|r| r.ok && r.start > from).count() as u64
    }

    /// Length of the run of harmed requests at the end of the log.
    pub fn harmed_in_a_row(&self) -> u64 {
        self.requests.iter().rev().take_while(|request| !request.ok).count() as u64
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Harmed {
    pub count: u64,
    pub first: Option<Timestamp>,
    pub last: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_whole_lines_and_keeps_half_ones_for_later() {
        let mut log = ClientLog::default();
        let text =
            "{\"log\":\"x\"}\n{\"start_unix_ns\":1,\"end_unix_ns\":2,\"ok\":false}\n{\"start";
        assert_eq!(log.read(text), text.len() - 7);
        assert_eq!(log.harmed(Timestamp(0), Timestamp(9)).count, 1);
        assert_eq!(log.harmed_in_a_row(), 1);
        assert_eq!(log.unread_lines(), 1);
    }
}
