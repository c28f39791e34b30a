//! Looks at a server's memory and ticks while it is under load.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use engine::Entry;
use serde_json::{Value, json};
use storage::Reader;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::figures::{rounded, seconds};
use crate::gauges::Gauges;
use crate::process::rss_mb;

const LOOK_EVERY: Duration = Duration::from_millis(100);
const LAG: &str = "immune_tick_lag_seconds";

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub rss_mb_max: f64,
    /// The most of each part of memory that the server knows of.
    pub parts_mb_max: BTreeMap<String, f64>,
    /// The most memory beside those parts.
    pub rest_mb_max: f64,
    pub tick_lag_max_s: f64,
    /// Looks that were not answered.
    pub failed: usize,
}

impl Report {
    /// Where memory was, each at its most.
    pub fn memory(&self) -> Value {
        json!({
            "rss_mb_max": rounded(self.rss_mb_max),
            "parts_mb_max": self.parts_mb_max,
            "beside_parts_mb_max": rounded(self.rest_mb_max),
        })
    }
}

pub struct Watch {
    ended: Arc<AtomicBool>,
    looking: JoinHandle<Result<Report>>,
}

impl Watch {
    pub fn start(api: SocketAddr, pid: u32) -> Watch {
        let ended = Arc::new(AtomicBool::new(false));
        let looking = tokio::spawn(look(api, pid, ended.clone()));
        Watch { ended, looking }
    }

    pub async fn stop(self) -> Result<Report> {
        self.ended.store(true, Ordering::Relaxed);
        self.looking.await.context("the watch panicked")?
    }
}

async fn look(api: SocketAddr, pid: u32, ended: Arc<AtomicBool>) -> Result<Report> {
    let gauges = Gauges::new(api)?;
    let mut report = Report::default();
    while !ended.load(Ordering::Relaxed) {
        let now_mb = rss_mb(pid)?;
        report.rss_mb_max = report.rss_mb_max.max(now_mb);
        match gauges.read().await {
            Ok(figures) => {
                report.tick_lag_max_s = report.tick_lag_max_s.max(rounded(figures.get(LAG)?));
                let parts = figures.memory_mb();
                report.rest_mb_max = report.rest_mb_max.max(now_mb - parts.values().sum::<f64>());
                for (name, mb) in parts {
                    let most = report.parts_mb_max.entry(name).or_default();
                    *most = most.max(rounded(mb));
                }
            }
            Err(_) => report.failed += 1,
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(report)
}

/// The longest time between two ticks in what is left of the log.
pub fn latest_tick_in_log(data: &Path) -> Result<f64> {
    let mut last = None;
    let mut longest = 0.0_f64;
    for record in Reader::open(&data.join("log"), 1)? {
        let record = record?;
        // Telemetry is most of it, and is not decoded here.
        if record.payload.len() != 8 {
            continue;
        }
        if let Ok(Entry::Tick { now }) = server::entry::decode(record.kind, &record.payload) {
            if let Some(last) = last {
                longest = longest.max(seconds(last, now));
            }
            last = Some(now);
        }
    }
    Ok(longest)
}
