//! What whole traces tell: where the time of requests went, where errors began, how often one
//! request calls another.
//!
//! `observe` sums these over the span trees that it closed since the last tick. They are evidence
//! and never counters: only spans that came in time are in a tree, under load some traces are
//! left out, and nothing is scaled up for sampling. All lists are sorted and bounded.

use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::histogram::Histogram;
use crate::tick::Exemplar;

/// Facts of the trees closed since the last tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TraceFacts {
    /// Trees closed.
    pub trees: u64,
    /// Sorted by operation.
    pub operations: Vec<OperationFacts>,
    /// Sorted by caller, then callee.
    pub edges: Vec<EdgeFacts>,
}

impl TraceFacts {
    pub fn is_empty(&self) -> bool {
        self.trees == 0
    }
}

/// Requests of one operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationFacts {
    pub operation: Entity,
    /// Of each request its duration less the time in which at least one of its calls was under
    /// way.
    pub self_time: TimeFacts,
    /// Failed requests none of whose calls failed for good: what was wrong is here.
    pub errors_started: Vec<ErrorFacts>,
    /// Failed requests that had a call which failed for good.
    pub errors_passed_on: Vec<ErrorFacts>,
}

/// Calls from one service to what it calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EdgeFacts {
    pub caller: Entity,
    pub callee: Entity,
    /// How much longer a call took its caller than the callee worked on it: network, queues,
    /// connecting, proxies without telemetry. Only of calls whose server span came too.
    pub gap: TimeFacts,
    /// Calls that their callee worked on for longer than the caller waited; they have no gap.
    pub outlived: u64,
    pub fan_out: FanOut,
    /// Calls that repeat one that had failed, within a request.
    pub retries: CountFacts,
    /// Failed calls of which no failed request of the callee tells: refused, timed out, or of a
    /// callee without telemetry.
    pub errors_started: Vec<ErrorFacts>,
}

/// Durations, and the trace in which the longest is found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeFacts {
    pub times: Histogram,
    /// Its `duration_nanos` is the longest of `times`, not the duration of the whole span.
    pub longest: Option<Exemplar>,
}

/// Calls that one request makes to one callee.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FanOut {
    /// Requests that made at least one call.
    pub requests: u64,
    pub calls: u64,
    /// Most calls of one request.
    pub calls_max: u64,
    /// Trace of that request: 32 hex digits, empty when there is none.
    pub exemplar: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountFacts {
    pub count: u64,
    /// A trace that has it: 32 hex digits, empty when there is none.
    pub exemplar: String,
}

/// Errors of one kind; most frequent first in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorFacts {
    /// As in `RequestPoint::error_kinds`.
    pub kind: String,
    pub found: CountFacts,
}
