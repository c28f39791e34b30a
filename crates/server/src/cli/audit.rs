//! `immune audit`: what the loop decided and why, every verdict and refusal, out of the journal.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use engine::{Event, EventKind};

use super::client::Client;
use super::{ServerArgs, block_on, text};
use crate::api::audit::Wanted;

/// Lists decisions, orders, outcomes and commands, oldest first.
#[derive(Args)]
pub(super) struct Audit {
    /// Only what came after this line of the journal
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: u64,
    /// Only this plan
    #[arg(long, value_name = "ID")]
    plan: Option<u64>,
    /// Only what a guardrail denied, an agent refused, or a command was refused
    #[arg(long)]
    refused: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Audit {
    pub(super) fn run(self) -> Result<ExitCode> {
        block_on(self.print())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn print(self) -> Result<()> {
        let client = Client::new(&self.server)?;
        let wanted = Wanted { plan: self.plan, refused: self.refused };
        let mut after = self.after;
        loop {
            let page: Vec<serde_json::Value> = client.get(&format!("events?after={after}")).await?;
            let mut last = after;
            for line in page {
                let event: Event = serde_json::from_value(line.clone())?;
                last = last.max(event.seq);
                if !wanted.wants(&event.kind) {
                    continue;
                }
                match self.server.json {
                    true => text::line(&line.to_string()),
                    false => words(&event).lines().for_each(|it| text::line(&text::plain(it))),
                }
            }
            if last == after {
                return Ok(());
            }
            after = last;
        }
    }
}

fn words(event: &Event) -> String {
    let (seq, at) = (event.seq, text::moment(event.at));
    let what = match &event.kind {
        EventKind::Plan { plan } => {
            let state = plan.state.as_str().replace('_', " ");
            let mut what =
                format!("plan {} {} {}: {state}: {}", plan.id, plan.kind, plan.target, plan.reason);
            for verdict in &plan.verdicts {
                let word = if verdict.passed { "pass" } else { "deny" };
                what.push_str(&format!("\n        {word} {}: ", verdict.guardrail));
                what.push_str(&verdict.reason);
            }
            what
        }
        EventKind::Order { action } => {
            format!("order {}: {} {}", action.id, action.kind, action.target)
        }
        EventKind::Outcome { outcome } => {
            format!("outcome {}: {}: {}", outcome.action, outcome.result.as_str(), outcome.detail)
        }
        EventKind::Command { by, command, result } => {
            let command = serde_json::to_string(command).unwrap_or_default();
            format!("command by {by}: {command}: {result}")
        }
        EventKind::Remark { text } => text.clone(),
        EventKind::Reload { config_crc, .. } => format!("configuration {config_crc:08x} taken up"),
        EventKind::CatchingUp { away_seconds, until } => {
            format!("away for {away_seconds}s; nothing is ordered until {}", until.clock())
        }
        EventKind::ClockSetBack { seconds } => format!("the clock was set back by {seconds}s"),
        other => other.as_str().to_owned(),
    };
    format!("{seq:>6}  {at}  {what}")
}
