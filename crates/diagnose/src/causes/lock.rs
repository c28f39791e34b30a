//! Lock: one transaction of a database holds what others have waited for too long.
//!
//! An agent looked into the server and saw it. What is hurt has to depend on the database, and the
//! waiting has to fit the trouble in time: row locks under load are waited for briefly, and a
//! transaction that blocked long before did no harm then. Nothing is said of whose transaction it
//! is or what it does.

use model::condition::Blocker;
use model::incident::EvidenceKind;
use model::{CauseKind, Entity};

use super::{Spec, add_leads, add_with_trouble, calls_to, depends_on};
use crate::conditions::Database;
use crate::score::{Candidate, Part};
use crate::walk::Trouble;
use crate::wording;

pub const SPEC: Spec = Spec {
    id: CauseKind::Lock,
    title: "Transaction blocks others",
    documentation: "An agent saw that sessions of a database wait for a lock that one \
                    transaction holds, for longer than row locks under load are waited for, \
                    and what is hurt depends on that database.",
    propose,
};

/// Calls to the database go as before when so many of those to be expected end, none fails, and few
/// sessions wait.
const AS_BEFORE_SHARE: f64 = 0.8;

fn propose(trouble: &Trouble) -> Vec<Candidate> {
    let known = trouble.known;
    let mut candidates = Vec::new();
    for database in known.conditions.databases(trouble.window.now) {
        let node = known.topology.node(&database.entity);
        let Some((blocker, waiting)) = database.blocker() else { continue };
        if depends_on(trouble, &node) {
            candidates.push(candidate(trouble, database, (blocker, waiting), &node));
        }
    }
    candidates
}

fn candidate(
    trouble: &Trouble,
    database: &Database,
    (blocker, waiting): (&Blocker, u32),
    node: &Entity,
) -> Candidate {
    let mut candidate = Candidate::new(CauseKind::Lock, &database.entity, node, blocker.since);
    let (pid, since) = (blocker.pid, blocker.since.clock());
    let waits = if waiting == 1 { "1 session waits" } else { &format!("{waiting} sessions wait") };
    let waited = database.at.since(blocker.since).as_secs();
    let part = if blocker.overdue { Part::BlockedLong } else { Part::Blocked };
    let words = format!(
        "agent: {waits} for locks in {node}; the transaction of pid {pid} holds others up for \
         {waited} s"
    );
    candidate.line(part, EvidenceKind::Condition, database.at, words);
    add_with_trouble(&mut candidate, trouble, blocker.since);
    match trouble.reached.get(node) {
        Some(reached) => add_leads(&mut candidate, trouble, node, reached),
        None => add_calls(&mut candidate, trouble, database, node),
    }
    candidate.summary =
        format!("a transaction in {node} blocks others: pid {pid} holds them up since {since}");
    candidate
}

/// How calls to a database fare that no worse call leads to: one that waits leaves no span.
fn add_calls(candidate: &mut Candidate, trouble: &Trouble, database: &Database, node: &Entity) {
    let (window, known) = (trouble.window, trouble.known);
    let keys = calls_to(trouble, node);
    let during = window.during(known, &keys);
    let expected = window.before(known, &keys).total * window.growth();
    let counts = format!(
        "{} calls to {node} ended since {} where {} were to be expected",
        wording::number(during.total),
        window.from().clock(),
        wording::number(expected)
    );
    let goes_on = expected >= 1.0 && during.total >= AS_BEFORE_SHARE * expected;
    if goes_on && during.errors < 1.0 && database.few_wait() {
        candidate.line(Part::CallsSucceed, EvidenceKind::Calls, window.now, counts);
    } else {
        let words = format!("what is hurt depends on {node}; {counts}");
        candidate.line(Part::WithinReach, EvidenceKind::Calls, window.now, words);
    }
}
