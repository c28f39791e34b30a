//! The journal: an append-only table of events, the drills, and the notifications that are still
//! owed.
//!
//! SQLite in WAL mode with `synchronous=FULL`: when `append` returns, the events survive a power
//! cut. Events are numbered by the loop, so appending the same one again (after a restart) changes
//! nothing.
//!
//! Of an event that is forgotten the number stays, with no text: a replay must not bring it back.
//!
//! Whoever only reads has a connection of its own and never holds the loop up.

mod drills;

mod history;

mod notifications;

mod retention;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::{Event, EventKind};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use rustix::fs::FlockOperation;

pub use history::AUDITED;
pub use notifications::Owed;

use crate::clock;

/// Lines are read up to this many bytes at a time, and at least one of them.
const LINES_BYTES_MAX: usize = 8 << 20;

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
create index events_kept on events (at) where body <> '';
create index events_by_incident on events (incident, seq) where incident is not null;
create table notifications (
    event_seq integer not null references events (seq),
    receiver text not null,
    incident integer,
    since integer not null,
    attempts integer not null default 0,
    next_try integer not null default 0,
    settled text,
    primary key (event_seq, receiver)
) strict;
create index notifications_owed on notifications (receiver, incident, event_seq)
    where settled is null;
create table drills (
    id integer primary key,
    started integer not null,
    finished integer,
    body text not null
) strict;
";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot create the journal")]
    Create(#[from] io::Error),
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

/// Makes an empty journal, for its owner only. It has its name once it is whole and durable, so
/// SQLite need not keep it safe until then. Who makes one of the same name waits.
fn create(path: &Path) -> Result<(), Error> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = File::open(folder)?;
    rustix::fs::flock(&folder, FlockOperation::LockExclusive).map_err(io::Error::from)?;
    if fs::metadata(path).map_or(0, |found| found.len()) > 0 {
        return Ok(());
    }
    let fresh = path.with_extension("new");
    // A write-ahead log without its database holds nothing that another should take for its own.
    let stale = ["-wal", "-shm"].map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    });
    for left in stale.iter().chain([&fresh]) {
        match fs::remove_file(left) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    let file = File::options().create_new(true).write(true).mode(0o600).open(&fresh)?;
    let connection = Connection::open(&fresh).map_err(sql("create"))?;
    let unsafe_until_named = format!(
        "pragma synchronous = off; pragma journal_mode = off;
         {SCHEMA}
         pragma user_version = {SCHEMA_VERSION}; pragma journal_mode = wal;"
    );
    connection.execute_batch(&unsafe_until_named).map_err(sql("create"))?;
    connection.close().map_err(|(_, error)| sql("create")(error))?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    Ok(folder.sync_all()?)
}

pub struct Journal {
    connection: Mutex<Connection>,
    reading: Mutex<Connection>,
}

impl Journal {
    pub fn open(path: &Path) -> Result<Journal, Error> {
        if fs::metadata(path).map_or(0, |found| found.len()) == 0 {
            create(path)?;
        }
        let connection = Connection::open(path).map_err(sql("open"))?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(sql("configure"))?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(sql("configure"))?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(sql("read the version of"))?;
        if found != SCHEMA_VERSION {
            return Err(Error::Version { found });
        }
        let reading = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let reading = Connection::open_with_flags(path, reading).map_err(sql("open"))?;
        Ok(Journal { connection: Mutex::new(connection), reading: Mutex::new(reading) })
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

    pub fn value(&self, key: &str) -> Result<Option<String>, Error> {
        self.lock()
            .query_row("select value from meta where key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(sql("read"))
    }

    pub fn set_value(&self, key: &str, value: &str) -> Result<(), Error> {
        let statement = "insert into meta values (?1, ?2) \
                         on conflict (key) do update set value = excluded.value";
        self.lock().execute(statement, params![key, value]).map(drop).map_err(sql("write to"))
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
        let since = clock::now().0 as i64;
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
                differing += usize::from(!known.is_empty() && known != body);
                continue;
            }
            for receiver in receivers.iter().filter(|_| notifies(event)) {
                transaction
                    .execute(
                        "insert into notifications (event_seq, receiver, incident, since) \
                         values (?1, ?2, ?3, ?4)",
                        params![event.seq as i64, receiver, incident_of(event), since],
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
                     ifnull(max(case when event = 'plan' and body <> '' \
                     then json_extract(body, '$.plan.id') end), 0) from events";
        let number = |row: &rusqlite::Row<'_>, at| row.get::<_, i64>(at).map(|n| n as u64);
        self.reading()
            .query_row(query, [], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))
            .map_err(sql("read"))
    }

    /// Events after `seq`, oldest first, as their JSON lines; fewer where they are very long.
    pub fn events_after(&self, seq: u64, limit: usize) -> Result<Vec<String>, Error> {
        self.bodies(
            "select body from events where seq > ?1 and body <> '' order by seq limit ?2",
            params![seq as i64, limit as i64],
        )
    }

    /// Like `events_after`, with their numbers; the text of forgotten ones is empty.
    pub fn numbered_after(&self, seq: u64, limit: usize) -> Result<Vec<(u64, String)>, Error> {
        let connection = self.reading();
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
        self.reading()
            .query_row("select coalesce(max(seq), 0) from events", [], |row| row.get::<_, i64>(0))
            .map(|seq| seq as u64)
            .map_err(sql("read"))
    }

    /// Events that concern an incident, oldest first.
    pub fn events_of(&self, incident: u64, limit: usize) -> Result<Vec<String>, Error> {
        self.bodies(
            "select body from events where incident = ?1 and body <> '' order by seq limit ?2",
            params![incident as i64, limit as i64],
        )
    }

    pub fn event(&self, seq: u64) -> Result<Option<Event>, Error> {
        let body = self
            .bodies("select body from events where seq = ?1 and body <> ''", params![seq as i64])?
            .pop();
        Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
    }

    /// The newest state of an incident that the loop no longer holds.
    pub fn last_incident(&self, id: u64) -> Result<Option<model::Incident>, Error> {
        let body = self
            .bodies(
                "select body from events where incident = ?1 and event = 'incident' and body <> '' \
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
        let connection = self.reading();
        let mut statement = connection.prepare_cached(query).map_err(sql("read"))?;
        let rows = statement.query_map(args, |row| row.get(0)).map_err(sql("read"))?;
        let (mut bodies, mut bytes) = (Vec::new(), 0);
        for body in rows {
            let body: String = body.map_err(sql("read"))?;
            bytes += body.len();
            if bytes > LINES_BYTES_MAX && !bodies.is_empty() {
                break;
            }
            bodies.push(body);
        }
        Ok(bodies)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic while holding it cannot leave a half-done transaction: SQLite rolls back on drop.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(&self) -> MutexGuard<'_, Connection> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner)
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
    use model::Timestamp;

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
        assert_eq!(journal.unsettled("pager").unwrap(), 3);
        let other = Event { at: Timestamp(99), ..event(3) };
        assert_eq!(journal.append(&[other], &receivers, |_| true).unwrap(), 1);
    }

    #[test]
    fn very_long_lines_come_in_smaller_portions() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let long = |seq| {
            let kind = EventKind::Remark { text: "x".repeat(LINES_BYTES_MAX * 2 / 3) };
            Event { seq, at: Timestamp(seq), kind }
        };
        journal.append(&[event(1), long(2), long(3)], &[], |_| false).unwrap();
        assert_eq!(journal.events_after(0, 10).unwrap().len(), 2);
        assert_eq!(journal.events_after(2, 10).unwrap().len(), 1);
    }

    #[test]
    fn a_journal_is_private_and_what_a_crash_left_of_one_is_made_anew() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        fs::write(path.with_extension("new"), "half of a database").unwrap();
        fs::write(&path, "").unwrap();
        fs::write(path.with_extension("db-wal"), "of another database").unwrap();
        let journal = Journal::open(&path).unwrap();
        journal.append(&[event(1)], &[], |_| false).unwrap();
        assert_eq!(journal.events_after(0, 10).unwrap().len(), 1);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!path.with_extension("new").exists());
    }

    #[test]
    fn a_made_value_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        assert_eq!(Journal::open(&path).unwrap().meta("id", "a").unwrap(), "a");
        assert_eq!(Journal::open(&path).unwrap().meta("id", "b").unwrap(), "a");
    }
}
