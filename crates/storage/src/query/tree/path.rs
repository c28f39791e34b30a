//! The critical path: what the root waited for, from its end backwards.
//!
//! As in Uber's CRISP (Zhang et al., USENIX ATC 2022): of the children that ended before the time
//! looked at, the last one to end was waited for; before it started, the one that ended last before
//! that; what no child explains is the span's own work. A child that ends after its parent was not
//! waited for, unless it is the server's side of a call, which is clipped.

use model::signal::SpanKind;

use super::{PATH_MAX, Segment, Tree, TreeSpan};

/// A span on the path, and how much of it is yet to be explained: from `floor` to `cursor`.
struct Frame {
    span: u32,
    floor: u64,
    cursor: u64,
    /// Where its part of the path ends.
    ceiling: u64,
    /// Children that may have been waited for; the last to end is last.
    waited: Vec<u32>,
}

pub fn critical(spans: &[TreeSpan<'_>], tree: &mut Tree) {
    let Some(root) = tree.roots.first().copied() else { return };
    let begin = spans[root as usize].start;
    let mut backwards: Vec<Segment> = Vec::new();
    let mut frames = vec![frame(spans, tree, root, begin, spans[root as usize].end.max(begin))];
    while let Some(top) = frames.last_mut() {
        let explained = next_waited(spans, top).unwrap_or(top.floor);
        if top.cursor > explained {
            backwards.push(Segment {
                span: top.span,
                start_nanos: explained - begin,
                end_nanos: top.cursor - begin,
            });
        }
        match top.waited.pop() {
            None => {
                frames.pop();
            }
            Some(child) => {
                let start = spans[child as usize].start.max(top.floor);
                top.cursor = start;
                let next = frame(spans, tree, child, start, explained);
                frames.push(next);
            }
        }
    }
    for segment in &backwards {
        tree.nodes[segment.span as usize].critical_nanos += segment.end_nanos - segment.start_nanos;
    }
    backwards.reverse();
    if backwards.len() > PATH_MAX {
        // The longest parts are what a reader looks for.
        let mut lengths: Vec<u64> =
            backwards.iter().map(|part| part.end_nanos - part.start_nanos).collect();
        lengths.sort_unstable_by(|one, other| other.cmp(one));
        let shortest = lengths[PATH_MAX - 1];
        backwards.retain(|part| part.end_nanos - part.start_nanos >= shortest);
        backwards.truncate(PATH_MAX);
        tree.cut = true;
    }
    tree.critical_path = backwards;
}

/// When the child ended that ended last before the cursor. It becomes the last of `waited`;
/// children that ran beside the path are dropped.
fn next_waited(spans: &[TreeSpan<'_>], frame: &mut Frame) -> Option<u64> {
    while let Some(child) = frame.waited.last().copied() {
        let span = &spans[child as usize];
        let start = span.start.max(frame.floor);
        let end = span.end.min(frame.ceiling);
        if end > start && end <= frame.cursor {
            return Some(end);
        }
        frame.waited.pop();
    }
    None
}

fn frame(spans: &[TreeSpan<'_>], tree: &Tree, span: u32, floor: u64, cursor: u64) -> Frame {
    let parent = &spans[span as usize];
    let is_waited = |child: &&u32| {
        let child = &spans[**child as usize];
        let is_call = parent.kind == SpanKind::Client && child.kind == SpanKind::Server;
        child.kind != SpanKind::Consumer && (is_call || child.end <= parent.end)
    };
    let mut waited: Vec<u32> =
        tree.nodes[span as usize].children.iter().filter(is_waited).copied().collect();
    waited.sort_by_key(|child| {
        let child = &spans[*child as usize];
        (child.end, std::cmp::Reverse(child.start))
    });
    Frame { span, floor, cursor, ceiling: cursor, waited }
}
