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
use crate::process::{cpu_s, rss_mb};
use crate::programs::{Programs, Workplace};
use crate::serving::{Leftovers, Server};

const LOADED_FOR: Duration = Duration::from_secs(10);
/// What arrived last is worked off before the measurement begins.
const SETTLED_AFTER: Duration = Duration::from_secs(5);
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
        let load =
            Load::start(Pace { items_per_request: 20, rest, trouble: false, ballast: false });
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
