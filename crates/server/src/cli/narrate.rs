//! An incident in words: one exact paragraph for a tired person, then the evidence, plans and
//! timeline.

use std::fmt::Write;

use model::incident::Impact;
use model::plan::Outcome;
use model::{
    Cause, CauseKind, Incident, IncidentState, Plan, PlanState, Severity, Timestamp, Verdict,
};

use super::units;

/// Who is hurt, since when, why, how sure, and what is being done.
pub fn paragraph(incident: &Incident, plans: &[Plan]) -> String {
    let mut text = format!("{}.", incident.title.trim_end_matches('.'));
    let since = incident.onset.clock();
    // What nobody measured at users is not said of them.
    let (lasts, lasted) = match incident.symptoms.iter().any(|one| one.kind.is_measured()) {
        true => ("Users are hurt", "Users were hurt"),
        false => ("It lasts", "It lasted"),
    };
    let _ = match (incident.state, incident.mitigated, incident.resolved) {
        (IncidentState::Open, ..) => write!(text, " {lasts} since {since} UTC"),
        (IncidentState::Mitigated, Some(at), _) => write!(
            text,
            " {lasted} from {since} to {} UTC; the recovery is being watched",
            at.clock()
        ),
        (_, mitigated, resolved) => write!(
            text,
            " {lasted} from {since} to {} UTC; it is over",
            mitigated.or(resolved).map_or_else(|| "?".to_owned(), |at| at.clock())
        ),
    };
    let impact = &incident.impact;
    if impact.requests > 0.0 {
        let _ = write!(
            text,
            " ({:.0} of {:.0} requests went wrong)",
            impact.bad_requests, impact.requests
        );
    }
    text.push('.');
    if let Some(cause) = incident.causes.first() {
        let summary = cause.summary.trim_end_matches('.');
        let sure = (cause.confidence * 100.0).round();
        // How sure one is to know nothing helps nobody.
        let _ = match cause.kind {
            CauseKind::Unknown => write!(text, " Looked into: {summary}."),
            _ => write!(text, " {summary} (confidence {sure:.0} %)."),
        };
    }
    for plan in plans {
        let _ =
            write!(text, " Plan {}: {} {}, {}.", plan.id, plan.kind, plan.target, standing(plan));
    }
    if !incident.needs_human.is_empty() && incident.state != IncidentState::Resolved {
        let _ =
            write!(text, " A person is needed: {}.", incident.needs_human.trim_end_matches('.'));
    }
    text
}

/// Everything there is to say, in sections: what the incident page of the web UI shows.
pub(super) fn page(incident: &Incident, plans: &[Plan], now: Timestamp) -> String {
    let mut text = format!("Incident {} · {}\n\n", incident.id, standing_of(incident, now));
    let _ = writeln!(text, "{}", paragraph(incident, plans));
    impact(&mut text, incident);
    if let Some(cause) = incident.causes.first() {
        let _ = match cause.kind {
            CauseKind::Unknown => writeln!(text, "\nCause · unknown"),
            kind => writeln!(text, "\nCause · {} · {} sure", word(kind), sure(cause)),
        };
        let _ = writeln!(text, "  {}", cause.summary);
        evidence(&mut text, cause);
    }
    for plan in plans {
        let _ = writeln!(text);
        text.push_str(&section(plan));
    }
    others(&mut text, incident);
    let _ = writeln!(text, "\nTimeline (UTC)");
    for entry in &incident.timeline {
        let _ = writeln!(text, "  {}  {}", entry.at.clock(), entry.text);
    }
    text
}

/// `open for 2 min 10 s · acknowledged by ops`
fn standing_of(incident: &Incident, now: Timestamp) -> String {
    let mut text = incident.state.as_str().to_owned();
    let _ = match (incident.state, incident.mitigated, incident.resolved) {
        (IncidentState::Open, ..) => {
            write!(text, " for {}", units::span(now.since(incident.opened)))
        }
        (IncidentState::Mitigated, Some(at), _) => {
            write!(text, ", well for {}", units::span(now.since(at)))
        }
        (_, _, Some(at)) => write!(text, " after {}", units::span(at.since(incident.opened))),
        _ => Ok(()),
    };
    let pages = incident.symptoms.iter().any(|symptom| symptom.severity == Severity::Page);
    text.push_str(if pages { " · page" } else { " · ticket" });
    if !incident.acknowledged_by.is_empty() {
        let _ = write!(text, " · acknowledged by {}", incident.acknowledged_by);
    }
    text
}

fn impact(text: &mut String, incident: &Incident) {
    let _ = writeln!(text, "\nImpact");
    let Impact { bad_requests, requests, services } = &incident.impact;
    if *requests > 0.0 {
        let share = units::share(Some(bad_requests / requests));
        let (bad, all) = (units::count(*bad_requests as u64), units::count(*requests as u64));
        let _ = writeln!(text, "  {bad} of {all} requests went wrong, {share}");
    }
    if !services.is_empty() {
        let names: Vec<String> = services.iter().map(ToString::to_string).collect();
        let _ = writeln!(text, "  hurt: {}", names.join(", "));
    }
    for (index, symptom) in incident.symptoms.iter().enumerate() {
        let fires = incident.firing.iter().any(|firing| *firing as usize == index);
        let sign = if fires { '!' } else { ' ' };
        let _ = writeln!(text, "  {sign} {}  {}", symptom.onset.clock(), symptom.summary);
        if !symptom.runbook_url.is_empty() {
            let _ = writeln!(text, "              what to do: {}", symptom.runbook_url);
        }
    }
}

fn evidence(text: &mut String, cause: &Cause) {
    for evidence in &cause.evidence {
        let sign = if evidence.supports { '+' } else { '-' };
        let _ = write!(text, "  {sign} {}", evidence.summary);
        let _ = match evidence.trace_id.as_str() {
            "" => writeln!(text),
            trace => writeln!(text, " [trace {trace}]"),
        };
    }
}

/// Rivals of the first cause, each with what speaks against it, else for it.
fn others(text: &mut String, incident: &Incident) {
    let rivals = incident.causes.get(1..).unwrap_or_default();
    if rivals.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nOther causes weighed");
    for cause in rivals {
        let _ = writeln!(text, "  {:>5}  {}: {}", sure(cause), word(cause.kind), cause.summary);
        let against = cause.evidence.iter().find(|evidence| !evidence.supports);
        if let Some(evidence) = against.or(cause.evidence.first()) {
            let sign = if evidence.supports { '+' } else { '-' };
            let _ = writeln!(text, "         {sign} {}", evidence.summary);
        }
    }
}

pub(super) fn word(kind: CauseKind) -> String {
    kind.as_str().replace('_', " ")
}

pub(super) fn sure(cause: &Cause) -> String {
    format!("{:.0} %", cause.confidence * 100.0)
}

/// A plan as it stands beside its incident.
fn section(plan: &Plan) -> String {
    let (id, kind, target) = (plan.id, &plan.kind, &plan.target);
    let mut text =
        format!("Plan {id} · {kind} {target} · {}\n", plan.mode.as_str().replace('_', " "));
    let _ = writeln!(text, "  {}", standing(plan));
    if plan.state == PlanState::AwaitingApproval {
        let _ = writeln!(
            text,
            "  `immune plan approve {id}` lets it act, `immune plan deny {id}` refuses; \
             silence is a no"
        );
    }
    let passed = plan.verdicts.iter().filter(|verdict| verdict.passed).count();
    if !plan.verdicts.is_empty() {
        let _ = writeln!(text, "  guardrails: {passed} of {} pass", plan.verdicts.len());
    }
    // What holds it back is read first.
    let (denied, passing): (Vec<_>, Vec<_>) =
        plan.verdicts.iter().partition(|verdict| !verdict.passed);
    for verdict in denied.into_iter().chain(passing) {
        text.push_str(&verdict_line(verdict));
    }
    attempts(&mut text, plan);
    text
}

fn verdict_line(verdict: &Verdict) -> String {
    let word = if verdict.passed { "pass" } else { "deny" };
    let title = remediate::guardrails::ALL.iter().find(|rule| rule.spec.id == verdict.guardrail);
    let title = title.map_or("", |rule| rule.spec.title);
    format!("    {word} {:<4} {title}: {}\n", verdict.guardrail, verdict.reason)
}

fn attempts(text: &mut String, plan: &Plan) {
    for (index, attempt) in plan.attempts.iter().enumerate() {
        let told = |outcome: &Option<Outcome>| match outcome {
            Some(outcome) => format!("{}: {}", outcome.result.as_str(), outcome.detail),
            None => "under way".to_owned(),
        };
        let (ordered, outcome) = (attempt.ordered.clock(), told(&attempt.outcome));
        let _ = writeln!(text, "    attempt {} at {ordered}: {outcome}", index + 1);
        if let Some(undo) = &attempt.undo {
            let (ordered, outcome) = (undo.ordered.clock(), told(&undo.outcome));
            let _ = writeln!(text, "    taken back at {ordered}: {outcome}");
        }
    }
}

/// State and reason, without saying the same twice.
pub(super) fn standing(plan: &Plan) -> String {
    let state = plan.state.as_str().replace('_', " ");
    let reason = plan.reason.trim_end_matches('.');
    match reason.starts_with(&state) {
        true => reason.to_owned(),
        false => format!("{state}: {reason}"),
    }
}

/// A plan with its verdicts and attempts.
pub(super) fn plan(plan: &Plan) -> String {
    let mut text = format!(
        "  {}. {} {} ({}): {}\n",
        plan.id,
        plan.kind,
        plan.target,
        plan.mode.as_str(),
        standing(plan)
    );
    for verdict in &plan.verdicts {
        text.push_str(&verdict_line(verdict));
    }
    attempts(&mut text, plan);
    text
}
