//! Where the time of each span went: its own, its children's, or the way between.

use model::signal::SpanKind;

use super::{Node, Tree, TreeSpan};

pub fn measure(spans: &[TreeSpan<'_>], tree: &mut Tree) {
    for at in 0..spans.len() {
        let node = &tree.nodes[at];
        let span = &spans[at];
        let self_nanos = span.duration() - covered(spans, node, span);
        let edge_gap_nanos = edge_gap(spans, node, span);
        let (mut queue_nanos, mut early_nanos, mut late_nanos) = (None, 0, 0);
        if let Some(parent) = node.parent.map(|parent| &spans[parent as usize]) {
            early_nanos = parent.start.saturating_sub(span.start);
            late_nanos = span.end.saturating_sub(parent.end);
            if parent.kind == SpanKind::Producer && span.kind == SpanKind::Consumer {
                queue_nanos = Some(difference(span.start, parent.start));
            }
        }
        let node = &mut tree.nodes[at];
        node.self_nanos = self_nanos;
        node.edge_gap_nanos = edge_gap_nanos;
        node.queue_nanos = queue_nanos;
        node.early_nanos = early_nanos;
        node.late_nanos = late_nanos;
    }
}

/// How much of `span` is covered by its children: the union of their times, clipped to its own, so
/// that neither parallel nor outliving children count twice or beyond.
fn covered(spans: &[TreeSpan<'_>], node: &Node, span: &TreeSpan<'_>) -> u64 {
    let mut covered = 0;
    let mut until = span.start;
    // Children are sorted by start.
    for child in &node.children {
        let child = &spans[*child as usize];
        let start = child.start.max(until);
        let end = child.end.min(span.end);
        if end > start {
            covered += end - start;
            until = end;
        }
    }
    covered
}

fn edge_gap(spans: &[TreeSpan<'_>], node: &Node, span: &TreeSpan<'_>) -> Option<i64> {
    if span.kind != SpanKind::Client {
        return None;
    }
    let servers = node.children.iter().map(|child| &spans[*child as usize]);
    let mut durations =
        servers.filter(|child| child.kind == SpanKind::Server).map(TreeSpan::duration).peekable();
    durations.peek()?;
    // Several when the call was made again below the instrumentation: one after the other.
    let served = durations.fold(0u64, u64::saturating_add);
    Some(difference(span.duration(), served))
}

pub fn difference(one: u64, other: u64) -> i64 {
    let difference = i128::from(one) - i128::from(other);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}
