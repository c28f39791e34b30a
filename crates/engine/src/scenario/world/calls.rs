//! Calls between the services that a scenario plays: delays, cuts, retries, and the client's span.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::Timestamp;
use model::signal::{Attributes, SpanKind, SpanStatus};

use super::super::parse::{Need, Step};
use super::conduct::Share;
use super::{Answer, World, is_dependency, span};

/// A refusal, and a short answer, take this long.
const BRIEF: Duration = Duration::from_millis(1);
/// What a client says of a connection that nobody takes.
pub(super) const REFUSED: &str = "ECONNREFUSED";
/// Clients give up after this where no packet comes back.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

type Pair = (String, String);

/// What lies between two, by caller and callee.
#[derive(Default)]
pub(super) struct Between {
    /// How much longer answers take.
    delays: BTreeMap<Pair, (Share, Duration)>,
    cuts: BTreeSet<Pair>,
    retries: BTreeMap<Pair, u32>,
}

impl Between {
    pub(super) fn apply(&mut self, step: &Step) {
        let pair = |from: &String, to: &String| (from.clone(), to.clone());
        match step {
            Step::Delay { from, to, duration, share } => {
                self.delays.insert(pair(from, to), (Share::of(*share), *duration));
            }
            Step::Cut { from, to } => drop(self.cuts.insert(pair(from, to))),
            Step::Mend { from, to } => drop(self.cuts.remove(&pair(from, to))),
            Step::Retries { from, to, times } => {
                self.retries.insert(pair(from, to), *times);
            }
            _ => {}
        }
    }

    /// How much longer the next answer takes.
    fn delay(&mut self, pair: &Pair) -> Duration {
        let delay = self.delays.get_mut(pair);
        let delay = delay.and_then(|(share, duration)| share.next().then_some(*duration));
        delay.unwrap_or_default()
    }
}

impl World {
    /// Calls, and where it is refused and that may be, calls the next instance.
    #[expect(clippy::too_many_arguments, reason = "what `call` takes, and once more")]
    pub(super) fn ask(
        &mut self,
        callee: &str,
        need: Need,
        instance: &str,
        trace: u64,
        parent: u64,
        end: Timestamp,
        depth: usize,
    ) -> Option<(bool, Duration)> {
        let pair = (self.instances[instance].service.clone(), callee.to_owned());
        let again = self.between.retries.get(&pair).copied().unwrap_or(0) as usize;
        let tries = match need {
            Need::Retried if !is_dependency(callee) => self.service(callee).balanced.len().max(1),
            _ => 1 + again,
        };
        let mut took = Duration::ZERO;
        for _ in 0..tries {
            let (failed, more) = self.call(callee, instance, trace, parent, end, depth)?;
            took += more;
            if !failed {
                return Some((false, took));
            }
        }
        Some((true, took))
    }

    /// One call as its caller records it: (failed, how long), or `None` when it never ends.
    fn call(
        &mut self,
        callee: &str,
        instance: &str,
        trace: u64,
        parent: u64,
        end: Timestamp,
        depth: usize,
    ) -> Option<(bool, Duration)> {
        let span_id = self.id();
        let pair = (self.instances[instance].service.clone(), callee.to_owned());
        let mut attributes = match callee.strip_prefix("db:") {
            Some(database) => {
                let (system, namespace) = database.split_once('/').unwrap_or((database, ""));
                Attributes::default()
                    .with_str("db.system.name", system)
                    .with_str("db.namespace", namespace)
            }
            None => Attributes::default()
                .with_str("http.request.method", "GET")
                .with_str("server.address", "127.0.0.1")
                .with_i64("server.port", self.service(callee).port),
        };
        let is_too_much = self.calls_left == 0;
        self.calls_left = self.calls_left.saturating_sub(1);
        let answer = if self.between.cuts.contains(&pair) {
            Answer::TimedOut(TIMEOUT)
        } else if is_dependency(callee) {
            self.statement(callee)
        } else if is_too_much {
            Answer::Refused(REFUSED.to_owned())
        } else {
            self.serve(callee, trace, span_id, end, depth - 1)
        };
        let answered_4xx = matches!(answer, Answer::Status(status, _) if status >= 400);
        let (failed, duration) = match answer {
            Answer::Never => return None,
            Answer::Refused(error) => {
                attributes = attributes.with_str("error.type", &error);
                (true, BRIEF)
            }
            Answer::TimedOut(duration) => {
                attributes = attributes.with_str("error.type", "ETIMEDOUT");
                (true, duration)
            }
            Answer::StatementFailed(error, duration) => {
                attributes = attributes.with_str("error.type", &error);
                (true, duration + self.between.delay(&pair))
            }
            Answer::Status(status, duration) => {
                if !is_dependency(callee) {
                    attributes =
                        attributes.with_i64("http.response.status_code", i64::from(status));
                }
                (status >= 500, duration + self.between.delay(&pair))
            }
        };
        let mut span = span(trace, span_id, parent, SpanKind::Client, end, duration, attributes);
        if failed || answered_4xx {
            span.status = SpanStatus::Error;
        }
        self.record(instance, span);
        Some((failed, duration))
    }

    /// What a database answers.
    fn statement(&mut self, database: &str) -> Answer {
        if let Some(error) = self.refused.get(database) {
            return Answer::Refused(error.clone());
        }
        if self.looks.wait_in(database) {
            return Answer::Never;
        }
        match self.conducts.statement(database) {
            (Some(error), took) => Answer::StatementFailed(error, took),
            (None, took) => Answer::Status(200, took),
        }
    }
}
