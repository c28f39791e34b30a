//! Span trees: spans gathered by trace until the trace is over, then read as a whole.
//!
//! A tree is closed when no span of its trace came for a while, when it is too old, or when it is
//! full. What it tells (`model::traces`) is evidence and never a counter, so a tree that is closed
//! too early costs evidence alone. A span that comes after its tree was closed is counted and
//! opens nothing.
//!
//! At the bound on memory the oldest trees are cut, an eighth at a time. What was cut tells
//! nothing, since half a tree tells wrong things: time that a missing call took would be the
//! caller's own. As that loses the work, and lets slow traces never be read, the next tick halves
//! the share of traces that is kept, by trace id, so that what is kept is kept whole; the share
//! doubles again after half a minute with room.
//!
//! Invariants: bounded by `TreeLimits`; the same spans and ticks give the same facts, in whatever
//! order and batches the spans of a tick came.
//!
//! Reading order: `limits`, `node` (a span), `shape` (how spans hang together), `facts` (what
//! that tells), `closed` (what a late span is known by).

mod limits;

mod node;

mod shape;

mod facts;

mod closed;

use std::collections::BTreeMap;
use std::time::Duration;

use model::Timestamp;
use model::signal::Span;
use model::tick::Quality;
use model::traces::TraceFacts;
use serde::{Deserialize, Serialize};

use crate::registry::{Id, Registry};
use closed::{Closed, TraceKey};
use facts::Drafts;
pub use limits::TreeLimits;
use node::Node;
pub(crate) use node::{Told, ask};
use shape::Shape;

/// At most one trace in 2^16 is kept.
const THINNED_MAX: u8 = 16;
/// Ticks with room after which twice as many traces are kept.
const CALM_TICKS: u8 = 30;

/// A trace id as a number of the same order, which is quicker to compare.
type Trace = u128;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trees {
    open: BTreeMap<Trace, Tree>,
    /// Of all trees.
    spans: usize,
    closed: Closed,
    /// One trace in 2^`thinned` is kept.
    thinned: u8,
    calm_ticks: u8,
    /// Trees were cut since the last tick.
    has_cut: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tree {
    first: Timestamp,
    last: Timestamp,
    nodes: Vec<Node>,
}

impl Trees {
    /// Takes a span into the tree of its trace, unless it ended longer than `late_after` ago.
    pub(crate) fn take(
        &mut self,
        (span, service): (&Span, Id),
        told: Told,
        (arrival, late_after): (Timestamp, Duration),
        limits: &TreeLimits,
        quality: &mut Quality,
    ) {
        let Some(node) = Node::new(span, service, told, arrival) else { return };
        if arrival.since(Timestamp(node.end)) > late_after {
            return;
        }
        let trace = Trace::from_be_bytes(span.trace_id);
        if let Some(tree) = self.open.get_mut(&trace) {
            if tree.nodes.len() >= limits.tree_spans_max {
                quality.spans_after_close += 1;
                return;
            }
            tree.nodes.push(node);
            tree.last = tree.last.max(arrival);
        } else if !self.open(trace, node, arrival, limits, quality) {
            return;
        }
        self.spans += 1;
        if self.spans > limits.spans_max || self.open.len() > limits.trees_max {
            self.cut(limits, quality);
        }
    }

    /// Closes the trees whose time has come, and hands out what they tell. `resolve` says which
    /// service is known to answer at what a caller named.
    pub(crate) fn tick(
        &mut self,
        now: Timestamp,
        limits: &TreeLimits,
        resolve: impl Fn(Id) -> Id,
        registry: &Registry,
        quality: &mut Quality,
    ) -> TraceFacts {
        let is_over = |tree: &Tree| {
            now.since(tree.last) >= limits.idle_after.0
                || now.since(tree.first) >= limits.age_max.0
                || tree.nodes.len() >= limits.tree_spans_max
        };
        let over = self.open.iter().filter(|(_, tree)| is_over(tree));
        let over: Vec<Trace> = over.map(|(trace, _)| *trace).collect();
        let resolve = |id: u32| u32::try_from(resolve(u64::from(id))).unwrap_or(id);
        let mut drafts = Drafts::default();
        let mut shape = Shape::default();
        for trace in over {
            let Some(mut tree) = self.remove(trace) else { continue };
            shape.read(&mut tree.nodes, resolve);
            quality.orphan_spans += shape.orphans;
            drafts.add(trace.to_be_bytes(), &tree.nodes, &mut shape);
        }
        self.thin(limits);
        quality.over_limit += drafts.over_limit;
        drafts.finish(registry)
    }

    /// Begins a tree; false when the span belongs to none.
    fn open(
        &mut self,
        trace: Trace,
        node: Node,
        arrival: Timestamp,
        limits: &TreeLimits,
        quality: &mut Quality,
    ) -> bool {
        let key = TraceKey::new(trace);
        if self.closed.contains(key) {
            quality.spans_after_close += 1;
            return false;
        }
        if !key.is_kept(self.thinned) || limits.spans_max == 0 || limits.trees_max == 0 {
            quality.spans_without_tree += 1;
            return false;
        }
        self.open.insert(trace, Tree { first: arrival, last: arrival, nodes: vec![node] });
        true
    }

    fn remove(&mut self, trace: Trace) -> Option<Tree> {
        let tree = self.open.remove(&trace)?;
        self.spans -= tree.nodes.len();
        self.closed.put(TraceKey::new(trace));
        Some(tree)
    }

    /// Makes room: the oldest eighth goes, and again until an eighth of the bound on spans is free.
    fn cut(&mut self, limits: &TreeLimits, quality: &mut Quality) {
        self.has_cut = true;
        let spans_max = limits.spans_max - limits.spans_max / 8;
        let trees_max = limits.trees_max - limits.trees_max / 8;
        while !self.open.is_empty() && (self.spans > spans_max || self.open.len() > trees_max) {
            let mut ages: Vec<(Timestamp, Trace)> =
                self.open.iter().map(|(trace, tree)| (tree.first, *trace)).collect();
            let oldest = ages.len().div_ceil(8);
            ages.select_nth_unstable(oldest - 1);
            ages.truncate(oldest);
            for (_, trace) in ages {
                quality.trees_cut += u64::from(self.remove(trace).is_some());
            }
        }
    }

    /// Keeps fewer traces after a cut, more after a while with much room.
    fn thin(&mut self, limits: &TreeLimits) {
        let has_room = self.spans < limits.spans_max / 4 && self.open.len() < limits.trees_max / 4;
        if std::mem::take(&mut self.has_cut) {
            self.thinned = THINNED_MAX.min(self.thinned + 1);
            self.calm_ticks = 0;
        } else if has_room && self.thinned > 0 {
            self.calm_ticks += 1;
        } else {
            self.calm_ticks = 0;
        }
        if self.calm_ticks >= CALM_TICKS {
            self.thinned -= 1;
            self.calm_ticks = 0;
        }
    }
}

#[cfg(test)]
mod tests;
