//! Unknown: what remains. Says what was looked at, how far the trouble could be followed, and what
//! would be needed to know more.

use model::incident::EvidenceKind;
use model::{Cause, CauseKind, Entity, EntityKind};

use super::change;
use crate::score::{Candidate, Part};
use crate::walk::Trouble;
use crate::wording;

const LEADS_SHOWN: usize = 4;
const STOPS_SHOWN: usize = 3;

/// `rest`: what the best other cause leaves over.
pub fn cause(trouble: &Trouble, rest: f64) -> Option<Cause> {
    let (node, reached) = trouble.deepest()?;
    let onset = trouble.window.onset;
    let mut candidate = Candidate::new(CauseKind::Unknown, node, node, onset);
    let hanging = trouble.hanging_calls(node);
    for lead in reached.leads.iter().chain(hanging.iter().copied()).take(LEADS_SHOWN) {
        let words = wording::calls(lead);
        let subject = (&lead.callee, lead.since);
        let trace_id = &lead.during.trace_id;
        candidate.line_of(Part::Remark, EvidenceKind::Calls, subject, words, trace_id);
    }
    let now = trouble.window.now;
    let followed = if !hanging.is_empty() {
        format!("{node} does not finish requests: by itself, or in a call, is not known")
    } else if reached.leads.is_empty() {
        format!("no call that {node} makes has got worse, so the trouble was not followed further")
    } else {
        format!("the trouble was followed to {node}, {} calls deep, not further", reached.depth)
    };
    candidate.line(Part::Remark, EvidenceKind::Topology, now, followed);
    add_processes(&mut candidate, trouble);
    add_changes(&mut candidate, trouble);
    add_wishes(&mut candidate, trouble, node);
    candidate.summary = format!("cause unknown; the trouble was followed to {node}");
    let mut cause = candidate.into_cause();
    cause.confidence = rest;
    Some(cause)
}

fn add_processes(candidate: &mut Candidate, trouble: &Trouble) {
    let known = trouble.known;
    let on_path = known
        .processes
        .all()
        .filter(|target| trouble.reached.contains_key(&known.topology.node(&target.entity)));
    let (mut watched, mut stopped) = (0, Vec::new());
    for target in on_path {
        watched += 1;
        if let Some(gone) = target.gone.as_ref().filter(|gone| gone.stop_requested) {
            stopped.push((target, gone));
        }
    }
    let now = trouble.window.now;
    for (target, gone) in stopped.into_iter().take(STOPS_SHOWN) {
        let words = format!(
            "process {} of target {} was asked to stop and is gone since {}: not a crash",
            gone.process.pid,
            target.name,
            gone.last_seen.clock()
        );
        candidate.line(Part::Remark, EvidenceKind::Process, gone.last_seen, words);
    }
    let words = format!("agents watch {watched} targets on the failing path");
    candidate.line(Part::Remark, EvidenceKind::Process, now, words);
}

fn add_changes(candidate: &mut Candidate, trouble: &Trouble) {
    let known = trouble.known;
    let count = known
        .changes
        .iter()
        .filter(|change| change::in_time(trouble, change))
        .filter(|change| trouble.reached.contains_key(&known.topology.node(&change.entity)))
        .count();
    let minutes = change::BEFORE_ONSET.as_secs() / 60;
    let words = format!("{count} changes on the failing path in the {minutes} min before onset");
    candidate.line(Part::Remark, EvidenceKind::Change, trouble.window.now, words);
}

/// What a person could do for the next time.
fn add_wishes(candidate: &mut Candidate, trouble: &Trouble, node: &Entity) {
    let known = trouble.known;
    let now = trouble.window.now;
    let is_watched =
        known.processes.all().any(|target| known.topology.node(&target.entity) == *node);
    let words = match node.kind {
        _ if trouble.is_blind(node) => {
            format!("look at what sends it: SDK and exporter of {node}, collector, token, network")
        }
        EntityKind::Service if is_watched => return,
        EntityKind::Service if known.tells_of_itself(node) => {
            format!("to know more: a target for {node}, so that an agent watches its process")
        }
        _ => format!("to know more: a probe of {node}, or telemetry from inside it"),
    };
    candidate.line(Part::Remark, EvidenceKind::Topology, now, words);
}
