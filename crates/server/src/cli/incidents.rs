//! `immune incidents`, `acknowledge`, `close`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model::{Incident, IncidentState};
use serde_json::Value;

use super::client::Client;
use super::text::{self, Paint, paint};
use super::{ServerArgs, block_on};

/// Lists incidents.
#[derive(Args)]
pub(super) struct List {
    /// Only those in this state: open, mitigated or resolved
    #[arg(long, value_parser = ["open", "mitigated", "resolved"])]
    state: Option<String>,
    #[command(flatten)]
    server: ServerArgs,
}

impl List {
    pub(super) fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let query = self.state.map_or(String::new(), |state| format!("?state={state}"));
        let incidents: Vec<Incident> = block_on(client.get(&format!("incidents{query}")))?;
        if self.server.json {
            text::json(&incidents)?;
            return Ok(ExitCode::SUCCESS);
        }
        if incidents.is_empty() {
            text::line("no incidents");
        }
        for incident in incidents {
            let state = match incident.state {
                IncidentState::Open => paint(Paint::Red, "open     "),
                IncidentState::Mitigated => paint(Paint::Yellow, "mitigated"),
                IncidentState::Resolved => paint(Paint::Green, "resolved "),
            };
            let needs = match incident.needs_human.is_empty() {
                true => "",
                false => " · needs a person",
            };
            let (id, opened) = (incident.id.0, text::moment(incident.opened));
            let title = text::plain(&incident.title);
            text::line(&format!("{id:>4}  {state}  {opened}  {title}{needs}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Acknowledges or closes an incident.
#[derive(Args)]
pub(super) struct One {
    /// Number of the incident
    id: u64,
    #[command(flatten)]
    server: ServerArgs,
}

impl One {
    pub(super) fn acknowledge(self) -> Result<ExitCode> {
        self.tell("acknowledge", "acknowledged")
    }

    pub(super) fn close(self) -> Result<ExitCode> {
        self.tell("close", "closed")
    }

    fn tell(self, verb: &str, done: &str) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let path = format!("incidents/{}/{verb}", self.id);
        let answer: Value = block_on(client.post(&path, None))?;
        text::done(self.server.json, &answer, &format!("incident {} is {done}", self.id))?;
        Ok(ExitCode::SUCCESS)
    }
}
