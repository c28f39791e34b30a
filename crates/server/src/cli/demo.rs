//! `immune demo`: the server, the shop and its users on this machine, and a drill that is told as
//! it goes.
//!
//! Everything is real: real processes, real OpenTelemetry, a real SIGKILL. The demo only starts
//! things, tells what it reads, and stops what it started, whichever way it ends.
//!
//! Reading order: `layout` (what runs where), `files` (configuration and experiment), `folder`,
//! `processes`, `chances` (what a seed decides), `show` (the acts), `users` and `story` (what is
//! told), `figures` (what came of it), `teller` (how it is printed).

mod layout;

mod files;

mod folder;

mod processes;

mod chances;

mod show;

mod users;

mod story;

mod figures;

mod teller;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use self::chances::Chances;
use self::folder::Folder;
use self::layout::Layout;
use self::processes::Processes;
use self::show::Show;
use self::teller::{Teller, Voice};
use super::{block_on, text};

/// As shells tell of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Runs the demo.
#[derive(Args)]
pub(super) struct Demo {
    /// Work folder; only what an earlier demo made in it is replaced
    #[arg(long, value_name = "DIR", default_value = ".demo")]
    dir: PathBuf,
    /// End after the drills; the status is 0 only when all of them passed
    #[arg(long)]
    headless: bool,
    /// Print the figures as JSON; the story goes to standard error
    #[arg(long, requires = "headless")]
    json: bool,
    /// Draw the victim, the moment, the users and how many come from this seed
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How many drills, one after the other
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=100))]
    drills: u64,
}

impl Demo {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (immune, shop) = layout::programs()?;
        let folder = Folder::take(&self.dir)?;
        let layout = Layout::new(&folder.dir, &immune, &shop, layout::free_ports()?);
        block_on(self.perform(&folder, layout))
    }

    async fn perform(self, folder: &Folder, layout: Layout) -> Result<ExitCode> {
        let interruption = interruption()?;
        let teller = Teller::new(self.json);
        let mut processes = Processes::new(&folder.dir)?;
        clear(&teller, &mut processes)?;
        folder.make_new()?;

        let mut show = Show::new(teller, layout, processes, Chances::new(self.seed))?;
        let ended = tokio::select! {
            ended = self.play(&mut show) => ended.map(Some),
            () = interruption => Ok(None),
        };
        // That the server died says more than that it cannot be reached.
        let ended = ended.map_err(|error| show.immune_runs().err().unwrap_or(error));
        let closed = show.close();
        let figures = match ended {
            Ok(Some(())) => show.figures.take(),
            Ok(None) => {
                closed?;
                let passed = show.figures.as_ref().is_some_and(|figures| figures.passed);
                let running_on = passed && !self.headless;
                return Ok(if running_on { ExitCode::SUCCESS } else { INTERRUPTED.into() });
            }
            Err(error) => {
                return Err(error.context(format!(
                    "the demo did not come to its end; logs are in {}",
                    folder.dir.join("logs").display()
                )));
            }
        };
        closed?;
        if self.json {
            text::json(&figures)?;
        }
        let passed = figures.is_some_and(|figures| figures.passed);
        Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn play(&self, show: &mut Show) -> Result<()> {
        show.open(self.seed).await?;
        for _ in 0..self.drills {
            show.drill().await?;
        }
        if self.headless {
            return Ok(());
        }
        show.run_on().await
    }
}

/// Stops what a killed demo left behind in this folder.
fn clear(teller: &Teller, processes: &mut Processes) -> Result<()> {
    let names = processes.names();
    if names.is_empty() {
        return Ok(());
    }
    let text = format!(
        "An earlier demo in this folder was killed and left running: {}. That is stopped first.",
        names.join(", ")
    );
    teller.now(Voice::Demo, &text)?;
    let left = processes.stop();
    if !left.is_empty() {
        anyhow::bail!("cannot stop {}; end them by hand, or choose another --dir", left.join(", "));
    }
    Ok(())
}

/// Resolves at the first Ctrl-C, SIGTERM or closing of the terminal; later ones change nothing.
fn interruption() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}
