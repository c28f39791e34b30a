//! Crash: the process of a configured target went away, unasked, in the time of the trouble.
//!
//! The strongest cause, because an agent saw it. The process has to be on the failing path (or
//! within reach of what is hurt, with no call seen since); one that is not is named only as a
//! remark far below, and only where nothing better is known (`assess`). One that went long before
//! counts while it is not back and nothing that was asked of it since went well: perhaps nobody
//! asked. A process that was asked to stop did not crash. Nor did one that came back at once as
//! another version: it was replaced. So where versions change it has to stay away for a moment.

use std::time::Duration;

use model::incident::EvidenceKind;
use model::tick::BUCKET;
use model::{CauseKind, Entity};

use super::{Spec, add_answers, add_leads, calls_to};
use crate::known::Known;
use crate::processes::{Gone, Target};
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::wording;

pub const SPEC: Spec = Spec {
    id: CauseKind::Crash,
    title: "Process crashed",
    documentation: "A process that should run is gone: an agent saw it running and then \
                    gone, nobody had asked for it to stop, and what is hurt depends on it.",
    propose,
};

/// What is back within this may have been replaced; its telemetry, which tells, comes this much
/// later at most.
const REPLACED_WITHIN: Duration = Duration::from_secs(15);
const TOLD_WITHIN: Duration = Duration::from_secs(10);
/// While versions change, what is away for less than this is being replaced.
const AWAY_MIN: Duration = Duration::from_secs(4);
/// Versions change for so long after the last sign of it.
const ROLLOUT: Duration = Duration::from_secs(600);

/// A process may have gone this long before the first failed request ended, whatever went well.
const BEFORE_ONSET: Duration = Duration::from_secs(60);
/// What was back this long before the harm began did not do it: a bucket of figures, and clocks.
const BACK_BEFORE_ONSET: Duration = Duration::from_secs(15);

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for target in trouble.known.processes.all() {
        let node = trouble.known.topology.node(&target.entity);
        let may_be_replaced = |gone: &Gone| may_be_replaced(trouble, target, gone, &node);
        let gone = target.gone.as_ref().filter(|gone| is_crash(trouble, gone, &node));
        let gone = gone.filter(|gone| !may_be_replaced(gone));
        let Some(gone) = gone else { continue };
        if trouble.hurt.keys().any(|hurt| hurt.scope == node.scope) {
            candidates.push(candidate(trouble, target, gone, &node));
        }
    }
    candidates
}

/// Did this process go away in the time of the trouble, unasked, and was it not back long before
/// (after a relapse)?
fn is_crash(trouble: &Trouble, gone: &Gone, node: &Entity) -> bool {
    let is_back_in_time = gone.back.as_ref().is_none_or(|(back, _)| {
        // Users were well with what runs in its place.
        let was_over = trouble.well_before.is_some_and(|well| well >= *back);
        *back + BACK_BEFORE_ONSET >= trouble.window.onset && !was_over
    });
    !gone.stop_requested
        && gone.last_seen <= trouble.window.now
        && is_back_in_time
        && (gone.last_seen + BEFORE_ONSET >= trouble.first_onset
            || failed_ever_since(trouble, gone, node))
}

/// Did another version take the place of this process at once? Then it was replaced.
pub fn was_replaced(known: &Known, target: &Target, gone: &Gone) -> bool {
    let Some((back, _)) = gone.back.as_ref() else { return false };
    let entity = known.topology.resolve(&target.entity);
    let node = known.topology.node(&entity);
    let mut its = known.instances_of(&node).filter(|(it, _)| entity == node || **it == entity);
    back.since(gone.last_seen) <= REPLACED_WITHIN
        && its.any(|(_, instance)| {
            let later = instance.versions.iter().skip(1);
            later.map(|(since, _)| *since).any(|since| {
                since >= gone.last_seen && since <= *back + REPLACED_WITHIN + TOLD_WITHIN
            })
        })
}

/// It was replaced, or whether it was will be told in a moment.
fn may_be_replaced(trouble: &Trouble, target: &Target, gone: &Gone, node: &Entity) -> bool {
    let (known, now) = (trouble.known, trouble.window.now);
    let mut later = known.instances_of(node).flat_map(|(_, it)| it.versions.iter().skip(1));
    let rolls_out = later.any(|(since, _)| now.since(*since) <= ROLLOUT);
    match &gone.back {
        Some((back, _)) => {
            let was_quick = back.since(gone.last_seen) <= REPLACED_WITHIN;
            let is_untold = rolls_out && was_quick && now.since(*back) < TOLD_WITHIN;
            is_untold || was_replaced(known, target, gone)
        }
        None => rolls_out && now.since(gone.last_seen) < AWAY_MIN,
    }
}

/// A target on which `node` depends, and whose process crashed in the time of the trouble.
pub fn below<'a>(trouble: &Trouble<'a>, node: &Entity) -> Option<&'a Target> {
    let known = trouble.known;
    let depends_on = known.topology.depends_on(node);
    known.processes.all().find(|target| {
        let its = known.topology.node(&target.entity);
        depends_on.contains(&its)
            && target.gone.as_ref().is_some_and(|gone| {
                is_crash(trouble, gone, &its) && !may_be_replaced(trouble, target, gone, &its)
            })
    })
}

/// The failing path ends at this process, which is not back, and no call to it went well in
/// between.
fn failed_ever_since(trouble: &Trouble, gone: &Gone, node: &Entity) -> bool {
    let is_where_it_ends = trouble.reached.get(node).is_some_and(Reached::is_deepest);
    if gone.back.is_some() || !is_where_it_ends {
        return false;
    }
    let keys = calls_to(trouble, node);
    // Calls that ended just before it went are told of in the same bucket.
    let since = gone.last_seen.floor_to(BUCKET) + BUCKET;
    let between = trouble.known.figures.sum(&keys, since, trouble.window.from());
    between.total - between.errors < 1.0
}

fn candidate(trouble: &Trouble, target: &Target, gone: &Gone, node: &Entity) -> Candidate {
    let entity = trouble.known.topology.resolve(&target.entity);
    let mut candidate = Candidate::new(CauseKind::Crash, &entity, node, gone.last_seen);
    candidate.process = Some(gone.process.clone());
    let pid = gone.process.pid;
    let words = format!(
        "process {pid} of target {} on {} is gone, last seen running {}; nobody asked it to stop",
        target.name,
        gone.process.host,
        gone.last_seen.clock()
    );
    candidate.line(Part::ProcessGone, EvidenceKind::Process, gone.last_seen, words);
    let how = match trouble.reached.get(node) {
        Some(reached) => {
            add_leads(&mut candidate, trouble, node, reached);
            add_answers(&mut candidate, trouble, node, reached, true);
            if candidate.has(Part::NoAnswer) {
                " and calls to it are not answered"
            } else {
                " and what depends on it fails"
            }
        }
        None => {
            add_distance(&mut candidate, trouble, node);
            ""
        }
    };
    candidate.summary = format!("{entity} crashed: its process {pid} is gone{how}");
    add_others(&mut candidate, trouble, node);
    candidate
}

/// Says how a process off the failing path stands to what is hurt.
fn add_distance(candidate: &mut Candidate, trouble: &Trouble, node: &Entity) {
    let topology = &trouble.known.topology;
    let now = trouble.window.now;
    let depends = trouble.hurt.keys().find(|hurt| topology.depends_on(hurt).contains(node));
    let Some(hurt) = depends else {
        let words = format!("no call from what is hurt to {node} is known");
        candidate.line(Part::OffPath, EvidenceKind::Topology, now, words);
        return;
    };
    let calls = trouble.window.during(trouble.known, &calls_to(trouble, node));
    let since = trouble.window.from().clock();
    let (failed, all) = (wording::number(calls.errors), wording::number(calls.total));
    if calls.total <= 0.0 {
        let words = format!("{hurt} depends on {node}; no call to it was seen since {since}");
        candidate.line(Part::WithinReach, EvidenceKind::Topology, now, words);
    } else if 2.0 * calls.errors >= calls.total {
        let words = format!("calls to {node}: {failed} of {all} failed since {since}, still few");
        candidate.line(Part::WithinReach, EvidenceKind::Calls, now, words);
    } else {
        let words = format!("calls to {node}: {failed} of {all} failed since {since}, as before");
        candidate.line(Part::CallsSucceed, EvidenceKind::Calls, now, words);
    }
}

/// Remarks on the instances of the same service: silent too, or still there.
fn add_others(candidate: &mut Candidate, trouble: &Trouble, node: &Entity) {
    for (instance, state) in trouble.known.instances_of(node).take(4) {
        let words = match state.silent {
            Some(last) => format!("{instance}: no telemetry since {}", last.clock()),
            None if *instance != candidate.entity && candidate.entity != *node => {
                format!(
                    "{instance} still sends telemetry, so only a part of the calls is concerned"
                )
            }
            None => continue,
        };
        let at = state.silent.unwrap_or(trouble.window.now);
        let subject = (instance, at);
        candidate.line_of(Part::Remark, EvidenceKind::Instance, subject, words, "");
    }
}
