//! `immune alerts`: alerts of other systems, and what they mean here.

use std::process::ExitCode;

use anyhow::Result;
use model::Severity;

use super::client::Client;
use super::text::{self, Paint, paint};
use super::{ServerArgs, block_on};
use crate::api::Alert;

pub(super) fn list(server: ServerArgs) -> Result<ExitCode> {
    let alerts: Vec<Alert> = block_on(Client::new(&server)?.get("alerts"))?;
    if server.json {
        text::json(&alerts)?;
        return Ok(ExitCode::SUCCESS);
    }
    if alerts.is_empty() {
        text::line("no other system has told of an alert");
    }
    for alert in alerts {
        let state = match (alert.ended, alert.severity) {
            (Some(_), _) => paint(Paint::Green, "over  "),
            (None, Severity::Page) => paint(Paint::Red, "page  "),
            (None, Severity::Ticket) => paint(Paint::Yellow, "ticket"),
        };
        let since = text::moment(alert.ended.unwrap_or(alert.starts_at));
        let unknown = if alert.is_mapped { "" } else { " (no telemetry tells of it)" };
        let of = match alert.instance.as_str() {
            "" => format!("{}{unknown}", alert.entity),
            instance => format!("{}{unknown}, {instance}", alert.entity),
        };
        let summary = match alert.summary.as_str() {
            "" => String::new(),
            summary => format!(": {summary}"),
        };
        let words = text::plain(&format!("{} of {of}{summary}", alert.name));
        text::line(&format!("{state}  {since}  {words}"));
        if !alert.runbook_url.is_empty() {
            text::line(&text::plain(&format!("        {}", alert.runbook_url)));
        }
    }
    Ok(ExitCode::SUCCESS)
}
