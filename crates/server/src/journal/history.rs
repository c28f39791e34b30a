//! Lines of some kinds, from a place on, forwards or backwards.

use engine::Event;
use model::Timestamp;
use rusqlite::params;

use super::{Error, Journal};

/// Kinds of lines that tell what was decided and why.
pub const AUDITED: &[&str] =
    &["plan", "order", "outcome", "command", "remark", "reload", "catching_up", "clock_set_back"];

impl Journal {
    /// Lines of `kinds` before `seq`, newest first; fewer where they are very long.
    pub fn lines_before(
        &self,
        seq: u64,
        kinds: &[&str],
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let query = "select body from events where seq < ?1 and body <> '' \
                     and event in (select value from json_each(?2)) order by seq desc limit ?3";
        self.lines(query, seq, kinds, limit)
    }

    /// Lines of `kinds` after `seq`, oldest first; fewer where they are very long.
    pub fn lines_after(&self, seq: u64, kinds: &[&str], limit: usize) -> Result<Vec<Event>, Error> {
        let query = "select body from events where seq > ?1 and body <> '' \
                     and event in (select value from json_each(?2)) order by seq limit ?3";
        self.lines(query, seq, kinds, limit)
    }

    /// Lines of `kind` that were written from `since` on, newest first.
    pub fn lines_since(
        &self,
        since: Timestamp,
        kind: &str,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let query = "select body from events where at >= ?1 and body <> '' and event = ?2 \
                     order by seq desc limit ?3";
        let since = i64::try_from(since.0).unwrap_or(i64::MAX);
        read(self.bodies(query, params![since, kind, limit as i64])?)
    }

    fn lines(
        &self,
        query: &str,
        seq: u64,
        kinds: &[&str],
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let seq = i64::try_from(seq).unwrap_or(i64::MAX);
        let kinds = serde_json::to_string(kinds)?;
        read(self.bodies(query, params![seq, kinds, limit as i64])?)
    }
}

fn read(bodies: Vec<String>) -> Result<Vec<Event>, Error> {
    bodies.iter().map(|body| Ok(serde_json::from_str(body)?)).collect()
}

#[cfg(test)]
mod tests {
    use engine::EventKind;

    use super::*;

    #[test]
    fn lines_are_read_by_kind_in_both_directions() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let event = |seq: u64| {
            let kind = match seq % 2 {
                0 => EventKind::Remark { text: seq.to_string() },
                _ => EventKind::ClockSetBack { seconds: seq },
            };
            Event { seq, at: Timestamp(seq * 10), kind }
        };
        let all: Vec<Event> = (1..=9).map(event).collect();
        journal.append(&all, &[], |_| false).unwrap();
        let numbers = |events: Vec<Event>| events.iter().map(|it| it.seq).collect::<Vec<_>>();
        assert_eq!(numbers(journal.lines_before(u64::MAX, &["remark"], 3).unwrap()), [8, 6, 4]);
        assert_eq!(numbers(journal.lines_before(6, &["remark"], 9).unwrap()), [4, 2]);
        assert_eq!(numbers(journal.lines_after(5, &["remark", "none"], 9).unwrap()), [6, 8]);
        assert_eq!(numbers(journal.lines_since(Timestamp(40), "remark", 9).unwrap()), [8, 6, 4]);
    }
}
