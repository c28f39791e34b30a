//! `bench polyglot`: drills and innocent events on a real system of nginx, Node, Python, PostgreSQL
//! and Redis under users' load, watched and healed by a real server.
//!
//! Runs of the same kind may go through one running system, one after the other, each begun only
//! when nothing is left of the one before; `--fresh-every` says how often everything is started
//! anew. Where a system sees more than one kill, the healer's waits between two of them are
//! shortened, and the figures say so. In the end each server's folder is replayed.

mod drills;

mod innocents;

mod kind;

mod score;

mod settings;

mod stage;

pub mod system;

pub mod users;

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};
use kind::Kind;
use model::human::HumanDuration;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::figures::Outcome;
use crate::programs::{Programs, Workplace};
use crate::serving::replay;
use score::Run;
use settings::Pace;
use stage::{Plot, Stage};

/// Healthy traffic between two things that are done, in seconds.
const HEALTHY_S: std::ops::Range<u64> = 5..25;

/// Whether this machine can do it.
type Probe = fn() -> Result<(), String>;

/// What a drill needs of the machine, and how it is found out.
const NEEDS: [(Kind, Probe); 2] =
    [(Kind::DiskFull, system::has_small_disks), (Kind::SlowNetwork, system::has_network_faults)];

#[derive(Args)]
pub struct Polyglot {
    /// What is done to the system: one thing, several, or `all` in an order drawn from the seed
    #[arg(long, required = true, value_delimiter = ',')]
    drill: Vec<Choice>,
    /// How often each is done
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// The same seed gives the same users, rates and delays
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Healthy traffic before the first run on a system
    #[arg(long, default_value = "60s", value_parser = HumanDuration::parse)]
    warm_up: HumanDuration,
    /// Start a fresh system after this many runs; 0: one system for all runs of its shape
    #[arg(long, default_value_t = 0)]
    fresh_every: usize,
    /// How long an innocent event is watched after it
    #[arg(long, default_value = "60s", value_parser = HumanDuration::parse)]
    watch: HumanDuration,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the temporary folder
    #[arg(long)]
    keep: bool,
    /// Do not replay the servers' folders at the end
    #[arg(long)]
    no_replay: bool,
}

/// `all`, or one kind.
#[derive(Clone, Debug)]
enum Choice {
    All,
    One(Kind),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        match text {
            "all" => Ok(Choice::All),
            one => Kind::from_str(one, false).map(Choice::One).map_err(|_| {
                let known = Kind::ALL.map(Kind::as_str).join(", ");
                format!("write `all`, or one of {known}")
            }),
        }
    }
}

/// What has been gathered so far.
struct Gathered {
    programs: Programs,
    workplace: Workplace,
    generator: StdRng,
    pace: Pace,
    runs: Vec<Run>,
    /// What this machine does not allow, and why.
    skipped: Vec<(Kind, String)>,
    systems: usize,
    /// Whether each server's replay was identical, and its report.
    replays: Vec<(bool, Value)>,
}

impl Polyglot {
    pub async fn run(self) -> Result<Outcome> {
        system::prepare().await?;
        let mut generator = StdRng::seed_from_u64(self.seed);
        let mut skipped = Vec::new();
        let stages = self.stages(&mut generator, &mut skipped);
        let mut gathered = Gathered {
            programs: Programs::find()?,
            workplace: Workplace::new(self.dir.as_deref(), self.keep)?,
            generator,
            skipped,
            pace: Pace::for_stages(&stages),
            runs: Vec::new(),
            systems: 0,
            replays: Vec::new(),
        };
        for kinds in &stages {
            let mut rest = kinds.as_slice();
            while !rest.is_empty() {
                let done = self.play(rest, &mut gathered).await?;
                rest = &rest[done..];
            }
        }
        Ok(self.outcome(gathered))
    }

    /// Does one thing after the other on a fresh system, up to and including the first that breaks;
    /// returns how many.
    async fn play(&self, kinds: &[Kind], gathered: &mut Gathered) -> Result<usize> {
        gathered.systems += 1;
        let plot = Plot {
            programs: gathered.programs.clone(),
            folder: gathered.workplace.path().join(format!("system-{}", gathered.systems)),
            instances: kinds.first().map_or(1, |kind| kind.instances()),
            small_disk: kinds.contains(&Kind::DiskFull),
            pace: gathered.pace,
            warm_up: self.warm_up.0,
            watch: self.watch.0,
            seed: self.seed.wrapping_add(gathered.systems as u64),
        };
        let mut stage = Stage::open(plot).await?;
        let mut done = 0;
        for kind in kinds {
            let number = gathered.runs.len() + 1;
            eprintln!("run {number}: {}", kind.as_str());
            let run = one(&mut stage, *kind, number, &mut gathered.generator).await;
            let broke = run.is_err();
            let run = run.unwrap_or_else(|error| Run::broken(number, *kind, &error));
            eprintln!("{run}");
            gathered.runs.push(run);
            done += 1;
            if broke {
                break;
            }
        }
        let data = stage.close().await?;
        if !self.no_replay {
            eprintln!("replaying {}", data.display());
            gathered.replays.push(replay(&gathered.programs, &data).await?);
        }
        Ok(done)
    }

    fn outcome(&self, gathered: Gathered) -> Outcome {
        let mut figures = score::figures(&gathered.runs);
        figures["bench"] = "polyglot".into();
        figures["profile"] = gathered.programs.profile().into();
        figures["seed"] = self.seed.into();
        figures["warm_up"] = self.warm_up.to_string().into();
        figures["fresh_every"] = self.fresh_every.into();
        figures["systems"] = gathered.systems.into();
        figures["settings_changed"] = gathered.pace.told();
        let skipped = gathered.skipped.iter();
        figures["skipped"] = skipped.map(|(kind, why)| json!([kind.as_str(), why])).collect();
        figures["dir"] = json!(gathered.workplace.kept());
        let identical = gathered.replays.iter().all(|(identical, _)| *identical);
        if !self.no_replay {
            figures["replay_identical"] = identical.into();
            figures["replays"] = gathered.replays.into_iter().map(|(_, report)| report).collect();
        }
        let mut outcome = Outcome::new(figures);
        for run in gathered.runs.iter().filter(|run| !run.is_good()) {
            outcome.promise(false, format!("run {} is not as it should be", run.number));
        }
        outcome.promise(identical, "a replay differs from its journal");
        outcome
    }

    /// What is done on which system, one after the other. `all` comes in an order drawn from the
    /// seed.
    fn stages(&self, generator: &mut StdRng, skipped: &mut Vec<(Kind, String)>) -> Vec<Vec<Kind>> {
        let mut kinds: Vec<Kind> = Vec::new();
        for choice in &self.drill {
            match choice {
                Choice::One(kind) => kinds.push(*kind),
                Choice::All => {
                    let mut all = Kind::ALL;
                    all.shuffle(generator);
                    kinds.extend(all);
                }
            }
        }
        for (kind, look) in NEEDS {
            if kinds.contains(&kind)
                && let Err(why) = look()
            {
                kinds.retain(|one| *one != kind);
                eprintln!("{} is skipped: {why}", kind.as_str());
                skipped.push((kind, why));
            }
        }
        let mut stages = Vec::new();
        for instances in [1, 2] {
            let here: Vec<Kind> = kinds
                .iter()
                .filter(|kind| kind.instances() == instances)
                .flat_map(|kind| std::iter::repeat_n(*kind, self.runs))
                .collect();
            let portion = if self.fresh_every == 0 { here.len() } else { self.fresh_every };
            stages.extend(here.chunks(portion.max(1)).map(<[Kind]>::to_vec));
        }
        stages
    }
}

async fn one(stage: &mut Stage, kind: Kind, number: usize, generator: &mut StdRng) -> Result<Run> {
    // Users have some healthy time between two things, never the same.
    let rest = generator.random_range(HEALTHY_S);
    stage.quiet().await?;
    tokio::time::sleep(Duration::from_secs(rest)).await;
    match kind {
        Kind::Placebo => innocents::placebo(stage, number, generator).await,
        Kind::Surge => innocents::surge(stage, number, generator).await,
        Kind::RollingRestart => innocents::rolling_restart(stage, number, generator).await,
        Kind::ScaleIn => innocents::scale_in(stage, number, generator).await,
        _ => drills::run(stage, kind, number, generator).await,
    }
}
