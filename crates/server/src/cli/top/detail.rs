//! What is open, as lines of text: an incident as `immune explain` tells it, a service with what
//! is known of it.

use model::symptom::ObjectiveState;
use serde_json::Value;

use super::super::overview::{Service, State};
use super::super::{narrate, text, units};
use super::rows::Row;
use super::view::View;

pub(super) fn lines(view: &View, row: &Row) -> Vec<String> {
    let now = view.overview.status.now;
    let told = match row {
        Row::Incident(id) => {
            match view.overview.incidents.iter().find(|incident| incident.id == *id) {
                Some(incident) => narrate::page(incident, &view.overview.plans_of(incident), now),
                None => format!(
                    "Incident {id} is not held any more; `immune explain {id}` tells of it."
                ),
            }
        }
        Row::Plan(id) => match view.overview.plans.iter().find(|plan| plan.id == *id) {
            Some(plan) => narrate::plan(plan),
            None => format!("Plan {id} is not held any more."),
        },
        Row::Service(key) => match view.service_of(key) {
            Some(service) => about_service(view, service),
            None => "Nothing is known of it any more.".to_owned(),
        },
    };
    told.trim_end().lines().map(text::plain).collect()
}

fn about_service(view: &View, service: &Service) -> String {
    let now = view.overview.status.now;
    let entity = &service.entity;
    let kind = entity.kind.as_str();
    let mut lines =
        vec![format!("{entity} · {kind} · {}", entity.scope.environment), String::new()];
    let since = match (service.state, service.since) {
        (State::NoData, None) => service.last_seen,
        (_, since) => since,
    };
    let since = since.map_or_else(String::new, |at| format!(" for {}", units::span(now.since(at))));
    lines.push(format!("{}{since}", service.state.as_str()));
    lines.push(format!(
        "{} · {} failed · p50 {} · p95 {}",
        units::per_second(service.requests_per_s),
        units::share(service.error_ratio),
        units::seconds(service.p50_seconds),
        units::seconds(service.p95_seconds),
    ));
    if let Some(answer) = &view.service {
        parts(&mut lines, answer);
    }
    let own = |objective: &&ObjectiveState| objective.entity.owner().as_ref() == Some(entity);
    let objectives: Vec<&ObjectiveState> = view.overview.objectives.iter().filter(own).collect();
    if !objectives.is_empty() {
        lines.extend([String::new(), "Objectives".to_owned()]);
    }
    for objective in objectives {
        lines.push(format!(
            "  {:>10} good, {} wanted, {} of 3 days' budget left  {} {}",
            units::good_share(objective.good_ratio_1m),
            units::good_share(Some(objective.objective)),
            units::share(objective.budget_left),
            objective.entity,
            objective.source,
        ));
    }
    let hurt = view.overview.incidents.iter().filter(|incident| {
        let touches =
            |other: &model::Entity| other.owner().as_ref() == Some(entity) || other == entity;
        incident.symptoms.iter().any(|symptom| touches(&symptom.entity))
            || incident.causes.first().is_some_and(|cause| touches(&cause.entity))
    });
    let hurt: Vec<String> =
        hurt.map(|one| format!("  {:>4}  {}  {}", one.id, one.state.as_str(), one.title)).collect();
    if !hurt.is_empty() {
        lines.extend([String::new(), "Incidents".to_owned()]);
        lines.extend(hurt);
    }
    lines.join("\n")
}

/// Operations, instances, versions and neighbours, each with its figures; and changes.
fn parts(lines: &mut Vec<String>, answer: &Value) {
    for (name, title) in [
        ("operations", "Operations"),
        ("instances", "Instances"),
        ("versions", "Versions"),
        ("calls", "Calls"),
        ("callers", "Called by"),
    ] {
        let rows = answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            continue;
        }
        lines.extend([String::new(), title.to_owned()]);
        lines.extend(rows.iter().map(part));
    }
    let changes = answer["changes"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !changes.is_empty() {
        lines.extend([String::new(), "Changes".to_owned()]);
    }
    for change in changes {
        let word = |name: &str| change[name].as_str().unwrap_or_default();
        let at: String = word("at").chars().take(19).collect();
        let (kind, summary) = (word("kind"), word("summary"));
        lines.push(format!("  {}  {kind}: {summary}", at.replacen('T', " ", 1)));
    }
}

fn part(row: &Value) -> String {
    let own = ["operation", "instance", "version"].iter().find_map(|key| row[key].as_str());
    let name = row["entity"]["name"].as_str().or(own).filter(|name| !name.is_empty());
    let name = name.unwrap_or("not told");
    let version = row["instance"].as_str().and(row["version"].as_str()).unwrap_or_default();
    let silent = if row["silent_since"].is_string() { "silent" } else { "" };
    let more = format!("{version} {silent}");
    format!(
        "  {:>9}  {:>9} failed  p95 {:>8}  {name} {}",
        units::per_second(row["requests_per_s"].as_f64()),
        units::share(row["error_ratio"].as_f64()),
        units::seconds(row["p95_seconds"].as_f64()),
        more.trim(),
    )
}
