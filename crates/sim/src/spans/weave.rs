//! From what copies did in a second to requests and calls that hang together.

use std::sync::Arc;

use model::Timestamp;
use model::time::SECOND;

use super::{Asked, Told, Weaver, Work, durations};
use crate::fleet::Fleet;
use crate::telemetry::Failure;
use crate::world::World;

/// A request that failed for a call took so many times as long as the call.
const BEYOND_CALLS: f64 = 1.02;

/// Client spans of one node's callers whose server spans are still to come.
#[derive(Clone, Debug, Default)]
pub(super) struct Asking {
    well: Vec<Told>,
    failed: Vec<Told>,
    /// Nobody waits for the answer any more.
    late: Vec<Told>,
}

/// The second that is woven, in nanoseconds: no span ends outside of it.
#[derive(Clone, Copy)]
struct Second {
    first: u64,
    last: u64,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Well,
    /// Nobody there took it.
    Unanswered(Failure),
    Failed(Failure),
    Late(Failure),
}

/// A call of a request, until it has its place in time.
struct Child {
    request: usize,
    call: usize,
    seconds: f64,
    fate: Fate,
}

impl World {
    /// From now on it is told in spans.
    pub fn tell_in_spans(&mut self) {
        self.weaver = Some(Box::new(Weaver::new(&self.fleet, &self.telling)));
    }

    /// In the fidelity of spans, tells each request of this second.
    pub(crate) fn weave(&mut self) {
        let Some(mut weaver) = self.weaver.take() else { return };
        weaver.weave(&Arc::clone(&self.fleet), self.now());
        self.weaver = Some(weaver);
    }
}

impl Weaver {
    fn weave(&mut self, fleet: &Fleet, now: Timestamp) {
        let second = Second { first: now.0 - SECOND, last: now.0 - 1 };
        let mut works = std::mem::take(&mut self.works);
        // Who calls comes before whom it calls.
        works.sort_by_key(|work| (work.node, work.copy));
        works.iter().for_each(|work| self.weave_copy(fleet, work, second));
        works.clear();
        self.works = works;
        self.asking.iter_mut().for_each(Asking::clear);
    }

    fn weave_copy(&mut self, fleet: &Fleet, work: &Work, second: Second) {
        let mut requests = self.good_requests(work, second);
        let good = requests.len();
        requests.extend(self.failed_requests(work, second));
        hold_first(requests[good..].iter_mut().collect(), work.first.0);
        let answered = requests.len() - work.shed.0 as usize;
        let is_needy = |at: &usize| requests[*at].failure == Some(Failure::BadGateway);
        let mut needy: Vec<usize> = (good..answered).filter(is_needy).collect();

        let mut children = Vec::new();
        for asked in &work.calls {
            let call = &fleet.nodes[work.node].calls[asked.call];
            let mut nobody = Vec::new();
            let needy = if call.must { &mut needy } else { &mut nobody };
            self.spread(asked, answered, needy, &mut children);
        }
        let mut calls = self.place(&mut requests, &mut children, second);
        for asked in &work.calls {
            let of_call = |told: &&mut Told| told.call == Some(asked.call);
            let failed = calls.iter_mut().filter(of_call).filter(|told| told.failure.is_some());
            hold_first(failed.collect(), asked.first.0);
        }
        for (child, told) in children.iter().zip(&calls) {
            let to = fleet.nodes[work.node].calls[child.call].to;
            if fleet.nodes[to].told {
                self.asking[to].take(child.fate, *told);
            }
        }
        for told in requests.into_iter().chain(calls) {
            self.keep(work.copy, work.skew, told);
        }
    }

    fn good_requests(&mut self, work: &Work, second: Second) -> Vec<Told> {
        let mut seconds = Vec::new();
        for part in work.good.0 {
            durations::draw(part, work.shape, &mut self.random, &mut seconds);
        }
        let parents = self.asking[work.node].answered(seconds.len(), true, &mut self.random);
        let told = |(seconds, parent): (f64, Option<Told>)| self.request(seconds, parent, second);
        seconds.into_iter().zip(parents).map(told).collect()
    }

    /// Those that failed, and after them those that were turned away.
    fn failed_requests(&mut self, work: &Work, second: Second) -> Vec<Told> {
        let answered = work.own_failed + work.passed_on;
        let mut seconds = Vec::new();
        let whole = (0.0, f64::INFINITY, answered);
        durations::draw(whole, work.shape, &mut self.random, &mut seconds);
        let mut failures = vec![Failure::Internal; work.own_failed as usize];
        failures.resize(seconds.len(), Failure::BadGateway);
        self.shuffle(&mut failures);
        seconds.resize(seconds.len() + work.shed.0 as usize, work.shed.1);
        failures.resize(seconds.len(), Failure::Busy);
        let parents = self.asking[work.node].answered(seconds.len(), false, &mut self.random);
        let told = |((seconds, parent), failure): ((f64, Option<Told>), Failure)| Told {
            failure: Some(failure),
            ..self.request(seconds, parent, second)
        };
        seconds.into_iter().zip(parents).zip(failures).map(told).collect()
    }

    /// A request that went well; in the middle of the call that it answers.
    fn request(&mut self, seconds: f64, parent: Option<Told>, second: Second) -> Told {
        let nanos = (1e9 * seconds).round() as u64;
        let end = match parent {
            Some(parent) => {
                let waited = (parent.end - parent.start).saturating_sub(nanos) / 2;
                (parent.end - waited).clamp(second.first, second.last)
            }
            None => second.first + (self.random.uniform() * SECOND as f64) as u64,
        };
        let end = end.min(second.last);
        let high = u128::from(self.random.bits());
        Told {
            trace: parent.map_or(high << 64 | u128::from(self.random.bits()), |told| told.trace),
            span: self.random.bits().max(1),
            parent: parent.map_or(0, |parent| parent.span),
            start: end.saturating_sub(nanos),
            end,
            call: None,
            failure: None,
        }
    }

    /// Spreads the attempts of a call over the requests that were answered: those that failed over
    /// requests that failed for a call (`needy`, until each has what it failed for), the others
    /// over all, long ones to long ones.
    fn spread(
        &mut self,
        asked: &Asked,
        answered: usize,
        needy: &mut Vec<usize>,
        children: &mut Vec<Child>,
    ) {
        if answered == 0 {
            return;
        }
        let call = asked.call;
        let fates: [fn(Failure) -> Fate; 4] =
            [Fate::Unanswered, Fate::Unanswered, Fate::Failed, Fate::Late];
        let mut failed: Vec<(Fate, f64)> = Vec::new();
        for ((count, failure, seconds), fate) in asked.failed.iter().zip(fates) {
            failed.extend((0..*count).map(|_| (fate(*failure), *seconds)));
        }
        self.shuffle(&mut failed);
        let tries = usize::try_from(asked.retries).unwrap_or(0) + 1;
        let chains = (failed.len() / tries).min(needy.len());
        for request in needy.drain(needy.len() - chains..) {
            let attempts = failed.drain(failed.len() - tries..);
            let child = |(fate, seconds)| Child { request, call, seconds, fate };
            children.extend(attempts.map(child));
        }
        for (fate, seconds) in failed {
            let request = self.random.below(answered);
            children.push(Child { request, call, seconds, fate });
        }
        let Asked { well, sigma, .. } = asked;
        let means = (well.seconds, well.delay);
        let durations = durations::with_mean(well.count, means, *sigma, &mut self.random);
        let offset = self.random.uniform();
        for (at, seconds) in durations.into_iter().enumerate() {
            let share = (at as f64 + offset) / well.count as f64;
            let request = ((share * answered as f64) as usize).min(answered - 1);
            children.push(Child { request, call, seconds, fate: Fate::Well });
        }
    }

    /// Client spans of the children, one after the other within their requests. Sorts `children`
    /// by request.
    fn place(
        &mut self,
        requests: &mut [Told],
        children: &mut [Child],
        second: Second,
    ) -> Vec<Told> {
        children.sort_by_key(|child| child.request);
        let mut placed = Vec::with_capacity(children.len());
        for of_request in children.chunk_by(|a, b| a.request == b.request) {
            let request = &mut requests[of_request[0].request];
            let called: f64 = of_request.iter().map(|child| 1e9 * child.seconds).sum();
            if request.failure.is_some() {
                let least = (BEYOND_CALLS * called) as u64;
                request.start = request.start.min(request.end.saturating_sub(least));
            }
            let length = (request.end - request.start) as f64;
            let times = (length / called.max(1.0)).min(1.0);
            let pause = (length - called).max(0.0) / (of_request.len() + 1) as f64;
            let mut at = request.start as f64 - SECOND as f64 * (second.first / SECOND) as f64;
            for child in of_request {
                at += pause + times * 1e9 * child.seconds;
                let end = (SECOND * (second.first / SECOND)).saturating_add_signed(at as i64);
                let end = end.min(request.end).clamp(second.first, second.last);
                placed.push(Told {
                    trace: request.trace,
                    span: self.random.bits().max(1),
                    parent: request.span,
                    start: end.saturating_sub((1e9 * child.seconds).round() as u64),
                    end,
                    call: Some(child.call),
                    failure: child.fate.failure(),
                });
            }
        }
        placed
    }
}

impl Fate {
    fn failure(self) -> Option<Failure> {
        match self {
            Fate::Well => None,
            Fate::Unanswered(failure) | Fate::Failed(failure) | Fate::Late(failure) => {
                Some(failure)
            }
        }
    }
}

impl Asking {
    fn take(&mut self, fate: Fate, told: Told) {
        match fate {
            Fate::Well => self.well.push(told),
            Fate::Failed(_) => self.failed.push(told),
            Fate::Late(_) => self.late.push(told),
            Fate::Unanswered(_) => {}
        }
    }

    /// Calls that `count` requests of a copy answer, by their duration; `None` where nobody whose
    /// telemetry is known called.
    fn answered(
        &mut self,
        count: usize,
        well: bool,
        random: &mut crate::random::Random,
    ) -> Vec<Option<Told>> {
        let pools = if well {
            [&mut self.well, &mut self.late]
        } else {
            [&mut self.failed, &mut Vec::new()]
        };
        let mut calls = Vec::with_capacity(count);
        for pool in pools {
            while calls.len() < count && !pool.is_empty() {
                let at = random.below(pool.len());
                calls.push(pool.swap_remove(at));
            }
        }
        calls.sort_by_key(|told| told.end - told.start);
        let mut answered = vec![None; count];
        let found = calls.len();
        for (at, call) in calls.into_iter().enumerate() {
            answered[at * count / found] = Some(call);
        }
        answered
    }

    fn clear(&mut self) {
        self.well.clear();
        self.failed.clear();
        self.late.clear();
    }
}

/// Moves failures so that the first of them ends at `first`.
fn hold_first(mut failed: Vec<&mut Told>, first: u64) {
    let earliest = failed.iter().enumerate().min_by_key(|(_, told)| told.end).map(|(at, _)| at);
    for (at, told) in failed.iter_mut().enumerate() {
        let length = told.end - told.start;
        told.end = if Some(at) == earliest { first } else { told.end.max(first) };
        told.start = told.end.saturating_sub(length);
    }
}
