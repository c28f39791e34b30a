//! `bench idle`: memory and processor time of a server that was under load and now has nothing to
//! do, and the size of the program.
//!
//! The load is captured telemetry of all signals with as many series as wanted, at the rate of a
//! middling system. Then nothing comes any more, and the server is looked at until the end of a
//! long rest: what counts is what it keeps, and what it does, when long nothing has happened.

mod load;

mod rest;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use model::human::HumanDuration;
use model::signal::Signal;
use serde_json::json;

use crate::capture;
use crate::figures::{Outcome, rounded};
use crate::ingest::configuration;
use crate::process::rss_peak_mb;
use crate::programs::{Programs, Workplace};
use crate::serving::{Leftovers, Server};
use crate::telemetry::folder;
use rest::Rest;

const MIB: f64 = 1024.0 * 1024.0;
/// What an idle server may need.
const RSS_MAX_MB: f64 = 120.0;
const CPU_MAX_PERCENT: f64 = 2.0;

#[derive(Args)]
pub struct Idle {
    /// How long the idle server is left alone and looked at
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// How long it is under load before
    #[arg(long, default_value = "1m", value_parser = HumanDuration::parse)]
    load: HumanDuration,
    /// Spans, points and log records a second of that load
    #[arg(long, default_value_t = 4_000.0)]
    rate: f64,
    /// At least so many different series of metrics are in it
    #[arg(long, default_value_t = 10_000)]
    series: usize,
    /// Folder with a capture; without one, that of `bench capture`, made if need be
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Idle {
    pub async fn run(self) -> Result<Outcome> {
        let programs = Programs::find()?;
        let workplace = Workplace::new(None, false)?;
        let capture = capture::given_or_made(self.data.as_deref()).await?;
        let captured = folder::read(&capture, Signal::ALL)?;
        let mixed = load::Mixed::new(&captured, self.series)?;
        drop(captured);
        let (config, data) =
            (workplace.path().join("immune.yaml"), workplace.path().join("immune"));
        std::fs::write(&config, format!("{:#}\n", configuration()))?;
        let leftovers = Leftovers::of(&data);
        let log = workplace.path().join("immune.log");
        let mut server = Server::spawn(&programs, &config, &data, &log)?;
        let listening = server.ready().await?;
        let loaded = mixed.send(listening, self.load.0, self.rate).await?;
        let pid = server.pid().context("the server has ended")?;
        let agent = leftovers.agent().context("the server has no agent")?;
        let agent = agent.as_raw_nonzero().get() as u32;
        eprintln!("resting for {} min", self.minutes);
        let rest = Rest::look(listening.api, [pid, agent], self.minutes).await?;
        let mut outcome = Outcome::new(json!({
            "bench": "idle",
            "profile": programs.profile(),
            "measured_s": rounded(rest.lasted_s),
            "items_before": loaded.items,
            "refused_before": loaded.refused,
            "items_per_s_before": loaded.per_s(loaded.items).round(),
            "series": loaded.series,
            "rss_mb": rest.rss_mb,
            "cpu_percent": rest.cpu_percent_last[0],
            "cpu_percent_of_all": rest.cpu_percent[0],
            "cpu_measured_s": rounded(rest.last_s),
            "rss_peak_mb": rss_peak_mb(pid)?,
            "rss_by_s": rest.rss_by_s,
            "parts_mb": rest.parts_mb,
            "agent_rss_mb": rest.agent_rss_mb,
            "agent_cpu_percent": rest.cpu_percent_last[1],
            "binary_mb": rounded(size(&programs.immune()?)? / MIB),
        }));
        server.stop().await?;
        let (rss_mb, percent) = (rest.rss_mb, rest.cpu_percent_last[0]);
        outcome.promise(rss_mb < RSS_MAX_MB, format!("{rss_mb} MB are kept; {RSS_MAX_MB} may be"));
        outcome.promise(
            percent < CPU_MAX_PERCENT,
            format!("{percent} % of a core are used; {CPU_MAX_PERCENT} may be"),
        );
        outcome.promise(loaded.series >= self.series, "there were less series than wanted");
        Ok(outcome)
    }
}

fn size(path: &Path) -> Result<f64> {
    Ok(std::fs::metadata(path)?.len() as f64)
}
