//! The draft of a post-mortem: what is known is filled in, what only people know is asked for.
//!
//! Blameless by form: it names what happened to systems, never who is at fault. Text from telemetry
//! is escaped, so that it cannot become markup.

use std::fmt::Write;

use model::{CauseKind, Incident, Plan, Timestamp};

use super::super::{narrate, units};

pub(super) fn draft(incident: &Incident, plans: &[Plan]) -> String {
    let mut text = format!("# Incident {}: {}\n\n", incident.id, escaped(&incident.title));
    let _ = writeln!(text, "{}\n", escaped(&narrate::paragraph(incident, plans)));
    facts(&mut text, incident);
    let _ = writeln!(text, "\n## Impact\n");
    for symptom in &incident.symptoms {
        let _ = writeln!(text, "- {}: {}", symptom.onset.clock(), escaped(&symptom.summary));
    }
    cause(&mut text, incident);
    remedy(&mut text, plans);
    let _ = writeln!(text, "\n## Timeline (UTC)\n\n| time | what |\n|---|---|");
    for entry in &incident.timeline {
        let _ = writeln!(text, "| {} | {} |", entry.at.clock(), escaped(&entry.text));
    }
    let _ = writeln!(
        text,
        "\n## To be written by people\n\n\
         - What went well, and where was it luck?\n\
         - Why could the cause come about, and why was it not caught before?\n\
         - What will be changed, by whom, until when?\n\
         - Which drill would prove that it helped?"
    );
    text
}

fn facts(text: &mut String, incident: &Incident) {
    let moment =
        |at: Option<Timestamp>| at.map_or_else(|| units::ABSENT.to_owned(), |at| at.to_string());
    let after = |at: Option<Timestamp>| match at {
        Some(at) => units::span(at.since(incident.onset)),
        None => units::ABSENT.to_owned(),
    };
    let _ = writeln!(text, "| | time | after onset |\n|---|---|---|");
    for (name, at) in [
        ("first harm", Some(incident.onset)),
        ("opened", Some(incident.opened)),
        ("users well again", incident.mitigated),
        ("resolved", incident.resolved),
    ] {
        let _ = writeln!(text, "| {name} | {} | {} |", moment(at), after(at));
    }
    let impact = &incident.impact;
    if impact.requests > 0.0 {
        let share = units::share(Some(impact.bad_requests / impact.requests));
        let (bad, all) = (impact.bad_requests as u64, impact.requests as u64);
        let (bad, all) = (units::count(bad), units::count(all));
        let _ = writeln!(text, "| requests that went wrong | {bad} of {all} | {share} |");
    }
}

fn cause(text: &mut String, incident: &Incident) {
    let _ = writeln!(text, "\n## Cause\n");
    for (rank, cause) in incident.causes.iter().enumerate() {
        let (kind, sure) = (narrate::word(cause.kind), narrate::sure(cause));
        let summary = escaped(&cause.summary);
        let _ = match (rank, cause.kind) {
            (0, CauseKind::Unknown) => writeln!(text, "Unknown. Looked into: {summary}\n"),
            (0, _) => writeln!(text, "**{kind}**, {sure} sure: {summary}\n"),
            _ => writeln!(text, "\nAlso weighed: {kind}, {sure}: {summary}\n"),
        };
        for evidence in &cause.evidence {
            let sign = if evidence.supports { "for" } else { "against" };
            let _ = write!(text, "- {sign}: {}", escaped(&evidence.summary));
            let _ = match evidence.trace_id.as_str() {
                "" => writeln!(text),
                trace => writeln!(text, " (trace `{}`)", escaped(trace)),
            };
        }
    }
}

fn remedy(text: &mut String, plans: &[Plan]) {
    let _ = writeln!(text, "\n## Remedy\n");
    if plans.is_empty() {
        let _ = writeln!(text, "Immune planned nothing.");
    }
    for plan in plans {
        let (id, kind, target) = (plan.id, plan.kind.to_string(), escaped(&plan.target));
        let standing = escaped(&narrate::standing(plan));
        let _ = writeln!(text, "- Plan {id}: {} {target}: {standing}", escaped(&kind));
        for attempt in &plan.attempts {
            let outcome = match &attempt.outcome {
                Some(outcome) => {
                    format!("{}: {}", outcome.result.as_str(), escaped(&outcome.detail))
                }
                None => "under way".to_owned(),
            };
            let _ = writeln!(text, "  - at {}: {outcome}", attempt.ordered.clock());
        }
    }
}

/// Without what Markdown, or HTML in it, would take for markup.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_become_markup() {
        assert_eq!(escaped("a|b\n<script>`x` [y](z)"), "a\\|b &lt;script&gt;\\`x\\` \\[y\\](z)");
    }
}
