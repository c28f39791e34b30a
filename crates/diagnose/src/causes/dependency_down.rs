//! Dependency down: something called that we cannot look into does not answer.
//!
//! Databases, queues, peers, and services that send no telemetry of their own. Calls to it fail
//! with no answer or with a server's error; other errors (a violated constraint) are the caller's
//! doing.

use std::collections::BTreeMap;

use model::condition::DatabaseCondition;
use model::incident::EvidenceKind;
use model::{CauseKind, Entity, EntityKind};

use super::{Spec, add_answers, add_leads, add_with_trouble, depends_on};
use crate::leads::Harm;
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};

pub const SPEC: Spec = Spec {
    id: CauseKind::DependencyDown,
    title: "Dependency does not answer",
    documentation: "Calls to a database, queue, external peer or uninstrumented service \
                    fail or are no longer made, and no telemetry tells of it from inside.",
    propose,
};

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let known = trouble.known;
    let nowhere = Reached::default();
    let mut suspects: BTreeMap<Entity, &Reached> = BTreeMap::new();
    for (node, reached) in &trouble.reached {
        if matches!(reached.best_harm(), Some(Harm::Fails | Harm::Missing)) {
            suspects.insert(node.clone(), reached);
        }
    }
    // A client that cannot connect leaves no span: an agent's question finds what no call leads to.
    for database in known.conditions.databases(trouble.window.now) {
        let node = known.topology.node(&database.entity);
        if database.down.is_some() && depends_on(trouble, &node) {
            let reached = trouble.reached.get(&node).unwrap_or(&nowhere);
            suspects.entry(node).or_insert(reached);
        }
    }
    suspects.retain(|node, _| may_be_down(trouble, node));
    suspects.into_iter().map(|(node, reached)| candidate(trouble, &node, reached)).collect()
}

fn may_be_down(trouble: &Trouble, node: &Entity) -> bool {
    match node.kind {
        EntityKind::Database | EntityKind::Queue | EntityKind::Peer => true,
        EntityKind::Service => !trouble.known.tells_of_itself(node),
        _ => false,
    }
}

fn candidate(trouble: &Trouble, node: &Entity, reached: &Reached) -> Candidate {
    let known = trouble.known;
    let onset = reached.leads.iter().filter_map(|lead| lead.during.first_error_at).min();
    let onset = onset.unwrap_or(trouble.window.onset);
    let mut candidate = Candidate::new(CauseKind::DependencyDown, node, node, onset);
    add_leads(&mut candidate, trouble, node, reached);
    add_answers(&mut candidate, trouble, node, reached, false);
    let words = format!("no telemetry tells of {node} from inside");
    candidate.line(Part::Opaque, EvidenceKind::Topology, trouble.window.now, words);
    for (name, probe) in &known.probes {
        if known.topology.node(&probe.last.entity) != *node {
            continue;
        }
        let (part, words) = match (&probe.last.error, probe.failing_since) {
            (Some(error), Some(since)) => {
                (Part::ProbeFails, format!("probe {name} fails since {}: {error}", since.clock()))
            }
            _ => (Part::ProbeAnswers, format!("probe {name} of {node} succeeds")),
        };
        candidate.line(part, EvidenceKind::Probe, probe.last.at, words);
    }
    for target in known.processes.all() {
        if known.topology.node(&target.entity) != *node {
            continue;
        }
        if let Some(process) = &target.running {
            let words = format!("agent: process {} of target {} runs", process.pid, target.name);
            candidate.line(Part::Runs, EvidenceKind::Process, target.reported, words);
        }
    }
    add_looks(&mut candidate, trouble, node, reached);
    candidate.summary = match reached.best_harm() {
        Some(Harm::Fails) => format!("{node} does not answer: calls to it fail"),
        Some(_) => format!("{node} does not answer: calls to it are no longer made"),
        None => format!("{node} does not answer the agent that asks it"),
    };
    candidate
}

/// What an agent that asked the database itself says of it. That it answers counts only when it was
/// asked since the trouble began.
fn add_looks(candidate: &mut Candidate, trouble: &Trouble, node: &Entity, reached: &Reached) {
    let (known, window) = (trouble.known, trouble.window);
    for database in known.conditions.databases(window.now) {
        if known.topology.node(&database.entity) != *node {
            continue;
        }
        let target = &database.target;
        let (part, words) = match &database.condition {
            DatabaseCondition::Fails(failure) => {
                let Some(since) = database.down else { continue };
                let (what, at) = (failure.as_str(), since.clock());
                let words = format!("agent: the database of target {target} {what} since {at}");
                add_with_trouble(candidate, trouble, since);
                if reached.leads.is_empty() {
                    let words = format!("what is hurt depends on {node}");
                    candidate.line(Part::WithinReach, EvidenceKind::Topology, window.now, words);
                }
                (Part::AskedInVain, words)
            }
            DatabaseCondition::Answers { .. } if database.at >= window.onset => {
                (Part::ProbeAnswers, format!("agent: target {target} answers"))
            }
            DatabaseCondition::Answers { .. } => continue,
        };
        candidate.line(part, EvidenceKind::Condition, database.at, words);
    }
}
