//! Silent: a service or one of its instances stopped sending telemetry when calls to it began to
//! fail.
//!
//! Weaker than a crash: nobody looked at the process. Vanishing alone is life (scale-in, rolling
//! deploys, jobs): it takes failing or missing calls on the path to reach a name. Where an agent
//! saw the process go, in whatever way, this kind says nothing: that is a crash, or a stop that
//! somebody asked for.

use std::time::Duration;

use model::incident::EvidenceKind;
use model::{CauseKind, Entity, Timestamp};

use super::{Spec, add_answers, add_leads};
use crate::failure;
use crate::leads::{Harm, Lead};
use crate::processes::Target;
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};

pub const SPEC: Spec = Spec {
    id: CauseKind::Silent,
    title: "Gone silent",
    documentation: "An instance or service stopped sending telemetry when the trouble \
                    began, and calls to it are not answered. Why is not known: no agent \
                    looks at its process.",
    propose,
};

/// Telemetry comes in batches, so the last of it may be this much older than the first failure.
const BEFORE_ONSET: Duration = Duration::from_secs(90);
const AFTER_ONSET: Duration = Duration::from_secs(120);
/// A service is silent after twice its longest gap, but not before this.
const SILENCE_MIN: Duration = Duration::from_secs(15);
const ARRIVALS_MIN: usize = 3;
const INSTANCES_SHOWN: usize = 3;

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (node, reached) in &trouble.reached {
        // Of one whose telemetry is lost callers tell that it serves.
        if !trouble.known.tells_of_itself(node) || trouble.is_blind(node) {
            continue;
        }
        let instances: Vec<(&Entity, Option<Timestamp>)> = trouble
            .known
            .instances_of(node)
            .map(|(instance, state)| (instance, state.silent.filter(|at| in_time(trouble, *at))))
            .collect();
        let silent: Vec<(&Entity, Timestamp)> =
            instances.iter().filter_map(|(instance, at)| at.map(|at| (*instance, at))).collect();
        if let Some(last) = service_silent_since(trouble, node) {
            candidates.extend(candidate(trouble, (node, last), node, reached));
        } else if silent.len() == instances.len() {
            let last = silent.iter().map(|(_, at)| *at).max();
            candidates
                .extend(last.and_then(|last| candidate(trouble, (node, last), node, reached)));
        } else {
            let some = silent.into_iter().take(INSTANCES_SHOWN);
            candidates.extend(some.filter_map(|one| candidate(trouble, one, node, reached)));
        }
    }
    candidates
}

fn in_time(trouble: &Trouble, last_heard: Timestamp) -> bool {
    last_heard + BEFORE_ONSET >= trouble.window.onset
        && last_heard <= trouble.window.onset + AFTER_ONSET
}

/// When the whole service was last heard, if its own rhythm says that it should have been heard
/// since.
fn service_silent_since(trouble: &Trouble, node: &Entity) -> Option<Timestamp> {
    let heard = trouble.known.heard.get(node)?;
    let limit = (heard.longest_gap() * 2).max(SILENCE_MIN);
    let silent = heard.arrivals() >= ARRIVALS_MIN
        && trouble.window.now.since(heard.last) > limit
        && in_time(trouble, heard.last);
    silent.then_some(heard.last)
}

fn candidate(
    trouble: &Trouble,
    (entity, last_heard): (&Entity, Timestamp),
    node: &Entity,
    reached: &Reached,
) -> Option<Candidate> {
    let targets: Vec<&Target> = trouble
        .known
        .processes
        .all()
        .filter(|target| {
            let of = trouble.known.topology.resolve(&target.entity);
            of == *entity || of == *node || *entity == *node && of.owner().as_ref() == Some(node)
        })
        .collect();
    if targets.iter().any(|target| went_away(trouble, target)) {
        return None;
    }
    let mut candidate = Candidate::new(CauseKind::Silent, entity, node, last_heard);
    let words = format!("{entity}: no telemetry since {}", last_heard.clock());
    candidate.line(Part::Silent, EvidenceKind::Instance, last_heard, words);
    add_leads(&mut candidate, trouble, node, reached);
    // Whoever is merely no longer asked is silent by nature.
    let is_missed = |lead: &Lead| lead.harm == Harm::Missing && lead.doubt.is_none();
    if !reached.leads.iter().any(is_missed) {
        candidate.devalue(Part::CallsMissing);
    }
    add_answers(&mut candidate, trouble, node, reached, true);
    let is_unanswered = candidate.has(Part::NoAnswer);
    let failing = reached.leads.iter().filter(|lead| lead.harm == Harm::Fails);
    let hangs = is_unanswered && failing.clone().any(|it| failure::is_waited_for(&it.during));
    for target in targets {
        if let Some(process) = &target.running {
            let words = format!("agent: process {} of target {} runs", process.pid, target.name);
            // What runs, is waited for, and neither answers nor tells of it, hangs.
            let part = if hangs { Part::Remark } else { Part::Runs };
            candidate.line(part, EvidenceKind::Process, target.reported, words);
        }
    }
    let how = if is_unanswered { " and calls to it are not answered" } else { "" };
    candidate.summary =
        format!("{entity} went silent: nothing was heard of it since {}{how}", last_heard.clock());
    Some(candidate)
}

/// An agent saw the process of this target go, and it is not back or went in the time of the
/// trouble.
fn went_away(trouble: &Trouble, target: &Target) -> bool {
    target.gone.as_ref().is_some_and(|gone| {
        let is_in_time = gone.last_seen + BEFORE_ONSET >= trouble.first_onset;
        (is_in_time || gone.back.is_none()) && gone.last_seen <= trouble.window.now
    })
}
