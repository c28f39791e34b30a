//! `immune simulate`: the real loop in simulated fleets, scored.

mod what_if;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use sim::fleet::Fleet;
use sim::{FamilyScore, Note, Plan, Report, System, Tally, WhatIf};

use super::progress::Progress;
use super::text;
use crate::clock;
use crate::config::{self, Problem};

/// Runs the loop in simulated fleets.
#[derive(Args)]
pub(super) struct Simulate {
    /// The same seed gives the same fleets, lives, faults and result
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Healthy hours to simulate; each has a twin with one small fault
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    hours: u64,
    /// Faults to simulate, with healing
    #[arg(
        long,
        default_value_t = 0,
        conflicts_with = "topology",
        value_parser = clap::value_parser!(u64).range(0..=100_000)
    )]
    faults: u64,
    /// Services of every fleet; without it, 5 to 200
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    services: Option<u64>,
    /// Simulate the system that a file describes, and each fault that could strike it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["services", "sealed"])]
    topology: Option<PathBuf>,
    /// Moments at which each fault of a described system is tried
    #[arg(long, default_value_t = 3, value_name = "N", requires = "topology",
        value_parser = clap::value_parser!(u64).range(0..=1_000))]
    moments: u64,
    /// How telemetry comes to the loop: as counted points, or as spans, metrics and logs
    #[arg(long, value_enum, default_value = "ticks")]
    fidelity: Fidelity,
    /// Take shapes of fleets and families of faults that nothing was tuned on
    #[arg(long)]
    sealed: bool,
    /// Tell of each page and fault
    #[arg(long, conflicts_with = "json")]
    verbose: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// How closely telemetry is simulated.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fidelity {
    /// Fast: what the observer would count of spans
    Ticks,
    /// Real spans, which the observer counts and reads as traces; two to three times as slow
    Spans,
}

impl From<Fidelity> for sim::Fidelity {
    fn from(fidelity: Fidelity) -> Self {
        match fidelity {
            Fidelity::Ticks => sim::Fidelity::Ticks,
            Fidelity::Spans => sim::Fidelity::Spans,
        }
    }
}

impl Simulate {
    pub(super) fn run(self) -> Result<ExitCode> {
        let fleet = self.topology.as_deref().map(fleet).transpose()?;
        let plan = Plan {
            seed: self.seed,
            hours: self.hours,
            faults: self.faults as usize,
            sealed: self.sealed,
            services: self.services.map(|services| services as usize),
            fidelity: self.fidelity.into(),
            fleet,
        };
        let started = clock::now();
        let progress = Progress::of(0, "simulating");
        let all = self.hours + self.faults;
        let (mut done, mut seconds) = (0, 0);
        let mut tell = |note: Note| {
            match &note {
                Note::Simulated { seconds: more } => seconds += more,
                Note::Fault { .. } | Note::Twin { .. } => done += 1,
                Note::Page { .. } | Note::Pair { .. } => {}
            }
            progress.reaches(done.min(all), all);
            if self.verbose
                && let Some(line) = words(&note)
            {
                progress.aside(|| text::line(&line));
            }
        };
        let report = sim::simulate(&plan, &mut tell);
        let moments = self.moments as usize;
        let found = plan.fleet.as_ref().map(|_| sim::what_if(&plan, moments, &mut tell));
        drop(progress);
        let took = clock::now().since(started).as_secs_f64().max(1e-3);
        eprintln!(
            "{seconds} s of fleets, and their twins and faults, in {took:.1} s: {:.0} times as \
             fast as life",
            seconds as f64 / took
        );
        match (self.json, &found) {
            (true, None) => text::json(&report)?,
            (true, Some(found)) => text::json(&Told { healthy: &report, what_if: found })?,
            (false, found) => {
                lines(&report).iter().for_each(|line| text::line(line));
                let table = found.as_ref().map(what_if::table).unwrap_or_default();
                table.iter().for_each(|line| text::line(line));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What is told of a described system, as JSON.
#[derive(Serialize)]
struct Told<'a> {
    healthy: &'a Report,
    what_if: &'a WhatIf,
}

fn fleet(file: &Path) -> Result<Arc<Fleet>> {
    let problems = |system: &System| {
        let problems = system.problems().into_iter();
        problems.map(|it| Problem { path: it.path, message: it.message }).collect()
    };
    Ok(Arc::new(config::load_checked(file, problems)?.fleet()))
}

fn words(note: &Note) -> Option<String> {
    let of = |kind: &str, fleet: &usize, episode: &sim::Episode| {
        let hurt = match (episode.hurt_after, episode.paged_after) {
            (None, _) => "hurt nobody".to_owned(),
            (Some(hurt), None) => format!("hurt after {hurt} s, NOT noticed"),
            (Some(hurt), Some(paged)) => format!("hurt after {hurt} s, paged {paged} s later"),
        };
        format!("{kind} fleet {fleet}: {}: {hurt}: {}", episode.what, episode.said)
    };
    match note {
        Note::Page { fleet, second, title, is_true } => {
            let word = if *is_true { "page" } else { "FALSE page" };
            Some(format!("{word} fleet {fleet} at {second} s: {title}"))
        }
        Note::Twin { fleet, episode } => Some(of("twin", fleet, episode)),
        Note::Fault { fleet, episode } => Some(of("fault", fleet, episode)),
        Note::Pair { fleet, pair } => {
            let right = if pair.is_right { "both decisions right" } else { "NOT both right" };
            let kind = format!("{} twin", pair.contrary.as_str());
            Some(format!("{}; {right}", of(&kind, fleet, &pair.twin)))
        }
        Note::Simulated { .. } => None,
    }
}

fn lines(report: &Report) -> Vec<String> {
    let seconds =
        |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.0} s"));
    let bound = report.pages_per_1000h_upper95;
    let bound = bound.map_or("-".to_owned(), |bound| format!("{bound:.1}"));
    let mut lines = vec![
        format!(
            "healthy      {:.0} h of {} fleets ({:.0} service-hours)",
            report.hours, report.fleets, report.service_hours
        ),
        format!(
            "pages        {} false (at most {bound} in 1,000 h, 95 %), {} true",
            report.pages, report.true_pages
        ),
        format!("twins        {} hurt users, {} paged", report.twins, report.twins_paged),
    ];
    if report.faults > 0 {
        lines.extend([
            format!(
                "faults       {}, {} hurt users, paged {} within {} (median), {} (95 %)",
                report.faults,
                report.hurting_faults,
                within(&report.bounds.detected),
                seconds(report.detect_p50_s),
                seconds(report.detect_p95_s)
            ),
            format!(
                "causes       right first {}, among three {}, wrong and confident {}",
                within(&report.bounds.top1),
                within(&report.bounds.top3),
                within(&report.bounds.confident_wrong)
            ),
            format!(
                "             named {}, rightly unknown {}",
                within(&report.bounds.named),
                within(&report.bounds.rightly_unknown)
            ),
            format!(
                "decisions    right {}, harmful actions {}",
                within(&report.bounds.right_decision),
                report.harmful_actions
            ),
        ]);
        lines.extend(report.decision_pairs.iter().map(|pair| {
            format!("             with their {} twin {}", pair.contrary, within(&pair.right))
        }));
        lines.push(format!(
            "{:<20}{:>8}{:>15}{:>15}{:>15}{:>15}{:>15}",
            "family", "hurting", "detected", "cause", "of three", "conf. wrong", "decision"
        ));
        lines.extend(report.families.iter().filter(|family| family.hurting > 0).map(of_family));
    }
    lines
}

fn of_family(family: &FamilyScore) -> String {
    let of = &family.bounds;
    let mut line = format!("{:<20}{:>8}", family.family, family.hurting);
    for tally in [of.detected, of.top1, of.top3, of.confident_wrong, of.right_decision] {
        line += &format!("{:>15}", short(&tally));
    }
    line
}

/// `12 of 15 (55 to 93 %)`: 95 % bounds of the share.
fn within(tally: &Tally) -> String {
    let (low, high) = (100.0 * tally.low, 100.0 * tally.high);
    match tally.of {
        0 => "- of 0".to_owned(),
        of => format!("{} of {of} ({low:.0} to {high:.0} %)", tally.count),
    }
}

/// `12 (55-93 %)`, in a table that says elsewhere of how many.
fn short(tally: &Tally) -> String {
    let (low, high) = (100.0 * tally.low, 100.0 * tally.high);
    match tally.of {
        0 => "-".to_owned(),
        _ => format!("{} ({low:.0}-{high:.0} %)", tally.count),
    }
}
