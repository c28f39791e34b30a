//! `bench query`: how long questions take when there is much telemetry.
//!
//! Captured telemetry, with ids of its own for each pass, is written by the product's own store as
//! if it had come over a day; then the server is started on it, on one core, and asked over its
//! API: a trace by its id, a word that ten log lines of all hold, the slowest traces of a service
//! in an hour. Each question is asked once before it is measured: files are in the page cache.

mod build;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use model::Timestamp;
use model::signal::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::Api;
use crate::capture;
use crate::figures::{Outcome, quantile, rounded};
use crate::ingest::configuration;
use crate::process::rss_peak_mb;
use crate::programs::{Programs, Workplace};
use crate::serving::{Leftovers, Server};
use crate::telemetry::folder;
use build::Built;

/// The core that the server has; others are for who asks.
const CORE: usize = 0;
const ROUNDS: usize = 5;
/// Traces of which each is asked for.
const TRACES: usize = 40;
const HOURS: u64 = 5;
const SERVICE: &str = "storefront";

#[derive(Args)]
pub struct Query {
    /// How many spans there are
    #[arg(long, default_value_t = 100_000_000)]
    spans: u64,
    /// How many log records there are
    #[arg(long, default_value_t = 50_000_000)]
    logs: u64,
    /// Folder with a capture; without one, that of `bench capture`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The same seed gives the same ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Ask what an earlier run left in this folder
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    again: Option<PathBuf>,
}

impl Query {
    pub async fn run(self) -> Result<Outcome> {
        let programs = Programs::find()?;
        let workplace = Workplace::again_or_new(self.again.as_deref(), self.dir.as_deref())?;
        let folder = workplace.path();
        let data = folder.join("immune");
        let built = match &self.again {
            Some(_) => Built::load(folder)?,
            None => {
                let capture = capture::given_or_made(self.data.as_deref()).await?;
                let captured = folder::read(&capture, &[Signal::Traces, Signal::Logs])?;
                let wanted = (self.spans, self.logs);
                let build = || build::build(&data, &captured, wanted, self.seed);
                let built = tokio::task::block_in_place(build)?;
                built.save(folder)?;
                built
            }
        };
        let mut figures = self.ask(&programs, folder, &data, &built).await?;
        figures["profile"] = programs.profile().into();
        figures["dir"] = json!(workplace.kept());
        Ok(Outcome::new(figures))
    }

    async fn ask(
        &self,
        programs: &Programs,
        folder: &Path,
        data: &Path,
        built: &Built,
    ) -> Result<Value> {
        let config = folder.join("immune.yaml");
        std::fs::write(&config, format!("{:#}\n", configuration()))?;
        let _leftovers = Leftovers::of(data);
        let log = folder.join("immune.log");
        let mut server = Server::spawn_on(programs, &config, data, &log, Some(CORE))?;
        let listening = server.ready().await?;
        let ready_s = server.spawned().elapsed().as_secs_f64();
        let api = Api::patient(listening.api)?;
        let storage: Value = api.get("storage").await?;

        eprintln!("asking for traces");
        let traces: Vec<String> =
            built.traces.iter().take(TRACES).map(|id| format!("traces/{id}")).collect();
        let by_id = timed(&api, &traces, |found| !empty(&found["spans"])).await?;
        eprintln!("asking for a rare word");
        let (from, to) = (built.from, built.to);
        let word = format!("logs?query={}&from={from}&to={to}&limit=100", built.word);
        let has_all = |found: &Value| {
            found["records"].as_array().is_some_and(|all| all.len() as u64 == built.rare)
        };
        let rare = timed(&api, &[word], has_all).await?;
        eprintln!("asking for slow traces");
        let hours: Vec<String> = (0..HOURS).map(|hour| slowest(built, hour)).collect();
        let slow = timed(&api, &hours, |found| !empty(&found["traces"])).await?;
        let pid = server.pid().context("the server has ended")?;
        let figures = json!({
            "bench": "query",
            "spans": built.spans,
            "log_lines": built.logs,
            "trace_by_id_ms": quantile(&by_id, 0.5),
            "trace_by_id_p99_ms": quantile(&by_id, 0.99),
            "rare_word_s": quantile(&rare, 0.5).map(|ms| rounded(ms / 1_000.0)),
            "rare_word_max_s": quantile(&rare, 1.0).map(|ms| rounded(ms / 1_000.0)),
            "slow_traces_ms": quantile(&slow, 0.5),
            "slow_traces_max_ms": quantile(&slow, 1.0),
            "ready_s": rounded(ready_s),
            "rss_peak_mb": rss_peak_mb(pid)?,
            "built_in_s": built.built_in_s,
            "storage": storage["tables"],
        });
        server.stop().await?;
        Ok(figures)
    }
}

/// One hour's slowest traces of a service.
fn slowest(built: &Built, hour: u64) -> String {
    let span = (built.to.0 - built.from.0) / (HOURS + 1);
    let from = Timestamp(built.from.0 + hour * span);
    let to = Timestamp(from.0 + 3_600_000_000_000);
    format!("traces?service={SERVICE}&order=slowest&from={from}&to={to}&limit=20")
}

/// Milliseconds of each question, asked once to warm and then some times more.
async fn timed(api: &Api, questions: &[String], is: impl Fn(&Value) -> bool) -> Result<Vec<f64>> {
    for question in questions {
        let answer: Value = api.get(question).await?;
        ensure!(is(&answer), "not the answer to {question}: {}", shortened(&answer));
    }
    let mut took_ms = Vec::new();
    for _ in 0..ROUNDS {
        for question in questions {
            let begin = Instant::now();
            let _: Value = api.get(question).await?;
            took_ms.push(begin.elapsed().as_secs_f64() * 1_000.0);
        }
    }
    Ok(took_ms)
}

fn empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

fn shortened(answer: &Value) -> String {
    answer.to_string().chars().take(300).collect()
}
