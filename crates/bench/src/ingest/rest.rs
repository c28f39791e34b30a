//! When telemetry is in files, and how large they are once they were merged.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::signal::Signal;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::api::Api;

const STORED_WITHIN: Duration = Duration::from_secs(300);
const SETTLED_WITHIN: Duration = Duration::from_secs(600);
/// Nothing was merged for this long: it is at rest.
const QUIET: Duration = Duration::from_secs(25);
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The engine's own samples come every second; more than this in memory is not only them.
const OWN_ROWS_MAX: u64 = 20_000;

#[derive(Debug, Deserialize)]
pub struct Storage {
    pub tables: Vec<TableStatus>,
    pub hot_rows: u64,
    pub merges: u64,
    pub flushes: u64,
    pub trouble: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct TableStatus {
    pub table: String,
    pub files: u64,
    pub rows: u64,
    pub points: u64,
    pub bytes: u64,
}

/// One table at rest.
#[derive(Clone, Copy, Debug)]
pub struct Settled {
    pub files: u64,
    pub rows: u64,
    pub points: f64,
    pub bytes: f64,
    pub merges: u64,
}

impl Settled {
    pub fn told(&self) -> Value {
        let Settled { files, rows, points, bytes, merges } = self;
        json!({ "files": files, "rows": rows, "points": points, "bytes": bytes, "merges": merges })
    }
}

fn table_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "spans",
        Signal::Metrics => "samples",
        Signal::Logs => "logs",
    }
}

async fn look(api: &Api, signal: Signal) -> Result<(Storage, TableStatus)> {
    let storage: Storage = api.get("storage").await?;
    let is_ours = |table: &&TableStatus| table.table == table_of(signal);
    let table = storage.tables.iter().find(is_ours).cloned();
    Ok((storage, table.context("the server tells nothing of this signal's table")?))
}

/// Waits until so many items, and with them all others, are in files.
pub async fn stored(api: &Api, signal: Signal, items: u64) -> Result<TableStatus> {
    let deadline = Instant::now() + STORED_WITHIN;
    loop {
        let (storage, table) = look(api, signal).await?;
        if table.points >= items && storage.hot_rows <= OWN_ROWS_MAX {
            return Ok(table);
        }
        if Instant::now() > deadline {
            let Storage { hot_rows, flushes, trouble, .. } = storage;
            bail!(
                "{} of {items} items are in files after 300 s; {hot_rows} in memory, \
                 {flushes} flushes, trouble: {trouble:?}",
                table.points
            );
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until no more files are merged.
pub async fn settled(api: &Api, signal: Signal) -> Result<Settled> {
    let begin = Instant::now();
    let mut since = Instant::now();
    let mut last = None;
    loop {
        let (storage, table) = look(api, signal).await?;
        let now = (storage.merges, table.files);
        if last != Some(now) {
            // A flush of the engine's own samples adds a file, and that is no unrest by itself.
            last = Some(now);
            since = Instant::now();
        }
        if since.elapsed() > QUIET || begin.elapsed() > SETTLED_WITHIN {
            return Ok(Settled {
                files: table.files,
                rows: table.rows,
                points: table.points as f64,
                bytes: table.bytes as f64,
                merges: storage.merges,
            });
        }
        sleep(LOOK_EVERY).await;
    }
}
