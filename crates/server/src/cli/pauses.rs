//! `immune pause`, `pauses`, `resume`: healing is kept off something for a while.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use remediate::{Pause, Paused};
use serde_json::{Value, json};

use super::client::{Client, escaped};
use super::{ServerArgs, block_on, text};

/// Leaves a target, a service or everything alone for a while.
#[derive(Args)]
pub(super) struct Begin {
    /// Name of the pause, by which it is resumed
    name: String,
    #[command(flatten)]
    what: What,
    /// How long: 30m, 2h, 7d; at most 30d
    #[arg(long = "for", value_name = "DURATION", default_value = "2h")]
    length: String,
    /// Why; others will read it
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// A target of the configuration
    #[arg(long)]
    target: Option<String>,
    /// All targets of a service
    #[arg(long)]
    service: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

impl Begin {
    pub(super) fn run(self) -> Result<ExitCode> {
        let what = match (self.what.target, self.what.service) {
            (Some(target), _) => Paused::Target(target),
            (_, Some(service)) => Paused::Service(service),
            _ => Paused::All,
        };
        let body = json!({
            "name": self.name, "what": what, "for": self.length, "reason": self.reason,
        });
        let answer: Value = block_on(Client::new(&self.server)?.post("pauses", Some(&body)))?;
        let (name, length) = (self.name, self.length);
        let sentence = format!("{what} is paused for {length}; `immune resume {name}` ends it");
        text::done(self.server.json, &answer, &sentence)?;
        Ok(ExitCode::SUCCESS)
    }
}

#[derive(Args)]
pub(super) struct End {
    /// Name of the pause
    name: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl End {
    pub(super) fn run(self) -> Result<ExitCode> {
        let path = format!("pauses/{}/resume", escaped(&self.name));
        let answer: Value = block_on(Client::new(&self.server)?.post(&path, None))?;
        text::done(self.server.json, &answer, &format!("pause {} is over", self.name))?;
        Ok(ExitCode::SUCCESS)
    }
}

pub(super) fn list(server: ServerArgs) -> Result<ExitCode> {
    let pauses: Vec<Pause> = block_on(Client::new(&server)?.get("pauses"))?;
    if server.json {
        text::json(&pauses)?;
        return Ok(ExitCode::SUCCESS);
    }
    if pauses.is_empty() {
        text::line("nothing is paused");
    }
    for Pause { name, what, who, reason, until, .. } in pauses {
        let until = text::moment(until);
        text::line(&text::plain(&format!("{name}: {what} until {until}, by {who}: {reason}")));
    }
    Ok(ExitCode::SUCCESS)
}
