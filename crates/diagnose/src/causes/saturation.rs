//! Saturation: requests pile up in a service until it refuses them, and nothing that it calls got
//! worse.
//!
//! Its workers hang, wait for each other, or are too few for what is asked. Which of these is not
//! told apart here, so anything else that is known of the service (a change, a leak, a crash, one
//! instance unlike the others) is named in its place (`assess`). Two signs, of which one is needed:
//! it answers with refusals of its own (503, 429) though no call that it makes fails, or far more
//! requests than before wait in it while few are completed. Where telemetry tells what is used up
//! (`used_up`), that says why, and is a sign by itself.

mod used_up;

use std::collections::BTreeSet;

use model::incident::EvidenceKind;
use model::tick::{BUCKET, SeriesKey};
use model::{CauseKind, Entity, EntityKind, SymptomKind};

use super::{Spec, add_answers, add_leads, surge};
use crate::figures::Sum;
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::{comparison, failure, wording};

pub const SPEC: Spec = Spec {
    id: CauseKind::Saturation,
    title: "Requests pile up",
    documentation: "A service takes requests and does not get them done: they wait in it until it \
                    refuses more, and nothing that it calls got worse; or telemetry tells that \
                    something it has only so much of is used up. Its workers hang, wait for \
                    each other, or are too few.",
    propose,
};

/// Calls that were to be expected before their absence says anything.
const EXPECTED_MIN: f64 = 10.0;
/// Of these, at most so many are made.
const MADE_MAX: f64 = 0.2;
/// Requests in flight are piled up from so many times the usual …
const PILED_FACTOR: f64 = 3.0;
/// … and so many more than usual.
const PILED_MIN: f64 = 5.0;
const NAMED_MAX: usize = 3;

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let nodes = trouble
        .reached
        .iter()
        .filter(|(node, _)| node.kind == EntityKind::Service)
        .filter(|(node, reached)| reached.is_deepest() && trouble.known.tells_of_itself(node));
    let piled = nodes.filter_map(|(node, reached)| of_node(trouble, node, reached));
    let mut candidates: Vec<Candidate> = piled.collect();
    for used_up in used_up::candidates(trouble) {
        match candidates.iter_mut().find(|piled| piled.node == used_up.node) {
            Some(piled) => used_up::explain(piled, used_up),
            None => candidates.push(used_up),
        }
    }
    candidates
}

fn of_node(trouble: &Trouble, node: &Entity, reached: &Reached) -> Option<Candidate> {
    let (known, window) = (trouble.known, trouble.window);
    let key = [SeriesKey::Service(node.clone())];
    let during = window.during(known, &key);
    let before = window.before(known, &key);
    let refused = failure::refusals(&during);
    let refuses = comparison::fails_more(&before, &during) && 2.0 * refused >= during.errors;
    let piled = piled_up(trouble, node);
    if !refuses && piled.is_none() {
        return None;
    }
    let now = window.now;
    let onset = during.first_error_at.unwrap_or(window.onset);
    let mut candidate = Candidate::new(CauseKind::Saturation, node, node, onset);
    let mut signs = Vec::new();
    if refuses {
        let (refused, errors) = (wording::number(refused), wording::number(during.errors));
        let kinds = wording::error_kinds(&during);
        let words = format!(
            "{refused} of {errors} failures of {node} are refusals of its own ({kinds}): no call \
             that it made failed"
        );
        let subject = (node, onset);
        candidate.line_of(Part::Refuses, EvidenceKind::Calls, subject, words, &during.trace_id);
        signs.push(format!("{refused} of {} refused", wording::number(during.total)));
    }
    if let Some((waiting, usual)) = piled {
        let (waiting, usual) = (wording::number(waiting), wording::number(usual));
        let words = format!("{waiting} requests are in flight in {node}, {usual} usually");
        candidate.line(Part::PilesUp, EvidenceKind::Instance, now, words);
        signs.push(format!("{waiting} in flight, {usual} usually"));
    }
    // Where requests do not end, calls may be made that do not end either.
    let calls = refuses.then(|| calls_nobody(trouble, node, (&before, &during))).flatten();
    if let Some((names, made, expected)) = calls {
        let words = format!(
            "of all that {node} calls ({names}) it made {} calls, {} were to be expected",
            wording::number(made),
            wording::number(expected)
        );
        candidate.line(Part::CallsNobody, EvidenceKind::Calls, window.from(), words);
    }
    add_leads(&mut candidate, trouble, node, reached);
    add_answers(&mut candidate, trouble, node, reached, true);
    if let Some(needed) = piled_up_below(trouble, node).filter(|_| !refuses) {
        let words = format!("{needed}, which it needs, does not finish requests either");
        candidate.line(Part::LeadsOn, EvidenceKind::Instance, now, words);
    }
    if surge::rise(trouble, node).is_some() {
        let words = format!("{node} is asked for at least twice as much as before");
        candidate.line(Part::Surged, EvidenceKind::Calls, now, words);
    }
    candidate.summary = format!("requests pile up in {node}: {}", signs.join("; "));
    Some(candidate)
}

/// Requests in flight since the trouble began, and what is usual, where that is far less.
fn piled_up(trouble: &Trouble, node: &Entity) -> Option<(f64, f64)> {
    let read = trouble.known.in_flight_of(node, trouble.window.from() + BUCKET);
    read.filter(|(waiting, usual)| *waiting >= PILED_FACTOR * usual && waiting - usual >= PILED_MIN)
}

/// Something that it needs, in which requests pile up too: they wait here for that.
fn piled_up_below<'a>(trouble: &'a Trouble, node: &Entity) -> Option<&'a Entity> {
    let needed = trouble.known.topology.depends_on(node);
    let mut hurt = trouble.hurt.iter().filter(|(it, _)| *it != node && needed.contains(*it));
    let does_not_finish = |(it, kinds): &(&Entity, &BTreeSet<SymptomKind>)| {
        kinds.contains(&SymptomKind::Stalled) || piled_up(trouble, it).is_some()
    };
    hurt.find(does_not_finish).map(|(it, _)| it)
}

/// What it calls, where it calls hardly any of it for the requests that it served: names, calls
/// made, calls to be expected.
fn calls_nobody(
    trouble: &Trouble,
    node: &Entity,
    (before, during): (&Sum, &Sum),
) -> Option<(String, f64, f64)> {
    let (known, window) = (trouble.known, trouble.window);
    let growth = during.total / before.total.max(1.0);
    let mut names = Vec::new();
    let (mut made, mut expected) = (0.0, 0.0);
    for (callee, keys) in known.topology.callees(node) {
        let usual = window.before(known, keys).total * growth;
        let calls = window.during(known, keys).total;
        if usual >= EXPECTED_MIN && calls > MADE_MAX * usual {
            return None;
        }
        if usual > 0.0 {
            names.push(callee.to_string());
        }
        made += calls;
        expected += usual;
    }
    if expected < EXPECTED_MIN || made > MADE_MAX * expected {
        return None;
    }
    let more = names.len().saturating_sub(NAMED_MAX);
    names.truncate(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Some((names.join(", ") + &more, made, expected))
}
