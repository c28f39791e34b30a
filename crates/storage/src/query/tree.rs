//! The tree of a trace, and what it tells: where time went, where an error started, what was
//! called too often, which clocks disagree.
//!
//! Pure: spans in, facts out. Spans are named by their place in the slice that was given, and every
//! walk is a loop, so neither a chain of 100,000 spans nor spans that are their own ancestors can
//! do harm.
//!
//! Invariants: each span is a root, an orphan, a child or a copy of another, never two of these;
//! following `parent` always ends. Times are told as they were received: a child outside of its
//! parent is told ([`Node::early_nanos`], [`Skew`]) and never moved.

mod calls;
mod failures;
mod path;
mod shape;
mod skew;
mod timing;

use model::signal::{SpanId, SpanKind, SpanStatus};
use serde::Serialize;

/// Longest list of failures, fan-outs, retries, skews or copies; more sets [`Tree::cut`].
pub const LIST_MAX: usize = 100;
/// Longest critical path, in segments.
pub const PATH_MAX: usize = 2_000;

/// What the tree has to know of a span. Texts that are not known are empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeSpan<'a> {
    pub span_id: SpanId,
    /// Zero for a root.
    pub parent_span_id: SpanId,
    pub service: &'a str,
    pub instance: &'a str,
    pub name: &'a str,
    pub kind: SpanKind,
    pub status: SpanStatus,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    /// Whom it calls, as its attributes tell: a peer, a database, a queue.
    pub target: &'a str,
    pub status_message: &'a str,
    pub exception_type: &'a str,
    pub exception_message: &'a str,
}

impl TreeSpan<'_> {
    fn failed(&self) -> bool {
        self.status == SpanStatus::Error
    }

    fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Numbers of spans are their places in the slice that was given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Tree {
    /// One for each span, in the order given.
    pub nodes: Vec<Node>,
    /// Roots and orphans by start; the root that the trace is named after is first.
    pub roots: Vec<u32>,
    pub depth_max: u32,
    pub orphans: u32,
    /// Spans whose id another one bears too.
    pub copies: Vec<Copy>,
    /// Where errors started; the one that explains the most first.
    pub failures: Vec<Failure>,
    /// Several calls from one span to the same operation of the same callee; most first.
    pub fan_outs: Vec<FanOut>,
    /// Calls that were made again after they had failed.
    pub retries: Vec<Retry>,
    /// What the first root waited for, in order of time: without gaps from its start to its end.
    pub critical_path: Vec<Segment>,
    pub skews: Vec<Skew>,
    /// A list had to be cut.
    pub cut: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Node {
    pub place: Place,
    pub parent: Option<u32>,
    /// By start.
    pub children: Vec<u32>,
    /// Zero for roots.
    pub depth: u32,
    /// The part of its duration in which none of its children ran.
    pub self_nanos: u64,
    /// The part of the critical path that is its own.
    pub critical_nanos: u64,
    /// Of a client span: its duration less that of the server's spans under it: network, queues,
    /// connection. Negative where the server worked on after the caller had gone.
    pub edge_gap_nanos: Option<i64>,
    /// Of a consumer span: from the start of its producer to its own; negative under clock skew.
    pub queue_nanos: Option<i64>,
    /// How long before its parent it started.
    pub early_nanos: u64,
    /// How long after its parent it ended.
    pub late_nanos: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    #[default]
    Root,
    Child,
    /// It names a parent that is not here.
    Orphan,
    /// It is its own ancestor; made a root here.
    Cycle,
    /// The same span was received before; it is no part of the tree.
    Copy,
}

/// `span` bears the same id as `of`.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Copy {
    pub span: u32,
    pub of: u32,
    /// The same in all that the tree looks at: left out of it. Otherwise both are in the tree.
    pub identical: bool,
}

/// A failed span under which nothing failed.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "TraceFailure")]
pub struct Failure {
    pub span: u32,
    pub service: String,
    pub operation: String,
    /// Whom it called when it failed, where it is a call.
    pub callee: String,
    pub message: String,
    pub exception_type: String,
    pub exception_message: String,
    pub depth: u32,
    /// All its callers up to a root failed as well.
    pub reaches_root: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FanOut {
    pub parent: u32,
    pub callee: String,
    pub operation: String,
    pub calls: u32,
    /// Sum of their durations.
    pub total_nanos: u64,
    /// How many ran at the same time at most: 1 when they waited for each other.
    pub at_once_max: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Retry {
    pub parent: u32,
    pub operation: String,
    pub target: String,
    /// By start; all but the last failed.
    pub attempts: Vec<u32>,
    pub succeeded: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Segment {
    pub span: u32,
    /// Nanoseconds since the root's start.
    pub start_nanos: u64,
    pub end_nanos: u64,
}

/// Two places whose clocks cannot both be right, or whose spans tell so.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Skew {
    pub caller: Clock,
    pub callee: Clock,
    /// Children outside of their parents, by more than [`skew::TOLERANCE_NANOS`].
    pub spans: u32,
    /// The longest time by which one started before its parent.
    pub early_nanos_max: u64,
    /// By how much the callee's clock is ahead of the caller's (negative: behind), if a request
    /// takes as long as its answer: the median over calls that would fit into their callers.
    pub offset_nanos: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, schemars::JsonSchema)]
#[schemars(rename = "TraceClock")]
pub struct Clock {
    pub service: String,
    pub instance: String,
}

/// Puts spans, in any order, into a tree.
pub fn build(spans: &[TreeSpan<'_>]) -> Tree {
    let mut tree = Tree::default();
    let order = shape::place(spans, &mut tree);
    timing::measure(spans, &mut tree);
    path::critical(spans, &mut tree);
    failures::find(spans, &order, &mut tree);
    calls::find(spans, &order, &mut tree);
    skew::find(spans, &mut tree);
    tree
}

/// Cuts `list` to what is allowed, and tells so.
fn bound<T>(list: &mut Vec<T>, cut: &mut bool) {
    if list.len() > LIST_MAX {
        list.truncate(LIST_MAX);
        *cut = true;
    }
}

/// The service of the server's side of call `span`, or else what its attributes tell.
fn callee<'a>(spans: &[TreeSpan<'a>], tree: &Tree, span: u32) -> &'a str {
    let serves = |child: &&u32| {
        matches!(spans[**child as usize].kind, SpanKind::Server | SpanKind::Consumer)
    };
    match tree.nodes[span as usize].children.iter().find(serves) {
        Some(child) => spans[*child as usize].service,
        None => spans[span as usize].target,
    }
}

#[cfg(test)]
mod tests;
