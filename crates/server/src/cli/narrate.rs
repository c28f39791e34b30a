//! An incident in words: one exact paragraph for a tired person, then the evidence, plans and
//! timeline.

use std::fmt::Write;

use model::{CauseKind, Incident, IncidentState, Plan};

/// Who is hurt, since when, why, how sure, and what is being done.
pub fn paragraph(incident: &Incident, plans: &[Plan]) -> String {
    let mut text = format!("{}.", incident.title.trim_end_matches('.'));
    let since = incident.onset.clock();
    let _ = match (incident.state, incident.mitigated, incident.resolved) {
        (IncidentState::Open, ..) => write!(text, " Users are hurt since {since} UTC"),
        (IncidentState::Mitigated, Some(at), _) => write!(
            text,
            " Users were hurt from {since} to {} UTC; the recovery is being watched",
            at.clock()
        ),
        (_, mitigated, resolved) => write!(
            text,
            " Users were hurt from {since} to {} UTC; it is over",
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

/// Everything there is to say, in sections.
pub(super) fn page(incident: &Incident, plans: &[Plan]) -> String {
    let mut text = format!("Incident {} · {}\n\n", incident.id, incident.state.as_str());
    let _ = writeln!(text, "{}\n", paragraph(incident, plans));
    let _ = writeln!(text, "Symptoms");
    for symptom in &incident.symptoms {
        let _ = writeln!(text, "  {}  {}", symptom.onset.clock(), symptom.summary);
    }
    let _ = writeln!(text, "\nCauses, likeliest first");
    for (index, cause) in incident.causes.iter().enumerate() {
        let sure = cause.confidence * 100.0;
        let kind = cause.kind.as_str();
        let _ = writeln!(text, "  {}. {} {kind} ({sure:.0} %)", index + 1, cause.entity);
        for evidence in &cause.evidence {
            let sign = if evidence.supports { '+' } else { '-' };
            let _ = write!(text, "     {sign} {}", evidence.summary);
            let _ = match evidence.trace_id.as_str() {
                "" => writeln!(text),
                trace => writeln!(text, " [trace {trace}]"),
            };
        }
    }
    if !plans.is_empty() {
        let _ = writeln!(text, "\nPlans");
    }
    for plan in plans {
        text.push_str(&self::plan(plan));
    }
    let _ = writeln!(text, "\nTimeline (UTC)");
    for entry in &incident.timeline {
        let _ = writeln!(text, "  {}  {}", entry.at.clock(), entry.text);
    }
    text
}

/// State and reason, without saying the same twice.
fn standing(plan: &Plan) -> String {
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
        let word = if verdict.passed { "pass" } else { "deny" };
        let _ = writeln!(text, "     {word} {}: {}", verdict.guardrail, verdict.reason);
    }
    for (index, attempt) in plan.attempts.iter().enumerate() {
        let outcome = match &attempt.outcome {
            Some(outcome) => format!("{}: {}", outcome.result.as_str(), outcome.detail),
            None => "under way".to_owned(),
        };
        let ordered = attempt.ordered.clock();
        let _ = writeln!(text, "     attempt {} at {ordered}: {outcome}", index + 1);
    }
    text
}
