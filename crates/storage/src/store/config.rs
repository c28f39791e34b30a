//! How much is kept, for how long, and where.

use std::time::Duration;

use crate::objects;
use crate::schema::Table;

#[derive(Clone, Debug)]
pub struct Config {
    pub traces: Retention,
    pub logs: Retention,
    pub metrics: Retention,
    /// Bound on telemetry that is not in files yet, in bytes. Above it the store asks for ingest to
    /// be refused. Writing it out takes up to about as much again for a moment.
    pub memory: usize,
    /// Telemetry goes to files at the latest after this, where somebody asks `wants_seal`.
    pub seal_after: Duration,
    /// Threads that fill columns.
    pub writers: usize,
    /// Files are merged until they are about this large.
    pub file_bytes: u64,
    /// On a disk that is low the oldest telemetry is deleted, rather than ingest refused for long.
    pub delete_when_low: bool,
    pub objects: Option<Objects>,
    /// Called by a thread of the store after a large piece of work. What it has let go of it would
    /// else keep for the next one, where the allocator keeps memory by thread.
    pub after_work: fn(),
}

/// How long a table is kept; whichever is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Days are deleted whole, this long after they ended.
    pub keep: Duration,
    /// Of all its files, in bytes, wherever they lie. The oldest days go first.
    pub size_max: Option<u64>,
}

/// Telemetry in an object store.
#[derive(Clone, Debug, PartialEq)]
pub struct Objects {
    pub store: objects::Config,
    /// Files that the object store has are deleted from this host, the oldest first, while there
    /// are more bytes of telemetry here.
    pub local_size_max: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Retention { keep: Duration::from_secs(30 * 86_400), size_max: None }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            traces: Retention::default(),
            logs: Retention::default(),
            metrics: Retention::default(),
            memory: 256 << 20,
            seal_after: Duration::from_secs(300),
            writers: std::thread::available_parallelism().map_or(1, usize::from).min(8),
            file_bytes: 128 << 20,
            delete_when_low: false,
            objects: None,
            after_work: || {},
        }
    }
}

impl Config {
    pub fn retention(&self, table: Table) -> Retention {
        match table {
            Table::Spans => self.traces,
            Table::Logs => self.logs,
            Table::Samples => self.metrics,
        }
    }

    /// Hot telemetry of this size is worth files: the rest of the memory is for what is being
    /// written, and for what arrives meanwhile.
    pub(super) fn seal_bytes(&self) -> usize {
        self.memory / 4
    }
}
