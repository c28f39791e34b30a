//! Forgetting: the texts of old events go, in small steps.

use model::{IncidentId, Timestamp};
use rusqlite::params;

use super::{Error, Journal, sql};

/// Events forgotten in one step; the journal cannot be written meanwhile.
const STEP_EVENTS: usize = 500;

impl Journal {
    /// Forgets the oldest events from before a time, one step of them; returns how many. Those of
    /// `open` incidents stay, and those of which somebody is still to be notified.
    pub fn forget(&self, before: Timestamp, open: &[IncidentId]) -> Result<usize, Error> {
        let open = serde_json::to_string(&open.iter().map(|id| id.0).collect::<Vec<_>>())?;
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(sql("begin to write to"))?;
        let forget = "update events set body = '' where seq in (\
                      select seq from events where body <> '' and at < ?1 \
                      and (incident is null or incident not in (select value from json_each(?2))) \
                      and not exists (select 1 from notifications \
                      where event_seq = events.seq and settled is null) \
                      order by at limit ?3) returning seq";
        let forgotten: Vec<i64> = {
            let mut statement = transaction.prepare_cached(forget).map_err(sql("write to"))?;
            let limits = params![before.0 as i64, open, STEP_EVENTS as i64];
            let rows = statement.query_map(limits, |row| row.get(0)).map_err(sql("write to"))?;
            rows.collect::<Result<_, _>>().map_err(sql("write to"))?
        };
        let seqs = serde_json::to_string(&forgotten)?;
        let delete = "delete from notifications \
                      where event_seq in (select value from json_each(?1))";
        transaction.execute(delete, [seqs]).map_err(sql("write to"))?;
        transaction.commit().map_err(sql("write to"))?;
        Ok(forgotten.len())
    }

    /// Bytes of the file that hold something.
    pub fn bytes_used(&self) -> Result<u64, Error> {
        let query = "select (page_count - freelist_count) * page_size \
                     from pragma_page_count, pragma_freelist_count, pragma_page_size";
        self.reading()
            .query_row(query, [], |row| row.get::<_, i64>(0))
            .map(|bytes| bytes as u64)
            .map_err(sql("read"))
    }
}

#[cfg(test)]
mod tests {
    use engine::{Event, EventKind};

    use super::*;

    fn event(seq: u64) -> Event {
        Event { seq, at: Timestamp(seq), kind: EventKind::Remark { text: "x".repeat(1 << 20) } }
    }

    #[test]
    fn what_is_forgotten_stays_forgotten_and_what_is_owed_stays() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let receivers = ["pager".to_owned()];
        let events: Vec<Event> = (1..=5).map(event).collect();
        journal.append(&events, &receivers, |event| event.seq <= 2).unwrap();
        let first = journal.due("pager", Timestamp(9), std::time::Duration::ZERO).unwrap();
        journal.settle(&first.unwrap(), "delivered").unwrap();
        let before = journal.bytes_used().unwrap();

        assert_eq!(journal.forget(Timestamp(5), &[]).unwrap(), 3);
        assert_eq!(journal.forget(Timestamp(5), &[]).unwrap(), 0);
        let left: Vec<bool> = (1..=5).map(|seq| journal.event(seq).unwrap().is_some()).collect();
        assert_eq!(left, [false, true, false, false, true]);
        assert!(journal.bytes_used().unwrap() < before - (2 << 20));
        assert_eq!(journal.events_after(0, 9).unwrap().len(), 2);

        assert_eq!(journal.append(&events, &receivers, |_| true).unwrap(), 0, "a replay");
        assert_eq!(journal.events_after(0, 9).unwrap().len(), 2);
        assert_eq!(journal.unsettled("pager").unwrap(), 1, "nobody is told again");
        assert_eq!(journal.newest_event().unwrap(), 5);
    }
}
