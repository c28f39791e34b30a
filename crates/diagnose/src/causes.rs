//! The kinds of cause that are looked for: one file each, one line in `ALL`.
//!
//! A kind proposes candidates for one trouble, each with its lines of evidence; `score` turns the
//! lines into a confidence. Kinds do not know each other, except that a proven crash or leak spares
//! its entity weaker words (`assess`), that a surge speaks against some, and that "unknown" is told
//! what the others found.

pub mod crash;

pub mod silent;

pub mod leak;

pub mod outlier;

pub mod dependency_down;

pub mod network;

pub mod change;

pub mod lock;

pub mod disk;

pub mod surge;

pub mod saturation;

pub mod certificate;

pub mod unknown;

use std::time::Duration;

use model::incident::EvidenceKind;
use model::tick::SeriesKey;
use model::{CauseKind, Entity, SymptomKind, Timestamp};

use crate::failure::Answer;
use crate::leads::Harm;
use crate::score::{Candidate, Part};
use crate::walk::{Reached, Trouble};
use crate::wording;

/// What a kind of cause is, for documentation and the catalogue of the UI.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub id: CauseKind,
    pub title: &'static str,
    pub documentation: &'static str,
    pub propose: fn(&Trouble) -> Vec<Candidate>,
}

/// Every kind that is looked for; "unknown" is not looked for, it is what remains.
pub const ALL: &[Spec] = &[
    crash::SPEC,
    silent::SPEC,
    leak::SPEC,
    outlier::SPEC,
    dependency_down::SPEC,
    network::SPEC,
    change::SPEC,
    lock::SPEC,
    disk::SPEC,
    surge::SPEC,
    saturation::SPEC,
    certificate::SPEC,
];

/// Lines of one kind that a candidate shows.
const LEADS_SHOWN: usize = 3;

/// What was seen of a database or disk fits the trouble when it began at most this long before …
const WITH_TROUBLE_BEFORE: Duration = Duration::from_secs(2 * 60);
/// … and at most this long after: looks are some seconds apart.
const WITH_TROUBLE_AFTER: Duration = Duration::from_secs(30);

/// Is `node` hurt, on the failing path, or something that the hurt are known to need?
fn depends_on(trouble: &Trouble, node: &Entity) -> bool {
    let needs = |hurt: &Entity| trouble.known.topology.depends_on(hurt).contains(node);
    trouble.reached.contains_key(node) || trouble.hurt.keys().any(needs)
}

/// All series of calls to `node`.
fn calls_to(trouble: &Trouble, node: &Entity) -> Vec<SeriesKey> {
    let topology = &trouble.known.topology;
    let callers = topology.callers(node);
    callers.flat_map(|caller| topology.calls(caller, node).iter().cloned()).collect()
}

/// Adds that what an agent saw began with the trouble, if it did.
fn add_with_trouble(candidate: &mut Candidate, trouble: &Trouble, since: Timestamp) {
    let onset = trouble.window.onset;
    if since + WITH_TROUBLE_BEFORE >= onset && since <= onset + WITH_TROUBLE_AFTER {
        let words = format!("it began at {}, with the trouble", since.clock());
        candidate.line(Part::WithTrouble, EvidenceKind::Condition, since, words);
    }
}

/// All that tells of trouble at `node` are alerts of other systems: no figure of Immune's own does.
fn is_told_by_alerts_alone(trouble: &Trouble, node: &Entity) -> bool {
    let kinds = trouble.hurt.get(node);
    let is_alert = |kind: &SymptomKind| *kind == SymptomKind::Alert;
    let is_led_to = trouble.reached.get(node).is_some_and(|reached| !reached.leads.is_empty());
    !is_led_to && kinds.is_some_and(|kinds| kinds.iter().all(is_alert))
}

/// Adds how the trouble leads to `node`: calls that got worse, or its own users' harm.
fn add_leads(candidate: &mut Candidate, trouble: &Trouble, node: &Entity, reached: &Reached) {
    candidate.depth = reached.depth;
    for lead in reached.leads.iter().take(LEADS_SHOWN) {
        let part = match lead.harm {
            _ if lead.doubt.is_some() => Part::Remark,
            Harm::Fails => Part::CallsFail,
            Harm::Missing | Harm::Slow => Part::CallsMissing,
        };
        let at = lead.during.first_error_at.unwrap_or(lead.since);
        let words = wording::calls(lead);
        let subject = (&lead.callee, at);
        candidate.line_of(part, EvidenceKind::Calls, subject, words, &lead.during.trace_id);
    }
    let failing = reached.leads.iter().any(|lead| lead.harm == Harm::Fails);
    let all_explain_little = reached.leads.iter().all(|lead| lead.explains_little());
    if let Some(lead) = reached.leads.first().filter(|_| failing && all_explain_little) {
        let words = format!(
            "{} failed calls are few beside {} failed requests of {}",
            wording::number(lead.during.errors),
            wording::number(lead.caller_errors),
            lead.caller
        );
        candidate.line(Part::ExplainsLittle, EvidenceKind::Calls, lead.since, words);
    }
    let nobody_leads = reached.leads.is_empty() || reached.is_doubtful();
    if let Some(kinds) = trouble.hurt.get(node).filter(|_| nobody_leads) {
        let (part, words) = if trouble.is_blind(node) {
            let words = format!("callers of {node} are served, only its telemetry is lost");
            (Part::WithinReach, words)
        } else if is_told_by_alerts_alone(trouble, node) {
            let words = format!("an alert speaks of {node}, no figure of its users got worse");
            (Part::WithinReach, words)
        } else {
            let kinds: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
            let words = format!("users of {node} are hurt ({})", kinds.join(", "));
            let is_deepest = reached.is_deepest();
            (if is_deepest { Part::HurtItself } else { Part::WithinReach }, words)
        };
        candidate.line(part, EvidenceKind::Calls, trouble.window.onset, words);
    }
    if reached.is_deepest() {
        let words = format!("nothing that {node} calls has got worse");
        candidate.line(Part::Deepest, EvidenceKind::Topology, trouble.window.now, words);
    }
}

/// Adds what the failures tell of the callee: nobody there, or somebody who answers badly.
/// `server_error_clears`: is a server's own error a sign that this callee is alive and not the
/// matter?
fn add_answers(
    candidate: &mut Candidate,
    trouble: &Trouble,
    node: &Entity,
    reached: &Reached,
    server_error_clears: bool,
) {
    let Some(lead) = reached.leads.iter().find(|lead| lead.harm == Harm::Fails) else { return };
    let (answer, count, all) = lead.answer();
    let of = format!("{} of {} failures", wording::number(count), wording::number(all));
    let (part, words) = match answer {
        Answer::None => (
            Part::NoAnswer,
            format!(
                "{of} are refusals, timeouts or a proxy's 502/503/504: nobody answers at {node}"
            ),
        ),
        Answer::ServerError if server_error_clears => {
            (Part::Answers, format!("{of} are answers with a server error: something is alive"))
        }
        Answer::Other => {
            let kinds = wording::error_kinds(&lead.during);
            (Part::Answers, format!("{of} ({kinds}) do not look like a callee that is gone"))
        }
        Answer::ServerError | Answer::Untold => return,
    };
    candidate.line(part, EvidenceKind::Calls, trouble.window.now, words);
}
