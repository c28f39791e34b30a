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
        let is_cut = self.between.cuts.contains(&pair);
        let is_too_much = self.calls_left == 0;
        self.calls_left = self.calls_left.saturating_sub(1);
        let mut error = None;
        let (answer, mut attributes) = match callee.strip_prefix("db:") {
            Some(database) => {
                let (system, namespace) = database.split_once('/').unwrap_or((database, ""));
                let attributes = Attributes::default()
                    .with_str("db.system.name", system)
                    .with_str("db.namespace", namespace);
                let (kind, took) = self.conducts.statement(callee);
                error = kind;
                let answer = match self.looks.wait_in(callee) {
                    true => Answer::Never,
                    false => Answer::Status(200, took),
                };
                (answer, attributes)
            }
            None => {
                let port = self.service(callee).port;
                let attributes = Attributes::default()
                    .with_str("http.request.method", "GET")
                    .with_str("server.address", "127.0.0.1")
                    .with_i64("server.port", port);
                let answer = match is_cut || is_too_much {
                    true => Answer::Refused,
                    false => self.serve(callee, trace, span_id, end, depth - 1),
                };
                (answer, attributes)
            }
        };
        let answer = match answer {
            _ if is_cut => Answer::TimedOut(TIMEOUT),
            _ if is_dependency(callee) && self.refused.contains_key(callee) => Answer::Refused,
            answer => answer,
        };
        let (failed, duration) = match answer {
            Answer::Never => return None,
            Answer::Refused => {
                let error = self.refused.get(callee).map_or("ECONNREFUSED", String::as_str);
                attributes = attributes.with_str("error.type", error);
                (true, BRIEF)
            }
            Answer::TimedOut(duration) => {
                attributes = attributes.with_str("error.type", "ETIMEDOUT");
                (true, duration)
            }
            Answer::Status(status, duration) => {
                if !is_dependency(callee) {
                    attributes =
                        attributes.with_i64("http.response.status_code", i64::from(status));
                }
                if let Some(kind) = &error {
                    attributes = attributes.with_str("error.type", kind);
                }
                let delay = self.between.delay(&pair);
                (status >= 500 || error.is_some(), duration + delay)
            }
        };
        let mut span = span(trace, span_id, parent, SpanKind::Client, end, duration, attributes);
        let answered_4xx = matches!(answer, Answer::Status(status, _) if status >= 400);
        if failed || answered_4xx {
            span.status = SpanStatus::Error;
        }
        self.record(instance, span);
        Some((failed, duration))
    }
}
