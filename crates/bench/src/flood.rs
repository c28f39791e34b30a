//! `bench flood`: more telemetry than the server can take, for minutes.
//!
//! Ten times what it took when it was asked politely is offered in an open loop over many
//! connections, some of which send a byte a second. It must stay within its memory, answer those
//! that it cannot serve with 429 or 503 and when to come again, and keep its ticks: none later
//! than two seconds. Beside the flood, numbered items are sent as in `bench lost`. After it they
//! must all be accepted again, and every one that was acknowledged must be in answers once.

mod refusal;

mod slow;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use model::signal::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::capture;
use crate::figures::{Outcome, quantile, rounded};
use crate::ingest::configuration;
use crate::lost::answers::Answers;
use crate::lost::load::{Load, Pace as LoadPace};
use crate::process::{cpu_s, rss_peak_mb};
use crate::programs::{Programs, Workplace};
use crate::serving::{Leftovers, Listening, Server};
use crate::telemetry::folder;
use crate::telemetry::line::Prepared;
use crate::telemetry::sending::{Pace, Sent, Width, send};
use crate::telemetry::stock::{Plan, Source};
use crate::telemetry::templates::Filled;
use crate::watch::{self, Watch};
use refusal::Refusal;
use slow::Slow;

const WARM_UP: Duration = Duration::from_secs(6);
/// Different requests that the flood is made of.
const REQUESTS: usize = 4_000;
/// Of the rate that is to be offered, so much has to be tried.
const TRIED_MIN: f64 = 0.9;
const TICK_LATE_MAX_S: f64 = 2.0;
const TICK_S: f64 = 1.0;
const NORMAL_FOR: Duration = Duration::from_secs(20);
const RECOVERED_WITHIN: Duration = Duration::from_secs(60);
const MARGIN: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Flood {
    /// How long the flood lasts
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// How much is offered, as a multiple of what is taken
    #[arg(long, default_value_t = 10.0)]
    times: f64,
    /// Folder with a capture; without one, that of `bench capture`
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Connections of each protocol; the server takes at most 512
    #[arg(long, default_value_t = 150)]
    connections: usize,
    /// Requests at a time on each connection of gRPC
    #[arg(long, default_value_t = 8)]
    streams: usize,
    /// Connections that send a byte a second
    #[arg(long, default_value_t = 50)]
    slow: usize,
    /// The server's memory, as in its configuration, in MiB
    #[arg(long, default_value_t = 1024)]
    memory_mb: u64,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What was seen.
struct Seen {
    capacity_per_s: f64,
    refusal: Refusal,
    sent: Sent,
    /// Cores that the server and this program used during the flood.
    cores: [f64; 2],
    watch: watch::Report,
    slow: usize,
    recovered_s: Option<f64>,
    normal: (u64, u64),
}

impl Seen {
    fn offered_per_s(&self, times: f64) -> f64 {
        self.capacity_per_s * times
    }

    fn tried_per_s(&self) -> f64 {
        self.sent.per_s(self.sent.tried())
    }

    /// Processor time of this program for each request, in seconds.
    fn sender_s(&self) -> f64 {
        self.cores[1] / self.tried_per_s().max(1e-9)
    }

    /// Why less was tried than was to be offered; `None` where enough was.
    fn shortfall(&self, times: f64) -> Option<Shortfall> {
        let (offered, tried) = (self.offered_per_s(times), self.tried_per_s());
        let is_ours = offered * self.sender_s() > cores() / 2.0;
        (tried < TRIED_MIN * offered).then_some(if is_ours {
            Shortfall::Sender
        } else {
            Shortfall::Server
        })
    }

    fn told(&self, times: f64) -> Value {
        json!({
            "capacity_requests_per_s": self.capacity_per_s.round(),
            "offered_requests_per_s": self.offered_per_s(times).round(),
            "tried_requests_per_s": self.tried_per_s().round(),
            "shortfall": self.shortfall(times).map(Shortfall::as_str),
            "server_cores": rounded(self.cores[0]),
            "sender_cores": rounded(self.cores[1]),
            "refusal_server_us": self.refusal.server_us,
            "refusal_sender_us": self.refusal.sender_us,
            "taken_requests": self.sent.requests,
            "taken_spans": self.sent.items,
            "refused": self.sent.refused,
            "refused_with": self.sent.refused_with,
            "refused_without_retry_after": self.sent.refused_rudely,
            "failed": self.sent.failed,
            "failures": self.sent.failures.iter().take(5).collect::<Vec<_>>(),
            "slow_connections": self.slow,
            "latency_p99_ms": quantile(&self.sent.latencies_ms, 0.99),
            "memory": self.watch.memory(),
        })
    }
}

/// What kept a flood from being as large as it was to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shortfall {
    /// To offer as much, this program would need more than half of the machine.
    Sender,
    /// All lines waited for answers.
    Server,
}

impl Shortfall {
    fn as_str(self) -> &'static str {
        match self {
            Shortfall::Sender => "sender",
            Shortfall::Server => "server",
        }
    }
}

fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| cores.get() as f64)
}

impl Flood {
    pub async fn run(self) -> Result<Outcome> {
        let programs = Programs::find()?;
        let workplace = Workplace::new(self.dir.as_deref(), false)?;
        let folder = workplace.path();
        let capture = capture::given_or_made(self.data.as_deref()).await?;
        let source =
            Source::new(&folder::read(&capture, Signal::ALL)?, Signal::Traces, Filled::Full, 1)?;
        let (config, data) = (folder.join("immune.yaml"), folder.join("immune"));
        let mut settings = configuration();
        settings["memory"] = format!("{}MiB", self.memory_mb).into();
        std::fs::write(&config, format!("{settings:#}\n"))?;
        let _leftovers = Leftovers::of(&data);
        let lasts = Duration::from_secs_f64(self.minutes * 60.0);
        let all = prepare(&source, lasts)?;
        let refusal = Refusal::measure(&programs, folder, &all).await?;
        eprintln!("a refusal takes the server {} us of a core", refusal.server_us);
        let mut server = Server::spawn(&programs, &config, &data, &folder.join("immune.log"))?;
        let listening = server.ready().await?;
        let pid = server.pid().context("the server has ended")?;
        let begun = server::clock::now();

        let load = Load::start(LoadPace { trouble: false, ..LoadPace::default() });
        load.aim(Some(listening));
        let seen = self.flood(all, refusal, listening, &load).await?;
        load.aim(None);
        let numbered = load.stop().await?;
        let api = Api::patient(listening.api)?;
        let (from, to) = (begun - MARGIN, server::clock::now() + MARGIN);
        eprintln!("asking for {} numbered items", numbered.numbered);
        let answers = Answers::ask(&api, from, to, numbered.numbered).await?;
        let tally = answers.tally(&numbered.acknowledged);
        let stored = stored_spans(&api).await?;
        let peak_mb = rss_peak_mb(pid)?;
        server.stop().await?;
        let late_log_s = watch::latest_tick_in_log(&data)?;
        let mut outcome = Outcome::new(json!({
            "bench": "flood",
            "profile": programs.profile(),
            "minutes": self.minutes,
            "times": self.times,
            "flood": seen.told(self.times),
            "rss_peak_mb": peak_mb,
            "memory_mb": self.memory_mb,
            "tick_lag_max_s": seen.watch.tick_lag_max_s,
            "tick_looks_failed": seen.watch.failed,
            "tick_gap_max_in_log_s": late_log_s,
            "recovered_after_s": seen.recovered_s,
            "normal_sent": seen.normal.0,
            "normal_accepted": seen.normal.1,
            "acknowledged": tally.acknowledged,
            "missing": tally.missing,
            "duplicates": tally.duplicates,
            "stored_spans": stored,
            "dir": workplace.kept(),
        }));
        let late_s = seen.watch.tick_lag_max_s.max(late_log_s) - TICK_S;
        let bound_mb = self.memory_mb as f64;
        outcome.promise(peak_mb <= bound_mb, format!("{peak_mb} MB are more than {bound_mb}"));
        let is_ours = seen.shortfall(self.times) != Some(Shortfall::Server);
        let tried = format!("only {:.0} requests/s could be tried", seen.tried_per_s());
        outcome.promise(is_ours, format!("{tried}: the server answers too slowly"));
        outcome.promise(seen.sent.refused_rudely == 0, "refused without Retry-After");
        outcome.promise(late_s <= TICK_LATE_MAX_S, format!("a tick was {late_s} s late"));
        outcome.promise(seen.recovered_s.is_some(), "it did not recover within 60 s");
        // Some that were sent before were answered in that time.
        let all_taken = seen.normal.1 >= seen.normal.0;
        outcome.promise(all_taken, "normal load was refused after the flood");
        outcome.promise(tally.is_whole(), "acknowledged items are missing or twice in answers");
        Ok(outcome)
    }

    async fn flood(
        &self,
        all: Arc<Vec<Prepared>>,
        refusal: Refusal,
        listening: Listening,
        load: &Load,
    ) -> Result<Seen> {
        let (lasts, pid) = (Duration::from_secs_f64(self.minutes * 60.0), listening.pid);
        let warm = Pace::Closed { lasts: WARM_UP };
        let warmed = send(listening, all.clone(), Width::of(8), warm).await?;
        let capacity_per_s = warmed.per_s(warmed.requests);
        let per_s = capacity_per_s * self.times;
        eprintln!("takes {capacity_per_s:.0} requests/s; offering {per_s:.0} for {lasts:?}");
        let watch = Watch::start(listening.api, pid);
        let slow = Slow::start(listening.otlp_http, self.slow).await?;
        let pace = Pace::Flood { per_s, lasts };
        let width = Width { connections: self.connections, streams: self.streams };
        let before = [cpu_s(pid)?, cpu_s(std::process::id())?];
        let mut sent = send(listening, all.clone(), width, pace).await?;
        let after = [cpu_s(pid)?, cpu_s(std::process::id())?];
        let cores = [0, 1].map(|of| (after[of] - before[of]) / sent.took.as_secs_f64());
        let open = slow.stop();
        eprintln!(
            "over: {} taken, {} refused, {} failed",
            sent.requests, sent.refused, sent.failed
        );
        let recovered_s = recovered(listening, &all).await?;
        let before = (load.numbered(), load.acknowledged());
        sleep(NORMAL_FOR).await;
        load.aim(None);
        // What is on its way is answered.
        sleep(Duration::from_secs(2)).await;
        let normal = (load.numbered() - before.0, load.acknowledged() - before.1);
        let watch = watch.stop().await?;
        sent.items += warmed.items;
        let slow = open;
        Ok(Seen { capacity_per_s, refusal, sent, cores, watch, slow, recovered_s, normal })
    }
}

fn prepare(source: &Source, lasts: Duration) -> Result<Arc<Vec<Prepared>>> {
    let plan = Plan { begin: server::clock::now().0, lasts, requests: REQUESTS };
    Ok(Arc::new(tokio::task::block_in_place(|| source.prepare(plan, 7))))
}

/// Seconds until requests are taken again, one after the other for a second.
async fn recovered(listening: Listening, all: &Arc<Vec<Prepared>>) -> Result<Option<f64>> {
    let begin = Instant::now();
    let few = Arc::new(all[..10.min(all.len())].to_vec());
    while begin.elapsed() < RECOVERED_WITHIN {
        let at_s = begin.elapsed().as_secs_f64();
        let sent = send(listening, few.clone(), Width::of(1), Pace::Open { per_s: 10.0 }).await?;
        if sent.refused + sent.failed == 0 {
            return Ok(Some(rounded(at_s)));
        }
    }
    Ok(None)
}

/// Spans that the server says it has.
async fn stored_spans(api: &Api) -> Result<u64> {
    let storage: serde_json::Value = api.get("storage").await?;
    let tables = storage["tables"].as_array().context("no tables")?;
    let spans = tables.iter().find(|table| table["table"] == "spans");
    Ok(spans.and_then(|table| table["points"].as_u64()).unwrap_or_default())
}
