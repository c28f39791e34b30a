//! `immune demo`: the server, the shop and its users on this machine, and a drill that is told as
//! it goes.
//!
//! Everything is real: real processes, real OpenTelemetry, a real SIGKILL. The demo only starts
//! things, tells what it reads, and stops what it started, whichever way it ends.
//!
//! Reading order: `chances` and `names` (what a seed decides), `layout` (what runs where), `drills`
//! (those that ship), `files` (configuration and experiments), `folder`, `processes`, `show` (the
//! acts), `users` and `story` (what is told), `figures` (what came of it), `teller` (how it is
//! printed).

mod chances;

mod names;

mod layout;

mod drills;

mod files;

mod folder;

mod processes;

mod show;

mod users;

mod story;

mod figures;

mod teller;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use tokio::signal::unix::{SignalKind, signal};

use self::chances::Chances;
use self::drills::{Act, Choice};
use self::folder::Folder;
use self::layout::Layout;
use self::processes::Processes;
use self::show::Show;
use self::teller::{Teller, Voice};
use super::{block_on, text};

/// As shells tell of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

const DRILLS_MAX: usize = 100;

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
    /// Draw the order of the drills, victims, intensities, moments, the users and how many come,
    /// and what the services are called, from this seed
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// How many drills, one after the other, 1 to 100, or `all` that ship; with a seed all, else 1
    #[arg(long, value_name = "COUNT", value_parser = parse_count, conflicts_with = "drill")]
    drills: Option<usize>,
    /// A drill by its name; again for further ones
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(drills::names()))]
    drill: Vec<String>,
}

impl Demo {
    pub(super) fn run(self) -> Result<ExitCode> {
        let (immune, shop) = layout::programs()?;
        let folder = Folder::take(&self.dir)?;
        let mut chances = Chances::new(self.seed);
        let ports = layout::free_ports()?;
        let layout = Layout::draw(&folder.dir, (immune, shop), ports, &mut chances);
        let acts = drills::draw(&self.choice(), &layout, &mut chances);
        block_on(self.perform(&folder, layout, acts))
    }

    fn choice(&self) -> Choice {
        if !self.drill.is_empty() {
            return Choice::Named(self.drill.clone());
        }
        let usual = if self.seed.is_some() { drills::ALL.len() } else { 1 };
        Choice::Count(self.drills.unwrap_or(usual))
    }

    async fn perform(self, folder: &Folder, layout: Layout, acts: Vec<Act>) -> Result<ExitCode> {
        let interruption = interruption()?;
        let teller = Teller::new(self.json);
        let mut processes = Processes::new(&folder.dir)?;
        clear(&teller, &mut processes)?;
        folder.make_new()?;

        let mut show = Show::new(teller, layout, processes, self.seed)?;
        let ended = tokio::select! {
            ended = self.play(&mut show, &acts) => ended.map(Some),
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

    async fn play(&self, show: &mut Show, acts: &[Act]) -> Result<()> {
        show.open(acts).await?;
        for act in acts {
            show.drill(act).await?;
        }
        if self.headless {
            return Ok(());
        }
        show.run_on().await
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        _ if text == "all" => Ok(drills::ALL.len()),
        Ok(count) if (1..=DRILLS_MAX).contains(&count) => Ok(count),
        _ => Err(format!("write 1 to {DRILLS_MAX}, or `all`")),
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
