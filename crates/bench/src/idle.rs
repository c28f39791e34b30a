//! `bench idle`: memory and processor time of a server that has seen some telemetry and now sees
//! none, and the size of the program.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::figures::{Outcome, rounded};
use crate::lost::load::{Load, Pace};
use crate::programs::{Programs, Workplace};
use crate::serving::{Leftovers, Server};

const LOADED_FOR: Duration = Duration::from_secs(10);
/// What arrived last is worked off before the measurement begins.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
/// Linux counts processor time for user space in hundredths of a second on every architecture.
const TICKS_PER_S: f64 = 100.0;
const MIB: f64 = 1024.0 * 1024.0;

#[derive(Args)]
pub struct Idle {
    /// How long the idle server is measured
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
}

impl Idle {
    pub async fn run(self) -> Result<Outcome> {
        let programs = Programs::find()?;
        let workplace = Workplace::new(None, false)?;
        let (config, data) =
            (workplace.path().join("immune.yaml"), workplace.path().join("immune"));
        let settings = json!({
            "api": { "listen": "127.0.0.1:0" },
            "receivers": { "otlp": { "grpc": "127.0.0.1:0", "http": "127.0.0.1:0" } },
        });
        std::fs::write(&config, format!("{settings:#}\n"))?;
        let leftovers = Leftovers::of(&data);
        let log = workplace.path().join("immune.log");
        let mut server = Server::spawn(&programs, &config, &data, &log)?;
        let listening = server.ready().await?;
        // About the polyglot system's rate: some 200 items per second.
        let rest = Duration::from_millis(400);
        let load = Load::start(Pace { items_per_request: 20, rest, trouble: false });
        load.aim(Some(listening));
        eprintln!("under load for {} s", LOADED_FOR.as_secs());
        sleep(LOADED_FOR).await;
        let items = load.acknowledged();
        load.stop().await?;
        sleep(SETTLED_AFTER).await;
        eprintln!("idle for {} min", self.minutes);
        let pid = server.pid().context("the server has ended")?;
        let agent = leftovers.agent().context("the server has no agent")?;
        let agent = agent.as_raw_nonzero().get() as u32;
        let (begun, before) = (Instant::now(), [cpu_s(pid)?, cpu_s(agent)?]);
        sleep(Duration::from_secs_f64(self.minutes.max(0.05) * 60.0)).await;
        let passed_s = begun.elapsed().as_secs_f64();
        let after = [cpu_s(pid)?, cpu_s(agent)?];
        let percent = |at: usize| rounded((after[at] - before[at]) / passed_s * 100.0);
        let figures = json!({
            "bench": "idle",
            "profile": programs.profile(),
            "measured_s": rounded(passed_s),
            "items_before": items,
            "rss_mb": rss_mb(pid)?,
            "cpu_percent": percent(0),
            "agent_rss_mb": rss_mb(agent)?,
            "agent_cpu_percent": percent(1),
            "binary_mb": rounded(size(&programs.immune()?)? / MIB),
        });
        server.stop().await?;
        Ok(Outcome::new(figures))
    }
}

fn size(path: &Path) -> Result<f64> {
    Ok(std::fs::metadata(path)?.len() as f64)
}

/// Resident memory, in MiB.
fn rss_mb(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(rounded(kib.context("no VmRSS in /proc")? / 1024.0))
}

/// Processor time used so far, in seconds, of all threads (proc_pid_stat(5), fields 14 and 15).
fn cpu_s(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field, the name, may hold anything; the last `)` ends it.
    let (_, rest) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
    let ticks: Vec<f64> =
        rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_S)
}
