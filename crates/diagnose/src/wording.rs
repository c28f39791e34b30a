//! Words and figures as people read them: numbers, error kinds, calls, titles.
//!
//! Exact and calm: no adjectives, every figure with what it is out of and since when. A share is
//! never rounded up to 100 % or down to 0 %.

use model::incident::Incident;
use model::{Cause, CauseKind, IncidentState, Severity, Symptom, SymptomKind};

use crate::figures::Sum;
use crate::leads::{Doubt, Harm, Lead};

const KINDS_SHOWN: usize = 3;

/// `1,204`
pub fn number(value: f64) -> String {
    let digits = format!("{:.0}", value.clamp(0.0, 1e15));
    let mut text = String::with_capacity(digits.len() + 4);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `48 %`, `0.4 %`, `99.7 %`
pub fn percent(ratio: f64) -> String {
    let percent = if ratio.is_finite() { ratio.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
    let near_an_end = (percent > 0.0 && percent < 1.0) || (percent > 99.0 && percent < 100.0);
    if near_an_end {
        format!("{:.1} %", percent.clamp(0.1, 99.9))
    } else {
        format!("{percent:.0} %")
    }
}

/// `1.2 s`, `340 ms`
pub fn seconds(value: f64) -> String {
    if value >= 1.0 { format!("{value:.1} s") } else { format!("{:.0} ms", value * 1000.0) }
}

/// `connection_refused 100, http_502 18`, or the bare name when there is but one.
pub fn error_kinds(sum: &Sum) -> String {
    let mut kinds: Vec<(&String, f64)> = sum.kinds.iter().map(|(kind, n)| (kind, *n)).collect();
    kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    match kinds.as_slice() {
        [] => String::new(),
        [(kind, _)] => (*kind).clone(),
        several => several
            .iter()
            .take(KINDS_SHOWN)
            .map(|(kind, count)| format!("{kind} {}", number(*count)))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// `40 of 80 requests failed, 20 ms on average`
pub fn served(sum: &Sum) -> String {
    let (failed, all) = (number(sum.errors), number(sum.total));
    let mean = seconds(sum.mean_seconds().unwrap_or(0.0));
    format!("{failed} of {all} requests failed, {mean} on average")
}

/// `calls storefront -> orders: 118 of 118 failed since 14:02:05 (connection_refused), 0 of 1,204
/// in the 10 min before`
pub fn calls(lead: &Lead) -> String {
    let Lead { caller, callee, harm, during, before, expected, doubt, .. } = lead;
    let since = lead.since.clock();
    let compared = match lead.compared.as_secs() {
        seconds if seconds < 120 => format!("the {seconds} s before"),
        seconds => format!("the {} min before", seconds / 60),
    };
    let pair = format!("calls {caller} -> {callee}");
    match harm {
        Harm::Fails => {
            let kinds = error_kinds(during);
            let kinds = if kinds.is_empty() { kinds } else { format!(" ({kinds})") };
            let before = if before.total > 0.0 {
                format!("{} of {}", number(before.errors), number(before.total))
            } else {
                "none seen".to_owned()
            };
            let during = format!("{} of {}", number(during.errors), number(during.total));
            format!("{pair}: {during} failed since {since}{kinds}, {before} in {compared}")
        }
        Harm::Missing => {
            let (total, expected) = (number(during.total), number(*expected));
            let of = format!("where {expected} were to be expected by {compared}");
            match doubt {
                None => format!("{pair}: {total} made since {since} {of}"),
                Some(Doubt::Hangs) => format!(
                    "{pair}: {total} ended since {since} {of}; {caller} itself does not finish \
                     requests, so whether it makes them is not known"
                ),
                Some(Doubt::Refuses) => format!(
                    "{pair}: {total} made since {since} {of}; {caller} itself refuses requests \
                     before it would make them"
                ),
                Some(Doubt::NotAsked) => format!(
                    "{pair}: {total} made since {since} {of}; whether {caller} is asked itself \
                     is not known"
                ),
            }
        }
        Harm::Slow => format!(
            "{pair}: {} on average since {since}, {} in {compared}",
            seconds(during.mean_seconds().unwrap_or(0.0)),
            seconds(before.mean_seconds().unwrap_or(0.0))
        ),
    }
}

/// One sentence: who is hurt, how much, and why as far as known.
pub fn title(incident: &Incident, hurt: Option<&Symptom>, cause_confidence_min: f64) -> String {
    let Some(symptom) = hurt else { return incident.title.clone() };
    let named = incident.causes.first().filter(|cause| {
        cause.kind != CauseKind::Unknown && cause.confidence >= cause_confidence_min
    });
    let why = named.map_or_else(|| "; cause unknown".to_owned(), because);
    let ticket = if symptom.severity == Severity::Ticket { "ticket: " } else { "" };
    format!("{ticket}{}{why}", harm(symptom, incident.state == IncidentState::Resolved))
}

fn harm(symptom: &Symptom, over: bool) -> String {
    let Symptom { entity, source, measured, threshold, bad, total, .. } = symptom;
    // While it lasts what is measured now counts; afterwards the share of the whole time.
    let share = if over && *total > 0.0 { bad / total } else { *measured };
    let tense = |now: &'static str, past: &'static str| if over { past } else { now };
    match symptom.kind {
        SymptomKind::AvailabilityBurn => {
            let verb = tense("fails", "failed");
            format!("{entity} {verb} {} of requests", percent(share))
        }
        SymptomKind::LatencyBurn if symptom.unit == "seconds" => {
            let verb = tense("takes", "took");
            let (took, limit) = (seconds(*measured), seconds(*threshold));
            format!("{entity} {verb} {took} where {limit} is the limit")
        }
        SymptomKind::LatencyBurn => {
            let verb = tense("is", "was");
            format!("{entity} {verb} too slow for {} of requests", percent(share))
        }
        SymptomKind::ProbeFailing => {
            format!("probe {source} of {entity} {}", tense("fails", "failed"))
        }
        SymptomKind::Stalled => {
            format!("{entity} {} requests", tense("does not finish", "did not finish"))
        }
        SymptomKind::AbsentTraffic => {
            format!("{entity} {} requests any more", tense("gets no", "got no"))
        }
    }
}

fn because(cause: &Cause) -> String {
    let entity = &cause.entity;
    match cause.kind {
        CauseKind::Crash => format!(" because {entity} crashed"),
        CauseKind::Silent => format!(" because {entity} went silent"),
        CauseKind::Leak => format!(" because the memory of {entity} only grows"),
        CauseKind::Outlier | CauseKind::Network | CauseKind::Surge | CauseKind::Saturation => {
            format!(" because {}", cause.summary)
        }
        CauseKind::DependencyDown => format!(" because {entity} does not answer"),
        CauseKind::Change => format!(" because of {}", cause.summary),
        CauseKind::Lock => format!(" because a transaction in {entity} blocks others"),
        CauseKind::Disk => format!(" because a disk of {entity} has no room"),
        CauseKind::Unknown => "; cause unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_never_rounded_to_all_or_nothing() {
        assert_eq!(percent(0.9999), "99.9 %");
        assert_eq!(percent(1.0), "100 %");
        assert_eq!(percent(0.0001), "0.1 %");
        assert_eq!(percent(0.48), "48 %");
        assert_eq!(number(1204.0), "1,204");
        assert_eq!(number(1_234_567.0), "1,234,567");
        assert_eq!(number(12.0), "12");
    }
}
