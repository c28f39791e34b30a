//! `immune status`, `incidents`, `explain`, `acknowledge`, `close`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model::{Incident, IncidentState, Plan};
use serde_json::Value;

use super::client::Client;
use super::text::{self, Paint, paint};
use super::{ServerArgs, block_on, narrate};

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
            let (id, opened) = (incident.id, text::moment(incident.opened));
            text::line(&format!("{id:>4}  {state}  {opened}  {}{needs}", incident.title));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Explains one incident.
#[derive(Args)]
pub(super) struct Explain {
    /// Number of the incident
    id: u64,
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
        } else {
            text::line(narrate::page(&incident, &plans).trim_end());
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
        let _: Value = block_on(client.post(&path, None))?;
        text::line(&format!("incident {} is {done}", self.id));
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints the server's state.
pub(super) fn status(server: ServerArgs) -> Result<ExitCode> {
    let client = Client::new(&server)?;
    let (status, objectives, storage) = block_on(async {
        let status: Value = client.get("status").await?;
        let objectives: Value = client.get("objectives").await?;
        let storage: Value = client.get("storage").await?;
        Ok((status, objectives, storage))
    })?;
    if server.json {
        text::json(&serde_json::json!({
            "status": status, "objectives": objectives, "storage": storage,
        }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let open = status["open_incidents"].as_u64().unwrap_or(0);
    text::line(&match open {
        0 => paint(Paint::Bold, "No incident is open."),
        1 => paint(Paint::Red, "1 incident is open."),
        open => paint(Paint::Red, &format!("{open} incidents are open.")),
    });
    let frozen = match status["frozen"]["by"].as_str() {
        Some(by) => {
            format!("frozen by {by}: {}", status["frozen"]["reason"].as_str().unwrap_or(""))
        }
        None => status["healing_mode"].as_str().unwrap_or("?").replace('_', " "),
    };
    text::line(&format!("healing      {frozen}"));
    for pause in status["pauses"].as_array().into_iter().flatten() {
        let name = pause["name"].as_str().unwrap_or("?");
        let until = pause["until"].as_str().unwrap_or("?");
        text::line(&text::plain(&format!("paused       {name} until {until}")));
    }
    if let Some(until) = status["catching_up_until"].as_str() {
        text::line(&format!("catching up  until {until}: paging and healing rest"));
    }
    let agent = if status["agent_connected"] == true { "connected" } else { "not connected" };
    text::line(&format!("agent        {agent}"));
    for telemetry in status["telemetry"].as_array().into_iter().flatten() {
        let items = telemetry["items"].as_u64().unwrap_or(0);
        if items > 0 {
            let (signal, transport) = (&telemetry["signal"], &telemetry["transport"]);
            let (signal, transport) = (signal.as_str(), transport.as_str());
            let label = signal.unwrap_or("?");
            text::line(&format!("{label:<12} {items} over {}", transport.unwrap_or("?")));
        }
    }
    print_storage(&storage);
    for objective in objectives.as_array().into_iter().flatten() {
        let ratio = objective["good_ratio_1m"].as_f64();
        let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{:.2} %", ratio * 100.0));
        text::line(&format!(
            "{:<12} {} {}: {ratio} good in the last minute, objective {:.2} %",
            objective["health"].as_str().unwrap_or("?"),
            objective["entity"]["name"].as_str().unwrap_or("?"),
            objective["source"].as_str().unwrap_or("?"),
            objective["objective"].as_f64().unwrap_or(0.0) * 100.0,
        ));
    }
    Ok(ExitCode::SUCCESS)
}

fn print_storage(storage: &Value) {
    let mut parts = Vec::new();
    for table in storage["tables"].as_array().into_iter().flatten() {
        let (name, points) = (table["table"].as_str(), table["points"].as_u64());
        let mebibytes = table["bytes"].as_f64().unwrap_or(0.0) / f64::from(1 << 20);
        let (name, points) = (name.unwrap_or("?"), points.unwrap_or(0));
        parts.push(format!("{points} {name} in {mebibytes:.1} MiB"));
    }
    text::line(&format!("stored       {}", parts.join(", ")));
    for trouble in storage["trouble"].as_array().into_iter().flatten() {
        let trouble = trouble.as_str().unwrap_or("?");
        text::line(&format!("{} {trouble}", paint(Paint::Red, "trouble     ")));
    }
}
