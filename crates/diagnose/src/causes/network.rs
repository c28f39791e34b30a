//! Network: answers take long, or calls fail, on the way between a caller and a callee that works
//! as ever.
//!
//! Calls that nobody answers, while the callee is heard of with all its instances and serves what
//! reaches it as before, were lost on the way. That is said half a minute after the onset at the
//! earliest: an instance that died looks the same until it is known to be silent.
//!
//! The caller's waiting and the callee's work are both counted, so the time lost between them is
//! known whatever the operations: it is the network, a proxy, or a queue in front of the callee.
//! Which of them is not told apart. Where the callee itself took longer for a good part of what its
//! caller waited more, or does not answer all calls, or where all that the caller calls is slow,
//! nothing is said against the way.

use std::time::Duration;

use model::incident::EvidenceKind;
use model::tick::SeriesKey;
use model::{CauseKind, Entity};

use super::{Spec, add_leads, surge};
use crate::comparison;
use crate::failure::Answer;
use crate::figures::Sum;
use crate::leads::{Harm, Lead};
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::wording;

pub const SPEC: Spec = Spec {
    id: CauseKind::Network,
    title: "Slow between caller and callee",
    documentation: "Calls take their caller much longer than before while the callee works on \
                    them no longer than before, or calls are not answered while the callee serves \
                    what reaches it as before: they are lost in the network, in a proxy, or in a \
                    queue between the two.",
    propose,
};

/// The callee must have answered this share of the calls.
const ANSWERED_MIN: f64 = 0.7;
/// Of the time that callers wait more, the callee may have worked for this share.
const WORKED_MAX: f64 = 0.3;
/// An instance that died is known to be silent after this.
const SILENCE_KNOWN: Duration = Duration::from_secs(30);
/// A service that was heard of so lately, or within twice its longest gap, is not silent.
const HEARD_WITHIN: Duration = Duration::from_secs(15);
/// Of the calls that failed, the callee may know of this share.
const KNOWN_OF_MAX: f64 = 0.2;
/// Calls to another callee, or requests of a callee, that are judged.
const OTHERS_MIN: f64 = 5.0;

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let nodes = trouble
        .reached
        .iter()
        .filter(|(node, reached)| reached.is_deepest() && trouble.known.tells_of_itself(node));
    let slow_or_failing = |(node, reached): (&Entity, &Reached)| {
        of_node(trouble, node, reached).or_else(|| failing(trouble, node, reached))
    };
    nodes.filter_map(slow_or_failing).collect()
}

/// Calls of which the callee knows nothing.
fn failing(trouble: &Trouble, node: &Entity, reached: &Reached) -> Option<Candidate> {
    let (known, window) = (trouble.known, trouble.window);
    let is_whole = known.instances_of(node).all(|(_, instance)| instance.silent.is_none())
        && !known
            .processes
            .all()
            .any(|target| known.topology.node(&target.entity) == *node && target.gone.is_some());
    let is_heard = known.heard.get(node).is_some_and(|heard| {
        window.now.since(heard.last) <= (heard.longest_gap() * 2).max(HEARD_WITHIN)
    });
    if window.now.since(window.onset) < SILENCE_KNOWN || !is_whole || !is_heard {
        return None;
    }
    let key = [SeriesKey::Service(node.clone())];
    let served = window.during(known, &key);
    let usual = window.before(known, &key);
    let works = served.total >= OTHERS_MIN
        && !comparison::fails_more(&usual, &served)
        && !comparison::is_slower(&usual, &served);
    let unanswered = reached.leads.iter().filter(|lead| {
        lead.harm == Harm::Fails
            && lead.answer().0 == Answer::None
            && served.errors <= KNOWN_OF_MAX * lead.during.errors
    });
    let most = unanswered.max_by(|a, b| a.during.errors.total_cmp(&b.during.errors));
    let lead = most.filter(|_| works)?;
    let mut candidate = Candidate::new(CauseKind::Network, node, node, window.onset);
    let (caller, callee) = (&lead.caller, &lead.callee);
    let words = format!(
        "{} calls of {caller} to {callee} were not answered, and {callee}, all of which is heard \
         of, served {} requests in the same time, of which {} failed",
        wording::number(lead.during.errors),
        wording::number(served.total),
        wording::number(served.errors)
    );
    candidate.line(Part::LostBetween, EvidenceKind::Calls, lead.since, words);
    add_leads(&mut candidate, trouble, node, reached);
    candidate.summary =
        format!("calls of {caller} to {callee} are lost, and {callee} serves what reaches it");
    Some(candidate)
}

fn of_node(trouble: &Trouble, node: &Entity, reached: &Reached) -> Option<Candidate> {
    let key = [SeriesKey::Service(node.clone())];
    let served = trouble.window.during(trouble.known, &key);
    let usual = trouble.window.before(trouble.known, &key);
    let is_lost = |lead: &&Lead| is_lost_between(lead, &served, &usual);
    let lead = reached.leads.iter().filter(is_lost).max_by(|a, b| more(a).total_cmp(&more(b)))?;
    let onset = trouble.window.onset;
    let mut candidate = Candidate::new(CauseKind::Network, node, node, onset);
    let mean = |sum: &Sum| wording::seconds(sum.mean_seconds().unwrap_or(0.0));
    let (caller, callee) = (&lead.caller, &lead.callee);
    let words = format!(
        "{caller} waited {} on average for {callee}, {} before",
        mean(&lead.during),
        mean(&lead.before)
    );
    candidate.line(Part::LostBetween, EvidenceKind::Calls, lead.since, words);
    let words = format!(
        "{callee} worked {} on average on {} requests in the same time, {} before",
        mean(&served),
        wording::number(served.total),
        mean(&usual)
    );
    candidate.line(Part::WorksAsBefore, EvidenceKind::Calls, lead.since, words);
    add_leads(&mut candidate, trouble, node, reached);
    if let Some(other) = all_slow(trouble, lead) {
        let words = format!("calls of {caller} to {other} are slower as well");
        candidate.line(Part::AllSlow, EvidenceKind::Calls, trouble.window.now, words);
    }
    if surge::rise(trouble, node).is_some() {
        let words = format!("{node} is asked for at least twice as much as before");
        candidate.line(Part::Surged, EvidenceKind::Calls, trouble.window.now, words);
    }
    candidate.summary = format!(
        "answers take {} from {callee} to {caller}, and {callee} works {} on them",
        mean(&lead.during),
        mean(&served)
    );
    Some(candidate)
}

/// Does the callee answer what it is asked, well and about as fast as before, while its caller
/// waits?
fn is_lost_between(lead: &Lead, served: &Sum, usual: &Sum) -> bool {
    let mean = |sum: &Sum| sum.mean_seconds().unwrap_or(0.0);
    let worked = (mean(served) - mean(usual)).max(0.0) * served.total;
    matches!(lead.harm, Harm::Slow | Harm::Fails)
        && comparison::is_slower(&lead.before, &lead.during)
        && served.total >= ANSWERED_MIN * lead.during.total
        && worked <= WORKED_MAX * more(lead)
        && !comparison::fails_more(usual, served)
}

/// Seconds that the caller waited more than it used to.
fn more(lead: &Lead) -> f64 {
    let mean = |sum: &Sum| sum.mean_seconds().unwrap_or(0.0);
    (mean(&lead.during) - mean(&lead.before)).max(0.0) * lead.during.total
}

/// Another callee, if all others are slower too: then the caller itself is slow.
fn all_slow<'a>(trouble: &Trouble<'a>, lead: &Lead) -> Option<&'a Entity> {
    let callees = trouble.known.topology.callees(&lead.caller);
    let others = callees.filter(|(callee, _)| **callee != lead.callee);
    let judged: Vec<(&Entity, bool)> = others
        .filter_map(|(callee, keys)| {
            let during = trouble.window.during(trouble.known, keys);
            let before = trouble.window.before(trouble.known, keys);
            (during.total >= OTHERS_MIN).then(|| (callee, comparison::is_slower(&before, &during)))
        })
        .collect();
    let all = judged.iter().all(|(_, is_slower)| *is_slower);
    judged.first().filter(|_| all).map(|(callee, _)| *callee)
}
