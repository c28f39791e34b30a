//! Looks at a server's memory and ticks while it is flooded.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use engine::Entry;
use storage::Reader;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::figures::{rounded, seconds};
use crate::process::rss_mb;

const LOOK_EVERY: Duration = Duration::from_millis(250);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LAG: &str = "immune_tick_lag_seconds ";

#[derive(Clone, Debug, Default)]
pub struct Report {
    pub rss_mb_max: f64,
    pub tick_lag_max_s: f64,
    /// Looks at the ticks that were not answered.
    pub failed: usize,
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
    let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build()?;
    let mut report = Report::default();
    while !ended.load(Ordering::Relaxed) {
        report.rss_mb_max = report.rss_mb_max.max(rss_mb(pid)?);
        match lag(&client, api).await {
            Ok(lag_s) => report.tick_lag_max_s = report.tick_lag_max_s.max(rounded(lag_s)),
            Err(_) => report.failed += 1,
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(report)
}

/// Since when the loop has not stepped.
async fn lag(client: &reqwest::Client, api: SocketAddr) -> Result<f64> {
    let answer = client.get(format!("http://{api}/metrics")).send().await?;
    let text = answer.error_for_status()?.text().await?;
    let line = text.lines().find_map(|line| line.strip_prefix(LAG));
    line.and_then(|lag| lag.parse().ok()).context("no tick lag in the metrics")
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
