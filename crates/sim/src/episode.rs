//! A fault in a copy of a session, until it is known how it ended.

use std::collections::BTreeSet;

use model::IncidentId;

use crate::fault::{Family, Fault, Remedy};
use crate::session::{Order, Seen, Session};

/// Users have to be hurt within this time, else the fault is harmless.
const HURTS_WITHIN: u64 = 600;
/// A page that comes later than this after the harm began is a miss.
const PAGED_WITHIN: u64 = 600;
/// Causes are read so long after the page, as a person would.
const READ_AFTER: u64 = 60;
/// Healing is judged so long after the page.
const HEALED_WITHIN: u64 = 300;
/// A cause this sure is named: the shipped `diagnose.cause_confidence_min`.
const CONFIDENT: f64 = 0.5;

/// How one fault went.
#[derive(Clone, Debug)]
pub struct Episode {
    pub family: Family,
    /// What broke, in words.
    pub what: String,
    /// Seconds from the fault until users' figures left the target; `None`: they never did.
    pub hurt_after: Option<u64>,
    /// Seconds from then until the page; `None`: none came in time.
    pub paged_after: Option<u64>,
    /// Nobody was off target, and yet somebody was woken.
    pub false_page: bool,
    pub first_right: bool,
    pub among_three: bool,
    pub named: bool,
    pub confident_wrong: bool,
    pub right_decision: bool,
    pub harmful_actions: usize,
    /// Users were well at the end, a while after the page.
    pub healed: bool,
    /// Orders, in their order; and whether a person was called.
    pub done: Vec<&'static str>,
    pub called_human: bool,
    /// Somebody was woken, and so many orders were given.
    pub is_paged: bool,
    pub orders: usize,
    /// First cause and orders, in words.
    pub said: String,
}

/// Runs the fault in a copy of `session`, or in it where nobody needs it any more.
pub fn run(mut session: Session, fault: &Fault, heal: bool) -> Episode {
    let began = session.second();
    let pages_before = session.pages.len();
    let orders_before = session.orders.len();
    let called = |session: &Session| -> BTreeSet<IncidentId> {
        let called = session.incidents.iter().filter(|(_, seen)| seen.called_human);
        called.map(|(id, _)| *id).collect()
    };
    let called_before = called(&session);
    fault.begin(&mut session.world);
    let mut hurt_at = None;
    let mut read: Option<Seen> = None;
    loop {
        session.step();
        let now = session.second();
        let waited = now - began;
        hurt_at = hurt_at.or_else(|| harmed(&session, began));
        let page = session.pages.get(pages_before);
        if let Some(page) = page
            && (now == page.second + READ_AFTER || read.is_none())
        {
            read = session.incidents.get(&page.incident).cloned();
        }
        let patience = if heal { HEALED_WITHIN } else { READ_AFTER };
        let is_told = page.is_some_and(|page| now >= page.second + patience);
        let is_over = match hurt_at {
            Some(hurt) => is_told || (page.is_none() && now > hurt + PAGED_WITHIN),
            None => waited > HURTS_WITHIN,
        };
        if is_over {
            break;
        }
    }
    let page = session.pages.get(pages_before);
    let paged_after = hurt_at.zip(page).map(|(hurt, page)| page.second.saturating_sub(hurt));
    let mut episode = Episode {
        family: fault.family,
        what: words(&session, fault),
        hurt_after: hurt_at.map(|hurt| hurt.saturating_sub(began)),
        paged_after: paged_after.filter(|after| *after <= PAGED_WITHIN),
        false_page: page.is_some_and(|page| page.is_true == Some(false)),
        first_right: false,
        among_three: false,
        named: false,
        confident_wrong: false,
        right_decision: false,
        harmful_actions: 0,
        healed: harmed(&session, began).is_none(),
        done: session.orders[orders_before..].iter().map(|order| order.action).collect(),
        called_human: called(&session).difference(&called_before).next().is_some(),
        is_paged: page.is_some(),
        orders: session.orders.len() - orders_before,
        said: String::new(),
    };
    let orders = &session.orders[orders_before..];
    if let Some(seen) = &read {
        episode.judge_causes(&session, fault, seen);
        let is_called = episode.called_human;
        episode.judge_orders(fault, orders, is_called);
    }
    episode.harmful_actions =
        orders.iter().filter(|order| !fault.concerns(&session, order)).count();
    for order in orders {
        let name = &session.world.copies[order.copy].name;
        episode.said += &format!("; {} {name}", order.action);
    }
    episode
}

/// When what users feel now began, if they are off target.
fn harmed(session: &Session, not_before: u64) -> Option<u64> {
    let felt = session.world.fleet.felt();
    let began = felt.filter_map(|node| session.world.nodes[node].truth.began_ago());
    began.max().map(|ago| session.second().saturating_sub(ago).max(not_before))
}

fn words(session: &Session, fault: &Fault) -> String {
    let fleet = &session.world.fleet;
    let caller = fault.caller.map(|at| format!("{} -> ", fleet.nodes[at].name));
    let (caller, node) = (caller.unwrap_or_default(), &fleet.nodes[fault.node].name);
    format!("{} {caller}{node} {:.2}", fault.family.as_str(), fault.magnitude)
}

impl Episode {
    fn judge_causes(&mut self, session: &Session, fault: &Fault, seen: &Seen) {
        let right = |cause: &&model::Cause| fault.is_right(session, cause);
        let Some(first) = seen.causes.first() else { return };
        let is_named = first.kind != model::CauseKind::Unknown;
        self.first_right = right(&first);
        self.among_three = seen.causes.iter().take(3).any(|cause| right(&cause));
        self.named = is_named;
        self.confident_wrong = is_named && first.confidence >= CONFIDENT && !self.first_right;
        self.said =
            format!("{} of {} ({:.2})", first.kind.as_str(), first.entity, first.confidence);
    }

    fn judge_orders(&mut self, fault: &Fault, orders: &[Order], called_human: bool) {
        self.right_decision = match fault.remedy {
            Remedy::Act(actions) => orders
                .first()
                .is_some_and(|order| order.node == fault.node && actions.contains(&order.action)),
            Remedy::Escalate => orders.is_empty() && called_human,
            Remedy::LeaveAlone => orders.is_empty(),
        };
    }
}
