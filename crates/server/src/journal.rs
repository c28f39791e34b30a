//! The journal: an append-only table of events, the drills, and the notifications that are still
//! owed.
//!
//! SQLite in WAL mode with `synchronous=FULL`: when `append` returns, the events survive a power
//! cut. Events are numbered by the loop, so appending the same one again (after a restart) changes
//! nothing.

use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use engine::{Event, EventKind};
use model::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
create table meta (key text primary key, value text not null) strict;
create table events (
    seq integer primary key,
    at integer not null,
    event text not null,
    incident integer,
    body text not null
) strict;
create index events_by_incident on events (incident, seq) where incident is not null;
create table notifications (
    event_seq integer not null references events (seq),
    receiver text not null,
    attempts integer not null default 0,
    settled text,
    primary key (event_seq, receiver)
) strict;
create table drills (
    id integer primary key,
    started integer not null,
    finished integer,
    body text not null
) strict;
";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {operation} the journal")]
    Sql {
        operation: &'static str,
        #[source]
        source: rusqlite::Error,
    },
    #[error("the journal is of schema {found}; this program reads {SCHEMA_VERSION}")]
    Version { found: i64 },
    #[error("a journal line does not read as JSON")]
    Json(#[from] serde_json::Error),
}

fn sql(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |source| Error::Sql { operation, source }
}

pub struct Journal {
    connection: Mutex<Connection>,
}

/// A notification that has not reached its receiver.
#[derive(Debug, PartialEq)]
pub struct Owed {
    pub event_seq: u64,
    pub receiver: String,
    pub attempts: u32,
}

impl Journal {
    pub fn open(path: &Path) -> Result<Journal, Error> {
        let connection = Connection::open(path).map_err(sql("open"))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sql("configure"))?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(sql("configure"))?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(sql("read the version of"))?;
        match found {
            0 => {
                let create =
                    format!("begin; {SCHEMA} pragma user_version = {SCHEMA_VERSION}; commit;");
                connection.execute_batch(&create).map_err(sql("create"))?;
            }
            SCHEMA_VERSION => {}
            found => return Err(Error::Version { found }),
        }
        Ok(Journal { connection: Mutex::new(connection) })
    }

    /// A value that is made once and then stays: the first caller's wins.
    pub fn meta(&self, key: &str, first: &str) -> Result<String, Error> {
        let connection = self.lock();
        connection
            .execute("insert or ignore into meta values (?1, ?2)", params![key, first])
            .map_err(sql("write to"))?;
        connection
            .query_row("select value from meta where key = ?1", [key], |row| row.get(0))
            .map_err(sql("read"))
    }

    /// Appends events and owes `receivers` a notification for those that `notifies` picks. Events
    /// that are there already are left as they are; returns how many of those differ from what is
    /// there.
    pub fn append(
        &self,
        events: &[Event],
        receivers: &[String],
        notifies: impl Fn(&Event) -> bool,
    ) -> Result<usize, Error> {
        let mut connection = self.lock();
        let transaction = connection.transaction().map_err(sql("begin to write to"))?;
        let mut differing = 0;
        for event in events {
            let body = serde_json::to_string(event)?;
            let new = transaction
                .prepare_cached("insert or ignore into events values (?1, ?2, ?3, ?4, ?5)")
                .and_then(|mut insert| {
                    let (name, incident) = (event.kind.as_str(), incident_of(event));
                    let (seq, at) = (event.seq as i64, event.at.0 as i64);
                    insert.execute(params![seq, at, name, incident, body])
                })
                .map_err(sql("write to"))?;
            if new == 0 {
                let known: String = transaction
                    .query_row(
                        "select body from events where seq = ?1",
                        [event.seq as i64],
                        |row| row.get(0),
                    )
                    .map_err(sql("read"))?;
                differing += usize::from(known != body);
                continue;
            }
            for receiver in receivers.iter().filter(|_| notifies(event)) {
                transaction
                    .execute(
                        "insert into notifications (event_seq, receiver) values (?1, ?2)",
                        params![event.seq as i64, receiver],
                    )
                    .map_err(sql("write to"))?;
            }
        }
        transaction.commit().map_err(sql("write to"))?;
        Ok(differing)
    }

    /// The highest numbers in use: of an event, an incident, a plan. Zero where there is none.
    pub fn last_numbers(&self) -> Result<(u64, u64, u64), Error> {
        let query = "select ifnull(max(seq), 0), ifnull(max(incident), 0), \
                     ifnull(max(json_extract(body, '$.plan.id')), 0) from events";
        let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(|n| n as u64);
        self.lock()
            .query_row(query, [], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))
            .map_err(sql("read"))
    }

    /// Events after `seq`, oldest first, as their JSON lines.
    pub fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<String>, Error> {
        self.bodies(
            "select body from events where seq > ?1 order by seq limit ?2",
            params![seq as i64, limit as i64],
        )
    }

    /// Like `events_after`, with their numbers.
    pub fn numbered_after(&self, seq: u64, limit: usize) -> Result<Vec<(u64, String)>, Error> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("select seq, body from events where seq > ?1 order by seq limit ?2")
            .map_err(sql("read"))?;
        let rows = statement
            .query_map(params![seq as i64, limit as i64], |row| {
                Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
            })
            .map_err(sql("read"))?;
        rows.collect::<Result<Vec<_>, _>>().map_err(sql("read"))
    }

    /// Number of the newest event; 0 when there is none.
    pub fn newest_event(&self) -> Result<u64, Error> {
        self.lock()
            .query_row("select coalesce(max(seq), 0) from events", [], |row| row.get::<_, i64>(0))
            .map(|seq| seq as u64)
            .map_err(sql("read"))
    }

    /// Events that concern an incident, oldest first.
    pub fn events_of(&self, incident: u64, limit: usize) -> Result<Vec<String>, Error> {
        self.bodies(
            "select body from events where incident = ?1 order by seq limit ?2",
            params![incident as i64, limit as i64],
        )
    }

    pub fn event(&self, seq: u64) -> Result<Option<Event>, Error> {
        let body =
            self.bodies("select body from events where seq = ?1", params![seq as i64])?.pop();
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// The newest state of an incident that the loop no longer holds.
    pub fn last_incident(&self, id: u64) -> Result<Option<model::Incident>, Error> {
        let body = self
            .bodies(
                "select body from events where incident = ?1 and event = 'incident' \
                 order by seq desc limit 1",
                params![id as i64],
            )?
            .pop();
        let Some(body) = body else { return Ok(None) };
        let event: Event = serde_json::from_str(&body)?;
        Ok(match event.kind {
            EventKind::Incident { incident, .. } => Some(*incident),
            _ => None,
        })
    }

    fn bodies(&self, query: &str, args: impl rusqlite::Params) -> Result<Vec<String>, Error> {
        let connection = self.lock();
        let mut statement = connection.prepare_cached(query).map_err(sql("read"))?;
        let rows = statement.query_map(args, |row| row.get(0)).map_err(sql("read"))?;
        rows.collect::<Result<Vec<String>, _>>().map_err(sql("read"))
    }

    pub fn owed(&self) -> Result<Vec<Owed>, Error> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "select event_seq, receiver, attempts from notifications \
                 where settled is null order by event_seq limit 1000",
            )
            .map_err(sql("read"))?;
        let rows = statement
            .query_map([], |row| {
                Ok(Owed {
                    event_seq: row.get::<_, i64>(0)? as u64,
                    receiver: row.get(1)?,
                    attempts: row.get(2)?,
                })
            })
            .map_err(sql("read"))?;
        rows.collect::<Result<Vec<Owed>, _>>().map_err(sql("read"))
    }

    /// Notes an attempt; `settled` says how it ended for good (`delivered`, or why it was given
    /// up).
    pub fn attempted(&self, owed: &Owed, settled: Option<&str>) -> Result<(), Error> {
        self.lock()
            .execute(
                "update notifications set attempts = attempts + 1, settled = ?3 \
                 where event_seq = ?1 and receiver = ?2",
                params![owed.event_seq as i64, owed.receiver, settled],
            )
            .map(drop)
            .map_err(sql("write to"))
    }

    pub fn insert_drill(&self, started: Timestamp, body: &str) -> Result<u64, Error> {
        let connection = self.lock();
        connection
            .execute(
                "insert into drills (started, body) values (?1, ?2)",
                params![started.0 as i64, body],
            )
            .map_err(sql("write to"))?;
        Ok(connection.last_insert_rowid() as u64)
    }

    pub fn update_drill(
        &self,
        id: u64,
        body: &str,
        finished: Option<Timestamp>,
    ) -> Result<(), Error> {
        self.lock()
            .execute(
                "update drills set body = ?2, finished = ?3 where id = ?1",
                params![id as i64, body, finished.map(|at| at.0 as i64)],
            )
            .map(drop)
            .map_err(sql("write to"))
    }

    pub fn drill(&self, id: u64) -> Result<Option<String>, Error> {
        self.lock()
            .query_row("select body from drills where id = ?1", [id as i64], |row| row.get(0))
            .optional()
            .map_err(sql("read"))
    }

    /// Newest first: (number, body); unfinished ones only, if asked so.
    pub fn drills(&self, unfinished: bool, limit: usize) -> Result<Vec<(u64, String)>, Error> {
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached(
                "select id, body from drills where ?1 = 0 or finished is null \
                 order by id desc limit ?2",
            )
            .map_err(sql("read"))?;
        let rows = statement
            .query_map(params![unfinished, limit as i64], |row| {
                Ok((row.get::<_, i64>(0)? as u64, row.get(1)?))
            })
            .map_err(sql("read"))?;
        rows.collect::<Result<Vec<_>, _>>().map_err(sql("read"))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while holding it cannot leave a half-done transaction: SQLite rolls back on drop.
        self.connection.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn incident_of(event: &Event) -> Option<i64> {
    let id = match &event.kind {
        EventKind::Incident { incident, .. } => incident.id,
        EventKind::Plan { plan } => plan.incident,
        _ => return None,
    };
    i64::try_from(id.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64) -> Event {
        let kind = EventKind::CatchingUp { away_seconds: seq, until: Timestamp(seq) };
        Event { seq, at: Timestamp(seq), kind }
    }

    #[test]
    fn an_event_appended_twice_is_there_once_and_notified_once() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let receivers = ["pager".to_owned()];
        assert_eq!(journal.append(&[event(1), event(2)], &receivers, |_| true).unwrap(), 0);
        assert_eq!(journal.append(&[event(2), event(3)], &receivers, |_| true).unwrap(), 0);
        assert_eq!(journal.events_after(0, 10).unwrap().len(), 3);
        assert_eq!(journal.owed().unwrap().len(), 3);
        let other = Event { at: Timestamp(99), ..event(3) };
        assert_eq!(journal.append(&[other], &receivers, |_| true).unwrap(), 1);
        journal.attempted(&journal.owed().unwrap()[0], Some("delivered")).unwrap();
        assert_eq!(journal.owed().unwrap().len(), 2);
    }

    #[test]
    fn a_made_value_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        assert_eq!(Journal::open(&path).unwrap().meta("id", "a").unwrap(), "a");
        assert_eq!(Journal::open(&path).unwrap().meta("id", "b").unwrap(), "a");
    }
}
