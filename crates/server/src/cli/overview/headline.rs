//! Is anything wrong, in one sentence of at most two clauses; below it what else counts.
//!
//! Trouble comes first, then doubt, and "all quiet" is only said where nothing is missing: absence
//! of data is no proof of health. The web overview's headline says the same.

use std::time::Duration;

use model::plan::{ContainerOperation, UnitOperation};
use model::{ActionKind, CauseKind, Incident, IncidentState, Plan, PlanState, Severity, Timestamp};

use super::super::units;
use super::{Overview, STALE_AFTER, Service, State};

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Headline {
    pub(crate) sentence: String,
    /// Empty when there is nothing more to say.
    pub(crate) detail: String,
    pub(crate) tone: Tone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Well,
    /// Users may be hurt soon, or somebody has to look.
    Risk,
    Hurt,
    /// It cannot be said how users fare.
    Unknown,
}

/// Names that are told one by one; more are counted.
const NAMED_MAX: usize = 2;
/// Longest sentence in which the cause still has room.
const CHARS_MAX: usize = 90;

pub(crate) fn headline(overview: &Overview) -> Headline {
    let (sentence, tone) = sentence(overview);
    Headline { sentence, detail: detail(overview), tone }
}

fn sentence(overview: &Overview) -> (String, Tone) {
    let now = overview.status.now;
    if overview.heard().is_none() && overview.services.is_empty() {
        return ("Waiting for the first telemetry".to_owned(), Tone::Unknown);
    }
    if let Some(incident) = worst(overview, IncidentState::Open) {
        let tone = if pages(incident) { Tone::Hurt } else { Tone::Risk };
        return (open(overview, incident).0, tone);
    }
    if let Some(until) = overview.status.catching_up_until.filter(|until| *until > now) {
        let until = until.clock();
        return (format!("Catching up until {until}; paging and healing rest"), Tone::Unknown);
    }
    if let Some(heard) = overview.heard().filter(|heard| now.since(*heard) > STALE_AFTER) {
        let age = units::span(now.since(heard));
        return (format!("No telemetry for {age}: how users fare is not known"), Tone::Unknown);
    }
    if let Some(incident) = worst(overview, IncidentState::Mitigated) {
        let since = incident.mitigated.unwrap_or(incident.opened).clock();
        let id = incident.id;
        return (
            format!("Users are well again since {since}; incident {id} is watched"),
            Tone::Risk,
        );
    }
    if let Some(told) = silent(overview) {
        return (told, Tone::Unknown);
    }
    if let Some(names) = names_in(overview, State::AtRisk) {
        let verb = if count_in(overview, State::AtRisk) == 1 { "is" } else { "are" };
        return (format!("No user is hurt; {names} {verb} at risk"), Tone::Risk);
    }
    if overview.services.is_empty() {
        let told = "Telemetry arrives, but no request has been seen yet";
        return (told.to_owned(), Tone::Unknown);
    }
    if count_in(overview, State::Well) == 0 {
        let told = match count_in(overview, State::Learning) {
            0 => "No requests to any service: how users fare is not known",
            _ => "Learning what is normal; nothing is judged yet",
        };
        return (told.to_owned(), Tone::Unknown);
    }
    // From a minute on without seconds: a line that ticks is not quiet.
    let quiet = now.since(quiet_since(overview)).as_secs();
    let quiet = if quiet < 60 { quiet } else { quiet - quiet % 60 };
    (format!("All quiet for {}", units::span(Duration::from_secs(quiet))), Tone::Well)
}

/// Who has gone quiet, and for how long at least.
fn silent(overview: &Overview) -> Option<String> {
    let inside = overview.services.iter().filter(|service| service.state == State::NoData);
    let silent: Vec<&Service> = inside.collect();
    let newest = silent.iter().filter_map(|service| service.since).max();
    let time = newest.map_or_else(String::new, |since| {
        format!(" for {}", units::span(overview.status.now.since(since)))
    });
    match silent.as_slice() {
        [] => None,
        [one] => {
            let name = overview.name(&one.entity);
            Some(format!("No incident, but {name} has sent nothing{time}"))
        }
        more => Some(format!("No incident, but {} services have sent nothing{time}", more.len())),
    }
}

/// What users feel and what is being done; and whether the cause had no room.
fn open(overview: &Overview, incident: &Incident) -> (String, bool) {
    let title = incident.title.trim_end_matches('.');
    let title = title.strip_prefix("ticket: ").unwrap_or(title);
    let plans = overview.plans_of(incident);
    let more = in_state(overview, IncidentState::Open).count() - 1;
    let doing = match plans.iter().rev().find_map(doing) {
        Some(doing) => doing,
        None if !incident.needs_human.is_empty() => "a person is needed".to_owned(),
        None => match more {
            0 => return (title.to_owned(), false),
            1 => "1 more incident is open".to_owned(),
            more => format!("{more} more incidents are open"),
        },
    };
    let whole = format!("{title}; {doing}");
    if whole.chars().count() <= CHARS_MAX {
        return (whole, false);
    }
    let harm = title.split("; cause unknown").next().unwrap_or(title);
    let harm = harm.split(" because ").next().unwrap_or(harm);
    (format!("{harm}; {doing}"), harm != title)
}

/// What becomes of a plan, where that is worth a clause.
fn doing(plan: &Plan) -> Option<String> {
    let deed = deed(plan);
    match plan.state {
        PlanState::AwaitingApproval => Some(format!("{deed} waits for your approval")),
        PlanState::Running => Some(format!("{deed} is under way")),
        PlanState::Verifying => Some(format!("{deed} is done and being watched")),
        PlanState::Undoing => Some(format!("{deed} did not help and is being undone")),
        PlanState::Held | PlanState::BackingOff => Some(format!("{deed} waits")),
        PlanState::DryRun => Some(format!("{deed} is only shown: healing is a dry run")),
        _ => None,
    }
}

/// An action as a noun.
fn deed(plan: &Plan) -> String {
    let target = &plan.target;
    match &plan.kind {
        ActionKind::Restart => format!("the restart of {target}"),
        ActionKind::RunCommand { command } => format!("command {command} on {target}"),
        ActionKind::Signal { signal } => format!("{signal} to {target}"),
        ActionKind::Rollback => format!("the rollback of {target}"),
        ActionKind::HttpRequest { request } => format!("request {request} for {target}"),
        ActionKind::Eject => format!("the ejection of {target}"),
        ActionKind::Return => format!("the return of {target}"),
        ActionKind::TerminateBlocker => format!("ending the blocker of {target}"),
        ActionKind::ClearPath { path } => format!("clearing {path} of {target}"),
        ActionKind::Container { operation } => {
            let operation = match operation {
                ContainerOperation::Restart => "restart",
                ContainerOperation::Pause => "pause",
                ContainerOperation::Unpause => "unpause",
                ContainerOperation::ScaleOut => "scale-out",
                ContainerOperation::ScaleIn => "scale-in",
            };
            format!("the {operation} of {target}")
        }
        ActionKind::ContainerLimits { limits } => format!("limits {limits} for {target}"),
        ActionKind::Systemd { operation } => {
            let operation = match operation {
                UnitOperation::Restart => "restart",
                UnitOperation::Reload => "reload",
                UnitOperation::Start => "start",
            };
            format!("the {operation} of {target}")
        }
    }
}

fn detail(overview: &Overview) -> String {
    let mut parts = Vec::new();
    let incident = worst(overview, IncidentState::Open);
    if let Some(incident) = incident.filter(|incident| open(overview, incident).1)
        && let Some(cause) = incident.causes.first()
    {
        let (summary, sure) = (cause.summary.trim_end_matches('.'), cause.confidence * 100.0);
        parts.push(match cause.kind {
            CauseKind::Unknown => "The cause is unknown.".to_owned(),
            _ => format!("{summary}, {sure:.0} % sure."),
        });
    }
    if overview.heard().is_none() && overview.services.is_empty() {
        parts.push("Point OTEL_EXPORTER_OTLP_ENDPOINT of a service at this server.".to_owned());
    } else {
        let all = overview.services.len();
        let well = count_in(overview, State::Well);
        match all {
            1 => parts.push(format!("{well} of 1 service is well.")),
            _ => parts.push(format!("{well} of {all} services and dependencies are well.")),
        }
    }
    for (state, verb) in [
        (State::Healing, "being healed"),
        (State::NoData, "sending nothing"),
        (State::Learning, "still being learned"),
    ] {
        if let Some(names) = names_in(overview, state) {
            let is = if count_in(overview, state) == 1 { "is" } else { "are" };
            parts.push(format!("{names} {is} {verb}."));
        }
    }
    let now = overview.status.now;
    let hurt = incident.is_some();
    if let Some(heard) = overview.heard().filter(|heard| hurt && now.since(*heard) > STALE_AFTER) {
        parts.push(format!("Nothing was heard for {}.", units::span(now.since(heard))));
    }
    if let Some(frozen) = &overview.status.frozen {
        let why =
            if frozen.reason.is_empty() { String::new() } else { format!(": {}", frozen.reason) };
        parts.push(format!("Healing is frozen by {}{why}.", frozen.by));
    }
    let rests = overview.status.catching_up_until.filter(|until| hurt && *until > now);
    if let Some(until) = rests {
        parts.push(format!("Catching up: paging and healing rest until {}.", until.clock()));
    }
    parts.join(" ")
}

/// Since when no incident was unresolved, as far as is known.
fn quiet_since(overview: &Overview) -> Timestamp {
    let ends = overview.incidents.iter().filter_map(|incident| incident.resolved);
    ends.max().unwrap_or_default().max(overview.status.started)
}

fn in_state(overview: &Overview, state: IncidentState) -> impl Iterator<Item = &Incident> {
    overview.incidents.iter().filter(move |incident| incident.state == state)
}

/// What pages before what does not, then the newest.
fn worst(overview: &Overview, state: IncidentState) -> Option<&Incident> {
    in_state(overview, state).max_by_key(|incident| (pages(incident), incident.id))
}

fn pages(incident: &Incident) -> bool {
    incident.symptoms.iter().any(|symptom| symptom.severity == Severity::Page)
}

fn count_in(overview: &Overview, state: State) -> usize {
    overview.services.iter().filter(|service| service.state == state).count()
}

fn names_in(overview: &Overview, state: State) -> Option<String> {
    let inside = overview.services.iter().filter(|service| service.state == state);
    let names: Vec<String> = inside.map(|service| overview.name(&service.entity)).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(one.clone()),
        [one, other] => Some(format!("{one} and {other}")),
        more => {
            let rest = more.len() - NAMED_MAX;
            Some(format!("{} and {rest} more", more[..NAMED_MAX].join(", ")))
        }
    }
}

#[cfg(test)]
mod tests;
