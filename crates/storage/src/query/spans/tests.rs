//! Search of spans against a plain filter, over rows in memory and in files of any split.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use model::signal::{AnyValue, Attributes, Batch, Resource, Span, SpanKind, SpanStatus};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::query::attributes::{AttributeFilter, Key, text_of};
use crate::query::testing::{Stored, limits, resource, second, spans};
use crate::schema::Table;

/// A span, whose it is, and where it is stored: 0 in memory, else in that file.
pub type Item = (Arc<Resource>, Span, usize);

fn attributes() -> impl Strategy<Value = Attributes> {
    let code = prop_oneof![
        Just(AnyValue::Int(200)),
        Just(AnyValue::Int(503)),
        Just(AnyValue::String("503".into())),
    ];
    let route = prop_oneof![
        Just(AnyValue::String("/cart".into())),
        Just(AnyValue::String("/pay".into())),
        Just(AnyValue::Int(7)),
    ];
    let other = prop_oneof![
        Just(AnyValue::String("ann".into())),
        Just(AnyValue::Double(1.5)),
        Just(AnyValue::Bool(true)),
        Just(AnyValue::Array(vec![AnyValue::Int(1)])),
    ];
    let option = prop::option::of::<BoxedStrategy<AnyValue>>;
    (option(code.boxed()), option(route.boxed()), option(other.boxed())).prop_map(
        |(code, route, other)| {
            let mut attributes = Attributes::default();
            let named =
                [("http.response.status_code", code), ("http.route", route), ("user", other)];
            for (key, value) in named {
                if let Some(value) = value {
                    attributes.push(key, value);
                }
            }
            attributes
        },
    )
}

/// Few values of each kind, so that ties and matches are frequent.
pub fn item() -> impl Strategy<Value = Item> {
    let kinds = select(vec![SpanKind::Server, SpanKind::Client, SpanKind::Internal]);
    let statuses = select(vec![SpanStatus::Unset, SpanStatus::Ok, SpanStatus::Error]);
    let names = select(vec!["GET /cart", "/pay", "work"]);
    let origin = (select(vec!["cart", "web", ""]), select(vec!["a", "b"]));
    let ids = (0u8..6, 0u8..200, 0u8..4);
    // All within the time around a found span that a summary looks at.
    let times = (0u64..30, 0u64..30);
    (origin, ids, times, kinds, statuses, names, attributes(), 0usize..4).prop_map(
        |(
            (service, host),
            (trace, id, parent),
            (start, length),
            kind,
            status,
            name,
            attributes,
            place,
        )| {
            let start = second(start * 60).as_nanos();
            let span = Span {
                trace_id: [trace; 16],
                span_id: [id; 8],
                parent_span_id: [parent; 8],
                name: name.into(),
                kind,
                status,
                start_unix_nanos: start,
                end_unix_nanos: start + length * 1_000_000,
                attributes,
                ..Span::default()
            };
            (resource(service, host), span, place)
        },
    )
}

pub fn store(items: &[Item]) -> Stored {
    let mut stored = Stored::new(Table::Spans);
    for place in 0..4 {
        let here = items.iter().filter(|(.., at)| *at == place);
        let groups: Vec<_> =
            here.map(|(resource, span, _)| spans(resource, vec![span.clone()])).collect();
        match (groups.is_empty(), place) {
            (true, _) => {}
            (false, 0) => stored.add_hot(&Batch::Traces(groups)),
            (false, _) => stored.add_file(&Batch::Traces(groups)),
        }
    }
    stored
}

pub fn filter() -> impl Strategy<Value = SpanFilter> {
    let texts =
        |texts: &'static [&'static str]| prop::option::of(select(texts).prop_map(str::to_owned));
    let attribute = select(vec![
        "http.route=/cart",
        "http.route!=/cart",
        "http.route",
        "!http.route",
        "http.route=7",
        "http.response.status_code=503",
        "http.response.status_code>=500",
        "http.response.status_code!=503",
        "!http.response.status_code",
        "user=ann",
        "user=~.*n.*",
        "user!~[0-9.]+",
        "user=[1]",
        "resource.host.name=a",
        "!resource.host.name",
        "resource.host.name!=a",
        "nobody=1",
    ]);
    let attributes = prop::collection::vec(attribute, 0..3);
    let statuses = prop::option::of(select(vec![SpanStatus::Error, SpanStatus::Unset]));
    let kinds = prop::option::of(select(vec![SpanKind::Server, SpanKind::Client]));
    let durations = (prop::option::of(0u64..15), prop::option::of(15u64..30));
    let times = (0u64..15, 15u64..40);
    let words = (texts(&["cart", "web", ""]), texts(&["/pay", "work", "/cart"]));
    (words, attributes, statuses, kinds, durations, times).prop_map(
        |((service, operation), attributes, status, kind, (least, most), (from, to))| SpanFilter {
            service,
            operation,
            status,
            kind,
            duration_min: least.map(Duration::from_millis),
            duration_max: most.map(Duration::from_millis),
            attributes: attributes.iter().map(|text| text.parse().unwrap()).collect(),
            from: second(from * 60),
            to: second(to * 60),
        },
    )
}

/// What the filter means, without any of what makes it quick.
pub fn passes(filter: &SpanFilter, resource: &Resource, span: &Span) -> bool {
    let service = resource.attributes.str("service.name").unwrap_or_default();
    let nanos = Duration::from_nanos(span.end_unix_nanos - span.start_unix_nanos);
    let start = model::Timestamp(span.start_unix_nanos);
    let attribute = |filter: &AttributeFilter| {
        let value = match &filter.key {
            Key::Attribute(key) => span.attributes.get(key),
            Key::Resource(key) => resource.attributes.get(key),
        };
        filter.is_match(value.map(text_of).as_deref())
    };
    let named = |operation: &String| {
        span.name.as_str() == operation || span.attributes.str("http.route") == Some(operation)
    };
    filter.service.as_ref().is_none_or(|wanted| wanted == service)
        && filter.operation.as_ref().is_none_or(named)
        && filter.status.is_none_or(|status| status == span.status)
        && filter.kind.is_none_or(|kind| kind == span.kind)
        && filter.duration_min.is_none_or(|least| nanos >= least)
        && filter.duration_max.is_none_or(|most| nanos <= most)
        && (filter.from..filter.to).contains(&start)
        && filter.attributes.iter().all(attribute)
}

/// Duration and start of each span that passes, with its ids, in the order asked for.
fn expected(items: &[Item], filter: &SpanFilter, order: Order) -> Vec<(u64, u64, String, String)> {
    let found = items.iter().filter(|(resource, span, _)| passes(filter, resource, span));
    let mut keys: Vec<_> = found
        .map(|(_, span, _)| {
            let (start, end) = (span.start_unix_nanos, span.end_unix_nanos);
            let (first, second) = match order {
                Order::Newest => (start, end - start),
                Order::Slowest => (end - start, start),
            };
            (first, second, record::hex(&span.trace_id), record::hex(&span.span_id))
        })
        .collect();
    keys.sort_by(|one, other| other.cmp(one));
    keys
}

fn key(span: &SpanRecord, order: Order) -> (u64, u64, String, String) {
    let (first, second) = match order {
        Order::Newest => (span.start_unix_nanos, span.duration_nanos),
        Order::Slowest => (span.duration_nanos, span.start_unix_nanos),
    };
    (first, second, span.trace_id.clone(), span.span_id.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn pages_together_are_what_passes_in_order(
        items in prop::collection::vec(item(), 0..60),
        filter in filter(),
        slowest: bool,
        limit in 1usize..20,
    ) {
        let order = if slowest { Order::Slowest } else { Order::Newest };
        let stored = store(&items);
        let mut query = SpanQuery { filter, order, limit, after: None };
        let mut found = Vec::new();
        loop {
            let page = search_spans(&stored.sources(), &query, &limits()).unwrap();
            prop_assert!(page.stopped.is_none());
            prop_assert!(page.spans.len() <= limit);
            found.extend(page.spans.iter().map(|span| key(span, order)));
            match page.next {
                // As it comes back from a caller.
                Some(next) => query.after = Some(next.to_string().parse().unwrap()),
                None => break,
            }
        }
        prop_assert_eq!(found, expected(&items, &query.filter, order));
    }

    #[test]
    fn counts_over_time_are_those_of_a_plain_count(
        items in prop::collection::vec(item(), 0..60), filter in filter(), step in 1u64..1000
    ) {
        let step = Duration::from_secs(step);
        let stored = store(&items);
        let stats = span_stats(&stored.sources(), &filter, step, &limits()).unwrap();
        for window in &stats.windows {
            let here = items.iter().filter(|(resource, span, _)| {
                let start = model::Timestamp(span.start_unix_nanos);
                passes(&filter, resource, span) && start.floor_to(step) == window.time
            });
            let errors = here.clone().filter(|(_, span, _)| span.status == SpanStatus::Error);
            prop_assert_eq!((window.spans, window.errors), (
                here.clone().count() as u64,
                errors.count() as u64,
            ));
        }
        let all = items.iter().filter(|(resource, span, _)| passes(&filter, resource, span));
        prop_assert_eq!(stats.spans, all.count() as u64);
    }
}

fn some(count: u64) -> Vec<Item> {
    let span = |n: u64| Span {
        trace_id: [1; 16],
        span_id: n.to_be_bytes(),
        name: "work".into(),
        start_unix_nanos: second(n).as_nanos(),
        end_unix_nanos: second(n + 1).as_nanos(),
        ..Span::default()
    };
    (0..count).map(|n| (resource("cart", "a"), span(n), (n % 4) as usize)).collect()
}

fn newest(limit: usize) -> SpanQuery {
    let filter = SpanFilter::of_time(second(0), second(1000));
    SpanQuery { filter, order: Order::Newest, limit, after: None }
}

#[test]
fn a_page_of_the_newest_does_not_read_what_is_older() {
    let mut stored = Stored::new(Table::Spans);
    for file in 0..10 {
        let items = some(100).split_off(file * 10);
        let here: Vec<Span> = items.into_iter().take(10).map(|(_, span, _)| span).collect();
        stored.add_file(&Batch::Traces(vec![spans(&resource("cart", "a"), here)]));
    }
    let page = search_spans(&stored.sources(), &newest(4), &limits()).unwrap();
    assert_eq!(page.spans.len(), 4);
    assert!(page.scanned.files <= 2, "{:?}", page.scanned);
}

#[test]
fn at_a_limit_the_best_so_far_is_told_and_that_it_is_not_all() {
    let stored = store(&some(100));
    let tight = Limits { rows: 40, ..limits() };
    let page = search_spans(&stored.sources(), &newest(100), &tight).unwrap();
    assert_eq!(page.stopped, Some(Stopped::Rows { rows: 40 }));
    let late = Limits { deadline: second(0), ..limits() };
    let page = search_spans(&stored.sources(), &newest(100), &late).unwrap();
    assert_eq!((page.stopped, page.spans.len()), (Some(Stopped::Deadline), 0));
}

#[test]
fn a_cancelled_search_is_an_error() {
    let stored = store(&some(10));
    let limits = limits();
    limits.cancelled.store(true, Ordering::Relaxed);
    let error = search_spans(&stored.sources(), &newest(10), &limits).unwrap_err();
    assert!(matches!(error, Error::Stopped(Stopped::Cancelled)), "{error}");
}

#[test]
fn a_question_that_makes_no_sense_is_named() {
    let stored = store(&[]);
    let ask = |query: SpanQuery| {
        search_spans(&stored.sources(), &query, &limits()).unwrap_err().to_string()
    };
    assert_eq!(ask(newest(0)), "the limit is 0; ask for 1 to 1000");
    let empty = SpanFilter::of_time(second(5), second(5));
    assert!(ask(SpanQuery { filter: empty, ..newest(1) }).ends_with("is empty"));
    let short = SpanFilter {
        duration_min: Some(Duration::from_secs(2)),
        duration_max: Some(Duration::from_secs(1)),
        ..newest(1).filter
    };
    assert!(ask(SpanQuery { filter: short, ..newest(1) }).contains("shortest"));
    let step = Duration::from_nanos(1);
    assert!(span_stats(&stored.sources(), &newest(1).filter, step, &limits()).is_err());
}
