//! `bench undo`: is a fault gone after its deadline, whoever was killed meanwhile?
//!
//! For each kind of fault, again and again: a service, a real `immune agent`, and a process that
//! plays the server (it says hello, orders the fault and sends heartbeats). At a random moment
//! between the order and the deadline the agent, the server or both get SIGKILL, in turn, and
//! nobody starts them again. Whether the fault is there is told by looks of our own: connections,
//! `/proc`, free bytes. Kinds run beside each other, the runs of one kind one after the other.

mod docker;

mod kinds;

mod parts;

pub mod power;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::disk::Pattern;
use crate::figures::{Outcome, count, quantile, seconds};
use crate::programs::{Programs, Workplace};
use docker::Docker;
use kinds::Kind;
use parts::Stage;
pub use parts::UndoPart;

/// Time from the order to the deadline.
const DEADLINE: Duration = Duration::from_secs(4);
/// A fault that is there this long after its deadline was not undone. A killed service has to start
/// within it, and a keeper waits for 2 s for an agent that may be alive.
const GONE_WITHIN: Duration = Duration::from_secs(6);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Orders of a kind that may be refused, each tried anew: on a host with no processor to spare a
/// nameserver may not answer in time, and a fault that would show nothing is not begun.
const REFUSALS_MAX: usize = 5;

#[derive(Args)]
pub struct Undo {
    /// Runs of each kind of fault
    #[arg(long, default_value_t = 6)]
    runs: u32,
    /// The same seed kills at the same delays
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this kind; all without it
    #[arg(long)]
    fault: Option<String>,
    /// The power is cut instead, under a fault that outlives it, and an agent comes back: its
    /// folder lies on a disk that forgets what was not synced (needs /dev/fuse and root)
    #[arg(long, conflicts_with = "fault")]
    power: bool,
    /// That disk ignores fsyncs of these files, or folders (which end with a slash)
    #[arg(long, value_name = "PATTERN", requires = "power")]
    ignore_fsync: Option<String>,
    /// Folder to work in, which is kept; without one, a temporary folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Who gets SIGKILL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Victim {
    Injector,
    Server,
    Both,
}

/// What one run came to.
struct Run {
    /// The fault was seen before anybody was killed.
    seen: bool,
    /// When it was seen gone, from the deadline on; `None`: it was there to the end.
    gone_after_s: Option<f64>,
}

impl Undo {
    pub async fn run(self) -> Result<Outcome> {
        let kinds: Vec<&'static Kind> = kinds::ALL
            .iter()
            .filter(|kind| self.fault.as_deref().is_none_or(|name| name == kind.name))
            .collect();
        ensure!(!kinds.is_empty(), "there is no such kind; there are {}", kinds::names());
        let workplace = Workplace::new(self.dir.as_deref(), false)?;
        if self.power {
            let ignored = self.ignore_fsync.as_deref().map(Pattern::new);
            return power::cuts(workplace.path(), self.runs, self.seed, ignored.as_ref()).await;
        }
        let docker = match kinds.iter().any(|kind| kind.needs_docker) {
            true => Docker::start(&workplace.path().join("docker")).await,
            false => Err(anyhow::anyhow!("nobody asked for it")),
        };
        let docker = docker.map(Arc::new).map_err(|lack| format!("no Docker: {lack:#}"));
        let mut tasks = Vec::new();
        for kind in kinds {
            let folder = workplace.path().join(kind.name);
            let docker = docker.clone();
            let task = tokio::spawn(all_of(kind, folder, docker, self.runs, self.seed));
            tasks.push((kind.name, task));
        }
        let mut faults = serde_json::Map::new();
        let mut outcome = Outcome::new(Value::Null);
        for (name, task) in tasks {
            match task.await?.with_context(|| format!("fault {name}"))? {
                Kept::Skipped(why) => {
                    eprintln!("undo: {name} is skipped: {why}");
                    faults
                        .insert(name.to_owned(), json!({ "runs": 0, "undone": 0, "skipped": why }));
                }
                Kept::Runs(runs) => {
                    let undone = count(&runs, |run| run.gone_after_s.is_some());
                    let after: Vec<f64> = runs.iter().filter_map(|run| run.gone_after_s).collect();
                    let figures = json!({
                        "runs": runs.len(),
                        "undone": undone,
                        "seen_before": count(&runs, |run| run.seen),
                        "gone_after_deadline_max_s": quantile(&after, 1.0),
                    });
                    faults.insert(name.to_owned(), figures);
                    let left = runs.len() - undone;
                    outcome.promise(left == 0, format!("{name}: {left} faults were not undone"));
                    let seen = runs.iter().any(|run| run.seen);
                    outcome.promise(seen, format!("{name}: the fault was never there"));
                }
            }
        }
        outcome.figures = Value::Object(faults);
        Ok(outcome)
    }
}

enum Kept {
    Skipped(String),
    Runs(Vec<Run>),
}

async fn all_of(
    kind: &'static Kind,
    folder: PathBuf,
    docker: Result<Arc<Docker>, String>,
    count: u32,
    seed: u64,
) -> Result<Kept> {
    let docker = match docker {
        Err(lack) if kind.needs_docker => return Ok(Kept::Skipped(lack)),
        docker => docker.ok().filter(|_| kind.needs_docker),
    };
    let immune = Programs::find()?.immune()?;
    let mut generator = StdRng::seed_from_u64(seed);
    let mut runs = Vec::new();
    let mut refusals = 0;
    while runs.len() < count as usize {
        let number = runs.len();
        let victim = Victim::value_variants()[number % 3];
        let delay = DEADLINE.mul_f64(generator.random_range(0.0..0.95));
        let folder = folder.join(format!("{number}-{refusals}"));
        let stage = Stage::set(kind, &immune, &folder, &folder, docker.clone()).await?;
        match one(kind, stage, victim, delay).await? {
            Ended::Run(run) => {
                let gone =
                    run.gone_after_s.map_or("NOT gone".to_owned(), |s| format!("gone {s:+} s"));
                eprintln!(
                    "undo: {} {number}: {victim:?} killed after {delay:.1?}: {gone}",
                    kind.name
                );
                runs.push(run);
            }
            Ended::Refused(why) if kinds::is_lack_of_the_host(&why) => {
                return Ok(Kept::Skipped(why));
            }
            Ended::Refused(why) if refusals < REFUSALS_MAX => {
                eprintln!("undo: {} {number}: the agent refused it: {why}", kind.name);
                refusals += 1;
            }
            Ended::Refused(why) => anyhow::bail!("the agent refused it: {why}"),
        }
    }
    Ok(Kept::Runs(runs))
}

enum Ended {
    Run(Run),
    Refused(String),
}

async fn one(
    kind: &'static Kind,
    mut stage: Stage,
    victim: Victim,
    delay: Duration,
) -> Result<Ended> {
    let ordered = server::clock::now();
    let deadline = ordered + DEADLINE;
    stage.order(deadline)?;
    let mut seen = false;
    while server::clock::now() < ordered + delay {
        if let Some(why) = stage.refusal() {
            return Ok(Ended::Refused(why));
        }
        (stage, seen) = look(kind, stage, seen).await?;
        sleep(LOOK_EVERY).await;
    }
    if victim != Victim::Server {
        kill(stage.agent.id())?;
    }
    if victim != Victim::Injector {
        kill(stage.server.id())?;
    }
    let mut gone_after_s = None;
    while server::clock::now() < deadline + GONE_WITHIN {
        let there;
        (stage, there) = look(kind, stage, false).await?;
        let now = server::clock::now();
        match (there, gone_after_s) {
            // What is gone early must stay so until the deadline.
            (true, _) => gone_after_s = None,
            (false, None) => gone_after_s = Some(seconds(deadline, now)),
            (false, Some(_)) if now > deadline + Duration::from_secs(3) => break,
            (false, Some(_)) => {}
        }
        sleep(LOOK_EVERY).await;
    }
    Ok(Ended::Run(Run { seen, gone_after_s }))
}

/// Looks take their time: connections that nobody answers.
async fn look(kind: &'static Kind, stage: Stage, seen: bool) -> Result<(Stage, bool)> {
    let looked = tokio::task::spawn_blocking(move || {
        let is_there = (kind.is_there)(&stage);
        (stage, is_there)
    });
    let (stage, is_there) = looked.await?;
    Ok((stage, seen || is_there))
}

fn kill(pid: u32) -> Result<()> {
    signal(pid, Signal::KILL)
}

fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("no pid")?;
    kill_process(pid, signal)?;
    Ok(())
}
