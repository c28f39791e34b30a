//! Dependency down: something called that we cannot look into does not answer.
//!
//! Databases, queues, peers, and services that send no telemetry of their own. Calls to it fail
//! with no answer or with a server's error; other errors (a violated constraint) are the caller's
//! doing.

use model::incident::EvidenceKind;
use model::{CauseKind, Entity, EntityKind};

use super::{Spec, add_answers, add_leads};
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
    trouble
        .reached
        .iter()
        .filter(|(node, _)| may_be_down(trouble, node))
        .filter(|(_, reached)| matches!(reached.best_harm(), Some(Harm::Fails | Harm::Missing)))
        .map(|(node, reached)| candidate(trouble, node, reached))
        .collect()
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
    candidate.summary = if reached.best_harm() == Some(Harm::Fails) {
        format!("{node} does not answer: calls to it fail")
    } else {
        format!("{node} does not answer: calls to it are no longer made")
    };
    candidate
}
