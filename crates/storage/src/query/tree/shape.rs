//! Who is whose child: roots, orphans, copies; and cycles, which are cut open.

use std::collections::HashMap;

use model::signal::{SpanId, SpanKind};

use super::{Copy, Node, Place, Tree, TreeSpan, bound};

const NONE: SpanId = [0; 8];

/// Fills the nodes and the roots. Returns the spans of the tree with each parent before its
/// children.
pub fn place(spans: &[TreeSpan<'_>], tree: &mut Tree) -> Vec<u32> {
    tree.nodes = vec![Node::default(); spans.len()];
    let mut by_start: Vec<u32> = (0..spans.len() as u32).collect();
    by_start.sort_by_key(|at| {
        let span = &spans[*at as usize];
        (span.start, std::cmp::Reverse(span.end), span.span_id, *at)
    });
    let holders = find_copies(spans, &by_start, tree);
    for at in &by_start {
        if tree.nodes[*at as usize].place != Place::Copy {
            let (place, parent) = parent_of(spans, &holders, *at);
            tree.nodes[*at as usize].place = place;
            tree.nodes[*at as usize].parent = parent;
        }
    }
    open_cycles(&by_start, tree);
    for at in &by_start {
        match tree.nodes[*at as usize].parent {
            Some(parent) => tree.nodes[parent as usize].children.push(*at),
            None if tree.nodes[*at as usize].place == Place::Copy => {}
            None => tree.roots.push(*at),
        }
    }
    tree.orphans = tree.nodes.iter().filter(|node| node.place == Place::Orphan).count() as u32;
    // The trace is named after its earliest root; the earliest orphan stands in for one.
    tree.roots.sort_by_key(|root| tree.nodes[*root as usize].place != Place::Root);
    measure_depths(tree)
}

/// All different spans of each id, the earliest first. Marks copies.
fn find_copies(
    spans: &[TreeSpan<'_>],
    by_start: &[u32],
    tree: &mut Tree,
) -> HashMap<SpanId, Vec<u32>> {
    let mut holders: HashMap<SpanId, Vec<u32>> = HashMap::with_capacity(spans.len());
    for at in by_start {
        let span = &spans[*at as usize];
        // Ids of zeros are not valid, so they say nothing about being the same.
        if span.span_id == NONE {
            continue;
        }
        let same_id = holders.entry(span.span_id).or_default();
        let twin = same_id.iter().find(|other| is_same(span, &spans[**other as usize])).copied();
        let of = twin.or(same_id.first().copied());
        match twin {
            Some(_) => tree.nodes[*at as usize].place = Place::Copy,
            // A flood of spans of one id must not make this quadratic.
            None if same_id.len() < super::LIST_MAX => same_id.push(*at),
            None => {}
        }
        if let Some(of) = of {
            tree.copies.push(Copy { span: *at, of, identical: twin.is_some() });
        }
    }
    bound(&mut tree.copies, &mut tree.cut);
    holders
}

fn is_same(one: &TreeSpan<'_>, other: &TreeSpan<'_>) -> bool {
    let times = |span: &TreeSpan<'_>| (span.start, span.end, span.parent_span_id);
    times(one) == times(other)
        && one.kind == other.kind
        && (one.service, one.instance, one.name) == (other.service, other.instance, other.name)
}

fn parent_of(
    spans: &[TreeSpan<'_>],
    holders: &HashMap<SpanId, Vec<u32>>,
    at: u32,
) -> (Place, Option<u32>) {
    let span = &spans[at as usize];
    // Zipkin's habit: client and server share one id. Then the server is under the client.
    if span.kind == SpanKind::Server {
        let mut sharing = holders.get(&span.span_id).into_iter().flatten();
        let is_client = |other: &&u32| spans[**other as usize].kind == SpanKind::Client;
        if let Some(client) = sharing.find(is_client) {
            return (Place::Child, Some(*client));
        }
    }
    if span.parent_span_id == NONE {
        return (Place::Root, None);
    }
    match holders.get(&span.parent_span_id).map(Vec::as_slice) {
        None | Some([]) => (Place::Orphan, None),
        Some([only]) => (Place::Child, Some(*only)),
        Some(several) => {
            let is_own = |other: &&u32| spans[**other as usize].service == span.service;
            // Of client and server that share an id, the server is the later one.
            let parent = several.iter().rev().find(is_own).unwrap_or(&several[0]);
            (Place::Child, Some(*parent))
        }
    }
}

/// Makes the earliest span of each cycle a root.
fn open_cycles(by_start: &[u32], tree: &mut Tree) {
    const NOT_SEEN: u32 = 0;
    let mut rank = vec![0u32; by_start.len()];
    for (position, at) in by_start.iter().enumerate() {
        rank[*at as usize] = position as u32;
    }
    // The number of the walk that first came by.
    let mut walks = vec![NOT_SEEN; by_start.len()];
    for (walk, start) in (1..).zip(by_start) {
        let mut at = *start;
        while walks[at as usize] == NOT_SEEN {
            walks[at as usize] = walk;
            match tree.nodes[at as usize].parent {
                Some(parent) => at = parent,
                None => break,
            }
        }
        let closes = walks[at as usize] == walk && tree.nodes[at as usize].parent.is_some();
        if !closes {
            continue;
        }
        // `at` is where the walk met itself: go round once for the earliest.
        let mut earliest = at;
        let mut next = tree.nodes[at as usize].parent;
        while let Some(member) = next.filter(|member| *member != at) {
            if rank[member as usize] < rank[earliest as usize] {
                earliest = member;
            }
            next = tree.nodes[member as usize].parent;
        }
        tree.nodes[earliest as usize].parent = None;
        tree.nodes[earliest as usize].place = Place::Cycle;
    }
}

fn measure_depths(tree: &mut Tree) -> Vec<u32> {
    let mut order = Vec::with_capacity(tree.nodes.len());
    let mut open: Vec<u32> = tree.roots.iter().rev().copied().collect();
    while let Some(at) = open.pop() {
        order.push(at);
        let node = &tree.nodes[at as usize];
        let depth = node.parent.map_or(0, |parent| tree.nodes[parent as usize].depth + 1);
        open.extend(node.children.iter().rev());
        tree.nodes[at as usize].depth = depth;
        tree.depth_max = tree.depth_max.max(depth);
    }
    order
}
