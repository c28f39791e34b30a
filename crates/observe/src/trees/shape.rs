//! How the spans of one trace hang together: requests, the calls each made, who answered them.
//!
//! Internal spans are transparent: a call belongs to the request of the same service above it,
//! however many internal spans lie between. Of client spans nested in each other for the same
//! callee the outermost is the call, as in `calls`. A request below a call answers it; a request
//! right below another one was called without a client span.
//!
//! Invariants: the same set of spans has the same shape in whatever order they came; a span that
//! came twice is there once; ids that form a circle are orphans, and end no loop. Linear but for
//! the sorting; nothing recurses.

use super::node::{Node, Role, UNKNOWN};

/// No request, no call, no parent.
pub(super) const NONE: u32 = u32::MAX;

/// A call, by the places of its nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    pub request: u32,
    /// The service that answered, else as the caller named it; `UNKNOWN` where neither is known.
    pub callee: u32,
    pub ask: u32,
    pub start: u64,
    pub node: u32,
}

/// What became of a call, beside what its caller says of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// Service that answered, or `UNKNOWN`.
    pub service: u32,
    /// How long the requests that answered took together.
    pub served_nanos: u64,
    /// A request that answered, or a call nested in this one, failed.
    pub broke_below: bool,
}

/// The shape of one tree after the other; what was allocated for one serves the next.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// Sorted by request, callee, ask, start.
    pub calls: Vec<Call>,
    /// (request, start, end) of what a request waited for: calls, and requests right below it.
    pub away: Vec<(u32, u64, u64)>,
    /// Requests with a failed request right below.
    pub broken: Vec<u32>,
    /// Parallel to the nodes.
    pub answers: Vec<Answer>,
    /// Spans whose parent is not there.
    pub orphans: u64,
    places: Vec<Place>,
    parents: Vec<u32>,
    /// Children of node `i` are `children[ends[i - 1]..ends[i]]`.
    children: Vec<u32>,
    ends: Vec<u32>,
    order: Vec<u32>,
}

/// Where the children of a span find themselves.
#[derive(Clone, Copy, Debug)]
struct Place {
    service: u32,
    request: u32,
    call: u32,
}

impl Shape {
    /// Sorts `nodes` and reads how they hang together. `resolve` says which service is known to
    /// answer at what a caller named.
    pub(super) fn read(&mut self, nodes: &mut Vec<Node>, resolve: impl Fn(u32) -> u32) {
        nodes.sort_unstable();
        nodes.dedup_by(|a, b| a.span == b.span && a.role.is_request() == b.role.is_request());
        self.clear(nodes.len());
        self.link(nodes);
        for at in 0..self.order.len() {
            self.visit(nodes, self.order[at]);
        }
        for call in &mut self.calls {
            let answer = self.answers[call.node as usize];
            if answer.service != UNKNOWN {
                call.callee = answer.service;
            } else if call.callee != UNKNOWN {
                call.callee = resolve(call.callee);
            }
        }
        self.calls.sort_unstable();
        self.away.sort_unstable();
        self.broken.sort_unstable();
    }

    fn clear(&mut self, nodes: usize) {
        let none = Place { service: UNKNOWN, request: NONE, call: NONE };
        self.calls.clear();
        self.away.clear();
        self.broken.clear();
        self.order.clear();
        self.orphans = 0;
        reset(&mut self.answers, nodes, Answer::default());
        reset(&mut self.places, nodes, none);
        reset(&mut self.parents, nodes, NONE);
        reset(&mut self.children, nodes, NONE);
        reset(&mut self.ends, nodes + 1, 0);
    }

    /// Finds parents, and an order in which each comes before its children.
    fn link(&mut self, nodes: &[Node]) {
        for (at, node) in nodes.iter().enumerate() {
            let parent = find(nodes, node.parent).filter(|parent| *parent as usize != at);
            match parent {
                Some(parent) => {
                    self.parents[at] = parent;
                    self.ends[parent as usize + 1] += 1;
                }
                None => {
                    self.orphans += u64::from(node.parent != 0);
                    self.order.push(at as u32);
                }
            }
        }
        for at in 1..self.ends.len() {
            self.ends[at] += self.ends[at - 1];
        }
        // `ends[i]` is where the children of `i` begin until they are put there.
        for (at, parent) in self.parents.iter().enumerate() {
            if *parent != NONE {
                let end = &mut self.ends[*parent as usize];
                self.children[*end as usize] = at as u32;
                *end += 1;
            }
        }
        let mut next = 0;
        while let Some(at) = self.order.get(next).map(|at| *at as usize) {
            next += 1;
            let begin = if at == 0 { 0 } else { self.ends[at - 1] };
            let children = begin as usize..self.ends[at] as usize;
            self.order.extend_from_slice(&self.children[children]);
        }
        self.orphans += (nodes.len() - self.order.len()) as u64;
    }

    fn visit(&mut self, nodes: &[Node], at: u32) {
        let node = &nodes[at as usize];
        let fresh = Place { service: node.service, request: NONE, call: NONE };
        let above = match self.parents[at as usize] {
            NONE => fresh,
            parent => self.places[parent as usize],
        };
        self.places[at as usize] = match node.role {
            role if role.is_request() => {
                self.answer(node, above);
                Place { request: at, ..fresh }
            }
            // Work of another service below a call, without a request of that service: what it
            // does is none of the caller's doing.
            _ if above.service != node.service => self.call(nodes, at, fresh),
            _ => self.call(nodes, at, above),
        };
    }

    /// A request answers the call that is right above it, or the request that is. Messages answer
    /// nobody: who sent one did not wait.
    fn answer(&mut self, node: &Node, above: Place) {
        if node.role != Role::Server {
            return;
        }
        if above.call != NONE {
            let answer = &mut self.answers[above.call as usize];
            answer.service = node.service;
            answer.broke_below |= node.failed();
            answer.served_nanos = answer.served_nanos.saturating_add(node.nanos());
        } else if above.request != NONE {
            self.away.push((above.request, node.start, node.end));
            if node.failed() {
                self.broken.push(above.request);
            }
        }
    }

    fn call(&mut self, nodes: &[Node], at: u32, above: Place) -> Place {
        let node = &nodes[at as usize];
        if !node.role.is_call() {
            return above;
        }
        if above.call != NONE {
            let outer = &nodes[above.call as usize];
            if outer.subject == node.subject {
                return above;
            }
            self.answers[above.call as usize].broke_below |= node.failed();
        }
        let (request, start) = (above.request, node.start);
        self.calls.push(Call { request, callee: node.subject, ask: node.ask, start, node: at });
        if request != NONE {
            self.away.push((request, node.start, node.end));
        }
        Place { call: at, ..above }
    }
}

/// The place of a span; the request where a call shares its id.
fn find(nodes: &[Node], span: u64) -> Option<u32> {
    let at = nodes.partition_point(|node| node.span < span);
    (span != 0 && nodes.get(at)?.span == span).then_some(at as u32)
}

fn reset<T: Clone>(items: &mut Vec<T>, len: usize, item: T) {
    items.clear();
    items.resize(len, item);
}
