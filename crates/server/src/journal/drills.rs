//! The drills of the journal: one row each, rewritten as the drill goes on.

use model::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Error, Journal, sql};

impl Journal {
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
        self.reading()
            .query_row("select body from drills where id = ?1", [id as i64], |row| row.get(0))
            .optional()
            .map_err(sql("read"))
    }

    /// Newest first: (number, body); unfinished ones only, if asked so.
    pub fn drills(&self, unfinished: bool, limit: usize) -> Result<Vec<(u64, String)>, Error> {
        let connection = self.reading();
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
}
