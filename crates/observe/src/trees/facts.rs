//! What one tree after the other tells, summed until the tick is handed out.
//!
//! Invariants: sums do not depend on the order in which spans of a trace came; of many kinds of
//! error the first `KINDS_MAX` of a series have names of their own, the rest is `other`; a tick
//! tells of at most `SERIES_MAX` operations and as many edges, and what does not fit is counted.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use model::Histogram;
use model::signal::TraceId;
use model::tick::Exemplar;
use model::traces::{
    CountFacts, EdgeFacts, ErrorFacts, FanOut, OperationFacts, TimeFacts, TraceFacts,
};

use super::node::{Node, Role, UNKNOWN};
use super::shape::{Call, NONE, Shape};
use crate::points::hex;
use crate::registry::{Id, OTHER, Registry};

/// Operations, and edges, of one tick.
const SERIES_MAX: usize = 10_000;
/// Kinds of error with names of their own, of one series.
const KINDS_MAX: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Drafts {
    trees: u64,
    operations: BTreeMap<Id, OperationDraft>,
    edges: BTreeMap<(Id, Id), EdgeDraft>,
    pub over_limit: u64,
}

#[derive(Debug, Default)]
struct OperationDraft {
    self_time: Times,
    started: Vec<ErrorDraft>,
    passed_on: Vec<ErrorDraft>,
}

#[derive(Debug, Default)]
struct EdgeDraft {
    gap: Times,
    outlived: u64,
    requests: u64,
    calls: u64,
    /// Most calls of one request, and its trace.
    most: Option<(u64, Reverse<TraceId>)>,
    retries: Count,
    started: Vec<ErrorDraft>,
}

#[derive(Debug, Default)]
struct Times {
    times: Histogram,
    longest: Option<(u64, bool, Reverse<TraceId>)>,
}

#[derive(Debug, Default)]
struct Count {
    count: u64,
    trace: Option<TraceId>,
}

#[derive(Debug)]
struct ErrorDraft {
    kind: Box<str>,
    found: Count,
}

impl Drafts {
    /// Adds what a tree tells; `shape` was read from `nodes`.
    pub(super) fn add(&mut self, trace: TraceId, nodes: &[Node], shape: &mut Shape) {
        self.trees += 1;
        // Requests that are not the users' tell nothing, nor do the calls they make.
        let is_users =
            |call: &Call| call.request == NONE || nodes[call.request as usize].subject != UNKNOWN;
        for same_callee in
            shape.calls.chunk_by(|a, b| (a.request, a.callee) == (b.request, b.callee))
        {
            let first = &same_callee[0];
            let edge = match first.callee {
                UNKNOWN => None,
                callee if is_users(first) => {
                    let caller = nodes[first.node as usize].service;
                    self.edge(u64::from(caller), u64::from(callee))
                }
                _ => None,
            };
            let mut unused = EdgeDraft::default();
            let edge = edge.unwrap_or(&mut unused);
            for call in same_callee {
                edge.call(trace, &nodes[call.node as usize], shape.answers[call.node as usize]);
            }
            if first.request == NONE {
                continue;
            }
            edge.fan_out(trace, same_callee.len() as u64);
            for same_ask in same_callee.chunk_by(|a, b| a.ask == b.ask) {
                edge.retries.add(trace, retries(same_ask, nodes));
                if !ended_well(same_ask, nodes) {
                    shape.broken.push(first.request);
                }
            }
        }
        shape.broken.sort_unstable();
        self.requests(trace, nodes, shape);
    }

    /// Hands out what was summed, by name and sorted.
    pub(super) fn finish(self, registry: &Registry) -> TraceFacts {
        let operations = self.operations.into_iter().filter_map(|(id, draft)| {
            Some(OperationFacts {
                operation: registry.entity(id)?.clone(),
                self_time: draft.self_time.finish(),
                errors_started: finish_errors(draft.started),
                errors_passed_on: finish_errors(draft.passed_on),
            })
        });
        let edges = self.edges.into_iter().filter_map(|((caller, callee), draft)| {
            let (calls_max, exemplar) =
                draft.most.map_or((0, String::new()), |(calls, trace)| (calls, hex(&trace.0)));
            let (requests, calls) = (draft.requests, draft.calls);
            Some(EdgeFacts {
                caller: registry.entity(caller)?.clone(),
                callee: registry.entity(callee)?.clone(),
                gap: draft.gap.finish(),
                outlived: draft.outlived,
                fan_out: FanOut { requests, calls, calls_max, exemplar },
                retries: draft.retries.finish(),
                errors_started: finish_errors(draft.started),
            })
        });
        let mut facts = TraceFacts {
            trees: self.trees,
            operations: operations.collect(),
            edges: edges.collect(),
        };
        facts.operations.sort_by(|a, b| a.operation.cmp(&b.operation));
        facts.edges.sort_by(|a, b| (&a.caller, &a.callee).cmp(&(&b.caller, &b.callee)));
        facts
    }

    fn requests(&mut self, trace: TraceId, nodes: &[Node], shape: &Shape) {
        let mut away = shape.away.as_slice();
        for (at, node) in nodes.iter().enumerate().filter(|(_, node)| node.role.is_request()) {
            let of_request = away.partition_point(|(request, _, _)| *request <= at as u32);
            let (own, rest) = away.split_at(of_request);
            away = rest;
            if node.subject == UNKNOWN {
                continue;
            }
            let Some(operation) = self.operation(u64::from(node.subject)) else { continue };
            let self_nanos = node.nanos() - waited(node, own);
            operation.self_time.add(trace, self_nanos, node.failed());
            if let Some(kind) = &node.error {
                let is_passed_on = shape.broken.binary_search(&(at as u32)).is_ok();
                let errors =
                    if is_passed_on { &mut operation.passed_on } else { &mut operation.started };
                add_error(errors, kind, trace);
            }
        }
    }

    fn operation(&mut self, id: Id) -> Option<&mut OperationDraft> {
        if self.operations.len() >= SERIES_MAX && !self.operations.contains_key(&id) {
            self.over_limit += 1;
            return None;
        }
        Some(self.operations.entry(id).or_default())
    }

    fn edge(&mut self, caller: Id, callee: Id) -> Option<&mut EdgeDraft> {
        let key = (caller, callee);
        if self.edges.len() >= SERIES_MAX && !self.edges.contains_key(&key) {
            self.over_limit += 1;
            return None;
        }
        Some(self.edges.entry(key).or_default())
    }
}

impl EdgeDraft {
    fn call(&mut self, trace: TraceId, node: &Node, answer: super::shape::Answer) {
        if answer.service != UNKNOWN && node.role == Role::Client {
            match node.nanos().checked_sub(answer.served_nanos) {
                Some(gap) => self.gap.add(trace, gap, node.failed()),
                None => self.outlived += 1,
            }
        }
        if let Some(kind) = node.error.as_ref().filter(|_| !answer.broke_below) {
            add_error(&mut self.started, kind, trace);
        }
    }

    fn fan_out(&mut self, trace: TraceId, calls: u64) {
        self.requests += 1;
        self.calls += calls;
        self.most = self.most.max(Some((calls, Reverse(trace))));
    }
}

impl Times {
    fn add(&mut self, trace: TraceId, nanos: u64, failed: bool) {
        self.times.record(nanos as f64 / 1e9, 1.0);
        self.longest = self.longest.max(Some((nanos, failed, Reverse(trace))));
    }

    fn finish(self) -> TimeFacts {
        let longest = self.longest.map(|(duration_nanos, error, trace)| Exemplar {
            trace_id: hex(&trace.0),
            error,
            duration_nanos,
        });
        TimeFacts { times: self.times, longest }
    }
}

impl Count {
    fn add(&mut self, trace: TraceId, count: u64) {
        if count > 0 {
            self.count += count;
            self.trace = Some(self.trace.map_or(trace, |held| held.min(trace)));
        }
    }

    fn finish(self) -> CountFacts {
        let exemplar = self.trace.map_or(String::new(), |trace| hex(&trace));
        CountFacts { count: self.count, exemplar }
    }
}

fn add_error(errors: &mut Vec<ErrorDraft>, kind: &str, trace: TraceId) {
    let known = errors.iter().any(|error| &*error.kind == kind);
    let kind = if known || errors.len() < KINDS_MAX { kind } else { OTHER };
    let at = errors.iter().position(|error| &*error.kind == kind).unwrap_or_else(|| {
        errors.push(ErrorDraft { kind: kind.into(), found: Count::default() });
        errors.len() - 1
    });
    errors[at].found.add(trace, 1);
}

fn finish_errors(errors: Vec<ErrorDraft>) -> Vec<ErrorFacts> {
    let mut errors: Vec<ErrorFacts> = errors
        .into_iter()
        .map(|error| ErrorFacts { kind: error.kind.into(), found: error.found.finish() })
        .collect();
    errors.sort_by(|a, b| b.found.count.cmp(&a.found.count).then_with(|| a.kind.cmp(&b.kind)));
    errors
}

/// Calls that begin after one that asked the same had failed. Sorted by start.
fn retries(calls: &[Call], nodes: &[Node]) -> u64 {
    let is_retry = |pair: &&[Call]| {
        let failed = &nodes[pair[0].node as usize];
        failed.failed() && failed.end <= pair[1].start
    };
    calls.windows(2).filter(is_retry).count() as u64
}

/// Did each call that failed have one after it that asked the same and went well?
fn ended_well(calls: &[Call], nodes: &[Node]) -> bool {
    let last_failed =
        calls.iter().map(|call| &nodes[call.node as usize]).filter(|node| node.failed());
    let Some(failed_until) = last_failed.map(|node| node.end).max() else { return true };
    calls.iter().any(|call| call.start >= failed_until && !nodes[call.node as usize].failed())
}

/// Time of a request in which something it waited for was under way; sorted by start.
fn waited(node: &Node, away: &[(u32, u64, u64)]) -> u64 {
    let (mut waited, mut until) = (0, node.start);
    for (_, start, end) in away {
        let (start, end) = ((*start).max(until), (*end).min(node.end));
        if end > start {
            waited += end - start;
            until = end;
        }
    }
    waited
}
