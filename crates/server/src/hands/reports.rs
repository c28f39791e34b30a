//! What the agent reports again and again, on its way into the log: only what says something new.
//!
//! While one lot is on its way, and when it did not get there, the next one tells the same.
//!
//! Invariant: after an action the first look at its target that is newer than the outcome is
//! logged, though its state was known before: only by that does the healer tell what the action
//! brought about.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::Entry;
use model::tick::ProcessReport;
use model::{Action, ActionId, ConditionReport, Outcome, Timestamp};
use tokio::sync::oneshot;

use crate::driver::Handle;

/// A report that says nothing new is logged this often all the same.
const REPORT_AGAIN: Duration = Duration::from_secs(60);

/// Orders whose targets are remembered; more than the guardrails let be in flight.
const ORDERED_MAX: usize = 1_000;

/// When something was last done to a target.
#[derive(Default)]
pub(super) struct Acts {
    /// Whom the orders are about whose outcome was not told yet.
    ordered: BTreeMap<ActionId, String>,
    /// When the agent last said what became of an action on a target.
    acted: BTreeMap<String, Timestamp>,
    /// The same of actions of which it is not known here whom they were about.
    acted_on_some: Timestamp,
}

impl Acts {
    pub fn ordered(&mut self, action: &Action) {
        if self.ordered.len() < ORDERED_MAX {
            self.ordered.insert(action.id.clone(), action.target.clone());
        }
    }

    pub fn never_ran(&mut self, action: &ActionId) {
        self.ordered.remove(action);
    }

    pub fn acted(&mut self, outcome: &Outcome) {
        match self.ordered.remove(&outcome.action) {
            Some(target) => {
                self.acted.insert(target, outcome.at);
            }
            None => self.acted_on_some = outcome.at,
        }
    }

    fn on(&self, target: &str) -> Timestamp {
        self.acted.get(target).copied().unwrap_or_default().max(self.acted_on_some)
    }
}

pub(super) trait Report: Clone + Send + 'static {
    fn target(&self) -> &str;
    /// Whether the log should have it, of which it has the `known` one.
    fn is_news(&self, known: &Self, acted_at: Timestamp) -> bool;
    fn entry(reports: Vec<Self>) -> Entry;
}

pub(super) struct Reports<R> {
    /// What the log has of each target.
    known: BTreeMap<String, R>,
    /// Reports on their way into the log; `None` comes back when it could not take them.
    logging: Option<oneshot::Receiver<Option<Vec<R>>>>,
}

impl<R> Default for Reports<R> {
    fn default() -> Self {
        Reports { known: BTreeMap::new(), logging: None }
    }
}

impl<R: Report> Reports<R> {
    /// Logs what says something new.
    pub(super) fn take(&mut self, reports: Vec<R>, acts: &Acts, handle: &Handle) {
        match self.logging.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Err(oneshot::error::TryRecvError::Empty)) => return,
            Some(Ok(Some(durable))) => self.durable(durable),
            _ => {}
        }
        self.logging = None;
        let news: Vec<R> =
            reports.into_iter().filter(|report| self.is_news(report, acts)).collect();
        if news.is_empty() {
            return;
        }
        let (told, logging) = oneshot::channel();
        self.logging = Some(logging);
        let handle = handle.clone();
        tokio::spawn(async move {
            let logged = handle.logged(R::entry(news.clone())).await;
            if let Err(error) = &logged {
                tracing::debug!(%error, "reports of the agent were not taken");
            }
            let _ = told.send(logged.is_ok().then_some(news));
        });
    }

    fn durable(&mut self, reports: Vec<R>) {
        self.known.extend(reports.into_iter().map(|report| (report.target().to_owned(), report)));
    }

    fn is_news(&self, report: &R, acts: &Acts) -> bool {
        let known = self.known.get(report.target());
        known.is_none_or(|known| report.is_news(known, acts.on(report.target())))
    }
}

impl Report for ProcessReport {
    fn target(&self) -> &str {
        &self.target
    }

    /// After an action the first look says something even if the state was known before: only by
    /// looks that are newer than the outcome does the healer tell what the action brought about.
    fn is_news(&self, known: &Self, acted_at: Timestamp) -> bool {
        known.state != self.state
            || known.entity != self.entity
            || has_grown_or_shrunk(known.memory_bytes, self.memory_bytes)
            || self.at.since(known.at) >= REPORT_AGAIN
            || (known.at <= acted_at && acted_at < self.at)
    }

    fn entry(reports: Vec<Self>) -> Entry {
        Entry::Processes(reports)
    }
}

/// Did memory change by a quarter, or become known?
fn has_grown_or_shrunk(known: Option<u64>, now: Option<u64>) -> bool {
    match (known, now) {
        (Some(known), Some(now)) => known.abs_diff(now) >= (known / 4).max(1),
        (None, now) => now.is_some(),
        (Some(_), None) => false,
    }
}

impl Report for ConditionReport {
    fn target(&self) -> &str {
        &self.target
    }

    fn is_news(&self, known: &Self, _acted_at: Timestamp) -> bool {
        !self.is_like(known) || self.at.since(known.at) >= REPORT_AGAIN
    }

    fn entry(reports: Vec<Self>) -> Entry {
        Entry::Conditions(reports)
    }
}

#[cfg(test)]
mod tests {
    use model::plan::{Expectation, OutcomeResult};
    use model::tick::ProcessState;
    use model::{ActionKind, Entity, Scope};

    use super::*;

    fn look(target: &str, at_s: u64) -> ProcessReport {
        let entity = Entity::service(&Scope::default(), target);
        let (at, state) = (Timestamp::from_secs(at_s), ProcessState::NeverSeen);
        ProcessReport { at, target: target.to_owned(), entity, state, memory_bytes: None }
    }

    fn outcome(id: &str, at_s: u64) -> Outcome {
        let (action, at) = (ActionId(id.to_owned()), Timestamp::from_secs(at_s));
        Outcome { action, at, result: OutcomeResult::Done, detail: String::new() }
    }

    /// Both targets were seen at 10 s.
    fn known() -> (Reports<ProcessReport>, Acts) {
        let (mut reports, mut acts) = (Reports::default(), Acts::default());
        reports.durable(vec![look("cart", 10), look("orders", 10)]);
        acts.ordered(&Action {
            id: ActionId("a-1".to_owned()),
            target: "cart".to_owned(),
            entity: Entity::service(&Scope::default(), "cart"),
            kind: ActionKind::Restart,
            expect: Expectation::NoProcess,
            not_after: Timestamp::ZERO,
        });
        (reports, acts)
    }

    #[test]
    fn the_first_look_after_an_action_is_told_of_its_target_and_of_no_other() {
        let (mut reports, mut acts) = known();
        assert!(!reports.is_news(&look("cart", 11), &acts));
        acts.acted(&outcome("a-1", 12));
        let is_older = !reports.is_news(&look("cart", 12), &acts);
        assert!(is_older, "the look is not newer than the outcome");
        assert!(reports.is_news(&look("cart", 13), &acts));
        assert!(!reports.is_news(&look("orders", 13), &acts));
        reports.durable(vec![look("cart", 13)]);
        assert!(!reports.is_news(&look("cart", 14), &acts));
    }

    #[test]
    fn of_an_action_that_is_not_known_here_all_are_told() {
        let (reports, mut acts) = known();
        acts.acted(&outcome("z-9", 12));
        let told = |target| reports.is_news(&look(target, 13), &acts);
        assert!(told("cart") && told("orders"));
    }

    #[test]
    fn a_look_that_says_nothing_new_is_told_once_a_minute() {
        let (reports, acts) = known();
        let told = |target, at_s| reports.is_news(&look(target, at_s), &acts);
        assert!(!told("cart", 69) && told("cart", 70));
        assert!(told("payment", 11));
    }
}
