//! `bench restart`: how soon a server is ready with much telemetry on its disk and very many
//! series, and whether it loses anything.
//!
//! A data folder is filled by the product's own store: spans, log records and all series of
//! metrics over several days (`history`). The server is started on it; while numbered items are
//! sent as in `bench lost`, every series comes once more, so that they are in memory and in the
//! input log when it is killed. Then it is started again: it must be ready within seconds, have all
//! of the history, and have each item that it acknowledged exactly once.

mod history;

mod noise;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use model::signal::Signal;
use receivers::ByteSize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::capture;
use crate::figures::{Outcome, rounded};
use crate::ingest::configuration;
use crate::ingest::rest::Storage;
use crate::lost::answers::Answers;
use crate::lost::load::{Load, Pace as LoadPace, Sent as Numbered};
use crate::process::{rss_mb, rss_peak_mb};
use crate::programs::{Programs, Workplace};
use crate::serving::{Leftovers, Listening, Server};
use crate::telemetry::folder;
use crate::telemetry::sending::{Pace, Sent, Width, send};
use crate::telemetry::stock::{Plan, Source};
use history::{History, Wanted};

/// "In seconds".
const READY_MAX_S: f64 = 10.0;
const CONNECTIONS: usize = 4;
/// Series that come once more are sent within this time, or as many of them as can be.
const LIVE_MAX: Duration = Duration::from_secs(300);
const AFTERWARDS: Duration = Duration::from_secs(3);
/// Files are written once a minute at least.
const STORED_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(250);
const MARGIN: Duration = Duration::from_secs(60);
// Every log record of the time that is asked for counts.
const _: () = assert!(history::ENDED_BEFORE.as_secs() > 2 * MARGIN.as_secs());

#[derive(Args)]
pub struct Restart {
    /// Bytes of telemetry files
    #[arg(long, default_value = "10GiB", value_parser = ByteSize::parse)]
    size: ByteSize,
    /// Different series of metrics
    #[arg(long, default_value_t = 1_000_000)]
    series: usize,
    /// Days over which they lie
    #[arg(long, default_value_t = 7)]
    days: u32,
    /// How long the server runs, at least, before it is killed
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Folder with a capture; without one, that of `bench capture`, made if need be
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The same seed gives the same ids
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Start on what an earlier run has built in this folder
    #[arg(long, value_name = "DIR", conflicts_with = "dir")]
    again: Option<PathBuf>,
}

/// A server of the data folder, as often as it is started.
struct Starts<'a> {
    programs: &'a Programs,
    folder: &'a Path,
}

/// One start.
struct Started {
    server: Server,
    listening: Listening,
    ready_s: f64,
    rss_mb: f64,
}

/// What was seen in the end.
struct Seen {
    first: (f64, f64),
    again: (f64, f64),
    before: Storage,
    live: Sent,
    numbered: Numbered,
    answers: Answers,
    missing: Value,
    is_whole: bool,
    rss_peak_mb: f64,
}

impl Restart {
    pub async fn run(self) -> Result<Outcome> {
        let programs = Programs::find()?;
        let workplace = Workplace::again_or_new(self.again.as_deref(), self.dir.as_deref())?;
        let folder = workplace.path();
        let capture = capture::given_or_made(self.data.as_deref()).await?;
        let captured = folder::read(&capture, Signal::ALL)?;
        let metrics = Source::metrics(&captured, self.series)?;
        let history = match &self.again {
            Some(_) => History::load(folder)?,
            None => {
                let wanted = Wanted { bytes: self.size.0, days: self.days, seed: self.seed };
                let data = folder.join("immune");
                let build = || history::build(&data, &captured, &metrics, wanted);
                let history = tokio::task::block_in_place(build)?;
                history.save(folder)?;
                history
            }
        };
        drop(captured);
        std::fs::write(folder.join("immune.yaml"), format!("{:#}\n", configuration()))?;
        let starts = Starts { programs: &programs, folder };
        let seen = self.restart(starts, metrics, &history).await?;
        let mut outcome = outcome(&history, &seen);
        outcome.figures["profile"] = programs.profile().into();
        outcome.figures["dir"] = json!(workplace.kept());
        Ok(outcome)
    }

    async fn restart(
        &self,
        starts: Starts<'_>,
        metrics: Source,
        history: &History,
    ) -> Result<Seen> {
        let _leftovers = Leftovers::of(&starts.folder.join("immune"));
        // Ready before the server is: it should not get a rest in between.
        let requests = metrics.requests_of_a_step();
        let plan = Plan { begin: server::clock::now().0, lasts: Duration::ZERO, requests };
        let stream = Arc::new(tokio::task::block_in_place(|| metrics.prepare(plan, self.seed)));
        let begun = server::clock::now();

        let first = starts.start().await?;
        eprintln!("ready after {:.3} s, {} MB", first.ready_s, first.rss_mb);
        let api = Api::patient(first.listening.api)?;
        let before: Storage = api.get("storage").await?;
        let load = Load::start(LoadPace { trouble: false, ..LoadPace::default() });
        load.aim(Some(first.listening));
        let from = Instant::now();
        let pace = Pace::Closed { lasts: LIVE_MAX };
        let live = send(first.listening, stream, Width::of(CONNECTIONS), pace).await?;
        eprintln!("{} points of all series taken in {:.1} s", live.items, live.took.as_secs_f64());
        sleep(Duration::from_secs(self.seconds).saturating_sub(from.elapsed())).await;
        let peak_mb = rss_peak_mb(first.listening.pid)?;
        eprintln!("killing it");
        first.server.kill().await?;
        load.aim(None);

        let again = starts.start().await?;
        eprintln!("ready again after {:.3} s, {} MB", again.ready_s, again.rss_mb);
        load.aim(Some(again.listening));
        sleep(AFTERWARDS).await;
        load.aim(None);
        let numbered = load.stop().await?;
        let api = Api::patient(again.listening.api)?;
        let expected = [
            ("spans", history.spans),
            ("logs", history.log_records),
            ("samples", history.points + live.items as u64),
        ];
        let (missing, is_whole) = missing(&api, expected).await?;
        eprintln!("asking for {} numbered items", numbered.numbered);
        let (from, to) = (begun - MARGIN, server::clock::now() + MARGIN);
        let answers = Answers::ask(&api, from, to, numbered.numbered).await?;
        let rss_peak_mb = peak_mb.max(rss_peak_mb(again.listening.pid)?);
        again.server.stop().await?;
        Ok(Seen {
            first: (first.ready_s, first.rss_mb),
            again: (again.ready_s, again.rss_mb),
            before,
            live,
            numbered,
            answers,
            missing,
            is_whole,
            rss_peak_mb,
        })
    }
}

impl Starts<'_> {
    async fn start(&self) -> Result<Started> {
        let (config, log) = (self.folder.join("immune.yaml"), self.folder.join("immune.log"));
        let data = self.folder.join("immune");
        let mut server = Server::spawn(self.programs, &config, &data, &log)?;
        let listening = server.ready().await?;
        let ready_s = server.spawned().elapsed().as_secs_f64();
        Ok(Started { server, listening, ready_s, rss_mb: rss_mb(listening.pid)? })
    }
}

/// What the tables do not have of what they should. Waits for what is not in files yet: of what is
/// on its way there nothing tells how much it is.
async fn missing(api: &Api, expected: [(&str, u64); 3]) -> Result<(Value, bool)> {
    let deadline = Instant::now() + STORED_WITHIN;
    loop {
        let storage: Storage = api.get("storage").await?;
        let lacks = |(name, expected): (&str, u64)| {
            let found = storage.tables.iter().find(|table| table.table == name);
            let found = found.context("a table is not told of")?;
            anyhow::Ok((name.to_owned(), expected.saturating_sub(found.points)))
        };
        let lacks = expected.into_iter().map(lacks).collect::<Result<Vec<_>>>()?;
        let is_whole = lacks.iter().all(|(_, missing)| *missing == 0);
        if is_whole || Instant::now() > deadline {
            let lacks = lacks.into_iter().map(|(name, missing)| (name, json!(missing)));
            return Ok((Value::Object(lacks.collect()), is_whole));
        }
        sleep(LOOK_EVERY).await;
    }
}

fn outcome(history: &History, seen: &Seen) -> Outcome {
    let tally = seen.answers.tally(&seen.numbered.acknowledged);
    let sum = |of: fn(&crate::ingest::rest::TableStatus) -> u64| -> u64 {
        seen.before.tables.iter().map(of).sum()
    };
    let mut outcome = Outcome::new(json!({
        "bench": "restart",
        "ready_s": rounded(seen.first.0),
        "ready_after_kill_s": rounded(seen.again.0),
        "files": sum(|table| table.files),
        "bytes": sum(|table| table.bytes),
        "series": history.series,
        "spans": history.spans,
        "log_records": history.log_records,
        "points": history.points,
        "built_in_s": history.built_in_s,
        "live_points": seen.live.items,
        "live_points_per_s": seen.live.per_s(seen.live.items).round(),
        "live_refused": seen.live.refused,
        "rss_mb": seen.first.1,
        "rss_after_kill_mb": seen.again.1,
        "rss_peak_mb": seen.rss_peak_mb,
        "acknowledged": tally.acknowledged,
        "missing": tally.missing,
        "duplicates": tally.duplicates,
        "missing_in_tables": seen.missing,
    }));
    let slowest = seen.first.0.max(seen.again.0);
    outcome.promise(slowest <= READY_MAX_S, format!("ready only after {slowest:.1} s"));
    outcome.promise(tally.is_whole(), "acknowledged items are missing or twice in answers");
    outcome.promise(seen.is_whole, "tables lack telemetry that they had");
    outcome.promise(tally.acknowledged > 0, "nothing was acknowledged");
    outcome
}
