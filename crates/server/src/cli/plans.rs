//! `immune plan …`, `freeze`, `thaw`, `relearn`: what a person decides.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::client::{Client, escaped};
use super::{ServerArgs, block_on, narrate, text};

#[derive(Subcommand)]
pub(super) enum Plan {
    /// List plans with their guardrails' verdicts, newest first
    List(ServerArgs),
    /// Let a waiting plan act
    Approve(One),
    /// Refuse a waiting plan
    Deny(One),
}

#[derive(Args)]
pub(super) struct One {
    /// Number of the plan
    id: u64,
    #[command(flatten)]
    server: ServerArgs,
}

impl Plan {
    pub(super) fn run(self) -> Result<ExitCode> {
        match self {
            Plan::List(server) => list(server),
            Plan::Approve(one) => decide(one, "approve", "approved"),
            Plan::Deny(one) => decide(one, "deny", "denied"),
        }
    }
}

fn list(server: ServerArgs) -> Result<ExitCode> {
    let plans: Vec<model::Plan> = block_on(Client::new(&server)?.get("plans"))?;
    if server.json {
        text::json(&plans)?;
        return Ok(ExitCode::SUCCESS);
    }
    if plans.is_empty() {
        text::line("no plans");
    }
    for plan in plans {
        text::line(narrate::plan(&plan).trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn decide(one: One, verb: &str, done: &str) -> Result<ExitCode> {
    let path = format!("plans/{}/{verb}", one.id);
    let answer: Value = block_on(Client::new(&one.server)?.post(&path, None))?;
    text::done(one.server.json, &answer, &format!("plan {} is {done}", one.id))?;
    Ok(ExitCode::SUCCESS)
}

/// Stops all healing.
#[derive(Args)]
pub(super) struct Freeze {
    /// Why; others will read it
    #[arg(default_value = "")]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl Freeze {
    pub(super) fn run(self) -> Result<ExitCode> {
        let body = json!({ "reason": self.reason });
        let answer: Value = block_on(Client::new(&self.server)?.post("freeze", Some(&body)))?;
        let sentence = "healing is frozen; `immune thaw` allows it again";
        text::done(self.server.json, &answer, sentence)?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn autonomy(server: ServerArgs) -> Result<ExitCode> {
    let tracks: Vec<remediate::Track> = block_on(Client::new(&server)?.get("autonomy"))?;
    if server.json {
        text::json(&tracks)?;
        return Ok(ExitCode::SUCCESS);
    }
    if tracks.is_empty() {
        text::line("no remedy has proven anything yet");
    }
    for track in tracks {
        let remediate::Track { deed, streak, cured, failed, harmed, proofs } = track;
        let remediate::Deed { cause, entity, action } = deed;
        text::line(&text::plain(&format!(
            "{action} of {entity} for {}: {streak} cures in a row; {cured} cured, {failed} failed, \
             {harmed} harmed",
            cause.as_str()
        )));
        for proof in proofs {
            let (at, trial) = (text::moment(proof.at), proof.trial.as_str());
            text::line(&format!(
                "  {at}  {trial}  plan {} incident {}",
                proof.plan, proof.incident
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn thaw(server: ServerArgs) -> Result<ExitCode> {
    let answer: Value = block_on(Client::new(&server)?.post("thaw", None))?;
    text::done(server.json, &answer, "healing is allowed again")?;
    Ok(ExitCode::SUCCESS)
}

/// Learns a latency limit anew.
#[derive(Args)]
pub(super) struct Relearn {
    /// Name of the objective, as `immune status` shows it
    objective: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl Relearn {
    pub(super) fn run(self) -> Result<ExitCode> {
        let path = format!("objectives/{}/relearn", escaped(&self.objective));
        let answer: Value = block_on(Client::new(&self.server)?.post(&path, None))?;
        let sentence = format!("the limit of {} is learned anew", self.objective);
        text::done(self.server.json, &answer, &sentence)?;
        Ok(ExitCode::SUCCESS)
    }
}
