//! `immune status`: one screen. First whether anything is wrong, then who is hurt, what is being
//! done, and how Immune itself fares.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use model::symptom::{Health, ObjectiveState};
use model::{IncidentState, Plan};
use serde_json::{Value, json};

use super::client::Client;
use super::overview::{self, Asked, Overview, Service, State, Tone};
use super::text::{self, Paint, paint};
use super::{ServerArgs, block_on, narrate, units};

/// Rows of a part that are printed unless all are asked for.
const ROWS_MAX: usize = 8;

/// Says how things are, on one screen.
#[derive(Args)]
pub(super) struct StatusArgs {
    /// Print every service and objective, not only those nearest to trouble
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    server: ServerArgs,
}

impl StatusArgs {
    pub(super) fn run(self) -> Result<ExitCode> {
        let client = Client::new(&self.server)?;
        let asked = block_on(Asked::all(&client))?;
        let overview = asked.read()?;
        if self.server.json {
            text::json(&as_json(asked, &overview))?;
            return Ok(ExitCode::SUCCESS);
        }
        let rows_max = if self.all { usize::MAX } else { ROWS_MAX };
        for line in screen(&overview, rows_max) {
            text::line(&line);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The answers as they came, and what they come to.
fn as_json(asked: Asked, overview: &Overview) -> Value {
    let headline = overview::headline(overview);
    let mut all = asked.0;
    // Whole incidents and plans have commands of their own; here is what counts now.
    let open = overview.incidents.iter().filter(|one| one.state != IncidentState::Resolved);
    let waiting: Vec<&Plan> = overview.waiting().collect();
    all.insert("incidents".to_owned(), json!(open.collect::<Vec<_>>()));
    all.insert("plans".to_owned(), json!(waiting));
    all.insert("headline".to_owned(), json!(headline.sentence));
    all.insert("detail".to_owned(), json!(headline.detail));
    Value::Object(all)
}

fn screen(overview: &Overview, rows_max: usize) -> Vec<String> {
    let headline = overview::headline(overview);
    let paint_headline = match headline.tone {
        Tone::Hurt => Paint::Red,
        Tone::Risk | Tone::Unknown => Paint::Yellow,
        Tone::Well => Paint::Bold,
    };
    let mut lines = vec![paint(paint_headline, &text::plain(&headline.sentence))];
    lines.push(text::plain(&headline.detail));
    incidents(&mut lines, overview);
    plans(&mut lines, overview);
    services(&mut lines, overview, rows_max);
    objectives(&mut lines, overview, rows_max);
    immune(&mut lines, overview);
    lines
}

fn head(lines: &mut Vec<String>, name: &str, more: &str) {
    lines.push(String::new());
    lines.push(format!("{}  {}", paint(Paint::Bold, name), paint(Paint::Dim, more)));
}

fn incidents(lines: &mut Vec<String>, overview: &Overview) {
    let now = overview.status.now;
    let active = overview.incidents.iter().filter(|one| one.state != IncidentState::Resolved);
    let active: Vec<_> = active.collect();
    if active.is_empty() {
        return;
    }
    head(lines, "Incidents", "`immune explain ID` tells all");
    for incident in active {
        let (sign, state) = match incident.state {
            IncidentState::Open => (paint(Paint::Red, "!"), "open"),
            _ => (paint(Paint::Yellow, "↻"), "mitigated"),
        };
        let age = units::span(now.since(incident.opened));
        let (id, title) = (incident.id.0, text::plain(&incident.title));
        lines.push(format!("{sign} {id:>4}  {title} ({state}, {age})"));
        if !incident.needs_human.is_empty() {
            lines.push(text::plain(&format!(
                "        a person is needed: {}",
                incident.needs_human
            )));
        }
    }
}

fn plans(lines: &mut Vec<String>, overview: &Overview) {
    let waiting: Vec<&Plan> = overview.waiting().collect();
    if waiting.is_empty() {
        return;
    }
    head(lines, "Plans that wait for a person", "silence is a no");
    for plan in waiting {
        let (id, incident) = (plan.id.0, plan.incident);
        let deed = format!("{} {}", plan.kind, plan.target);
        let standing = overview.denied_in(plan).unwrap_or_else(|| narrate::standing(plan));
        lines.push(text::plain(&format!("? {id:>4}  {deed}, for incident {incident}: {standing}")));
        lines.push(format!("        `immune plan approve {id}` or `immune plan deny {id}`"));
    }
}

fn services(lines: &mut Vec<String>, overview: &Overview, rows_max: usize) {
    let mut rows: Vec<&Service> = overview.services.iter().collect();
    if rows.is_empty() {
        return;
    }
    rows.sort_by_key(|service| (service.state, service.entity.to_string()));
    head(lines, "Services", "worst first: requests, failed, p95");
    let shown = rows.iter().take(rows_max);
    let names = shown.map(|service| overview.name(&service.entity).chars().count());
    let width = names.max().unwrap_or(0).min(36);
    for service in rows.iter().take(rows_max) {
        lines.push(row(service, width, overview));
    }
    more(lines, rows.len(), rows_max);
}

fn row(service: &Service, width: usize, overview: &Overview) -> String {
    let name = text::plain(&overview.name(&service.entity));
    let rate = units::per_second(service.requests_per_s);
    let failed = units::share(service.error_ratio);
    let p95 = units::seconds(service.p95_seconds);
    let state = match service.state {
        State::Well => String::new(),
        State::NoData => match service.since.or(service.last_seen) {
            Some(since) => format!("no data for {}", units::span(overview.status.now.since(since))),
            None => "no data".to_owned(),
        },
        state => state.as_str().to_owned(),
    };
    let line = format!(
        "{} {name:<width$}  {rate:>9}  {failed:>8}  {p95:>9}  {state}",
        service.state.sign()
    );
    let line = line.trim_end();
    match service.state {
        State::Hurt => paint(Paint::Red, line),
        State::AtRisk | State::Healing => paint(Paint::Yellow, line),
        State::NoData | State::Learning | State::NoTraffic => paint(Paint::Dim, line),
        State::Well => line.to_owned(),
    }
}

fn more(lines: &mut Vec<String>, all: usize, rows_max: usize) {
    if all > rows_max {
        let rest = all - rows_max;
        lines.push(paint(Paint::Dim, &format!("  {rest} more: `immune status --all`")));
    }
}

fn objectives(lines: &mut Vec<String>, overview: &Overview, rows_max: usize) {
    let mut rows: Vec<&ObjectiveState> = overview.objectives.iter().collect();
    if rows.is_empty() {
        return;
    }
    let burns = |one: &ObjectiveState| one.burn[0].unwrap_or(0.0);
    rows.sort_by(|a, b| {
        let trouble = |one: &ObjectiveState| one.health != Health::Burning;
        trouble(a).cmp(&trouble(b)).then(burns(b).total_cmp(&burns(a)))
    });
    head(lines, "Objectives", "good in the last minute, objective, budget left of 3 days");
    for objective in rows.iter().take(rows_max) {
        let name = text::plain(&format!("{} {}", objective.entity, objective.source));
        let good = units::good_share(objective.good_ratio_1m);
        let target = units::good_share(Some(objective.objective));
        let budget = units::share(objective.budget_left);
        let health = match objective.health {
            Health::Learning => "learning",
            Health::Well => "well",
            Health::Burning => "burning",
            Health::NoTraffic => "no traffic",
            Health::NoData => "no data",
        };
        let line = format!("  {health:<10}  {good:>10}  {target:>9}  {budget:>8}  {name}");
        lines.push(match objective.health {
            Health::Burning => paint(Paint::Red, &line),
            Health::Well => line,
            _ => paint(Paint::Dim, &line),
        });
    }
    more(lines, rows.len(), rows_max);
}

/// Immune itself.
fn immune(lines: &mut Vec<String>, overview: &Overview) {
    let status = &overview.status;
    let up = units::span(status.now.since(status.started));
    head(lines, "Immune", &format!("{}, up {up}", status.version));
    let bottom = overview::bottom(overview);
    let parts = bottom.parts.iter().map(|(part, good)| match good {
        true => part.clone(),
        false => paint(Paint::Yellow, part),
    });
    lines.push(format!("  {}", parts.collect::<Vec<_>>().join(" · ")));
    if let Some(frozen) = &status.frozen {
        let who = format!("  frozen by {}: {}", frozen.by, frozen.reason);
        lines.push(paint(Paint::Yellow, &text::plain(&who)));
    }
    for pause in &status.pauses {
        let until = text::moment(pause.until);
        let line =
            format!("  paused {} until {until}: {} ({})", pause.what, pause.name, pause.reason);
        lines.push(text::plain(&line));
    }
    let taken = status.telemetry.iter().filter(|counts| counts.items > 0).map(|counts| {
        let items = units::count(counts.items);
        let what = match counts.signal.as_str() {
            "traces" => "spans",
            "metrics" => "points",
            _ => "log records",
        };
        format!("{items} {what} over {}", counts.transport)
    });
    let taken: Vec<String> = taken.collect();
    if !taken.is_empty() {
        lines.push(text::plain(&format!("  taken {}", taken.join(", "))));
    }
    let stored = overview.storage.tables.iter().map(|table| {
        let (points, bytes) = (units::count(table.points), units::bytes(table.bytes as f64));
        format!("{points} {} in {bytes}", table.table)
    });
    let stored: Vec<String> = stored.collect();
    if !stored.is_empty() {
        lines.push(text::plain(&format!("  stored {}", stored.join(", "))));
    }
    for trouble in &overview.storage.trouble {
        let trouble = text::plain(trouble);
        lines.push(format!("  {} {trouble}", paint(Paint::Red, "storage in trouble:")));
    }
}
