//! What the agent reports again and again, on its way into the log: only what says something new.
//!
//! While one lot is on its way, and when it did not get there, the next one tells the same.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::Entry;
use model::tick::ProcessReport;
use model::{ConditionReport, Timestamp};
use tokio::sync::oneshot;

use crate::driver::Handle;

/// A report that says nothing new is logged this often all the same.
const REPORT_AGAIN: Duration = Duration::from_secs(60);

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
    /// `acted_at`: when the agent last said what became of an action.
    pub(super) fn take(&mut self, reports: Vec<R>, acted_at: Timestamp, handle: &Handle) {
        match self.logging.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Err(oneshot::error::TryRecvError::Empty)) => return,
            Some(Ok(Some(durable))) => {
                let durable =
                    durable.into_iter().map(|report| (report.target().to_owned(), report));
                self.known.extend(durable);
            }
            _ => {}
        }
        self.logging = None;
        let is_news = |report: &R| {
            self.known.get(report.target()).is_none_or(|known| report.is_news(known, acted_at))
        };
        let news: Vec<R> = reports.into_iter().filter(is_news).collect();
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
            || self.at.since(known.at) >= REPORT_AGAIN
            || (known.at <= acted_at && acted_at < self.at)
    }

    fn entry(reports: Vec<Self>) -> Entry {
        Entry::Processes(reports)
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
    use model::Entity;
    use model::tick::ProcessState;

    use super::*;

    fn seen(at_s: u64, state: ProcessState) -> ProcessReport {
        let entity = Entity::service(&model::Scope::default(), "cart");
        ProcessReport { at: Timestamp::from_secs(at_s), target: "cart".to_owned(), entity, state }
    }

    #[test]
    fn the_first_look_after_an_action_is_told_though_its_state_is_known() {
        let known = seen(10, ProcessState::NeverSeen);
        let told = |at_s, acted_at_s| {
            let look = seen(at_s, ProcessState::NeverSeen);
            look.is_news(&known, Timestamp::from_secs(acted_at_s))
        };
        assert!(!told(11, 5), "it was told after that action");
        assert!(told(12, 11));
        assert!(!told(12, 12), "the look is not newer than the outcome");
        assert!(told(70, 5), "it was not told for a minute");
    }
}
