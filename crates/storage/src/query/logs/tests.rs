//! Searches, histograms and tails over memory and files in any split, against a naive filter.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::{
    AnyValue, Attributes, Batch, Group, InstrumentationScope, LogRecord, Resource,
};
use proptest::prelude::*;

use super::*;
use crate::columns::Hot;
use crate::file::{self, LocalFile, Options};
use crate::query::language::Query;
use crate::query::limits::{Limits, Now, Stopped};
use crate::query::reading::{Sources, StoredFile};
use crate::query::testing::TestFile;
use crate::schema::Table;

const ARRIVAL: Timestamp = Timestamp(1_000_000);
const END: Timestamp = Timestamp(200);

/// Each writes files: few are enough for a change that breaks something.
const CASES: u32 = 12;

/// Where a batch is kept: in memory, or in a file with others.
type Split = Vec<usize>;

struct Stored {
    hot: Vec<RecordBatch>,
    files: Vec<TestFile>,
    _folder: tempfile::TempDir,
}

impl Stored {
    fn sources(&self) -> Sources<'_> {
        Sources::new(&self.hot, self.files.iter().map(|file| file as &dyn StoredFile).collect())
    }
}

/// Batches of place 0 are in memory; those of each other place in a file, in small row groups and
/// pages.
fn store(batches: &[Batch], split: &Split) -> Stored {
    store_in_groups(batches, split, 16)
}

fn store_in_groups(batches: &[Batch], split: &Split, rows: usize) -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let (mut in_memory, mut files) = (Vec::new(), Vec::new());
    for place in 0..=split.iter().copied().max().unwrap_or(0) {
        let mut hot = Hot::new();
        for (batch, _) in batches.iter().zip(split).filter(|(_, at)| **at == place) {
            hot.append(batch, ARRIVAL).unwrap();
        }
        if place == 0 {
            in_memory = hot.snapshot(Table::Logs, None).unwrap();
            continue;
        }
        let options = Options {
            level: 1,
            keep: Duration::from_secs(1 << 30),
            row_group_rows: Some(rows),
            page_rows: rows / 4,
        };
        let path = folder.path().join(format!("{place}.parquet"));
        let mut at = |_| path.clone();
        let written =
            file::write(Table::Logs, hot.take().unwrap().logs, &mut at, &options).unwrap();
        for written in written {
            let source = LocalFile::open(&written.path).unwrap();
            files.push(TestFile::open(&written, source));
        }
    }
    Stored { hot: in_memory, files, _folder: folder }
}

fn limits() -> Limits {
    let now: Now = Arc::new(|| Timestamp(0));
    Limits::new(now, Duration::from_secs(1), 1 << 30, 1 << 30)
}

/// What matches, in order: each record by itself.
fn naive(batches: &[Batch], query: &Query, order: Order) -> Vec<LogEntry> {
    let mut found: Vec<LogEntry> =
        batches.iter().flat_map(|batch| tail(query, batch, ARRIVAL, usize::MAX).0).collect();
    found.retain(|entry| entry.time < END);
    found.sort_by_key(LogEntry::order);
    match order {
        Order::Newest => found.sort_by_key(|entry| std::cmp::Reverse(entry.time)),
        Order::Oldest => found.sort_by_key(|entry| entry.time),
    }
    found
}

/// All pages, one after the other.
fn pages(sources: &Sources<'_>, query: &Query, order: Order, limit: usize) -> Vec<LogEntry> {
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let range = Timestamp::ZERO..END;
        let search = Search { query, range, order, limit, cursor };
        let page = search_logs(sources, &search, &limits()).unwrap();
        assert_eq!(page.truncated, None);
        assert!(page.records.len() == limit || page.next.is_none());
        found.extend(page.records);
        let Some(next) = page.next else { return found };
        // As a client gives it back.
        cursor = Some(next.to_string().parse().unwrap());
    }
}

fn check(
    batches: &[Batch],
    stored: &Stored,
    query: &str,
    limit: usize,
) -> Result<(), TestCaseError> {
    let query = Query::parse(query).unwrap();
    for order in [Order::Newest, Order::Oldest] {
        let expected = naive(batches, &query, order);
        let found = pages(&stored.sources(), &query, order, limit);
        prop_assert_eq!(&found, &expected, "{} {:?}", query, order);
    }
    let expected = naive(batches, &query, Order::Oldest);
    let range = Timestamp(10)..END;
    let counted = histogram(&stored.sources(), &query, range, 7, &limits()).unwrap();
    prop_assert_eq!(counted.buckets.len(), 7);
    for bucket in &counted.buckets {
        let inside = |entry: &&LogEntry| (bucket.start..bucket.end).contains(&entry.time);
        let of = |severity| {
            expected.iter().filter(inside).filter(|entry| entry.severity == severity).count() as u64
        };
        use crate::query::language::Severity::*;
        prop_assert_eq!(bucket.none, of(None));
        prop_assert_eq!(bucket.info, of(Info));
        prop_assert_eq!(bucket.warn, of(Warn));
        prop_assert_eq!(bucket.error, of(Error));
        prop_assert_eq!(bucket.total(), expected.iter().filter(inside).count() as u64);
    }
    Ok(())
}

fn text() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "timeout",
        "Timeout",
        "connection",
        "refused",
        "user",
        "17",
        "größe",
        "GRÖSSE",
        "a_b",
        "db",
        "connections",
        "",
        "\n",
        "10.0.0.1",
    ]);
    let glue = prop::sample::select(vec![" ", "-", ": ", ""]);
    prop::collection::vec((words, glue), 0..5)
        .prop_map(|parts| parts.into_iter().map(|(word, glue)| format!("{word}{glue}")).collect())
}

fn value() -> impl Strategy<Value = AnyValue> {
    prop_oneof![
        4 => text().prop_map(|text| AnyValue::String(text.into())),
        1 => Just(AnyValue::Empty),
        1 => (-3_i64..20).prop_map(AnyValue::Int),
        1 => prop::sample::select(vec![0.5, 2.0, f64::NAN]).prop_map(AnyValue::Double),
        1 => text().prop_map(|text| AnyValue::Array(vec![AnyValue::String(text.into())])),
        1 => text().prop_map(|text| AnyValue::Map(Attributes::default().with_str("user", &text))),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let key = prop::sample::select(vec![
        "user",
        "attempt",
        "exception.message",
        "exception.type",
        "service.name",
    ]);
    // No key twice: an entry shows one value of each.
    prop::collection::btree_map(key, value(), 0..3).prop_map(|map| {
        Attributes(map.into_iter().map(|(key, value)| (key.into(), value)).collect())
    })
}

prop_compose! {
    fn record()(
        // Many at the same time, some without one.
        time in prop_oneof![8 => 1_u64..40, 2 => 100_u64..300, 1 => Just(0)],
        observed in prop_oneof![Just(0), 1_u64..220],
        severity in prop_oneof![Just(0), Just(9), Just(9), Just(13), Just(17), Just(25), Just(-1)],
        severity_text in prop::sample::select(vec!["", "", "ERROR", "Warning", "odd"]),
        body in value(),
        attributes in attributes(),
        trace in 0_u8..3,
        event in prop::sample::select(vec!["", "", "db.timeout"]),
    ) -> LogRecord {
        LogRecord {
            time_unix_nanos: time,
            observed_time_unix_nanos: observed,
            severity_number: severity,
            severity_text: severity_text.into(),
            body,
            attributes,
            flags: 0,
            trace_id: [trace; 16],
            span_id: [trace; 8],
            event_name: event.into(),
        }
    }
}

prop_compose! {
    fn group()(
        service in prop::sample::select(vec!["", "cart", "orders", "orders-db"]),
        node in prop::sample::select(vec!["a", "b"]),
        scope in prop::sample::select(vec!["", "http"]),
        items in prop::collection::vec(record(), 0..20),
    ) -> Group<LogRecord> {
        let named = Attributes::default().with_str("service.name", service);
        let resource = named.with_str("node", node);
        Group {
            resource: Arc::new(Resource { attributes: resource }),
            scope: InstrumentationScope { name: scope.into(), ..Default::default() },
            items,
        }
    }
}

fn query() -> impl Strategy<Value = String> {
    let term = prop::sample::select(vec![
        "timeout",
        "refused",
        "größe",
        "connection*",
        "*fused",
        "\"connection refused\"",
        "10.0.0.1",
        "\"17\"",
        "a_b",
        "nowhere",
        "/time/",
        "/(?i)TIME.*user/",
        "/^user/",
        "/ 17$/",
        "/u\\d/i",
        "service:orders",
        "service:ord*",
        "service:/^c/",
        "service:nowhere",
        "severity:>=warn",
        "severity:error",
        "severity:none",
        "severity:9",
        "trace:*",
        "span:0101010101010101",
        "trace:02020202020202020202020202020202",
        "event:db.timeout",
        "event:*",
        "user:*",
        "user:17",
        "user:/timeout/",
        "user:user*",
        "attempt:>3",
        "attempt:<=2.5",
        "body:user",
        "body:/17/",
        "resource.node:a",
        "resource.service.name:cart",
        "scope:http",
        "scope:*",
        "exception.message:*",
        "exception.message:timeout*",
        "exception.type:17",
        "*",
        "\"service.name\":*",
        "instance:*",
    ]);
    let term = (term, 0..4).prop_map(|(term, not)| match not {
        0 => format!("-{term}"),
        _ => term.to_owned(),
    });
    let glue = prop::sample::select(vec![" ", " ", " OR ", " AND "]);
    prop::collection::vec((term, glue), 1..4).prop_map(|parts| {
        let text: String = parts.iter().map(|(term, glue)| format!("{term}{glue}")).collect();
        text.trim_end_matches(" OR ").trim_end_matches(" AND ").trim_end().to_owned()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn a_search_finds_what_a_naive_filter_finds_however_records_are_split(
        groups in prop::collection::vec(group(), 1..12),
        split in prop::collection::vec(0_usize..4, 12),
        queries in prop::collection::vec(query(), 8),
        limit in 1_usize..30,
    ) {
        let batch = |group| Batch::Logs(vec![group]);
        let batches: Vec<Batch> = groups.into_iter().map(batch).collect();
        let stored = store(&batches, &split);
        for query in &queries {
            check(&batches, &stored, query, limit)?;
        }
    }
}

/// `count` records of a service, one a nanosecond from `first` on.
fn many(service: &str, first: u64, count: u64, body: impl Fn(u64) -> String) -> Batch {
    let items = (0..count).map(|index| LogRecord {
        time_unix_nanos: first + index,
        severity_number: 9,
        body: AnyValue::String(body(index).into()),
        ..Default::default()
    });
    let attributes = Attributes::default().with_str("service.name", service);
    Batch::Logs(vec![Group {
        resource: Arc::new(Resource { attributes }),
        scope: InstrumentationScope::default(),
        items: items.collect(),
    }])
}

fn search(stored: &Stored, query: &str, limits: &Limits) -> LogPage {
    let query = Query::parse(query).unwrap();
    let range = Timestamp::ZERO..Timestamp(1 << 40);
    let search = Search { query: &query, range, order: Order::Newest, limit: 10, cursor: None };
    search_logs(&stored.sources(), &search, limits).unwrap()
}

#[test]
fn a_common_word_reads_only_the_newest_rows() {
    let batches =
        [many("a", 1, 40_000, |_| "common".into()), many("b", 1, 40_000, |_| "common".into())];
    let stored = store_in_groups(&batches, &vec![1, 2], 4_096);
    let page = search(&stored, "common", &limits());
    let times: Vec<u64> = page.records.iter().map(|entry| entry.time.as_nanos()).collect();
    assert_eq!(
        times,
        [40_000, 40_000, 39_999, 39_999, 39_998, 39_998, 39_997, 39_997, 39_996, 39_996]
    );
    assert!(page.next.is_some());
    assert!(page.scanned.rows <= 10_000, "{:?}", page.scanned);
}

#[test]
fn a_rare_word_reads_only_the_row_groups_that_have_it() {
    let body =
        |index: u64| if index == 4_321 { "the needle".into() } else { format!("hay {index}") };
    let stored = store_in_groups(&[many("a", 1, 8_000, body)], &vec![1], 64);
    let page = search(&stored, "needle", &limits());
    assert_eq!(page.records.len(), 1);
    assert_eq!(page.next, None);
    // 125 row groups of 64 rows, of which a few may be believed to have the word.
    assert!(page.scanned.row_groups <= 10, "{:?}", page.scanned);
    let page = search(&stored, "needle service:b", &limits());
    assert_eq!((page.records.len(), page.scanned.row_groups), (0, 0));
    let page = search(&stored, "severity:>=error", &limits());
    assert_eq!((page.records.len(), page.scanned.row_groups), (0, 0));
}

#[test]
fn a_search_that_runs_out_of_rows_goes_on_where_it_stopped() {
    let body =
        |index: u64| if index.is_multiple_of(10_000) { "needle".into() } else { "hay".into() };
    // In memory, so that no filter helps.
    let stored = store(&[many("a", 1, 60_000, body)], &vec![0]);
    let query = Query::parse("needle").unwrap();
    let (mut cursor, mut found, mut stops) = (None, Vec::new(), 0);
    loop {
        let range = Timestamp::ZERO..Timestamp(1 << 40);
        let search = Search { query: &query, range, order: Order::Newest, limit: 4, cursor };
        let limits = Limits { rows: 40_000, ..limits() };
        let page = search_logs(&stored.sources(), &search, &limits).unwrap();
        stops += usize::from(page.truncated == Some(Stopped::Rows { rows: 40_000 }));
        found.extend(page.records.iter().map(|entry| entry.time.as_nanos()));
        cursor = page.next;
        if cursor.is_none() || found.len() > 6 || stops > 20 {
            break;
        }
    }
    assert_eq!(found, [50_001, 40_001, 30_001, 20_001, 10_001, 1]);
    assert!(stops > 0);
}

#[test]
fn a_search_that_nobody_waits_for_is_an_error() {
    let stored = store(&[many("a", 1, 100, |_| "hay".into())], &vec![1]);
    let limits = limits();
    limits.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    let query = Query::all();
    let range = Timestamp::ZERO..END;
    let search = Search { query: &query, range, order: Order::Newest, limit: 1, cursor: None };
    let error = search_logs(&stored.sources(), &search, &limits).unwrap_err();
    assert!(matches!(error, crate::Error::Stopped(Stopped::Cancelled)), "{error}");
}

#[test]
fn a_histogram_of_everything_reads_no_rows_where_statistics_tell() {
    let stored = store(&[many("a", 1, 1_600, |_| "x".into())], &vec![1]);
    let all = Timestamp(0)..Timestamp(10_000);
    let counted = histogram(&stored.sources(), &Query::all(), all, 1, &limits()).unwrap();
    assert_eq!((counted.total, counted.buckets[0].info), (1_600, 1_600));
    assert_eq!(counted.scanned.rows, 0);
}

#[test]
fn cursors_are_read_back_and_others_refused() {
    for text in ["1-2-3", "ffffffffffffffff-0-ffffffff"] {
        assert_eq!(text.parse::<Cursor>().unwrap().to_string(), text);
    }
    for text in ["", "1-2", "1-2-3-4", "x-1-1", "1-1-fffffffff", "-1-1"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}
