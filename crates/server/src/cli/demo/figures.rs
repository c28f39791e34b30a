//! What the drills came to: the checks that a person reads, and the figures that a machine reads.
//!
//! Actions are not only counted from Immune's own plans: how often each part really started is
//! counted in its own log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};
use model::experiment::{Healed, Scorecard};
use model::plan::OutcomeResult;
use model::{Incident, Plan, Timestamp};
use serde::Serialize;

use super::layout::Part;
use super::story::seconds;

/// What a part of the shop writes each time it starts.
const STARTED: &str = "listening on";

/// A drill that is over.
pub(super) struct Played {
    pub card: Scorecard,
    /// Since when users had come and gone without any fault.
    pub healthy_from: Timestamp,
    pub finished: Timestamp,
    /// Beginning of the harm as telemetry tells it, where an incident was opened.
    pub onset: Option<Timestamp>,
}

/// What else there is to look at.
pub(super) struct Evidence<'a> {
    pub incidents: &'a [Incident],
    pub plans: &'a [Plan],
    /// Name of a part, and how often it started.
    pub starts: &'a BTreeMap<String, u64>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    pub drills: Vec<Drills>,
    pub healthy_s: f64,
    pub healthy_pages: u64,
    pub harmful_actions: u64,
    pub double_actions: u64,
    pub passed: bool,
}

/// Drills of one kind, counted; seconds by nearest rank, `null` where there is none.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Drills {
    pub name: &'static str,
    pub runs: u64,
    pub took_effect: u64,
    pub detected: u64,
    pub cause_first: u64,
    pub right_decision: u64,
    pub recovered: u64,
    pub undone: u64,
    pub other_pages: u64,
    /// From the onset of harm in the telemetry: never less than from the arrival of that telemetry.
    pub detect_p50_s: Option<f64>,
    pub detect_p95_s: Option<f64>,
    /// From the first harmed request as its client saw it.
    pub client_p50_s: Option<f64>,
    pub client_p95_s: Option<f64>,
}

/// One thing that had to come true.
pub(super) struct Check {
    pub good: bool,
    pub text: String,
}

/// The figures of all drills.
pub(super) fn figures(played: &[Played], evidence: &Evidence<'_>) -> Figures {
    let count =
        |good: &dyn Fn(&Scorecard) -> bool| played.iter().filter(|p| good(&p.card)).count() as u64;
    let after = |from: &dyn Fn(&Played) -> Option<Timestamp>| -> Vec<f64> {
        let span = |p: &Played| Some(p.card.detected_at?.since(from(p)?).as_secs_f64());
        played.iter().filter_map(span).collect()
    };
    let detect = after(&|p| p.onset);
    let client = after(&|p| p.card.first_harm_at);
    let drills = Drills {
        name: "kill_payment",
        runs: played.len() as u64,
        took_effect: count(&|card| card.took_effect == Some(true)),
        detected: count(&|card| card.detected_at.is_some()),
        cause_first: count(&|card| card.cause_first == Some(true)),
        right_decision: count(&|card| card.decision_right == Some(true)),
        recovered: count(&|card| card.healed == Some(Healed::ByAction)),
        undone: count(&|card| card.undone_at.is_some()),
        other_pages: played.iter().map(|p| p.card.false_pages).sum(),
        detect_p50_s: percentile(&detect, 50),
        detect_p95_s: percentile(&detect, 95),
        client_p50_s: percentile(&client, 50),
        client_p95_s: percentile(&client, 95),
    };
    let (harmful_actions, double_actions) = actions(played, evidence);
    let healthy_pages = evidence.incidents.iter().filter(|i| healthy_at(played, i.opened)).count();
    let well = played.iter().all(|p| p.card.passed && p.card.took_effect == Some(true));
    Figures {
        drills: vec![drills],
        healthy_s: played.iter().map(healthy_seconds).sum(),
        healthy_pages: healthy_pages as u64,
        harmful_actions,
        double_actions,
        passed: !played.is_empty()
            && well
            && healthy_pages == 0
            && harmful_actions == 0
            && double_actions == 0,
    }
}

/// What one drill had to show.
pub(super) fn checks(played: &Played, figures: &Figures) -> Vec<Check> {
    let card = &played.card;
    let target = &card.target;
    let noticed = match (card.first_harm_at, card.detected_at) {
        (Some(harm), Some(at)) if at >= harm => {
            format!("Immune noticed by itself, {} after the first user was hurt", seconds(harm, at))
        }
        (_, Some(_)) => "Immune noticed by itself, before a user was hurt".to_owned(),
        (_, None) => "Immune noticed by itself".to_owned(),
    };
    let cause = card.cause.as_deref().unwrap_or("no cause was named");
    let acted = match (card.effective_at, card.acted_at) {
        (Some(from), Some(at)) => format!(", ordered {} after the kill", seconds(from, at)),
        _ => String::new(),
    };
    let harm = match (card.effective_at, card.last_harm_at) {
        (Some(from), Some(at)) => {
            let (requests, after) = (card.harmed_requests, seconds(from, at));
            format!(": {requests} requests failed in all, the last {after} after the kill")
        }
        _ => String::new(),
    };
    let check = |good: bool, text: String| Check { good, text };
    vec![
        check(
            card.took_effect == Some(true),
            format!("the fault was real: {target} was seen to be gone"),
        ),
        check(card.detected_at.is_some(), noticed),
        check(card.cause_first == Some(true), format!("it named the right cause first: {cause}")),
        check(
            card.decision_right == Some(true),
            format!("it decided to restart {target} and touched nothing else{acted}"),
        ),
        check(
            card.healed == Some(Healed::ByAction),
            format!("users recovered by that action, by their own log{harm}"),
        ),
        check(card.verified_at.is_some(), "the recovery held, by users' figures".to_owned()),
        check(
            card.false_pages == 0 && figures.healthy_pages == 0,
            "nothing else was paged, before or during the drill".to_owned(),
        ),
        check(
            figures.harmful_actions == 0 && figures.double_actions == 0,
            "no part was started needlessly or twice, by their own logs".to_owned(),
        ),
        check(card.undone_at.is_some(), format!("nothing of the fault is left: {target} runs")),
    ]
}

/// How often a part started.
pub(super) fn starts(part: &Part) -> Result<u64> {
    let path = part.log.display();
    let file = File::open(&part.log).with_context(|| format!("cannot read {path}"))?;
    let mut count = 0;
    for line in BufReader::new(file).split(b'\n') {
        let line = line.with_context(|| format!("cannot read {path}"))?;
        count += u64::from(String::from_utf8_lossy(&line).contains(STARTED));
    }
    Ok(count)
}

/// Actions on what no drill had hurt, and actions that came twice. Of both counts, plans' and
/// parts' logs', the worse is taken.
fn actions(played: &[Played], evidence: &Evidence<'_>) -> (u64, u64) {
    let (mut strayed, mut repeated) = (0, 0);
    let mut healed = vec![0_u64; played.len()];
    for plan in evidence.plans {
        for attempt in &plan.attempts {
            let result = attempt.outcome.as_ref().map(|outcome| outcome.result);
            if matches!(result, Some(OutcomeResult::NotRun | OutcomeResult::Refused)) {
                continue;
            }
            let meant = played.iter().position(|p| {
                p.card.target == plan.target
                    && p.card.injected_at.is_some_and(|at| at <= attempt.ordered)
                    && attempt.ordered <= p.finished
            });
            match meant {
                None => strayed += 1,
                Some(drill) => healed[drill] += u64::from(result == Some(OutcomeResult::Done)),
            }
        }
    }
    repeated += healed.iter().map(|count| count.saturating_sub(1)).sum::<u64>();
    let (mut needless, mut twice) = (0, 0);
    for (part, starts) in evidence.starts {
        let killed = played.iter().filter(|p| p.card.target == *part).count() as u64;
        let surplus = starts.saturating_sub(1 + killed);
        match killed {
            0 => needless += surplus,
            _ => twice += surplus,
        }
    }
    (strayed.max(needless), repeated.max(twice))
}

/// Not between the fault and the end of a drill.
fn healthy_at(played: &[Played], at: Timestamp) -> bool {
    !played
        .iter()
        .any(|p| p.card.injected_at.is_some_and(|injected| injected <= at) && at <= p.finished)
}

fn healthy_seconds(played: &Played) -> f64 {
    let until = played.card.injected_at.unwrap_or(played.finished);
    until.since(played.healthy_from).as_secs_f64()
}

/// By nearest rank.
fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).map(|seconds| (seconds * 1000.0).round() / 1000.0)
}

#[cfg(test)]
mod tests;
