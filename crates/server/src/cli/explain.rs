//! `immune explain ID`: what the incident page of the web UI says, as text, JSON or the draft of a
//! post-mortem.

mod post_mortem;

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model::{Incident, Plan};

use super::client::Client;
use super::{ServerArgs, block_on, narrate, text};
use crate::clock;

/// Explains one incident.
#[derive(Args)]
pub(super) struct Explain {
    /// Number of the incident
    id: u64,
    /// Print the draft of a post-mortem in Markdown
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl Explain {
    pub(super) fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let (incident, plans) = block_on(async {
            let incident: Incident = client.get(&format!("incidents/{}", self.id)).await?;
            let all: Vec<Plan> = client.get("plans").await?;
            let mut plans: Vec<Plan> =
                all.into_iter().filter(|plan| plan.incident == incident.id).collect();
            plans.sort_by_key(|plan| plan.id);
            Ok((incident, plans))
        })?;
        if self.server.json {
            text::json(&serde_json::json!({
                "summary": narrate::paragraph(&incident, &plans),
                "incident": incident,
                "plans": plans,
            }))?;
            return Ok(ExitCode::SUCCESS);
        }
        let told = match self.markdown {
            true => post_mortem::draft(&incident, &plans),
            false => narrate::page(&incident, &plans, clock::now()),
        };
        told.trim_end().lines().for_each(|line| text::line(&text::plain(line)));
        Ok(ExitCode::SUCCESS)
    }
}
