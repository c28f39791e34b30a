//! What a store says about itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use model::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::shared::{Shared, lock};
use crate::reserve::{DiskState, DiskStatus, Size};
use crate::schema::Table;

/// Why ingest should be refused for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// More is in memory than is allowed. Passes as files are written.
    Memory { bytes: usize, bytes_max: usize, because: Option<String> },
    /// Too little room on the disk. Passes when somebody makes room.
    Disk(DiskStatus),
    /// Needs a new start.
    Failed { reason: String },
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pressure::Memory { bytes, bytes_max, because } => {
                let (bytes, bytes_max) = (Size(*bytes as u64), Size(*bytes_max as u64));
                write!(f, "{bytes} of telemetry wait to be written; {bytes_max} may wait")?;
                because.iter().try_for_each(|because| write!(f, ": {because}"))
            }
            Pressure::Disk(status) => status.fmt(f),
            Pressure::Failed { reason } => write!(f, "telemetry cannot be stored: {reason}"),
        }
    }
}

/// For people and for metrics. Counters are since the start.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "StorageStatus")]
pub struct Status {
    pub tables: Vec<TableStatus>,
    /// All of the log up to here is in files.
    pub flushed: u64,
    /// Telemetry that is only in memory (and in the log): spans, log records and points.
    pub hot_rows: u64,
    pub memory_bytes: u64,
    pub memory_bytes_max: u64,
    pub disk_state: DiskState,
    pub disk_free_bytes: u64,
    pub disk_needed_bytes: u64,
    pub reserve_held: bool,
    pub flushes: u64,
    pub flush_failures: u64,
    pub merges: u64,
    pub merge_failures: u64,
    pub files_expired: u64,
    pub files_evicted: u64,
    pub uploads: u64,
    pub upload_failures: u64,
    /// Files that wait to be deleted from the object store.
    pub objects_to_delete: u64,
    /// Batches that no column could take. Never seen in health.
    pub batches_refused: u64,
    /// What does not work now, in words; empty in health.
    pub trouble: Vec<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TableStatus {
    pub table: &'static str,
    pub files: u64,
    pub rows: u64,
    /// Spans, log records or points.
    pub points: u64,
    pub bytes: u64,
    /// Of these on this host.
    pub local_bytes: u64,
    /// Of these in the object store.
    pub remote_bytes: u64,
    /// Files in the catalog that cannot be found.
    pub missing: u64,
    /// First day, as `2026-11-22`.
    pub first_day: Option<String>,
    #[schemars(with = "Option<String>")]
    pub last_time: Option<Timestamp>,
}

pub(super) fn of(shared: &Shared) -> Status {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let counters = &shared.counters;
    let disk = shared.disk.status();
    let tables = Table::ALL.iter().map(|table| of_table(shared, *table)).collect();
    let state = lock(&shared.state);
    let trouble = &state.trouble;
    let told = [&state.failed, &trouble.flush, &trouble.merge, &trouble.upload, &trouble.retention];
    let mut words: Vec<String> = told.into_iter().flatten().cloned().collect();
    if disk.state != DiskState::Ok {
        words.push(disk.to_string());
    }
    Status {
        tables,
        flushed: state.flushed,
        hot_rows: shared.hot_rows() as u64,
        memory_bytes: shared.memory_bytes() as u64,
        memory_bytes_max: shared.config.memory as u64,
        disk_state: disk.state,
        disk_free_bytes: disk.free_bytes,
        disk_needed_bytes: disk.needed_bytes,
        reserve_held: disk.reserve_held,
        flushes: load(&counters.flushes),
        flush_failures: load(&counters.flush_failures),
        merges: load(&counters.merges),
        merge_failures: load(&counters.merge_failures),
        files_expired: load(&counters.files_expired),
        files_evicted: load(&counters.files_evicted),
        uploads: load(&counters.uploads),
        upload_failures: load(&counters.upload_failures),
        objects_to_delete: shared.shelf.doomed_count() as u64,
        batches_refused: load(&counters.batches_refused),
        trouble: words,
    }
}

fn of_table(shared: &Shared, table: Table) -> TableStatus {
    let mut status = TableStatus {
        table: table.as_str(),
        files: 0,
        rows: 0,
        points: 0,
        bytes: 0,
        local_bytes: 0,
        remote_bytes: 0,
        missing: 0,
        first_day: None,
        last_time: None,
    };
    let mut first_day = None;
    let state = lock(&shared.state);
    for file in state.files.values().filter(|file| file.table == table) {
        status.files += 1;
        status.rows += file.rows;
        status.points += file.points;
        status.bytes += file.bytes;
        status.local_bytes += if file.is_local() { file.bytes } else { 0 };
        status.remote_bytes += if file.is_remote() { file.bytes } else { 0 };
        status.missing += u64::from(file.is_missing());
        first_day = Some(first_day.map_or(file.day, |first| file.day.min(first)));
        status.last_time = status.last_time.max(Some(file.time_max));
    }
    status.first_day = first_day.map(|day| day.to_string());
    status
}
