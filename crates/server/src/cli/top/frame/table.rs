//! The rows of the overview: incidents, plans, the drill, services.

use model::{IncidentState, PlanState};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::super::drill::doing;
use super::super::super::overview::{Service, State};
use super::super::super::{narrate, text, units};
use super::super::rows::{self, Row};
use super::super::view::View;
use super::{Entry, Look};

const NAME_MIN: usize = 10;
const NAME_MAX: usize = 32;
/// Sign, requests, failed, p95 and what stands between them.
const FIGURES: usize = 2 + 2 + 8 + 2 + 9 + 2 + 10 + 2;
const BARS_MIN: usize = 12;
const BARS_MAX: usize = 40;
const STATE: usize = 16;

fn heading(entries: &mut Vec<Entry>, look: Look, name: &str, more: &str) {
    if !entries.is_empty() {
        entries.push(Entry::text(""));
    }
    entries.push(Entry::text(Line::from(vec![
        Span::styled(name.to_owned(), look.bold()),
        Span::styled(format!("  {more}"), look.dim()),
    ])));
}

pub(super) fn incidents(entries: &mut Vec<Entry>, view: &View, look: Look) {
    let now = view.overview.status.now;
    let incidents = rows::incidents(&view.overview);
    if incidents.is_empty() {
        return;
    }
    let open = incidents.iter().filter(|one| one.state == IncidentState::Open).count();
    let mitigated = incidents.len() - open;
    heading(entries, look, "Incidents", &format!("{open} open, {mitigated} mitigated"));
    for incident in incidents {
        let (sign, style) = match incident.state {
            IncidentState::Open => ("!", look.hurt()),
            _ => ("↻", look.healing()),
        };
        let age = units::span(now.since(incident.opened));
        let (id, title) = (incident.id.0, text::plain(&incident.title));
        let person = if incident.needs_human.is_empty() { "" } else { "needs a person: " };
        let line = Line::from(vec![
            Span::styled(format!("{sign} {id:>4}  "), style),
            Span::styled(format!("{age:<12}"), look.dim()),
            Span::styled(person, look.risk()),
            Span::raw(title),
        ]);
        entries.push(Entry { line, row: Some(Row::Incident(incident.id)) });
    }
}

pub(super) fn plans(entries: &mut Vec<Entry>, view: &View, look: Look) {
    let plans = rows::plans(&view.overview);
    if plans.is_empty() {
        return;
    }
    let waiting = plans.iter().filter(|plan| plan.state == PlanState::AwaitingApproval).count();
    let more = match waiting {
        0 => "none waits for you".to_owned(),
        waiting => format!("{waiting} waiting for you: a approves, d denies, silence is a no"),
    };
    heading(entries, look, "Plans", &more);
    for plan in plans {
        let (sign, style) = match plan.state {
            PlanState::AwaitingApproval => ("?", look.risk()),
            _ => ("↻", look.healing()),
        };
        let (id, incident) = (plan.id.0, plan.incident);
        let deed = text::plain(&format!("{} {}", plan.kind, plan.target));
        let standing = view.overview.denied_in(plan).unwrap_or_else(|| narrate::standing(plan));
        let standing = text::plain(&standing);
        let line = Line::from(vec![
            Span::styled(format!("{sign} {id:>4}  "), style),
            Span::styled(deed, look.bold()),
            Span::raw(format!(" for incident {incident}: {standing}")),
        ]);
        entries.push(Entry { line, row: Some(Row::Plan(plan.id)) });
    }
}

pub(super) fn drill(entries: &mut Vec<Entry>, view: &View, look: Look) {
    let now = view.overview.status.now;
    let Some(record) = rows::drill(&view.overview) else { return };
    let drill = &record.drill;
    let phase = doing(drill.phase);
    heading(entries, look, "Drill", "under way; `immune drill stop` undoes it");
    let (id, age) = (record.id, units::span(now.since(drill.since)));
    let title = text::plain(&drill.experiment.title);
    entries.push(Entry::text(Line::from(vec![
        Span::styled(format!("◆ {id:>4}  "), look.drill()),
        Span::raw(format!("{phase}, {age}")),
    ])));
    entries.push(Entry::text(Line::styled(format!("        {title}"), look.drill())));
    if let Some((at, line)) = drill.progress.last() {
        let line = format!("        {}  {}", at.clock(), text::plain(line));
        entries.push(Entry::text(Line::styled(line, look.dim())));
    }
}

pub(super) fn services(entries: &mut Vec<Entry>, view: &View, look: Look, width: u16) {
    let services = rows::services(&view.overview);
    if services.is_empty() {
        return;
    }
    let width = usize::from(width);
    let names = services.iter().map(|one| view.overview.name(&one.entity).chars().count());
    let longest = names.max();
    let room = width.saturating_sub(FIGURES + STATE);
    let name = longest.unwrap_or(0).clamp(NAME_MIN, NAME_MAX);
    let name = name.min(room.saturating_sub(BARS_MIN)).max(NAME_MIN);
    let bars = room.saturating_sub(name).min(BARS_MAX);
    let bars = if bars < BARS_MIN / 2 { 0 } else { bars };
    let more = format!("{} known, worst first", units::count(services.len() as u64));
    heading(entries, look, "Services", &more);
    let columns = format!(
        "  {:<name$}  {:>8}  {:>9}  {:>10}  {:<bars$} state",
        "", "requests", "failed", "p95", "lately"
    );
    entries.push(Entry::text(Line::styled(columns, look.dim())));
    for service in services {
        entries.push(row(service, view, look, (name, bars)));
    }
}

fn row(service: &Service, view: &View, look: Look, (name, bars): (usize, usize)) -> Entry {
    let now = view.overview.status.now;
    let style = match service.state {
        State::Hurt => look.hurt(),
        State::AtRisk => look.risk(),
        State::Healing => look.healing(),
        State::NoData | State::Learning | State::NoTraffic => look.dim(),
        State::Well => Style::new(),
    };
    let told = cut(&text::plain(&view.overview.name(&service.entity)), name);
    let lately = view.history.bars(&service.entity, bars.saturating_sub(1));
    let state = match service.state {
        State::NoData => match service.since.or(service.last_seen) {
            Some(since) => format!("no data {}", units::span(now.since(since))),
            None => "no data".to_owned(),
        },
        state => state.as_str().to_owned(),
    };
    let figures = format!(
        "  {:>8}  {:>9}  {:>10}  ",
        units::per_second(service.requests_per_s),
        units::share(service.error_ratio),
        units::seconds(service.p95_seconds),
    );
    let line = Line::from(vec![
        Span::styled(format!("{} {told:<name$}", service.state.sign()), style),
        Span::styled(figures, if service.state == State::Hurt { style } else { Style::new() }),
        Span::styled(format!("{lately:<bars$} "), look.dim()),
        Span::styled(state, style),
    ]);
    Entry { line, row: Some(Row::Service(service.entity.key())) }
}

/// At most so many characters, the last telling that there were more.
fn cut(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(columns.saturating_sub(1)).collect();
    short.push('…');
    short
}
