//! `immune drill schedule` and `resume`.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::Value;

use super::super::client::Client;
use super::super::text::{self, Paint, paint};
use super::super::{ServerArgs, block_on};
use crate::drills::{Became, Overview, Planned};

pub(super) fn list(server: &ServerArgs) -> Result<ExitCode> {
    let overview: Overview = block_on(Client::new(server)?.get("drills/schedule"))?;
    if server.json {
        text::json(&overview)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(stopped) = &overview.stopped {
        let (by, at) = (text::plain(&stopped.by), text::moment(stopped.at));
        let line = format!("stopped by {by} at {at}: nothing runs until `immune drill resume`");
        text::line(&paint(Paint::Red, &line));
    }
    if overview.entries.is_empty() {
        text::line("no drill is scheduled");
    }
    for planned in &overview.entries {
        tell(planned);
    }
    Ok(ExitCode::SUCCESS)
}

fn tell(planned: &Planned) {
    let Planned { entry, next_on, next_from, next_to, last, last_passed } = planned;
    let (from, to) = (text::moment(*next_from), next_to.clock());
    text::line(&format!("{}  next on {next_on}, {from} to {to} UTC", entry.name));
    text::line(&format!("    {}", entry.experiment.display()));
    let Some(last) = last else { return };
    let became = match (&last.became, last_passed) {
        (Became::Skipped(why), _) => format!("left out: {}", text::plain(why)),
        (Became::Unknown, _) => "about to begin when the server ended".to_owned(),
        (Became::Drill(id), None) => format!("drill {id}, running"),
        (Became::Drill(id), Some(true)) => format!("drill {id}, {}", paint(Paint::Green, "passed")),
        (Became::Drill(id), Some(false)) => format!("drill {id}, {}", paint(Paint::Red, "failed")),
    };
    text::line(&format!("    last {}  {became}", text::moment(last.run.at)));
}

pub(super) fn resume(server: &ServerArgs) -> Result<ExitCode> {
    let answer: Value = block_on(Client::new(server)?.post("drills/resume", None))?;
    let sentence = match answer["was_stopped"].as_bool() {
        Some(true) => "scheduled drills go on",
        _ => "they were not stopped",
    };
    text::done(server.json, &answer, sentence)?;
    Ok(ExitCode::SUCCESS)
}
