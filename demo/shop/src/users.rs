//! Users: sessions that arrive at random and walk through journeys, whatever the site answers.
//!
//! Open loop: arrivals are a Poisson process of their own ([`arrivals`]), so a slow site does not
//! slow the users down and waiting is not hidden. The same seed gives the same arrivals, journeys
//! and think times. Knows no site: what to ask is in the journeys file ([`journeys`]). Sends no
//! telemetry and no trace context; its log ([`log`]) is the users' own word.

mod arrivals;
mod capture;
mod duration;
mod journeys;
mod log;
mod session;
mod template;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::arrivals::Arrivals;
pub use self::arrivals::parse_rate;
use self::duration::parse_duration;
use self::journeys::Journeys;
use self::log::Log;
use self::session::{Session, Site};
use crate::rate::taken_up;
use crate::serve::write_whole;
use crate::transport::Upstream;

/// How often the rate file is read.
const RATE_FILE_PERIOD: Duration = Duration::from_secs(1);
/// How often `--progress` speaks.
const PROGRESS_PERIOD: Duration = Duration::from_secs(10);
/// Arrivals without a deadline end after this long.
const DURATION_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);
/// The shop's own journeys.
const BUILTIN: &str = include_str!("../journeys.yaml");

/// `shop users`
#[derive(Debug, clap::Args)]
pub struct UsersArgs {
    /// The site, as http://HOST[:PORT]
    #[arg(long, value_name = "URL")]
    url: Upstream,
    /// What users do there: a YAML file, or "builtin" for the shop's own journeys
    #[arg(long, value_name = "FILE", default_value = "builtin")]
    journeys: PathBuf,
    /// Sessions that arrive per second, on average
    #[arg(long, value_name = "SESSIONS_PER_S", value_parser = parse_rate)]
    rate: f64,
    /// Read the rate from this file each second and follow it at once when it changes
    #[arg(long, value_name = "FILE")]
    rate_file: Option<PathBuf>,
    /// The same seed gives the same users
    #[arg(long)]
    seed: u64,
    /// Write one JSON line per request to this file (created anew)
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// Stop after this long, such as 60s or 10m; requests in progress may end [default: never]
    #[arg(long, value_parser = parse_duration)]
    duration: Option<Duration>,
    /// How long a user waits for an answer
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    timeout: Duration,
    /// An answer that takes longer is written down as `slow` and not ok; the user goes on
    /// [default: as long as a user waits]
    #[arg(long, value_parser = parse_duration)]
    slow_after: Option<Duration>,
    /// Sessions at the same time; arrivals beyond are turned away and counted
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    sessions_max: usize,
    /// Print a line to standard error every ten seconds
    #[arg(long)]
    progress: bool,
}

/// The running users.
struct Users {
    site: Arc<Site>,
    arrivals: Arrivals,
    seed: u64,
    sessions_max: usize,
    sessions: JoinSet<Result<(), log::LogError>>,
    arrived: u64,
    turned_away: u64,
    /// Set to true when sessions should make no further request.
    closing: tokio::sync::watch::Sender<bool>,
}

/// Runs users until the duration is over or SIGTERM or SIGINT comes.
pub async fn run(args: UsersArgs) -> anyhow::Result<()> {
    let journeys = read_journeys(&args.journeys)?;
    let log = Log::create(&args.log, args.seed, &args.url.to_string())?;
    let site = Site {
        url: args.url.clone(),
        journeys,
        timeout: args.timeout,
        slow_after: args.slow_after.unwrap_or(args.timeout),
        log,
    };
    let mut users = Users {
        site: Arc::new(site),
        arrivals: Arrivals::new(args.seed, args.rate),
        seed: args.seed,
        sessions_max: args.sessions_max,
        sessions: JoinSet::new(),
        arrived: 0,
        turned_away: 0,
        closing: tokio::sync::watch::Sender::new(false),
    };
    let told_to_stop = users.arrive(&args).await?;
    if !told_to_stop {
        users.close().await?;
    }
    if args.progress || users.turned_away > 0 {
        users.tell("all");
    }
    Ok(())
}

impl Users {
    /// Lets sessions arrive; true when a signal ended it, false when the duration was over.
    async fn arrive(&mut self, args: &UsersArgs) -> anyhow::Result<bool> {
        let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
        let mut rate_check = interval(RATE_FILE_PERIOD);
        rate_check.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut progress = interval(PROGRESS_PERIOD);
        progress.tick().await;
        let mut rate_file = RateFile::new(args.rate_file.clone());
        let mut now = Instant::now();
        let end = now + args.duration.unwrap_or(DURATION_MAX).min(DURATION_MAX);
        loop {
            let next = self.arrivals.until_next().map_or(end, |wait| (now + wait).min(end));
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                _ = rate_check.tick() => {}
                _ = progress.tick() => if args.progress { self.tell("10 s") },
                _ = terminate.recv() => return Ok(true),
                _ = interrupt.recv() => return Ok(true),
            }
            let before = now;
            now = Instant::now();
            for _ in 0..self.arrivals.elapse(now - before) {
                self.admit();
            }
            if let Some(rate) = rate_file.changed() {
                self.arrivals.set_rate(rate);
                rate_file.take_up(rate)?;
            }
            while let Some(ended) = self.sessions.try_join_next() {
                ended.context("a session broke")??;
            }
            if now >= end {
                return Ok(false);
            }
        }
    }

    fn admit(&mut self) {
        self.arrived += 1;
        if self.sessions.len() >= self.sessions_max {
            self.turned_away += 1;
            return;
        }
        // A generator per session: what one session does cannot depend on another's timing.
        let own_seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(self.arrived);
        let generator = StdRng::seed_from_u64(own_seed);
        let session = Session::new(Arc::clone(&self.site), self.arrived, generator);
        self.sessions.spawn(session.walk(self.closing.subscribe()));
    }

    /// Lets requests in progress end; no session makes another.
    async fn close(&mut self) -> anyhow::Result<()> {
        let _ = self.closing.send(true);
        while let Some(ended) = self.sessions.join_next().await {
            ended.context("a session broke")??;
        }
        Ok(())
    }

    fn tell(&self, period: &str) {
        let counts = if period == "all" {
            self.site.log.counts()
        } else {
            self.site.log.counts_since_last()
        };
        eprintln!(
            "users: {period}: {} requests, {} failed; {} sessions arrived, {} now, {} turned away",
            counts.requests,
            counts.failed,
            self.arrived,
            self.sessions.len(),
            self.turned_away
        );
    }
}

fn read_journeys(path: &Path) -> anyhow::Result<Journeys> {
    if path == Path::new("builtin") {
        return Journeys::parse(BUILTIN).context("the built-in journeys");
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("read the journeys file {}", path.display()))?;
    Journeys::parse(&text).with_context(|| path.display().to_string())
}

/// A file whose changes change the rate.
struct RateFile {
    path: Option<PathBuf>,
    seen: String,
}

impl RateFile {
    fn new(path: Option<PathBuf>) -> RateFile {
        RateFile { path, seen: String::new() }
    }

    /// The new rate, where the file has changed and holds one.
    fn changed(&mut self) -> Option<f64> {
        let text = std::fs::read_to_string(self.path.as_ref()?).ok()?;
        // An empty file is one that is being written.
        if text == self.seen || text.trim().is_empty() {
            return None;
        }
        self.seen = text;
        let rate = parse_rate(self.seen.trim());
        if let Err(error) = &rate {
            eprintln!("users: rate file: {error}; keeping the rate");
        }
        rate.ok()
    }

    /// Tells whoever asked for it that users come at this rate.
    fn take_up(&self, rate: f64) -> anyhow::Result<()> {
        match &self.path {
            Some(path) => write_whole(&taken_up(path), rate),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_journeys_are_good() {
        let journeys = read_journeys(Path::new("builtin")).expect("good journeys");
        assert!(journeys.names().any(|name| name == "buy"));
    }

    #[test]
    fn the_journeys_of_the_polyglot_system_are_good() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/polyglot/journeys.yaml");
        read_journeys(Path::new(path)).expect("good journeys");
    }

    #[test]
    fn a_rate_file_tells_each_change_once_and_survives_nonsense() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("rate");
        let mut file = RateFile::new(Some(path.clone()));
        assert_eq!(file.changed(), None, "no file yet");
        for (text, rate) in [("5", Some(5.0)), ("5", None), ("many", None), ("20\n", Some(20.0))] {
            std::fs::write(&path, text).expect("write");
            assert_eq!(file.changed(), rate, "after {text:?}");
        }
    }
}
