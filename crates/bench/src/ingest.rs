//! `bench ingest`: what telemetry costs, from the socket to files that can be asked.
//!
//! Captured telemetry is sent again over OTLP/HTTP and gRPC, gzipped, with new ids and times of
//! now, to a fresh server of the settings that ship; each signal to one of its own. First as fast
//! as it is answered: the server's processor time, from the first request until all of it is
//! aggregated, queryable and in files, gives items a second and core. Then at 70 % of the rate
//! that was reached: the time to acknowledge. Then, once files were merged: their bytes. Requests
//! are prepared ahead, so that this program needs little of the processor while the server is
//! measured; for context the same requests go to `rotel`, which forwards and stores nothing.

mod peers;

pub mod rest;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use model::signal::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::api::Api;
use crate::capture;
use crate::figures::{Outcome, quantile, rounded};
use crate::process::{cpu_s, rss_peak_mb};
use crate::programs::{Programs, Workplace};
use crate::serving::{Leftovers, Listening, Server};
use crate::telemetry::folder::{self, Captured};
use crate::telemetry::line::Prepared;
use crate::telemetry::sending::{Pace, Sent, Width, send};
use crate::telemetry::stock::{Plan, Source};
use crate::telemetry::templates::Filled;
use crate::watch::{Report, Watch};

/// Requests by which the rates of preparing and of taking are found.
const WARM_UP_REQUESTS: usize = 400;
/// Compressed requests held ready at a time.
const PREPARED_BYTES_MAX: usize = 3 << 29;
/// More than the rate found by warming up.
const AMPLE: f64 = 1.3;
/// Share of the reached rate in the open loop.
const LOAD: f64 = 0.7;

#[derive(Args)]
pub struct Ingest {
    /// Folder with a capture; without one, that of `bench capture`, made if need be
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How long each signal is sent, in each of both ways
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Which signals: all, or some of traces,metrics,logs
    #[arg(long, default_value = "all")]
    signals: String,
    /// Connections of each protocol
    #[arg(long, default_value_t = 8)]
    connections: usize,
    /// Processes that each captured one stands for in metrics
    #[arg(long, default_value_t = 100)]
    instances: usize,
    /// The same seed gives the same ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests of spans and log records as small as they were captured; else as full as SDKs make
    /// them at high rates
    #[arg(long)]
    as_captured: bool,
    /// Leave out other programs
    #[arg(long)]
    no_peers: bool,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the temporary folder
    #[arg(long)]
    keep: bool,
}

/// One signal on its way.
struct Measure<'a> {
    ingest: &'a Ingest,
    programs: &'a Programs,
    folder: &'a Path,
    source: Source,
    signal: Signal,
}

impl Ingest {
    pub async fn run(self) -> Result<Outcome> {
        let programs = Programs::find()?;
        let workplace = Workplace::new(self.dir.as_deref(), self.keep)?;
        let data = capture::given_or_made(self.data.as_deref()).await?;
        let captured = folder::read(&data, Signal::ALL)?;
        let mut figures = json!({
            "bench": "ingest",
            "profile": programs.profile(),
            "seconds": self.seconds,
            "seed": self.seed,
            "as_captured": self.as_captured,
            "capture": data,
            "captured_requests": captured.len(),
        });
        let mut peaks = Vec::new();
        let mut ack_p99_ms = Vec::new();
        let mut peers = Vec::new();
        for signal in signals(&self.signals)? {
            let measured = self.measure(&programs, workplace.path(), &captured, signal).await?;
            peaks.extend(measured["rss_peak_mb"].as_f64());
            ack_p99_ms.extend(measured["ack_p99_ms"].as_f64());
            if let Some(peer) = measured.get("rotel") {
                peers.push((signal.as_str().to_owned(), peer.clone()));
            }
            for key in TOP {
                if let Some(value) = measured.get(key) {
                    figures[key] = value.clone();
                }
            }
            figures[signal.as_str()] = measured;
        }
        figures["rss_peak_mb"] = json!(quantile(&peaks, 1.0));
        figures["ack_p99_ms"] = json!(quantile(&ack_p99_ms, 1.0));
        if !self.no_peers {
            figures["peers"] =
                json!({ "rotel": peers.into_iter().collect::<serde_json::Map<_, _>>() });
        }
        figures["dir"] = json!(workplace.kept());
        Ok(Outcome::new(figures))
    }

    async fn measure(
        &self,
        programs: &Programs,
        workplace: &Path,
        captured: &[Captured],
        signal: Signal,
    ) -> Result<Value> {
        let folder = workplace.join(signal.as_str());
        std::fs::create_dir_all(&folder)?;
        let filled = if self.as_captured { Filled::AsCaptured } else { Filled::Full };
        let source = Source::new(captured, signal, filled, self.instances)?;
        let measure = Measure { ingest: self, programs, folder: &folder, source, signal };
        let (mut figures, stream) = measure.immune().await?;
        let of_signal = captured.iter().filter(|one| one.signal == signal);
        let bytes: usize = of_signal.map(|one| one.body.len()).sum();
        if let Some(items) = measure.source.items_of_a_pass() {
            // As it came, with the resource in each small request.
            figures["captured_bytes_per_item"] = rounded(bytes as f64 / items as f64).into();
        }
        if !self.no_peers {
            match peers::rotel(stream, self.connections, self.seconds).await {
                Ok(found) => figures["rotel"] = found,
                Err(error) => figures["rotel"] = json!({ "absent": format!("{error:#}") }),
            }
        }
        Ok(figures)
    }
}

/// Keys of one signal that stand at the top as well.
const TOP: [&str; 7] = [
    "spans_per_s_core",
    "samples_per_s_core",
    "points_per_s_core",
    "log_records_per_s_core",
    "bytes_per_span",
    "bytes_per_sample",
    "log_bytes_ratio",
];

impl Measure<'_> {
    /// The figures, and the requests for whoever else is to be measured with them.
    async fn immune(&self) -> Result<(Value, Arc<Vec<Prepared>>)> {
        let (config, data) = (self.folder.join("immune.yaml"), self.folder.join("immune"));
        std::fs::write(&config, format!("{:#}\n", configuration()))?;
        let _leftovers = Leftovers::of(&data);
        let mut server =
            Server::spawn(self.programs, &config, &data, &self.folder.join("immune.log"))?;
        let listening = server.ready().await?;
        let api = Api::new(listening.api)?;
        let pid = server.pid().context("the server has ended")?;

        let before_s = cpu_s(pid)?;
        let (mut closed, stream) = self.closed(listening).await?;
        let stored = rest::stored(&api, self.signal, closed.items as u64).await?;
        let cpu = cpu_s(pid)? - before_s;
        eprintln!("  {:.1} s of processor time; all in files", cpu);

        let (open, watched) = self.open(listening, LOAD * closed.per_s(closed.requests)).await?;
        let items = closed.items + open.items;
        rest::stored(&api, self.signal, items as u64).await?;
        let settled = rest::settled(&api, self.signal).await?;
        let mut figures = json!({
            "items": closed.items,
            "samples": closed.samples,
            "requests": closed.requests,
            "items_per_request": rounded(closed.items as f64 / closed.requests.max(1) as f64),
            "raw_bytes_per_item": rounded(closed.raw_bytes as f64 / closed.items.max(1) as f64),
            "cpu_s": rounded(cpu),
            "wall_items_per_s": closed.per_s(closed.items).round(),
            "wall_samples_per_s": closed.per_s(closed.samples).round(),
            "refused": closed.refused,
            "rejected": closed.rejected + open.rejected,
            "failed": closed.failed + open.failed,
            "open_requests": open.requests,
            "open_refused": open.refused,
            "open_refused_with": open.refused_with,
            "open_memory": watched.memory(),
            "ack_p50_ms": quantile(&open.latencies_ms, 0.5),
            "ack_p99_ms": quantile(&open.latencies_ms, 0.99),
            "ack_max_ms": quantile(&open.latencies_ms, 1.0),
            "rss_peak_mb": rss_peak_mb(pid)?,
            "rows_when_flushed": stored.rows,
            "at_rest": settled.told(),
        });
        let per_core = |count: usize| (count as f64 / cpu.max(1e-9)).round();
        let samples = (closed.samples + open.samples) as f64;
        match self.signal {
            Signal::Traces => {
                figures["spans_per_s_core"] = per_core(closed.items).into();
                figures["bytes_per_span"] = rounded(settled.bytes / settled.points).into();
            }
            Signal::Metrics => {
                figures["points_per_s_core"] = per_core(closed.items).into();
                figures["samples_per_s_core"] = per_core(closed.samples).into();
                // The engine's own points are in the files as well.
                let own = settled.points - items as f64;
                figures["bytes_per_sample"] = rounded(settled.bytes / (samples + own)).into();
            }
            Signal::Logs => {
                let raw = (closed.raw_bytes + open.raw_bytes) as f64;
                figures["log_records_per_s_core"] = per_core(closed.items).into();
                figures["log_bytes_ratio"] = rounded(settled.bytes / raw).into();
            }
        }
        closed.failures.extend(open.failures);
        if let Some(why) = closed.failures.first() {
            figures["first_failure"] = why.clone().into();
        }
        server.stop().await?;
        Ok((figures, stream))
    }

    /// As fast as it is answered.
    async fn closed(&self, listening: Listening) -> Result<(Sent, Arc<Vec<Prepared>>)> {
        let lasts = Duration::from_secs(self.ingest.seconds);
        let warm = self.prepare(Duration::from_secs(2), WARM_UP_REQUESTS, 0).await?;
        let bytes = warm.iter().map(|one| one.body.len()).sum::<usize>() / warm.len().max(1);
        let width = Width::of(self.ingest.connections);
        let mut sent = send(listening, warm, width, Pace::Closed { lasts }).await?;
        let per_s = sent.per_s(sent.requests);
        let requests = (per_s * AMPLE * lasts.as_secs_f64()) as usize;
        let requests = requests.clamp(WARM_UP_REQUESTS, PREPARED_BYTES_MAX / bytes.max(1));
        eprintln!(
            "{}: {per_s:.0} requests/s when warm; preparing {requests}",
            self.signal.as_str()
        );
        let stream = self.prepare(lasts, requests, 1).await?;
        let main = send(listening, stream.clone(), width, Pace::Closed { lasts }).await?;
        ensure!(main.requests > 0, "nothing was taken: {:?}", main.failures);
        eprintln!("  {:.0} items/s", main.per_s(main.items));
        // The rate is that of the main part; both parts were paid for.
        let all = (sent.requests + main.requests) as f64 / main.requests as f64;
        sent.took = main.took.mul_f64(all);
        sent.add(main);
        Ok((sent, stream))
    }

    /// At a rate of its own.
    async fn open(&self, listening: Listening, per_s: f64) -> Result<(Sent, Report)> {
        let lasts = Duration::from_secs(self.ingest.seconds);
        let requests = (per_s * lasts.as_secs_f64()).ceil() as usize;
        let stream = self.prepare(lasts, requests.max(1), 2).await?;
        // Requests that wait for a connection wait here, not in the server: enough of them.
        let width = Width::of(4 * self.ingest.connections);
        let watch = Watch::start(listening.api, listening.pid);
        let sent = send(listening, stream, width, Pace::Open { per_s }).await?;
        eprintln!("  at 70 %: {:?} ms p99", quantile(&sent.latencies_ms, 0.99));
        Ok((sent, watch.stop().await?))
    }

    /// Prepares requests, and waits for the moment that they are made for.
    async fn prepare(
        &self,
        lasts: Duration,
        requests: usize,
        part: u64,
    ) -> Result<Arc<Vec<Prepared>>> {
        // About 20 MB/s of protobuf are compressed a core, in requests of some 100 KB.
        let needed = Duration::from_millis(1_000 + 3 * requests as u64);
        let begin = server::clock::now() + needed;
        let plan = Plan { begin: begin.0, lasts, requests };
        let seed = self.ingest.seed.wrapping_mul(1_000_003).wrapping_add(part);
        let made = tokio::task::block_in_place(|| self.source.prepare(plan, seed));
        let early = begin.since(server::clock::now());
        sleep(early).await;
        Ok(Arc::new(made))
    }
}

/// The settings that ship, on free ports.
pub fn configuration() -> Value {
    json!({
        "api": { "listen": "127.0.0.1:0" },
        "receivers": { "otlp": { "grpc": "127.0.0.1:0", "http": "127.0.0.1:0" } },
    })
}

fn signals(text: &str) -> Result<Vec<Signal>> {
    if text == "all" {
        return Ok(Signal::ALL.to_vec());
    }
    let named = |name: &str| Signal::ALL.iter().copied().find(|signal| signal.as_str() == name);
    text.split(',')
        .map(|name| named(name).with_context(|| format!("`{name}` is no signal")))
        .collect()
}
