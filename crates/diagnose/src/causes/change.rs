//! Change: a deploy, configuration, flag, restart or scaling on the failing path just before onset.
//!
//! Never "the last deploy": a change off the path is no candidate, one ten minutes old stays below
//! the confidence that names a cause, one after onset could not have caused it (a minute's grace
//! for clocks and for versions that are only known once their first telemetry arrives). A restart
//! or scaling alters nothing by itself, so it has to come right before. Actions of our own after
//! the incident was opened are remedies.

use std::collections::BTreeMap;
use std::time::Duration;

use model::incident::EvidenceKind;
use model::tick::SeriesKey;
use model::{CauseKind, Change, ChangeKind, Entity};

use super::{Spec, add_leads, crash, is_told_by_alerts_alone, surge};
use crate::score::{Candidate, Part};
use crate::versions::{self, Verdict};
use crate::walk::{Reached, Trouble};
use crate::wording;

pub const SPEC: Spec = Spec {
    id: CauseKind::Change,
    title: "Change just before",
    documentation: "A deploy, configuration, flag, restart or scaling of something on the \
                    failing path, shortly before the harm began.",
    propose,
};

pub const BEFORE_ONSET: Duration = Duration::from_secs(15 * 60);
const NEAR: Duration = Duration::from_secs(5 * 60);
const CLOSE: Duration = Duration::from_secs(2 * 60);
const AFTER_ONSET: Duration = Duration::from_secs(60);
/// What telemetry tells of was so much earlier at most: two exports of stock SDKs.
const HEARD_LATE: Duration = Duration::from_secs(10);
/// A restart after onset is a consequence; this much is clocks.
const RESTART_AFTER_ONSET: Duration = Duration::from_secs(5);
/// A change that this many requests survived is less likely to be at fault.
const WELL_MIN: f64 = 100.0;

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    // Of several changes of one kind to one node (a rolling deploy has many), the nearest counts.
    let mut nearest: BTreeMap<(Entity, ChangeKind), &Change> = BTreeMap::new();
    for change in trouble.known.changes.iter().filter(|change| in_time(trouble, change)) {
        let node = trouble.known.topology.node(&change.entity);
        if !trouble.reached.contains_key(&node) {
            continue;
        }
        let slot = nearest.entry((node, change.kind)).or_insert(change);
        if distance(trouble, change) < distance(trouble, slot) {
            *slot = change;
        }
    }
    nearest
        .into_iter()
        .filter_map(|((node, _), change)| {
            let reached = trouble.reached.get(&node)?;
            Some(candidate(trouble, change, &node, reached))
        })
        .collect()
}

/// Could this change have caused the trouble, by its time and its author?
pub fn in_time(trouble: &Trouble, change: &Change) -> bool {
    let onset = trouble.window.onset;
    let grace = if alters(change.kind) { AFTER_ONSET } else { RESTART_AFTER_ONSET };
    let own_remedy = change.source == "immune" && change.at >= trouble.opened;
    !own_remedy && change.at + BEFORE_ONSET >= onset && change.at <= onset + grace
}

fn alters(kind: ChangeKind) -> bool {
    matches!(kind, ChangeKind::Deploy | ChangeKind::Configuration | ChangeKind::Flag)
}

fn distance(trouble: &Trouble, change: &Change) -> u64 {
    change.at.0.abs_diff(trouble.window.onset.0)
}

fn candidate(trouble: &Trouble, change: &Change, node: &Entity, reached: &Reached) -> Candidate {
    let mut candidate = Candidate::new(CauseKind::Change, node, node, change.at);
    let onset = trouble.window.onset;
    let before = onset.since(change.at);
    let after = change.at.since(onset);
    let (part, when) = if change.at > onset {
        // Telemetry tells of it with what it served first, some seconds late.
        let is_close = change.source == "telemetry" && after <= HEARD_LATE;
        let part = if is_close { Part::ChangeClose } else { Part::ChangeNear };
        (part, format!("{} s after onset", after.as_secs()))
    } else if before <= CLOSE {
        (Part::ChangeClose, format!("{} s before onset", before.as_secs()))
    } else if before <= NEAR {
        (Part::ChangeNear, format!("{} s before onset", before.as_secs()))
    } else {
        (Part::ChangeFar, format!("{} min before onset", before.as_secs() / 60))
    };
    let what = format!("{} of {} ({})", change.kind.as_str(), change.entity, change.summary);
    let words = format!("{what} at {}, {when}", change.at.clock());
    candidate.line(part, EvidenceKind::Change, change.at, words);
    let (part, words) = if alters(change.kind) {
        (Part::MeantToAlter, "it alters what the software does".to_owned())
    } else {
        (Part::MeantToKeep, format!("a {} by itself alters nothing", change.kind.as_str()))
    };
    candidate.line(part, EvidenceKind::Change, change.at, words);
    let (part, words) = if reached.is_deepest() {
        (Part::ChangedNode, format!("the failing path ends at {node}"))
    } else {
        let onwards: Vec<String> = reached.onwards.iter().map(Entity::to_string).collect();
        let words = format!("the failing path leads on from {node} to {}", onwards.join(", "));
        (Part::ChangedOnPath, words)
    };
    candidate.line(part, EvidenceKind::Topology, trouble.window.now, words);
    add_path_remarks(&mut candidate, trouble, node, reached);
    if alters(change.kind) {
        add_versions(&mut candidate, trouble, change, (node, reached));
    }
    if let Some(target) = crash::below(trouble, node) {
        let words = format!("the process of {}, which {node} needs, went away", target.entity);
        candidate.line(Part::NeededGone, EvidenceKind::Process, trouble.window.now, words);
    }
    if surge::rise(trouble, node).is_some() && !candidate.has(Part::SideBySide) {
        let words = format!("{node} is asked for at least twice as much as before");
        candidate.line(Part::Surged, EvidenceKind::Calls, trouble.window.now, words);
    }
    if !candidate.has(Part::SideBySide) {
        add_well_between(&mut candidate, trouble, change, node);
    }
    add_probes(&mut candidate, trouble, change, node);
    if is_told_by_alerts_alone(trouble, node) {
        let words = format!("only an alert speaks of {node}: its own requests go as before");
        candidate.line(Part::ItselfWell, EvidenceKind::Calls, trouble.window.now, words);
    }
    candidate.summary = format!("{what} {when}");
    candidate
}

/// Shows the failing calls, whose points the place of the change already has.
fn add_path_remarks(
    candidate: &mut Candidate,
    trouble: &Trouble,
    node: &Entity,
    reached: &Reached,
) {
    let before = candidate.lines.len();
    add_leads(candidate, trouble, node, reached);
    for (part, _) in candidate.lines.iter_mut().skip(before) {
        if part.points() > 0 && *part != Part::Deepest {
            *part = Part::Remark;
        }
    }
}

/// What those who were changed show beside those who were not, or against the time before.
fn add_versions(
    candidate: &mut Candidate,
    trouble: &Trouble,
    change: &Change,
    (node, reached): (&Entity, &Reached),
) {
    let (part, words) = match versions::judge(trouble, node, change) {
        Verdict::SideBySide { changed, unchanged } => {
            let (new, old) = (wording::served(&changed.sum), wording::served(&unchanged.sum));
            let words =
                format!("{}: {new}; beside it {}: {old}", changed.version, unchanged.version);
            (Part::SideBySide, words)
        }
        Verdict::UnchangedToo { changed, unchanged } => {
            let (new, old) = (wording::served(&changed.sum), wording::served(&unchanged.sum));
            let words =
                format!("{} hurts as well: {old}; {}: {new}", unchanged.version, changed.version);
            (Part::UnchangedToo, words)
        }
        Verdict::ChangedWell { well, sum } => {
            let words = format!("{well} was changed too and does well: {}", wording::served(&sum));
            (Part::ChangedWell, words)
        }
        Verdict::Since { changed, before } if reached.is_deepest() => {
            let (now, then) = (wording::served(&changed.sum), wording::served(&before));
            let who = match changed.version.as_str() {
                "" => node.to_string(),
                version => format!("{node} {version}"),
            };
            (Part::HurtsSince, format!("{who} itself: {now}; before the change: {then}"))
        }
        Verdict::Since { .. } | Verdict::Untold => return,
    };
    candidate.line(part, EvidenceKind::Instance, trouble.window.now, words);
}

fn add_well_between(candidate: &mut Candidate, trouble: &Trouble, change: &Change, node: &Entity) {
    if trouble.window.onset.since(change.at) <= CLOSE {
        return;
    }
    let served = [SeriesKey::Service(node.clone())];
    let between = trouble.known.figures.sum(&served, change.at, trouble.window.from());
    let well = between.total - between.errors;
    if well >= WELL_MIN {
        let words = format!(
            "{} of {} requests of {node} went well between the change and onset",
            wording::number(well),
            wording::number(between.total)
        );
        candidate.line(Part::WellBetween, EvidenceKind::Calls, trouble.window.onset, words);
    }
}

/// Probes of what was changed that succeeded until then and fail since.
fn add_probes(candidate: &mut Candidate, trouble: &Trouble, change: &Change, node: &Entity) {
    for (name, probe) in &trouble.known.probes {
        let (Some(since), Some(error)) = (probe.failing_since, &probe.last.error) else { continue };
        let is_of_it = trouble.known.topology.node(&probe.last.entity) == *node;
        if is_of_it && since >= change.at && since.since(change.at) <= CLOSE {
            let words = format!("probe {name} fails since {}: {error}", since.clock());
            candidate.line(Part::ProbeFails, EvidenceKind::Probe, since, words);
        }
    }
}
