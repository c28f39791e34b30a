//! `immune drill`: plans a drill, runs one and tells of it live, prints scorecards.

mod proof;

mod schedule;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use chaos::Phase;
use clap::{Args, Subcommand};
use model::Timestamp;
use model::experiment::{Healed, Scorecard};
use serde_json::Value;

use super::client::Client;
use super::progress::Progress;
use super::text::{self, Paint, paint};
use super::{ServerArgs, block_on, toolkit};
use crate::drills::{Plan, Record};

#[derive(Subcommand)]
pub(super) enum Drill {
    /// Run an experiment file, Immune's or Chaos Toolkit's; the status is 0 only when it passed
    Run(Box<Run>),
    /// Say what an experiment file would do, and what speaks against it; nothing is done
    Plan(Planned),
    /// Check an experiment file without running it
    Validate(toolkit::Validate),
    /// Play the rollbacks that a killed run of a Chaos Toolkit experiment did not
    Recover(toolkit::Recover),
    /// List drills, newest first
    List(ServerArgs),
    /// Print a drill's scorecard
    Score(One),
    /// Undo the fault and end a running drill, or undo everything
    Stop(Stop),
    /// When experiments run by themselves, and what became of the last runs
    Schedule(ServerArgs),
    /// Let the schedule go on after `stop --all`
    Resume(ServerArgs),
    /// What was proven: kinds of fault by targets
    Matrix(ServerArgs),
    /// What to drill next, and why
    Suggest(ServerArgs),
}

#[derive(Args)]
pub(super) struct Stop {
    /// Number of the drill
    #[arg(required_unless_present = "all")]
    id: Option<u64>,
    /// End the running drill, undo every fault that the agent knows of, and stop the schedule
    #[arg(long, conflicts_with = "id")]
    all: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct Run {
    /// Experiment file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    toolkit: toolkit::RunArgs,
}

#[derive(Args)]
pub(super) struct Planned {
    /// Experiment file of Immune's own
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(super) struct One {
    /// Number of the drill
    id: u64,
    #[command(flatten)]
    server: ServerArgs,
}

impl Drill {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Drill::Run(run) => run.run(),
            Drill::Validate(validate) => validate.run(),
            Drill::Recover(recover) => recover.run(),
            Drill::List(server) => list(server),
            Drill::Score(one) => one.score(),
            Drill::Plan(planned) => planned.plan(),
            Drill::Stop(stop) => stop.run(),
            Drill::Schedule(server) => schedule::list(&server),
            Drill::Resume(server) => schedule::resume(&server),
            Drill::Matrix(server) => proof::matrix(&server),
            Drill::Suggest(server) => proof::suggest(&server),
        }
    }
}

impl Run {
    fn run(self) -> Result<ExitCode> {
        if toolkit::is_experiment(&self.file) {
            return self.toolkit.run(&self.file, self.server.json);
        }
        let content = read(&self.file)?;
        let client = Client::new(&self.server)?.without_signs();
        let record = block_on(async {
            let started: Value = client.post_text("drills", &content).await?;
            let id = started["drill"].as_u64().context("the server did not number the drill")?;
            watch(&client, id, !self.server.json).await
        })?;
        finish(&record, self.server.json)
    }
}

impl Planned {
    fn plan(self) -> Result<ExitCode> {
        let content = read(&self.file)?;
        let client = Client::new(&self.server)?;
        let plan: Plan = block_on(client.post_text("drills/plan", &content))?;
        match self.server.json {
            true => text::json(&plan)?,
            false => tell_plan(&plan),
        }
        Ok(if plan.refusals.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// The content of an experiment file of Immune's own, once it is known to be good.
fn read(path: &Path) -> Result<String> {
    let file = path.display();
    let content = std::fs::read_to_string(path).with_context(|| format!("cannot read {file}"))?;
    chaos::parse(&content).with_context(|| format!("{file}"))?;
    Ok(content)
}

impl One {
    fn score(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let record: Record = block_on(client.get(&format!("drills/{}", self.id)))?;
        finish(&record, self.server.json)
    }
}

impl Stop {
    fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let json = self.server.json;
        match self.id {
            Some(id) => {
                let answer: Value = block_on(client.post(&format!("drills/{id}/stop"), None))?;
                let sentence = format!("drill {id} is stopping; the fault is undone");
                text::done(json, &answer, &sentence)?;
            }
            None => {
                let answer: Value = block_on(client.post("drills/stop", None))?;
                if json {
                    text::json(&answer)?;
                    return Ok(ExitCode::SUCCESS);
                }
                match answer["drill"].as_u64() {
                    Some(id) => text::line(&format!("drill {id} is stopping")),
                    None => text::line("no drill was running"),
                }
                text::line("every fault that the agent knows of is undone");
                text::line("scheduled drills wait for `immune drill resume`");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell_plan(plan: &Plan) {
    let rows = [
        ("experiment", plan.title.clone()),
        ("fault", plan.fault.clone()),
        ("target", format!("{} in {}", plan.target, plan.environment)),
        ("exactly", plan.exactly.clone().unwrap_or_else(|| "nothing".to_owned())),
        ("may hurt", plan.services.join(", ")),
    ];
    for (name, value) in rows {
        text::line(&format!("{name:<12}{}", text::plain(&value)));
    }
    for reason in &plan.not_steady {
        text::line(&format!("{:<12}{}", "waits", text::plain(reason)));
    }
    for refusal in &plan.refusals {
        text::line(&format!("{:<12}{}", paint(Paint::Red, "refused"), text::plain(refusal)));
    }
    if plan.refusals.is_empty() {
        text::line(&paint(Paint::Green, "it may run"));
    }
}

fn list(server: ServerArgs) -> Result<ExitCode> {
    let records: Vec<Record> = block_on(Client::new(&server)?.get("drills"))?;
    if server.json {
        text::json(&records)?;
        return Ok(ExitCode::SUCCESS);
    }
    if records.is_empty() {
        text::line("no drills");
    }
    for record in records {
        let verdict = match &record.scorecard {
            Some(card) if card.passed => paint(Paint::Green, "passed "),
            Some(_) => paint(Paint::Red, "failed "),
            None => "running".to_owned(),
        };
        let (id, started) = (record.id, text::moment(record.drill.started));
        text::line(&format!("{id:>4}  {verdict}  {started}  {}", record.drill.experiment.title));
    }
    Ok(ExitCode::SUCCESS)
}

/// Polls until the drill has its scorecard, printing new lines as they come.
pub(super) async fn watch(client: &Client, id: u64, tell: bool) -> Result<Record> {
    let mut told = 0;
    let sign = tell.then(|| Progress::waiting(format!("drill {id}")));
    loop {
        let record: Record = client.get(&format!("drills/{id}")).await?;
        for (at, line) in record.drill.progress.iter().skip(told) {
            if let Some(sign) = &sign {
                let line = format!("{}  {line}", paint(Paint::Dim, &at.clock()));
                sign.aside(|| text::line(&line));
            }
            told += 1;
        }
        if let Some(sign) = &sign {
            sign.says(format!("drill {id}: {}", doing(record.drill.phase)));
        }
        if record.drill.phase == Phase::Done && record.scorecard.is_some() {
            return Ok(record);
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
}

/// What a drill does in a phase.
pub(super) fn doing(phase: Phase) -> &'static str {
    match phase {
        Phase::Steady => "waits until all is well",
        Phase::Injecting => "the fault is being injected",
        Phase::Watching => "the fault is in effect, Immune is watched",
        Phase::Undoing => "the fault is being undone",
        Phase::Done => "being scored",
    }
}

fn finish(record: &Record, json: bool) -> Result<ExitCode> {
    let Some(card) = &record.scorecard else {
        let (id, phase) = (record.id, record.drill.phase);
        let answer = serde_json::json!({ "drill": id, "phase": phase });
        text::done(json, &answer, &format!("drill {id} is still running"))?;
        return Ok(ExitCode::FAILURE);
    };
    if json {
        text::json(card)?;
    } else {
        text::line(&scorecard(card));
    }
    Ok(if card.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The scorecard as a table; times are counted from the fault's effect.
pub(super) fn scorecard(card: &Scorecard) -> String {
    let from = card.effective_at.or(card.injected_at);
    let after = |at: Option<Timestamp>| match (at, from) {
        (Some(at), Some(from)) => {
            let seconds = (at.0 as f64 - from.0 as f64) / model::time::SECOND as f64;
            format!("{seconds:+.1} s")
        }
        (Some(at), None) => at.to_string(),
        (None, _) => "-".to_owned(),
    };
    let yes = |value: Option<bool>| match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    };
    let healed = match card.healed {
        Some(Healed::ByAction) => "yes, by the action",
        Some(Healed::OnlyBecauseItEnded) => "no, only because the fault ended",
        Some(Healed::NotHealed) => "no",
        Some(Healed::NoHarm) => "nobody was hurt",
        None => "-",
    };
    let decision = |decision: Option<model::experiment::Decision>| {
        decision.map_or("-", |decision| decision.as_str()).replace('_', " ")
    };
    let harm = after(card.first_harm_at);
    let rows = [
        ("fault", format!("{} on {}", card.fault, card.target)),
        ("took effect", yes(card.took_effect).to_owned()),
        ("first harmed request", format!("{harm} ({} in all)", card.harmed_requests)),
        ("detected", after(card.detected_at)),
        ("cause first", yes(card.cause_first).to_owned()),
        ("cause named", card.cause.clone().unwrap_or_else(|| "-".to_owned())),
        (
            "decision",
            format!("{}, right: {}", decision(card.decision), decision(card.decision_expected)),
        ),
        ("acted", after(card.acted_at)),
        ("last harmed request", after(card.last_harm_at)),
        ("verified", after(card.verified_at)),
        ("users healed", healed.to_owned()),
        ("undone", after(card.undone_at)),
        ("false pages", card.false_pages.to_string()),
    ];
    let mut lines: Vec<String> =
        rows.iter().map(|(name, value)| format!("{name:<22}{value}")).collect();
    lines.push(match card.passed {
        true => paint(Paint::Green, "PASSED"),
        false => paint(Paint::Red, "FAILED"),
    });
    lines.extend(card.failures.iter().map(|failure| format!("  {failure}")));
    lines.join("\n")
}
