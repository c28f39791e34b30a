//! The fidelity of spans: the same second of the world, told as spans, metrics and logs.
//!
//! The world is a fluid: it knows how many requests of a copy went well or failed, how long they
//! took, and what they called. The weaver gives each of them a life: a server span with its
//! client spans, whose server spans hang below them, and so on down (`weave`). Copies send them
//! when their SDKs would (`send`), as the batches that receivers hand on (`encode`), and the real
//! observer reads them.
//!
//! Invariants: the world never moves by it; of each copy and second there are as many spans of
//! each outcome, and as many within each latency limit, as the world counted, so both fidelities
//! give the same ticks, except what `tests` writes down. Samplers keep whole traces.
//!
//! What it cannot know: which request waited for which. Requests are paired with calls by their
//! rank in duration, those that failed for a call with calls that failed; a call and its answer
//! end in the same second.

mod durations;

mod encode;

mod send;

mod weave;

#[cfg(test)]
mod tests;

use model::Timestamp;

use crate::fleet::Fleet;
use crate::random::Random;
use crate::telemetry::{Failure, LIMITS};

/// Makes spans, and keeps them until they are sent.
#[derive(Clone, Debug)]
pub(crate) struct Weaver {
    random: Random,
    /// What copies did in the present second.
    works: Vec<Work>,
    /// Calls of the present second that wait for who answers them, by node.
    asking: Vec<weave::Asking>,
    /// By copy.
    unsent: Vec<Vec<Told>>,
    sampler: encode::Sampler,
}

/// What one copy did in a second.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub node: usize,
    pub copy: usize,
    /// Nanoseconds by which its clock is ahead.
    pub skew: i64,
    pub good: Good,
    /// Requests that failed by themselves, and for a call.
    pub own_failed: u64,
    pub passed_on: u64,
    /// Turned away: how many, and how long that took.
    pub shed: (u64, f64),
    /// Of the durations of all that were answered.
    pub shape: (f64, f64),
    /// When the first one that failed ended.
    pub first: Timestamp,
    pub calls: Vec<Asked>,
}

/// Requests that went well: (longer than, at most, how many), by latency limit, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Good(pub [(f64, f64, u64); LIMITS + 1]);

/// Attempts of one call.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Index among the calls of the node.
    pub call: usize,
    /// When the first one that failed ended.
    pub first: Timestamp,
    pub well: Well,
    /// Spread of the logarithm of their durations.
    pub sigma: f64,
    /// Further attempts after one that failed.
    pub retries: i32,
    /// How many failed, how, and after how many seconds.
    pub failed: [(u64, Failure, f64); 4],
}

/// Attempts that went well, and their mean duration with the network's part of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Well {
    pub count: u64,
    pub seconds: f64,
    pub delay: f64,
}

/// A span until it is sent.
#[derive(Clone, Copy, Debug)]
struct Told {
    trace: u128,
    span: u64,
    /// 0: a root.
    parent: u64,
    /// Nanoseconds since 1970.
    start: u64,
    end: u64,
    /// `None`: a request served; else the index of a call.
    call: Option<usize>,
    failure: Option<Failure>,
}

impl Good {
    /// `kept` are those within each limit.
    pub fn new(count: u64, limits: &[f64], kept: [u64; LIMITS]) -> Good {
        let mut parts = [(0.0, f64::INFINITY, 0); LIMITS + 1];
        let (mut from, mut within) = (0.0, 0);
        for (part, (limit, kept)) in parts.iter_mut().zip(limits.iter().zip(kept)) {
            *part = (from, *limit, kept - within);
            (from, within) = (*limit, kept);
        }
        parts[limits.len().min(LIMITS)] = (from, f64::INFINITY, count - within);
        Good(parts)
    }
}

impl Weaver {
    pub fn new(fleet: &Fleet, random: &Random) -> Weaver {
        Weaver {
            random: random.stream(61),
            works: Vec::new(),
            asking: fleet.nodes.iter().map(|_| weave::Asking::default()).collect(),
            unsent: Vec::new(),
            sampler: encode::Sampler::new(fleet.sampling),
        }
    }

    pub fn serves(&mut self, work: Work) {
        self.works.push(work);
    }

    /// Calls of the copy whose work was told last.
    pub fn calls(&mut self, copy: usize, asked: Asked) {
        if let Some(work) = self.works.last_mut().filter(|work| work.copy == copy) {
            work.calls.push(asked);
        }
    }

    /// A process died: what it had not sent is gone.
    pub fn lose(&mut self, copy: usize) {
        if let Some(unsent) = self.unsent.get_mut(copy) {
            unsent.clear();
        }
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.random.below(at + 1));
        }
    }

    fn keep(&mut self, copy: usize, skew: i64, mut told: Told) {
        told.start = told.start.saturating_add_signed(skew);
        told.end = told.end.saturating_add_signed(skew);
        if !self.sampler.keeps(told.trace) {
            return;
        }
        if self.unsent.len() <= copy {
            self.unsent.resize_with(copy + 1, Vec::new);
        }
        self.unsent[copy].push(told);
    }
}
