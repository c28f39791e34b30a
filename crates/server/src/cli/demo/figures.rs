//! What the drills came to: the checks that a person reads, and the figures that a machine reads.
//!
//! Actions are not only counted from Immune's own plans: how often each part really started is
//! counted in its own log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};

use anyhow::{Context, Result};
use model::experiment::{Decision, Healed, Scorecard};
use model::plan::OutcomeResult;
use model::{Incident, Plan, Timestamp};
use serde::Serialize;

use super::drills::Act;
use super::layout::Part;
use super::story::seconds;

/// What a part of the shop writes each time it starts.
const STARTED: &str = "listening on";

/// A drill that is over.
pub(super) struct Played {
    pub act: Act,
    pub card: Scorecard,
    /// Since when users had come and gone without any fault.
    pub healthy_from: Timestamp,
    pub finished: Timestamp,
    /// Beginning of the harm as telemetry tells it, where an incident was opened.
    pub onset: Option<Timestamp>,
}

/// What else there is to look at.
pub(super) struct Evidence<'a> {
    pub seed: Option<u64>,
    pub incidents: &'a [Incident],
    pub plans: &'a [Plan],
    /// Name of a part, and how often it started.
    pub starts: &'a BTreeMap<String, u64>,
}

#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    pub seed: Option<u64>,
    /// By kind, in the order of the first of each.
    pub drills: Vec<Drills>,
    /// All kinds together.
    pub all: Counts,
    pub healthy_s: f64,
    pub healthy_pages: u64,
    pub harmful_actions: u64,
    pub double_actions: u64,
    pub passed: bool,
    /// One a drill, in order.
    pub scorecards: Vec<Scorecard>,
}

/// Drills of one kind.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Drills {
    pub name: &'static str,
    /// What is right.
    pub expects: Decision,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Drills, counted; seconds by nearest rank, `null` where there is none.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Counts {
    pub runs: u64,
    pub took_effect: u64,
    /// Drills that hurt users so that a page is right: `detected` and `cause_first` are of these.
    pub to_detect: u64,
    pub detected: u64,
    pub cause_first: u64,
    pub right_decision: u64,
    /// Drills in which healing is right: `recovered` (by the action) is of these.
    pub to_heal: u64,
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
    let mut drills: Vec<Drills> = Vec::new();
    for spec in played.iter().map(|p| p.act.spec) {
        if drills.iter().all(|known| known.name != spec.id) {
            let own = played.iter().filter(|p| p.act.spec.id == spec.id).collect::<Vec<_>>();
            let (name, expects) = (spec.id, spec.expect);
            drills.push(Drills { name, expects, counts: Counts::of(&own) });
        }
    }
    let (harmful_actions, double_actions) = actions(played, evidence);
    let healthy_pages = evidence.incidents.iter().filter(|i| healthy_at(played, i.opened)).count();
    let well = played.iter().all(|p| p.card.passed && p.card.took_effect == Some(true));
    Figures {
        seed: evidence.seed,
        drills,
        all: Counts::of(&played.iter().collect::<Vec<_>>()),
        healthy_s: played.iter().map(healthy_seconds).sum(),
        healthy_pages: healthy_pages as u64,
        harmful_actions,
        double_actions,
        passed: !played.is_empty()
            && well
            && healthy_pages == 0
            && harmful_actions == 0
            && double_actions == 0,
        scorecards: played.iter().map(|p| p.card.clone()).collect(),
    }
}

impl Counts {
    fn of(played: &[&Played]) -> Counts {
        let count = |good: &dyn Fn(&Played) -> bool| {
            played.iter().filter(|played| good(played)).count() as u64
        };
        let after = |from: &dyn Fn(&Played) -> Option<Timestamp>| -> Vec<f64> {
            let span = |p: &&Played| Some(p.card.detected_at?.since(from(p)?).as_secs_f64());
            played.iter().filter_map(span).collect()
        };
        let detect = after(&|p| p.onset);
        let client = after(&|p| p.card.first_harm_at);
        Counts {
            runs: played.len() as u64,
            took_effect: count(&|p| p.card.took_effect == Some(true)),
            to_detect: count(&|p| p.act.spec.expect != Decision::LeaveAlone),
            detected: count(&|p| p.card.detected_at.is_some()),
            cause_first: count(&|p| p.card.cause_first == Some(true)),
            right_decision: count(&|p| p.card.decision_right == Some(true)),
            to_heal: count(&|p| p.act.spec.expect == Decision::Heal),
            recovered: count(&|p| p.card.healed == Some(Healed::ByAction)),
            undone: count(&|p| p.card.undone_at.is_some()),
            other_pages: played.iter().map(|p| p.card.false_pages).sum(),
            detect_p50_s: percentile(&detect, 50),
            detect_p95_s: percentile(&detect, 95),
            client_p50_s: percentile(&client, 50),
            client_p95_s: percentile(&client, 95),
        }
    }
}

/// What one drill had to show.
pub(super) fn checks(played: &Played, figures: &Figures) -> Vec<Check> {
    let (card, aim, expect) = (&played.card, &played.act.aim, played.act.spec.expect);
    let check = |good: bool, text: String| Check { good, text };
    let mut checks =
        vec![check(card.took_effect == Some(true), format!("the fault was real: {}", aim.seen))];
    if expect == Decision::LeaveAlone {
        checks.push(check(card.false_pages == 0, "nobody was paged".to_owned()));
    } else {
        let cause = card.cause.as_deref().unwrap_or("no cause was named");
        checks.push(check(card.detected_at.is_some(), noticed(card)));
        let text = format!("it named the right cause first: {cause}");
        checks.push(check(card.cause_first == Some(true), text));
    }
    let acted = match (card.effective_at, card.acted_at) {
        (Some(from), Some(at)) => format!("; ordered {} after the fault", seconds(from, at)),
        _ => String::new(),
    };
    let right = format!("it decided rightly, to {}{acted}", aim.right);
    checks.push(check(card.decision_right == Some(true), right));
    if expect == Decision::Heal {
        let text = format!("users recovered by that action, by their own log{}", harm(card));
        checks.push(check(card.healed == Some(Healed::ByAction), text));
        let held = "the recovery held, by users' figures".to_owned();
        checks.push(check(card.verified_at.is_some(), held));
    }
    checks.push(check(
        card.false_pages == 0 && figures.healthy_pages == 0,
        "nothing else was paged, before or during the drill".to_owned(),
    ));
    checks.push(check(
        figures.harmful_actions == 0 && figures.double_actions == 0,
        "no part was started needlessly or twice, by their own logs".to_owned(),
    ));
    checks.push(check(card.undone_at.is_some(), "nothing of the fault is left".to_owned()));
    checks
}

fn noticed(card: &Scorecard) -> String {
    match (card.first_harm_at, card.detected_at) {
        (Some(harm), Some(at)) if at >= harm => {
            format!("Immune noticed by itself, {} after the first user was hurt", seconds(harm, at))
        }
        (_, Some(_)) => "Immune noticed by itself, before a user was hurt".to_owned(),
        (_, None) => "Immune noticed by itself".to_owned(),
    }
}

fn harm(card: &Scorecard) -> String {
    match (card.effective_at, card.last_harm_at) {
        (Some(from), Some(at)) => {
            let (requests, after) = (card.harmed_requests, seconds(from, at));
            format!(": {requests} requests went wrong in all, the last {after} after the fault")
        }
        _ => String::new(),
    }
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

/// Actions on what no drill had meant to be healed, and actions that came twice. Of both counts,
/// plans' and parts' logs', the worse is taken.
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
                p.act.spec.expect == Decision::Heal
                    && p.card.target == plan.target
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
        let aims = played.iter().flat_map(|p| &p.act.aim.starts);
        let meant: u64 = aims.filter(|(name, _)| name == part).map(|(_, count)| count).sum();
        let surplus = starts.saturating_sub(1 + meant);
        match meant {
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
