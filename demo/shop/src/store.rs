//! A part's own SQLite database, and a DB client span around every piece of work with it.
//!
//! One connection per process, WAL mode, `synchronous=NORMAL`: a killed process loses nothing that
//! it answered. Work runs on the blocking pool, one piece at a time. Tables are bounded by
//! [`Store::keep_newest`], called from each part's housekeeping.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rusqlite::Connection;

use crate::telemetry::{database, service_name};

/// How long to wait for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// The write-ahead log is cut back to this size after a checkpoint.
const WAL_BYTES_MAX: u32 = 8 << 20;

/// An open database.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    namespace: String,
}

/// What a piece of work is called in telemetry.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// First SQL verb, or `BATCH` for several kinds in one transaction.
    pub operation: &'static str,
    /// Verbs and tables, without values.
    pub summary: &'static str,
}

/// Why a database did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder for the data cannot be made.
    #[error("create the data folder {0}")]
    CreateFolder(String, #[source] std::io::Error),
    /// The file cannot be opened as a database.
    #[error("open the database {0}")]
    Open(String, #[source] rusqlite::Error),
    /// SQLite refused the work.
    #[error("{0}")]
    Query(&'static str, #[source] rusqlite::Error),
    /// The work panicked or the process is stopping.
    #[error("{0} did not finish")]
    Unfinished(&'static str),
}

impl Store {
    /// Opens or creates `folder/file.db` and applies `schema` (which must be repeatable). In
    /// telemetry the database is called as the service is, by default `namespace`.
    pub fn open(
        folder: &Path,
        file: &str,
        namespace: &str,
        schema: &str,
    ) -> Result<Store, StoreError> {
        let shown = folder.display().to_string();
        std::fs::create_dir_all(folder).map_err(|e| StoreError::CreateFolder(shown, e))?;
        let path = folder.join(format!("{file}.db"));
        let connection = connect(&path, schema)
            .map_err(|error| StoreError::Open(path.display().to_string(), error))?;
        let namespace = service_name(namespace);
        Ok(Store { connection: Arc::new(Mutex::new(connection)), namespace })
    }

    /// Does `work` on the connection, under a span named after `query`.
    pub async fn run<T, F>(&self, query: Query, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let span = database::QuerySpan::start(&self.namespace, query);
        let connection = Arc::clone(&self.connection);
        let working = tokio::task::spawn_blocking(move || {
            // A panic in earlier work rolled its transaction back: the connection is still good.
            let mut connection = connection.lock().unwrap_or_else(|poison| poison.into_inner());
            work(&mut connection)
        });
        let outcome = match working.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(StoreError::Query(query.summary, error)),
            Err(_) => Err(StoreError::Unfinished(query.summary)),
        };
        span.end(outcome.as_ref().err());
        outcome
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let query = Query { operation: "SELECT", summary: "SELECT" };
        self.run(query, |connection| connection.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    /// Deletes the oldest rows (by `rowid`) of `table` beyond `rows_max`; returns how many.
    pub async fn keep_newest(
        &self,
        table: &'static str,
        rows_max: u32,
    ) -> Result<usize, StoreError> {
        let sql = format!(
            "DELETE FROM {table} WHERE rowid <= (SELECT max(rowid) FROM {table}) - {rows_max}"
        );
        let query = Query { operation: "DELETE", summary: "DELETE oldest rows" };
        self.run(query, move |connection| connection.execute(&sql, [])).await
    }
}

fn connect(path: &Path, schema: &str) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.execute_batch(schema)?;
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)";
    const INSERT: Query = Query { operation: "INSERT", summary: "INSERT notes" };
    const COUNT: Query = Query { operation: "SELECT", summary: "SELECT notes" };

    async fn count(store: &Store) -> i64 {
        let work = |c: &mut Connection| c.query_row("SELECT count(*) FROM notes", [], |r| r.get(0));
        store.run(COUNT, work).await.expect("count")
    }

    async fn insert(store: &Store, rows: usize) {
        for _ in 0..rows {
            let work = |c: &mut Connection| c.execute("INSERT INTO notes (text) VALUES ('x')", []);
            store.run(INSERT, work).await.expect("insert");
        }
    }

    #[tokio::test]
    async fn rows_survive_reopening() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path(), "notes", "notes", SCHEMA).expect("open");
        insert(&store, 3).await;
        drop(store);
        let store = Store::open(folder.path(), "notes", "notes", SCHEMA).expect("reopen");
        assert_eq!(count(&store).await, 3);
    }

    #[tokio::test]
    async fn only_the_newest_rows_are_kept() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path(), "notes", "notes", SCHEMA).expect("open");
        insert(&store, 10).await;
        assert_eq!(store.keep_newest("notes", 4).await.expect("prune"), 6);
        assert_eq!(store.keep_newest("notes", 4).await.expect("prune"), 0);
        assert_eq!(count(&store).await, 4);
    }

    #[tokio::test]
    async fn work_that_panics_fails_and_the_next_one_succeeds() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let store = Store::open(folder.path(), "notes", "notes", SCHEMA).expect("open");
        let outcome = store.run(INSERT, |_| -> Result<(), _> { panic!("on purpose") }).await;
        assert!(matches!(outcome, Err(StoreError::Unfinished(_))));
        insert(&store, 1).await;
        assert_eq!(count(&store).await, 1);
    }
}
