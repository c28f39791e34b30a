//! Which of the agent's looks at processes go into the log: those that say something new.
//!
//! Invariant: after an action the first look at its target that is newer than the outcome is
//! logged, though its state was known before: only by that does the healer tell what the action
//! brought about.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::Entry;
use model::tick::ProcessReport;
use model::{Action, ActionId, Outcome, Timestamp};
use tokio::sync::oneshot;

use crate::driver::Handle;

/// A look that says nothing new is logged this often all the same.
const REPORT_AGAIN: Duration = Duration::from_secs(60);
/// Orders whose targets are remembered; more than the guardrails let be in flight.
const ORDERED_MAX: usize = 1_000;

#[derive(Default)]
pub(super) struct Reports {
    /// What the log has of each target.
    logged: BTreeMap<String, ProcessReport>,
    /// Whom the orders are about whose outcome was not told yet.
    ordered: BTreeMap<ActionId, String>,
    /// When the agent last said what became of an action on a target.
    acted: BTreeMap<String, Timestamp>,
    /// The same of actions of which it is not known here whom they were about.
    acted_on_some: Timestamp,
    /// Reports on their way into the log; `None` comes back when it could not take them.
    logging: Option<oneshot::Receiver<Option<Vec<ProcessReport>>>>,
}

impl Reports {
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

    /// Logs what says something new. The agent reports each second: while one report is on its way
    /// into the log, and when it did not get there, the next one tells the same.
    pub fn log(&mut self, handle: &Handle, looks: Vec<ProcessReport>) {
        match self.logging.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Err(oneshot::error::TryRecvError::Empty)) => return,
            Some(Ok(Some(durable))) => self.durable(durable),
            _ => {}
        }
        self.logging = None;
        let news: Vec<ProcessReport> =
            looks.into_iter().filter(|look| self.is_news(look)).collect();
        if news.is_empty() {
            return;
        }
        let (told, logging) = oneshot::channel();
        self.logging = Some(logging);
        let handle = handle.clone();
        tokio::spawn(async move {
            let logged = handle.logged(Entry::Processes(news.clone())).await;
            if let Err(error) = &logged {
                tracing::debug!(%error, "process reports were not taken");
            }
            let _ = told.send(logged.is_ok().then_some(news));
        });
    }

    fn durable(&mut self, looks: Vec<ProcessReport>) {
        self.logged.extend(looks.into_iter().map(|look| (look.target.clone(), look)));
    }

    fn is_news(&self, look: &ProcessReport) -> bool {
        let Some(known) = self.logged.get(&look.target) else { return true };
        let acted = self.acted.get(&look.target).copied().unwrap_or_default();
        let acted = acted.max(self.acted_on_some);
        known.state != look.state
            || known.entity != look.entity
            || look.at.since(known.at) >= REPORT_AGAIN
            || (known.at <= acted && acted < look.at)
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
        ProcessReport { at, target: target.to_owned(), entity, state }
    }

    fn outcome(id: &str, at_s: u64) -> Outcome {
        let (action, at) = (ActionId(id.to_owned()), Timestamp::from_secs(at_s));
        Outcome { action, at, result: OutcomeResult::Done, detail: String::new() }
    }

    /// Both targets were seen at 10 s.
    fn known() -> Reports {
        let mut reports = Reports::default();
        reports.durable(vec![look("cart", 10), look("orders", 10)]);
        reports.ordered(&Action {
            id: ActionId("a-1".to_owned()),
            target: "cart".to_owned(),
            entity: Entity::service(&Scope::default(), "cart"),
            kind: ActionKind::Restart,
            expect: Expectation::NoProcess,
            not_after: Timestamp::ZERO,
        });
        reports
    }

    #[test]
    fn the_first_look_after_an_action_is_told_of_its_target_and_of_no_other() {
        let mut reports = known();
        assert!(!reports.is_news(&look("cart", 11)));
        reports.acted(&outcome("a-1", 12));
        assert!(!reports.is_news(&look("cart", 12)), "the look is not newer than the outcome");
        assert!(reports.is_news(&look("cart", 13)));
        assert!(!reports.is_news(&look("orders", 13)));
        reports.durable(vec![look("cart", 13)]);
        assert!(!reports.is_news(&look("cart", 14)));
    }

    #[test]
    fn of_an_action_that_is_not_known_here_all_are_told() {
        let mut reports = known();
        reports.acted(&outcome("z-9", 12));
        assert!(reports.is_news(&look("cart", 13)) && reports.is_news(&look("orders", 13)));
    }

    #[test]
    fn a_look_that_says_nothing_new_is_told_once_a_minute() {
        let reports = known();
        assert!(!reports.is_news(&look("cart", 69)) && reports.is_news(&look("cart", 70)));
        assert!(reports.is_news(&look("payment", 11)));
    }
}
