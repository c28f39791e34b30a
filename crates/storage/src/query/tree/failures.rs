//! Where errors started: failed spans under which nothing failed.
//!
//! Frameworks put spans of their own between a failed call and its failed handler without a status,
//! so an internal span with no status lets a failure through; a span that says OK, or a call that
//! did not fail, has handled it.

use model::signal::{SpanKind, SpanStatus};

use super::{Failure, Tree, TreeSpan, bound, callee};

/// `order` has each parent before its children.
pub fn find(spans: &[TreeSpan<'_>], order: &[u32], tree: &mut Tree) {
    let mut fails_below = vec![false; spans.len()];
    for at in order.iter().rev() {
        let span = &spans[*at as usize];
        let fails = span.failed() || (lets_through(span) && fails_below[*at as usize]);
        if let Some(parent) = tree.nodes[*at as usize].parent.filter(|_| fails) {
            fails_below[parent as usize] = true;
        }
    }
    // Whether a failure of this span's child would have come up to the root.
    let mut carries = vec![false; spans.len()];
    for at in order {
        let span = &spans[*at as usize];
        carries[*at as usize] = match tree.nodes[*at as usize].parent {
            None => span.failed(),
            Some(parent) => carries[parent as usize] && (span.failed() || lets_through(span)),
        };
    }
    let starts =
        order.iter().filter(|at| spans[**at as usize].failed() && !fails_below[**at as usize]);
    let mut failures: Vec<Failure> =
        starts.map(|at| describe(spans, tree, *at, carries[*at as usize])).collect();
    // Of several that reached the root, the last one was followed by no better attempt.
    failures.sort_by_key(|failure| {
        let start = spans[failure.span as usize].start;
        let rank = (failure.reaches_root, failure.depth, start);
        (std::cmp::Reverse(rank), failure.span)
    });
    bound(&mut failures, &mut tree.cut);
    tree.failures = failures;
}

fn lets_through(span: &TreeSpan<'_>) -> bool {
    span.status == SpanStatus::Unset
        && matches!(span.kind, SpanKind::Internal | SpanKind::Unspecified)
}

fn describe(spans: &[TreeSpan<'_>], tree: &Tree, at: u32, reaches_root: bool) -> Failure {
    let span = &spans[at as usize];
    let is_call = matches!(span.kind, SpanKind::Client | SpanKind::Producer);
    Failure {
        span: at,
        service: span.service.to_owned(),
        operation: span.name.to_owned(),
        callee: if is_call { callee(spans, tree, at).to_owned() } else { String::new() },
        message: span.status_message.to_owned(),
        exception_type: span.exception_type.to_owned(),
        exception_message: span.exception_message.to_owned(),
        depth: tree.nodes[at as usize].depth,
        reaches_root,
    }
}
