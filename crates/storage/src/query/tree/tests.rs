//! Trees of small traces, and of whatever comes.

use model::signal::{SpanKind, SpanStatus};
use proptest::prelude::*;

use super::*;

/// `id` and `parent` are the last byte of the identifiers; times in milliseconds.
fn span(id: u8, parent: u8, start: u64, end: u64) -> TreeSpan<'static> {
    TreeSpan {
        span_id: [0, 0, 0, 0, 0, 0, 0, id],
        parent_span_id: [0, 0, 0, 0, 0, 0, 0, parent],
        service: "shop",
        name: "work",
        kind: SpanKind::Internal,
        start: start * 1_000_000,
        end: end * 1_000_000,
        ..TreeSpan::default()
    }
}

fn client(id: u8, parent: u8, start: u64, end: u64, target: &'static str) -> TreeSpan<'static> {
    TreeSpan { kind: SpanKind::Client, name: "GET", target, ..span(id, parent, start, end) }
}

fn server(id: u8, parent: u8, start: u64, end: u64, service: &'static str) -> TreeSpan<'static> {
    TreeSpan { kind: SpanKind::Server, name: "GET /x", service, ..span(id, parent, start, end) }
}

fn failed(span: TreeSpan<'static>) -> TreeSpan<'static> {
    TreeSpan { status: SpanStatus::Error, status_message: "it broke", ..span }
}

fn millis(nanos: u64) -> u64 {
    nanos / 1_000_000
}

fn places(tree: &Tree) -> Vec<Place> {
    tree.nodes.iter().map(|node| node.place).collect()
}

fn path(tree: &Tree) -> Vec<(u32, u64, u64)> {
    let part = |part: &Segment| (part.span, millis(part.start_nanos), millis(part.end_nanos));
    tree.critical_path.iter().map(part).collect()
}

#[test]
fn children_are_sorted_by_start_and_an_orphan_is_told() {
    let tree = build(&[
        span(3, 1, 50, 60),
        span(2, 1, 10, 20),
        span(1, 0, 0, 100),
        span(9, 8, 5, 6),
        span(4, 3, 51, 52),
    ]);
    assert_eq!(tree.roots, [2, 3]);
    assert_eq!(tree.nodes[2].children, [1, 0]);
    let Place::Orphan = tree.nodes[3].place else { panic!("{:?}", tree.nodes[3]) };
    assert_eq!((tree.orphans, tree.depth_max, tree.nodes[4].depth), (1, 2, 2));
}

#[test]
fn a_root_names_the_trace_though_an_orphan_is_earlier() {
    assert_eq!(build(&[span(9, 8, 0, 6), span(1, 0, 5, 9)]).roots, [1, 0]);
}

#[test]
fn spans_that_are_their_own_ancestors_become_roots() {
    let own_parent = build(&[span(1, 1, 0, 10)]);
    assert_eq!(places(&own_parent), [Place::Cycle]);
    let three = build(&[span(1, 3, 5, 9), span(2, 1, 2, 9), span(3, 2, 3, 9), span(4, 1, 6, 7)]);
    assert_eq!(places(&three), [Place::Child, Place::Cycle, Place::Child, Place::Child]);
    assert_eq!((three.roots, three.depth_max), (vec![1], 3));
}

#[test]
fn a_span_that_was_received_twice_counts_once() {
    let tree = build(&[span(1, 0, 0, 10), span(2, 1, 1, 5), span(2, 1, 1, 5), span(2, 1, 7, 9)]);
    assert_eq!(places(&tree), [Place::Root, Place::Child, Place::Copy, Place::Child]);
    let copies: Vec<(u32, bool)> =
        tree.copies.iter().map(|copy| (copy.span, copy.identical)).collect();
    assert_eq!(copies, [(2, true), (3, false)]);
    assert_eq!(millis(tree.nodes[0].self_nanos), 4);
}

#[test]
fn client_and_server_that_share_an_id_are_parent_and_child() {
    let tree = build(&[
        client(2, 1, 10, 50, "cart"),
        server(2, 1, 12, 48, "cart"),
        span(1, 0, 0, 100),
        TreeSpan { service: "cart", ..span(3, 2, 13, 20) },
    ]);
    assert_eq!(tree.nodes[1].parent, Some(0));
    assert_eq!(tree.nodes[3].parent, Some(1));
    assert_eq!(tree.nodes[0].edge_gap_nanos, Some(4_000_000));
}

#[test]
fn self_time_leaves_out_the_union_of_children_clipped_to_the_span() {
    let tree = build(&[
        span(1, 0, 100, 200),
        span(2, 1, 90, 120),
        span(3, 1, 110, 130),
        span(4, 1, 115, 125),
        span(5, 1, 190, 900),
    ]);
    assert_eq!(millis(tree.nodes[0].self_nanos), 60);
    assert_eq!(millis(tree.nodes[1].early_nanos), 10);
    assert_eq!(millis(tree.nodes[4].late_nanos), 700);
}

#[test]
fn the_gap_of_an_edge_is_the_callers_time_less_the_callees() {
    let tree = build(&[client(1, 0, 0, 100, ""), server(2, 1, 20, 90, "cart")]);
    assert_eq!(tree.nodes[0].edge_gap_nanos, Some(30_000_000));
    let gone = build(&[client(1, 0, 0, 10, ""), server(2, 1, 0, 90, "cart")]);
    assert_eq!(gone.nodes[0].edge_gap_nanos, Some(-80_000_000));
}

#[test]
fn a_consumer_tells_how_long_its_message_waited() {
    let producer = TreeSpan { kind: SpanKind::Producer, ..span(1, 0, 0, 5) };
    let consumer = TreeSpan { kind: SpanKind::Consumer, ..span(2, 1, 500, 900) };
    let tree = build(&[producer, consumer]);
    assert_eq!(tree.nodes[1].queue_nanos, Some(500_000_000));
    assert_eq!(path(&tree), [(0, 0, 5)]);
}

#[test]
fn an_error_started_in_the_deepest_failed_span() {
    let exception = TreeSpan { exception_type: "IOError", ..failed(server(4, 3, 30, 40, "cart")) };
    let tree = build(&[
        failed(server(1, 0, 0, 100, "web")),
        span(2, 1, 10, 90),
        failed(client(3, 2, 20, 80, "cart")),
        exception,
        failed(client(5, 1, 91, 95, "ads")),
        TreeSpan { status: SpanStatus::Ok, ..span(6, 1, 92, 99) },
        failed(client(7, 6, 93, 94, "geo")),
    ]);
    let found: Vec<(u32, &str, bool)> = tree
        .failures
        .iter()
        .map(|failure| (failure.span, failure.service.as_str(), failure.reaches_root))
        .collect();
    assert_eq!(found, [(3, "cart", true), (4, "shop", true), (6, "shop", false)]);
    assert_eq!(tree.failures[0].exception_type, "IOError");
    assert_eq!(tree.failures[0].message, "it broke");
    assert_eq!(tree.failures[1].callee, "ads");
}

#[test]
fn the_same_call_many_times_is_a_fan_out() {
    let calls = (2..12).map(|n| client(n, 1, u64::from(n) * 10, u64::from(n) * 10 + 10, "db"));
    let mut spans = vec![span(1, 0, 0, 200)];
    spans.extend(calls);
    let tree = build(&spans);
    let found = &tree.fan_outs[0];
    assert_eq!((found.calls, found.at_once_max, found.callee.as_str()), (10, 1, "db"));
    assert_eq!(millis(found.total_nanos), 100);
    spans.push(client(20, 1, 25, 35, "db"));
    assert_eq!(build(&spans).fan_outs[0].at_once_max, 2);
}

#[test]
fn a_call_made_again_after_it_failed_is_a_retry() {
    let tree = build(&[
        span(1, 0, 0, 100),
        failed(client(2, 1, 0, 10, "cart")),
        failed(client(3, 1, 12, 20, "cart")),
        client(4, 1, 25, 30, "cart"),
        client(5, 1, 31, 32, "cart"),
        failed(client(6, 1, 40, 60, "ads")),
        client(7, 1, 45, 50, "ads"),
    ]);
    assert_eq!(tree.retries.len(), 1);
    assert_eq!(
        (tree.retries[0].attempts.as_slice(), tree.retries[0].succeeded),
        (&[1, 2, 3][..], true)
    );
}

#[test]
fn the_critical_path_goes_through_what_was_waited_for() {
    let tree = build(&[
        server(1, 0, 0, 100, "web"),
        client(2, 1, 10, 60, "cart"),
        server(3, 2, 20, 55, "cart"),
        client(4, 1, 15, 40, "ads"),
        span(5, 1, 70, 90),
        span(6, 1, 80, 500),
    ]);
    let expected =
        [(0, 0, 10), (1, 10, 20), (2, 20, 55), (1, 55, 60), (0, 60, 70), (4, 70, 90), (0, 90, 100)];
    assert_eq!(path(&tree), expected);
    assert_eq!(millis(tree.nodes[1].critical_nanos), 15);
    assert_eq!(tree.nodes[3].critical_nanos, 0);
}

#[test]
fn a_clock_that_is_behind_is_told_and_times_are_left_alone() {
    let tree = build(&[client(1, 0, 1000, 1100, "cart"), server(2, 1, 710, 790, "cart")]);
    let [skew] = tree.skews.as_slice() else { panic!("{:?}", tree.skews) };
    assert_eq!((skew.callee.service.as_str(), skew.offset_nanos), ("cart", Some(-300_000_000)));
    assert_eq!(millis(skew.early_nanos_max), 290);
    assert_eq!(millis(tree.nodes[1].early_nanos), 290);
    let sound = build(&[client(1, 0, 0, 100, "cart"), server(2, 1, 10, 90, "cart")]);
    assert_eq!(sound.skews, []);
}

#[test]
fn a_chain_of_100_000_spans_is_no_harm() {
    let spans: Vec<TreeSpan<'_>> = (1..=100_000u64)
        .map(|n| TreeSpan {
            span_id: n.to_be_bytes(),
            parent_span_id: (n - 1).to_be_bytes(),
            start: n,
            end: 1_000_000 - n,
            ..TreeSpan::default()
        })
        .collect();
    let tree = build(&spans);
    assert_eq!(tree.depth_max, 99_999);
    assert_eq!(tree.critical_path.len(), PATH_MAX);
    assert!(tree.cut);
}

proptest! {
    #[test]
    fn whatever_comes_becomes_a_tree(
        raw in prop::collection::vec((0u8..12, 0u8..12, 0u64..50, 0u64..50, 0u8..6, 0u8..3), 0..40)
    ) {
        let kinds = [
            SpanKind::Unspecified,
            SpanKind::Internal,
            SpanKind::Server,
            SpanKind::Client,
            SpanKind::Producer,
            SpanKind::Consumer,
        ];
        let statuses = [SpanStatus::Unset, SpanStatus::Ok, SpanStatus::Error];
        let spans: Vec<TreeSpan<'_>> = raw
            .iter()
            .map(|(id, parent, start, end, kind, status)| TreeSpan {
                kind: kinds[*kind as usize],
                status: statuses[*status as usize],
                ..span(*id, *parent, *start, *end)
            })
            .collect();
        let tree = build(&spans);
        prop_assert_eq!(tree.nodes.len(), spans.len());
        let mut placed = 0;
        for (at, node) in tree.nodes.iter().enumerate() {
            prop_assert!(node.self_nanos <= spans[at].duration());
            match node.parent {
                Some(parent) => {
                    prop_assert_eq!(node.place, Place::Child);
                    prop_assert!(tree.nodes[parent as usize].children.contains(&(at as u32)));
                    prop_assert_eq!(node.depth, tree.nodes[parent as usize].depth + 1);
                }
                None => prop_assert_eq!(
                    node.place != Place::Copy,
                    tree.roots.contains(&(at as u32))
                ),
            }
            placed += usize::from(node.place != Place::Copy);
        }
        let mut open = tree.roots.clone();
        let mut reached = 0;
        while let Some(at) = open.pop() {
            reached += 1;
            prop_assert!(reached <= placed);
            open.extend(&tree.nodes[at as usize].children);
        }
        prop_assert_eq!(reached, placed);
        if let Some(root) = tree.roots.first() {
            let mut until = 0;
            for part in &tree.critical_path {
                prop_assert_eq!(part.start_nanos, until);
                until = part.end_nanos;
            }
            prop_assert_eq!(until, spans[*root as usize].duration());
        }
    }
}
