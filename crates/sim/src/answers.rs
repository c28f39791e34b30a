//! Answers on their way up: what failed and why, how long it took, what telemetry saw of it.

use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;

use crate::fleet::{Call, Fleet};
use crate::flow::tries;
use crate::random::{Random, above};
use crate::spans::{Asked, Good, Well, Work};
use crate::telemetry::{Failure, LIMITS};
use crate::world::{CallState, Outcome, Process, Replica, World};

const NANOSECOND: Duration = Duration::from_nanos(1);
/// A refusal takes this long.
const REFUSED_SECONDS: f64 = 0.001;
const MEBIBYTE: f64 = 1_048_576.0;
/// Each MiB that a process leaked makes its part of a request so much slower.
const SECONDS_PER_MEBIBYTE: f64 = 0.001;

/// How one attempt of a call fares: shares of all attempts, and what a whole call takes.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    lost: f64,
    loss: Failure,
    loss_seconds: f64,
    refused: f64,
    refusal: Failure,
    refusal_seconds: f64,
    /// Share of good answers that are of the past.
    stale: f64,
    errors: f64,
    late: f64,
    timeout: f64,
    seconds: f64,
    /// The part of it that the network takes; spread of the logarithm of the rest.
    delay: f64,
    sigma: f64,
}

/// What a node's calls together do to a request.
#[derive(Clone, Copy, Debug, Default)]
struct Called {
    fails: f64,
    seconds: f64,
    /// Share of requests that fail because an answer was of the past.
    misled: f64,
    pooled_seconds: f64,
}

impl World {
    pub(crate) fn answer(&mut self) {
        let fleet = Arc::clone(&self.fleet);
        let mut attempts: Vec<Attempt> = Vec::new();
        for node in (0..fleet.nodes.len()).rev() {
            attempts.clear();
            let mut called = Called::default();
            for (at, call) in fleet.nodes[node].calls.iter().enumerate() {
                let attempt =
                    attempt(call, &self.nodes[node].calls[at], &self.nodes[call.to].outcome);
                let state = &mut self.nodes[node].calls[at];
                state.failing = attempt.fails();
                called.take(call, state, &attempt);
                attempts.push(attempt);
            }
            self.nodes[node].pooled_seconds = called.pooled_seconds;
            self.answer_of(&fleet, node, called, &attempts);
        }
    }

    fn answer_of(&mut self, fleet: &Fleet, node: usize, called: Called, attempts: &[Attempt]) {
        let of = &fleet.nodes[node];
        let now = self.now();
        let (mut failed, mut slow, mut answered) = (0, 0, 0);
        let (mut refused, mut shed, mut given_up) = (0, 0, 0);
        let (mut seconds, mut expected, mut running, mut dead) = (0.0, 0.0, 0.0, 0.0);
        let copies = std::mem::take(&mut self.nodes[node].copies);
        for copy in &copies {
            let copy = *copy;
            if self.copies[copy].state != Process::Running {
                dead += f64::from(u8::from(self.copies[copy].flow.refused > 0));
                refused += self.copies[copy].flow.refused;
                continue;
            }
            let (bad, late, mean, chance) = self.answer_of_copy(fleet, copy, called, now);
            let flow = &self.copies[copy].flow;
            failed += bad;
            slow += late;
            answered += flow.answered;
            refused += flow.refused;
            shed += flow.shed;
            given_up += flow.given_up;
            seconds += mean * (flow.answered as f64).max(0.01);
            expected += chance;
            running += 1.0;
            if of.told {
                self.tell_calls(fleet, copy, attempts, now);
            }
        }
        self.nodes[node].copies = copies;
        let arrivals = self.nodes[node].arrivals;
        if running == 0.0 {
            refused = arrivals;
        }
        let state = &mut self.nodes[node];
        let late = std::mem::take(&mut state.late);
        let (bad, all) = match of.consumes {
            None => (failed + slow + refused + shed + given_up, arrivals.max(answered)),
            // Users wait for what is done, not for who does it.
            Some(_) => (failed + late, answered + late),
        };
        state.truth.second(bad, all);
        let outcome = &mut state.outcome;
        let share = |count: u64, all: u64| if all > 0 { count as f64 / all as f64 } else { 0.0 };
        if arrivals > 0 {
            outcome.refused = share(refused, arrivals).min(1.0);
            outcome.errors = share(failed + shed, answered + shed);
            outcome.given_up = share(given_up, arrivals.max(given_up));
        } else {
            outcome.refused = dead / (running + dead).max(1.0);
            outcome.errors = expected / f64::max(running, 1.0);
            outcome.given_up = 0.0;
        }
        outcome.stale = state.stale;
        outcome.refusal = state.refuse.map_or(Failure::Refused, |(_, failure)| failure);
        if running > 0.0 {
            let weight = (answered as f64).max(0.01 * running);
            outcome.settle(seconds / weight, of.sigma);
        }
    }

    /// Failed and slow requests of one copy, their mean duration, and how likely one fails.
    fn answer_of_copy(
        &mut self,
        fleet: &Fleet,
        copy: usize,
        called: Called,
        now: Timestamp,
    ) -> (u64, u64, f64, f64) {
        let replica = &mut self.copies[copy];
        let of = &fleet.nodes[replica.node];
        let conduct = &replica.conduct;
        let grown = SECONDS_PER_MEBIBYTE * replica.leaked / MEBIBYTE;
        let own = of.own_seconds * conduct.slow_times + conduct.slow_plus + grown;
        replica.service_seconds = own + called.seconds;
        let mean = replica.service_seconds + replica.wait_seconds;
        let own_share = 1.0 - (1.0 - of.errors) * (1.0 - conduct.errors) * (1.0 - called.misled);
        let random = &mut self.random;
        let answered = replica.flow.answered;
        let own_failed = random.binomial(answered, own_share);
        let passed_on = random.binomial(answered - own_failed, called.fails);
        let failed = own_failed + passed_on;
        let shape = shape(mean, of.sigma);
        let state = &self.nodes[replica.node];
        let slow = random.binomial(answered - failed, beyond(state.slow_seconds, shape));
        if of.told && (answered > 0 || replica.flow.shed > 0) {
            let first = within_second(now, random);
            let (clock, first_told) = (replica.clock(now - NANOSECOND), replica.clock(first));
            let counts = replica.served.at(clock);
            counts.good(answered - failed, mean);
            counts.bad(own_failed, Failure::Internal, mean, first_told);
            counts.bad(passed_on, Failure::BadGateway, mean, first_told);
            counts.bad(replica.flow.shed, Failure::Busy, REFUSED_SECONDS, first_told);
            counts.draw(answered, shape, random);
            counts.took(replica.flow.shed, REFUSED_SECONDS);
            if state.limits.is_empty() {
                counts.has_no_limits();
            }
            let mut within = answered - failed;
            let mut kept = [0; LIMITS];
            for (at, limit) in state.limits.iter().enumerate().rev() {
                // From the wider limit to the narrower: what is within the one is within the other.
                let wider = state.limits.get(at + 1).map_or(0.0, |wider| beyond(*wider, shape));
                let share = (beyond(*limit, shape) - wider) / (1.0 - wider).max(1e-9);
                within -= random.binomial(within, share);
                counts.add_within(at, within);
                kept[at] = within;
            }
            if let Some(weaver) = &mut self.weaver {
                weaver.serves(Work {
                    node: replica.node,
                    copy,
                    skew: replica.clock(now).0 as i64 - now.0 as i64,
                    good: Good::new(answered - failed, &state.limits, kept),
                    own_failed,
                    passed_on,
                    shed: (replica.flow.shed, REFUSED_SECONDS),
                    shape,
                    first,
                    calls: Vec::new(),
                });
            }
        }
        let chance = 1.0 - (1.0 - own_share) * (1.0 - called.fails);
        (failed, slow, mean, chance)
    }

    /// What one copy's calls look like to it.
    fn tell_calls(&mut self, fleet: &Fleet, copy: usize, attempts: &[Attempt], now: Timestamp) {
        let random = &mut self.random;
        let replica = &mut self.copies[copy];
        for (at, attempt) in attempts.iter().enumerate() {
            let asked = replica.flow.asked[at];
            if asked == 0 {
                continue;
            }
            let clock = replica.clock(now - NANOSECOND);
            let call = &fleet.nodes[replica.node].calls[at];
            let timeout = call.timeout_seconds;
            let first = within_second(now, random);
            let first_told = replica.clock(first);
            let counts = replica.called[at].at(clock);
            let mut left = asked;
            // A store that is asked too much takes no more connections.
            let is_service = fleet.nodes[call.to].is_service();
            let error = if is_service { Failure::Internal } else { Failure::Crowded };
            let kinds = [
                (attempt.lost, attempt.loss, attempt.loss_seconds),
                (attempt.refused, attempt.refusal, attempt.refusal_seconds),
                (attempt.errors, error, attempt.seconds),
                (attempt.late, Failure::Timeout, timeout),
            ];
            let mut failed = [(0, Failure::Internal, 0.0); 4];
            for ((share, failure, seconds), told) in kinds.into_iter().zip(&mut failed) {
                if share > 0.0 {
                    let count = random.binomial(left, share);
                    counts.bad(count, failure, seconds, first_told);
                    left -= count;
                    *told = (count, failure, seconds);
                }
            }
            counts.good(left, attempt.seconds);
            if let Some(weaver) = &mut self.weaver {
                let retries = call.retries + self.nodes[replica.node].calls[at].more;
                let well = Well { count: left, seconds: attempt.seconds, delay: attempt.delay };
                weaver.calls(
                    copy,
                    Asked { call: at, first, well, sigma: attempt.sigma, failed, retries },
                );
            }
        }
    }
}

impl Replica {
    /// The time by its own clock. Clocks are wrong by whole seconds, so that what one second holds
    /// stays together.
    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        let seconds = (self.skew + self.conduct.skew).round();
        let wrong = Duration::from_secs(seconds.abs() as u64);
        if seconds >= 0.0 { now + wrong } else { now - wrong }
    }
}

impl Attempt {
    fn fails(&self) -> f64 {
        let well =
            (1.0 - self.lost) * (1.0 - self.refused) * (1.0 - self.errors) * (1.0 - self.late);
        (1.0 - well).clamp(0.0, 1.0)
    }

    /// Mean time of one attempt, whatever became of it.
    fn mean_seconds(&self) -> f64 {
        let there = 1.0 - self.lost;
        let answered = there * (1.0 - self.refused);
        self.lost * self.loss_seconds
            + there * self.refused * self.refusal_seconds
            + answered * (self.late * self.timeout + (1.0 - self.late) * self.seconds)
    }
}

impl Called {
    fn take(&mut self, call: &Call, state: &CallState, attempt: &Attempt) {
        let failing = attempt.fails();
        let per_request = call.per_request * state.times;
        let retries = call.retries + state.more;
        let seconds = per_request * tries(failing, retries) * attempt.mean_seconds();
        self.seconds += seconds;
        if let Some(pool) = call.pool {
            self.pooled_seconds = self.pooled_seconds.max(seconds / pool);
        }
        if call.must && failing > 0.0 {
            let fails = failing.powi(retries + 1);
            self.fails = 1.0 - (1.0 - self.fails) * well(per_request, fails);
        }
        if attempt.stale > 0.0 {
            self.misled = 1.0 - (1.0 - self.misled) * well(per_request, attempt.stale);
        }
    }
}

/// Share of requests none of whose calls fails.
fn well(per_request: f64, fails: f64) -> f64 {
    match per_request < 1.0 {
        true => 1.0 - per_request * fails,
        false => (1.0 - fails).max(0.0).powf(per_request),
    }
}

impl Outcome {
    fn settle(&mut self, seconds: f64, sigma: f64) {
        self.seconds = seconds;
        (self.mu, self.sigma) = shape(seconds, sigma);
    }
}

fn attempt(call: &Call, state: &CallState, callee: &Outcome) -> Attempt {
    let (lost, loss) = state.loss.unwrap_or((0.0, Failure::Timeout));
    let left = call.timeout_seconds - state.delay;
    let late = if left > 0.0 { beyond(left, (callee.mu, callee.sigma)) } else { 1.0 };
    let takes = |failure| match failure {
        Failure::Timeout => call.timeout_seconds,
        _ => REFUSED_SECONDS,
    };
    Attempt {
        lost,
        loss,
        loss_seconds: takes(loss),
        refused: callee.refused,
        refusal: callee.refusal,
        // Who waits for a lock is refused by their own impatience.
        refusal_seconds: takes(callee.refusal),
        stale: callee.stale,
        errors: callee.errors,
        late: 1.0 - (1.0 - late) * (1.0 - callee.given_up),
        timeout: call.timeout_seconds,
        seconds: (callee.seconds + state.delay).min(call.timeout_seconds),
        delay: state.delay.min(call.timeout_seconds),
        sigma: callee.sigma,
    }
}

/// A moment in the second that ends at `now`, which is the first of the next.
fn within_second(now: Timestamp, random: &mut Random) -> Timestamp {
    now - Duration::from_nanos(1 + (999_999_998.0 * random.uniform()) as u64)
}

/// Logarithmic mean and spread of durations with this mean.
fn shape(mean: f64, sigma: f64) -> (f64, f64) {
    (mean.max(1e-6).ln() - sigma * sigma / 2.0, sigma)
}

/// Share of durations beyond a limit.
pub(crate) fn beyond(limit: f64, (mu, sigma): (f64, f64)) -> f64 {
    let z = (limit.max(1e-9).ln() - mu) / sigma.max(1e-3);
    if z > 6.0 { 0.0 } else { above(z) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_is_retried_fails_less_often_and_takes_longer() {
        let callee = Outcome {
            refused: 0.0,
            refusal: Failure::Refused,
            errors: 0.5,
            given_up: 0.0,
            stale: 0.0,
            seconds: 0.01,
            mu: (0.01_f64).ln(),
            sigma: 0.4,
        };
        let state =
            CallState { times: 1.0, delay: 0.0, loss: None, more: 0, failing: 0.0, known: false };
        let of = |retries| {
            let (per_request, timeout_seconds, pool) = (1.0, 1.0, None);
            let call = Call { to: 1, per_request, must: true, timeout_seconds, retries, pool };
            let mut called = Called::default();
            called.take(&call, &state, &attempt(&call, &state, &callee));
            called
        };
        assert!((of(0).fails - 0.5).abs() < 1e-6 && (of(1).fails - 0.25).abs() < 1e-6);
        assert!(of(1).seconds > 1.4 * of(0).seconds);
    }
}
