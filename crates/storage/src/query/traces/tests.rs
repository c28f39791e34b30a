//! Traces by id and search, over rows in memory and in files of any split.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::signal::{Batch, Span, SpanKind, SpanStatus};
use proptest::prelude::*;

use super::*;
use crate::query::spans::tests::{filter, item, passes, store};
use crate::query::testing::{Stored, limits, resource, second, spans};
use crate::reserve::DiskWatch;
use crate::schema::Table;
use crate::store::Store;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_trace_is_all_spans_of_its_id(
        items in prop::collection::vec(item(), 0..60), id in 0u8..7
    ) {
        let stored = store(&items);
        let found = trace(&stored.sources(), [id; 16], None, 1000, &limits()).unwrap();
        let mut expected: Vec<(u64, String)> = items
            .iter()
            .filter(|(_, span, _)| span.trace_id == [id; 16])
            .map(|(_, span, _)| (span.start_unix_nanos, hex(&span.span_id)))
            .collect();
        expected.sort();
        let mut spans: Vec<(u64, String)> = found
            .iter()
            .flat_map(|trace| &trace.spans)
            .map(|span| (span.start_unix_nanos, span.span_id.clone()))
            .collect();
        spans.sort();
        prop_assert_eq!(spans, expected);
    }

    #[test]
    fn the_best_traces_are_found_wherever_their_spans_are(
        items in prop::collection::vec(item(), 0..60),
        filter in filter(),
        slowest: bool,
        limit in 1usize..5,
    ) {
        let order = if slowest { Order::Slowest } else { Order::Newest };
        let stored = store(&items);
        let query = TraceQuery { filter, order, limit };
        let found = search_traces(&stored.sources(), &query, &limits()).unwrap();
        // The best span of each trace, and how many pass.
        type Best = (u64, u64, TraceId, [u8; 8]);
        let mut best: BTreeMap<TraceId, (Best, u64)> = BTreeMap::new();
        for (resource, span, _) in &items {
            if !passes(&query.filter, resource, span) {
                continue;
            }
            let (start, duration) =
                (span.start_unix_nanos, span.end_unix_nanos - span.start_unix_nanos);
            let (first, second) =
                if slowest { (duration, start) } else { (start, duration) };
            let rank = (first, second, span.trace_id, span.span_id);
            let entry = best.entry(span.trace_id).or_insert((rank, 0));
            entry.0 = entry.0.max(rank);
            entry.1 += 1;
        }
        let mut expected: Vec<_> = best.into_iter().map(|(id, best)| (best, id)).collect();
        expected.sort_by(|one, other| other.cmp(one));
        prop_assert_eq!(found.more, expected.len() > limit);
        expected.truncate(limit);
        prop_assert_eq!(found.traces.len(), expected.len());
        for (summary, (((_, _, _, span_id), matched), id)) in found.traces.iter().zip(expected) {
            prop_assert_eq!(&summary.trace_id, &hex(&id));
            prop_assert_eq!(&summary.best_span_id, &hex(&span_id));
            prop_assert_eq!(summary.matched, matched);
            let all = items.iter().filter(|(_, span, _)| span.trace_id == id);
            prop_assert_eq!(summary.spans, all.count() as u64);
        }
    }
}

fn span(id: u64, parent: u64, start: u64, millis: u64) -> Span {
    Span {
        trace_id: [9; 16],
        span_id: id.to_be_bytes(),
        parent_span_id: parent.to_be_bytes(),
        name: format!("work {id}").as_str().into(),
        kind: SpanKind::Server,
        start_unix_nanos: second(start).as_nanos(),
        end_unix_nanos: second(start).as_nanos() + millis * 1_000_000,
        ..Span::default()
    }
}

fn stored(groups: Vec<(&str, Vec<Span>)>) -> Stored {
    let mut stored = Stored::new(Table::Spans);
    for (service, items) in groups {
        stored.add_file(&Batch::Traces(vec![spans(&resource(service, "a"), items)]));
    }
    stored
}

#[test]
fn a_trace_comes_with_its_tree_and_who_took_the_time() {
    let failed =
        Span { status: SpanStatus::Error, status_message: "no stock".into(), ..span(2, 1, 10, 60) };
    let stored = stored(vec![("web", vec![span(1, 0, 10, 100)]), ("cart", vec![failed])]);
    let found = trace(&stored.sources(), [9; 16], None, 10, &limits()).unwrap().unwrap();
    assert_eq!((found.duration_nanos, found.errors), (100_000_000, 1));
    assert_eq!(found.tree.roots, [0]);
    assert_eq!(found.tree.failures[0].message, "no stock");
    let services: Vec<(&str, u64)> = found
        .services
        .iter()
        .map(|service| (service.service.as_str(), service.self_nanos / 1_000_000))
        .collect();
    assert_eq!(services, [("cart", 60), ("web", 40)]);
    assert_eq!(found.resources.len(), 2);
}

#[test]
fn a_trace_that_is_not_there_is_none_and_an_unfinished_look_is_an_error() {
    let stored = stored(vec![("web", vec![span(1, 0, 10, 100)])]);
    assert_eq!(trace(&stored.sources(), [8; 16], None, 10, &limits()).unwrap(), None);
    let late = Limits { deadline: second(0), ..limits() };
    assert!(trace(&stored.sources(), [8; 16], None, 10, &late).is_err());
    let elsewhere = Some((second(50), second(60)));
    assert_eq!(trace(&stored.sources(), [9; 16], elsewhere, 10, &limits()).unwrap(), None);
    let there = Some((second(10), second(11)));
    assert!(trace(&stored.sources(), [9; 16], there, 10, &limits()).unwrap().is_some());
}

#[test]
fn a_trace_of_40_000_spans_opens_and_a_smaller_bound_is_told() {
    let many: Vec<Span> = (1..=40_000).map(|n| span(n, n / 10, n % 1000, 5)).collect();
    let mut stored = Stored::new(Table::Spans);
    let batch = Batch::Traces(vec![spans(&resource("web", "a"), many)]);
    let keep = std::time::Duration::from_secs(86_400);
    stored.add_file_with(&batch, &crate::file::Options::fresh(keep));
    let found = trace(&stored.sources(), [9; 16], None, SPANS_MAX, &limits()).unwrap().unwrap();
    assert_eq!((found.spans.len(), found.truncated), (40_000, false));
    let cut = trace(&stored.sources(), [9; 16], None, 1000, &limits()).unwrap().unwrap();
    assert_eq!((cut.spans.len(), cut.truncated), (1000, true));
    let small = Limits { memory_bytes: 1 << 20, ..limits() };
    let error = trace(&stored.sources(), [9; 16], None, SPANS_MAX, &small);
    assert!(matches!(error, Err(Error::Stopped(Stopped::Memory { .. }))), "{error:?}");
}

#[test]
fn the_search_for_a_trace_reads_only_row_groups_that_may_have_it() {
    let mut stored = Stored::new(Table::Spans);
    for trace_id in 0..50 {
        let of = |n: u64| Span { trace_id: [trace_id; 16], ..span(n, 0, n, 5) };
        stored
            .add_file(&Batch::Traces(vec![spans(&resource("web", "a"), (1..8).map(of).collect())]));
    }
    let found = trace(&stored.sources(), [9; 16], None, 100, &limits()).unwrap().unwrap();
    assert_eq!(found.scanned.files, 50);
    assert!(found.scanned.row_groups <= 5, "{:?}", found.scanned);
}

/// `count` spans of `services` services, eight to a trace, over an hour.
fn crowd(count: u64, services: u64) -> Stored {
    let groups = (0..services).map(|service| {
        let mine = (0..count).filter(|n| n % services == service);
        let span = |n: u64| {
            let (trace, start) = (n / 8, second(0).as_nanos() + n * 3_600_000_000_000 / count);
            let mut trace_id = [0; 16];
            // Spread as random ids are.
            trace_id[..8].copy_from_slice(&trace.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
            trace_id[8..].copy_from_slice(&trace.to_be_bytes());
            let took = 1_000_000 + (n.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 40);
            Span {
                trace_id,
                start_unix_nanos: start,
                end_unix_nanos: start + took,
                ..span(n + 1, 0, 0, 0)
            }
        };
        spans(&resource(&format!("service-{service}"), "a"), mine.map(span).collect())
    });
    let mut stored = Stored::new(Table::Spans);
    let keep = std::time::Duration::from_secs(86_400);
    let options = crate::file::Options {
        row_group_rows: Some(16 * 1024),
        page_rows: 1024,
        ..crate::file::Options::fresh(keep)
    };
    stored.add_file_with(&Batch::Traces(groups.collect()), &options);
    stored
}

#[test]
fn what_a_trace_costs_is_bounded_by_the_row_groups_that_have_it() {
    let stored = crowd(64 * 1024, 8);
    let read = |ask: &dyn Fn()| {
        let counts = &stored.counts;
        let before = (counts.reads.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed));
        ask();
        let after = (counts.reads.load(Ordering::Relaxed), counts.bytes.load(Ordering::Relaxed));
        (after.0 - before.0, after.1 - before.1)
    };
    let find = |id: TraceId| trace(&stored.sources(), id, None, 100, &limits()).unwrap();
    // One block of each of the four filters, and nothing else.
    let absent = read(&|| assert_eq!(find([7; 16]), None));
    assert_eq!(absent, (4, 4 * 32));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&5u64.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id[8..].copy_from_slice(&5u64.to_be_bytes());
    // Of each row group that has it: its ids, and a page of each other column.
    let present = read(&|| assert_eq!(find(id).unwrap().spans.len(), 8));
    let ids = 64 * 1024 * 16;
    assert!(present.0 < 4 * 200 && present.1 < ids + 4 * 100_000, "{present:?}");
    let filter = SpanFilter {
        service: Some("service-3".to_owned()),
        ..SpanFilter::of_time(second(600), second(1200))
    };
    let query = TraceQuery { filter, order: Order::Slowest, limit: 20 };
    let slowest = read(&|| {
        let found = search_traces(&stored.sources(), &query, &limits()).unwrap();
        assert_eq!(found.traces.len(), 20);
    });
    assert!(slowest.0 < 400 && slowest.1 < ids + 4 * 100_000, "{slowest:?}");
}

#[test]
fn a_view_of_a_store_shows_what_is_in_memory_and_in_files() {
    let folder = tempfile::tempdir().unwrap();
    let measure = Box::new(|_: &std::path::Path| Ok(1 << 40));
    let config = crate::reserve::DiskConfig { reserve: 0, free_min: 0 };
    let disk = DiskWatch::with_measure(folder.path(), config, measure).unwrap();
    let clock: crate::store::Clock = Arc::new(|| second(100));
    let (store, _) =
        Store::open(&folder.path().join("telemetry"), Default::default(), clock, Arc::new(disk))
            .unwrap();
    let append = |seq: u64, service: &str, item: Span| {
        let batch = Batch::Traces(vec![spans(&resource(service, "a"), vec![item])]);
        store.append(seq, second(100), Arc::new(batch), Box::new(())).unwrap();
    };
    append(1, "web", span(1, 0, 10, 100));
    store.seal(1).unwrap();
    assert!(store.wait_flushed(1, std::time::Duration::from_secs(30)));
    append(2, "cart", span(2, 1, 10, 60));
    let filter = SpanFilter::of_time(second(0), second(50));
    let query = TraceQuery { filter, order: Order::Slowest, limit: 5 };
    let view = store.view(Table::Spans, query.view_times(), None).unwrap();
    let sources = Sources::from(&view);
    let found = search_traces(&sources, &query, &limits()).unwrap();
    assert_eq!((found.traces.len(), found.traces[0].spans), (1, 2));
    let whole = trace(&sources, [9; 16], None, 10, &limits()).unwrap().unwrap();
    assert_eq!((whole.spans.len(), whole.tree.roots.len()), (2, 1));
    store.stop();
}

#[test]
fn a_summary_looks_no_further_than_around_the_span_that_was_found() {
    let far = 20 + summary::AROUND.as_secs();
    let stored = stored(vec![("web", vec![span(1, 0, 10, 5), span(2, 1, far, 5)])]);
    let filter = SpanFilter::of_time(second(0), second(86_000));
    let query = TraceQuery { filter, order: Order::Newest, limit: 5 };
    let found = search_traces(&stored.sources(), &query, &limits()).unwrap();
    assert_eq!((found.traces[0].spans, found.traces[0].rootless), (1, true));
}

#[test]
fn a_summary_tells_the_root_though_another_span_was_found() {
    let found = Span { status: SpanStatus::Error, ..span(2, 1, 700, 60) };
    let stored = stored(vec![("web", vec![span(1, 0, 10, 900_000)]), ("cart", vec![found])]);
    let filter = SpanFilter {
        service: Some("cart".to_owned()),
        ..SpanFilter::of_time(second(600), second(800))
    };
    let query = TraceQuery { filter, order: Order::Newest, limit: 5 };
    let found = search_traces(&stored.sources(), &query, &limits()).unwrap();
    let [summary] = found.traces.as_slice() else { panic!("{found:?}") };
    assert_eq!((summary.service.as_str(), summary.operation.as_str()), ("web", "work 1"));
    assert_eq!((summary.spans, summary.errors, summary.matched), (2, 1, 1));
    assert_eq!((summary.rootless, summary.duration_nanos), (false, 900_000_000_000));
}
