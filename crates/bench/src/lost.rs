//! `bench lost`: does the server lose anything that it acknowledged?
//!
//! It is killed with SIGKILL again and again, under load, in the middle of a start (and so of a
//! replay), and while it saves its state; and started again on the same folder. Four connections
//! send items that are each numbered once and never sent twice. In the end the input log is read
//! back through the product's own reader and decoder: every acknowledged item must be there exactly
//! once, the journal must have no gap and nothing that was seen of it may have changed, and a
//! replay must give the same journal byte for byte.

mod cuts;

mod known;

pub mod items;

pub mod load;

mod readback;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::api::Api;
use crate::figures::{Outcome, quantile};
use crate::programs::{Programs, Workplace};
use crate::serving::{Leftovers, Listening, Server, replay};

use cuts::Cut;
use known::Known;
use load::Load;

/// How often the state is saved: often, so that cuts hit it.
const SNAPSHOT_EVERY: &str = "5s";

#[derive(Args)]
pub struct Lost {
    /// How many times the server is killed
    #[arg(long, default_value_t = 20)]
    cuts: u32,
    /// The same seed kills at the same delays
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the temporary folder
    #[arg(long)]
    keep: bool,
}

/// What the run gathers as it goes.
struct Run {
    programs: Programs,
    folder: PathBuf,
    generator: StdRng,
    load: Load,
    known: Known,
    starts_s: Vec<f64>,
    cuts: [u32; Cut::ALL.len()],
}

impl Lost {
    pub async fn run(self) -> Result<Outcome> {
        let workplace = Workplace::new(self.dir.as_deref(), self.keep)?;
        let folder = workplace.path().to_owned();
        std::fs::write(folder.join("immune.yaml"), format!("{:#}\n", configuration()))?;
        let data = folder.join("immune");
        let leftovers = Leftovers::of(&data);
        let mut run = Run {
            programs: Programs::find()?,
            folder: folder.clone(),
            generator: StdRng::seed_from_u64(self.seed),
            load: Load::start(load::Pace::default()),
            known: Known::default(),
            starts_s: Vec::new(),
            cuts: [0; Cut::ALL.len()],
        };
        for number in 1..=self.cuts {
            let cut = run.cut().await?;
            let acknowledged = run.load.acknowledged();
            eprintln!("cut {number}/{}: {cut}; {acknowledged} items acknowledged", self.cuts);
        }
        run.finish().await?;
        let sent = run.load.stop().await?;
        drop(leftovers);
        eprintln!("reading back {} items", sent.numbered);
        let found = readback::read(&data, sent.numbered)?;
        let journal = run.known.compare(&data)?;
        eprintln!("replaying");
        let (identical, report) = replay(&run.programs, &data).await?;
        let tally = found.tally(&sent.acknowledged);
        let mut figures = json!({
            "bench": "lost",
            "profile": run.programs.profile(),
            "seed": self.seed,
            "cuts": self.cuts,
            "numbered": sent.numbered,
            "acknowledged": tally.acknowledged,
            "missing": tally.missing,
            "duplicates": tally.duplicates,
            "not_acknowledged_but_there": tally.extra,
            "never_numbered": found.strangers,
            "log_entries": found.entries,
            "log_gaps": found.gaps,
            "journal": journal,
            "replay_identical": identical,
            "replay": report,
            "start_p50_s": quantile(&run.starts_s, 0.5),
            "start_max_s": quantile(&run.starts_s, 1.0),
            "dir": workplace.kept(),
        });
        for (cut, count) in Cut::ALL.iter().zip(run.cuts) {
            figures[format!("cuts_{}", cut.as_str())] = count.into();
        }
        let mut outcome = Outcome::new(figures);
        outcome.promise(tally.missing == 0, "acknowledged items are missing");
        outcome.promise(tally.duplicates == 0, "items are there more than once");
        outcome.promise(found.gaps == 0, "log entries cannot be read");
        outcome.promise(found.strangers == 0, "items bear numbers that were never sent");
        outcome.promise(journal.is_whole(), "journal or incidents lost something");
        outcome.promise(identical, "the replay differs from the journal");
        Ok(outcome)
    }
}

impl Run {
    fn spawn(&self) -> Result<Server> {
        let (config, log) = (self.folder.join("immune.yaml"), self.folder.join("immune.log"));
        Server::spawn(&self.programs, &config, &self.data(), &log)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("immune")
    }

    /// Starts the server and kills it, once.
    async fn cut(&mut self) -> Result<Cut> {
        let server = self.spawn()?;
        let cut = Cut::draw(&mut self.generator);
        let cut = match (cut, self.starts_s.last()) {
            // How long a start takes is not known before the first.
            (Cut::Starting, Some(start_s)) => {
                let delay = self.generator.random_range(0.0..start_s * 1.1);
                sleep(Duration::from_secs_f64(delay)).await;
                Cut::Starting
            }
            (Cut::Saving, _) => {
                let (server, listening) = self.wait_ready(server).await?;
                let delay = Duration::from_micros(self.generator.random_range(0..4_000));
                cuts::wait_for_saving(&self.data(), delay).await?;
                return self.end(server, listening, Cut::Saving).await;
            }
            _ => {
                let (server, listening) = self.wait_ready(server).await?;
                let delay = self.generator.random_range(0.1..2.5);
                sleep(Duration::from_secs_f64(delay)).await;
                return self.end(server, listening, Cut::Loaded).await;
            }
        };
        self.count(cut);
        server.kill().await?;
        Ok(cut)
    }

    /// Notes what the server says that it knows, and kills it.
    async fn end(&mut self, server: Server, listening: Listening, cut: Cut) -> Result<Cut> {
        self.count(cut);
        if cut == Cut::Loaded {
            self.known.note(&Api::new(listening.api)?).await?;
        }
        server.kill().await?;
        self.load.aim(None);
        Ok(cut)
    }

    fn count(&mut self, cut: Cut) {
        let place = Cut::ALL.iter().position(|known| *known == cut);
        self.cuts[place.expect("ALL holds every kind of cut")] += 1;
    }

    /// Waits for a start, sends the load there, and asks whether everything is still known.
    async fn wait_ready(&mut self, mut server: Server) -> Result<(Server, Listening)> {
        let listening = server.ready().await?;
        self.starts_s.push(server.spawned().elapsed().as_secs_f64());
        self.load.aim(Some(listening));
        self.known.check(&Api::new(listening.api)?).await?;
        Ok((server, listening))
    }

    /// A last start, a look at everything, and an end in order.
    async fn finish(&mut self) -> Result<()> {
        let server = self.spawn()?;
        let (server, listening) = self.wait_ready(server).await?;
        sleep(Duration::from_secs(1)).await;
        self.known.note(&Api::new(listening.api)?).await?;
        self.load.aim(None);
        server.stop().await
    }
}

/// Ordinary settings, but for free ports, frequent snapshots and incidents that end soon, so that a
/// short run has several.
fn configuration() -> Value {
    json!({
        "storage": { "snapshot_every": SNAPSHOT_EVERY },
        "api": { "listen": "127.0.0.1:0" },
        "receivers": { "otlp": { "grpc": "127.0.0.1:0", "http": "127.0.0.1:0" } },
        "detect": { "clear_after": "10s" },
        "diagnose": { "reopen_within": "1s" },
    })
}

/// Where the server keeps snapshots.
fn snapshots(data: &Path) -> PathBuf {
    data.join("snapshots")
}
