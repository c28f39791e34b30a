//! `bench simulate`: what `immune simulate` prints, and how much faster than life it was.
//!
//! In this process, on one thread; seconds of processor time count, so that other work on the
//! machine changes little.

use anyhow::Result;
use clap::Args;
use serde_json::json;
use sim::{Note, Plan};

use crate::figures::{Outcome, rounded};
use crate::process::cpu_s;

/// Of harmful twins and of faults that hurt users, the share that has to be noticed.
const NOTICED_MIN: f64 = 0.97;
const FALSE_PAGES_MAX: f64 = 1.0;

#[derive(Args)]
pub struct Simulate {
    /// Healthy hours; each has a twin with one small fault
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    hours: u64,
    /// Faults, with healing
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    faults: u64,
    /// The same seed gives the same figures, but for the speed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Take shapes of fleets and families of faults that nothing was tuned on
    #[arg(long)]
    sealed: bool,
    /// Services of every fleet; without it, 5 to 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    services: Option<u64>,
}

impl Simulate {
    pub async fn run(self) -> Result<Outcome> {
        let plan = Plan {
            seed: self.seed,
            hours: self.hours,
            faults: self.faults as usize,
            sealed: self.sealed,
            services: self.services.map(|services| services as usize),
            fidelity: sim::Fidelity::Ticks,
            fleet: None,
        };
        let before = cpu_s(std::process::id())?;
        let (report, seconds) = tokio::task::spawn_blocking(move || {
            let mut seconds = 0;
            let report = sim::simulate(&plan, |note| match note {
                Note::Simulated { seconds: more } => seconds += more,
                Note::Twin { fleet, episode } => {
                    eprintln!("twin of fleet {fleet}: {}", episode.what)
                }
                Note::Fault { fleet, episode } => {
                    eprintln!("fault in fleet {fleet}: {}", episode.what);
                }
                Note::Page { .. } | Note::Pair { .. } => {}
            });
            (report, seconds)
        })
        .await?;
        let took = (cpu_s(std::process::id())? - before).max(0.01);
        let mut figures = serde_json::to_value(&report)?;
        figures["bench"] = json!("simulate");
        figures["speedup"] = rounded(seconds as f64 / took).into();
        let mut outcome = Outcome::new(figures);
        let mut noticed = |what: &str, noticed: usize, of: usize| {
            let kept = noticed as f64 >= NOTICED_MIN * of as f64;
            outcome.promise(kept, format!("{noticed} of {of} {what} were noticed"));
        };
        noticed("harmful twins", report.twins_paged, report.twins);
        noticed("faults", report.detected, report.hurting_faults);
        let harm = report.harmful_actions;
        outcome.promise(harm == 0, format!("{harm} harmful actions"));
        if let Some(bound) = report.pages_per_1000h_upper95 {
            let kept = bound <= FALSE_PAGES_MAX;
            outcome.promise(kept, format!("up to {bound} false pages in 1,000 h (95 %)"));
        }
        Ok(outcome)
    }
}
