//! Series over rows in memory and in files of any split.

use std::time::Duration;

use model::signal::{
    Attributes, Batch, ExponentialBuckets, ExponentialPoint, Group, HistogramPoint,
    InstrumentationScope, Metric, MetricData, Number, NumberPoint, PointHeader, SummaryPoint,
    Temporality,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::query::Stopped;
use crate::query::testing::{Stored, limits, resource, second};
use crate::schema::Table;

fn header(labels: &[(&str, &str)], at: u64, since: u64) -> PointHeader {
    let mut attributes = Attributes::default();
    labels.iter().for_each(|(key, value)| attributes = attributes.clone().with_str(key, value));
    let start = if since == 0 { 0 } else { second(since).as_nanos() };
    let time_unix_nanos = second(at).as_nanos();
    PointHeader {
        attributes,
        start_time_unix_nanos: start,
        time_unix_nanos,
        ..PointHeader::default()
    }
}

fn number(labels: &[(&str, &str)], at: u64, value: f64) -> NumberPoint {
    NumberPoint { header: header(labels, at, 0), value: Some(Number::Double(value)) }
}

fn metric(service: &str, name: &str, data: MetricData) -> Group<Metric> {
    let metric = Metric { name: name.into(), unit: "By".into(), data, ..Metric::default() };
    Group {
        resource: resource(service, "a"),
        scope: InstrumentationScope::default(),
        items: vec![metric],
    }
}

fn counter(points: Vec<NumberPoint>) -> MetricData {
    MetricData::Sum { temporality: Temporality::Cumulative, monotonic: true, points }
}

fn stored(hot: Vec<Group<Metric>>, files: Vec<Vec<Group<Metric>>>) -> Stored {
    let mut stored = Stored::new(Table::Samples);
    stored.add_hot(&Batch::Metrics(hot));
    files.into_iter().for_each(|file| stored.add_file(&Batch::Metrics(file)));
    stored
}

fn ask(selector: &str, from: u64, to: u64) -> SeriesQuery {
    SeriesQuery {
        selector: selector.parse().unwrap(),
        from: second(from),
        to: second(to),
        step: None,
        functions: Vec::new(),
        series_max: 100,
    }
}

fn windows(selector: &str, from: u64, to: u64, step: u64, functions: &[&str]) -> SeriesQuery {
    let functions = functions.iter().map(|function| function.parse().unwrap()).collect();
    SeriesQuery { step: Some(Duration::from_secs(step)), functions, ..ask(selector, from, to) }
}

fn points(record: &SeriesRecord) -> Vec<(u64, f64)> {
    let at = |time: Timestamp| time.since(second(0)).as_secs();
    record.points.iter().map(|point| (at(point.time), point.value)).collect()
}

/// The points of the only series of the answer.
fn only(stored: &Stored, query: &SeriesQuery) -> Vec<(u64, f64)> {
    let found = series(&stored.sources(), query, &limits()).unwrap();
    let [record] = found.series.as_slice() else { panic!("{found:?}") };
    points(record)
}

#[test]
fn points_of_a_series_are_joined_from_memory_and_files() {
    let gauge = |at: u64| {
        let point = number(&[("pool", "eden")], at, at as f64);
        metric("cart", "heap", MetricData::Gauge(vec![point]))
    };
    let stored =
        stored(vec![gauge(50), gauge(20)], vec![vec![gauge(10), gauge(40)], vec![gauge(30)]]);
    let all: Vec<(u64, f64)> = (1..=5).map(|n| (n * 10, (n * 10) as f64)).collect();
    assert_eq!(only(&stored, &ask("heap", 0, 100)), all);
    assert_eq!(only(&stored, &ask("heap", 20, 40)), all[1..3]);
    let found = series(&stored.sources(), &ask("heap", 0, 100), &limits()).unwrap();
    let labels = &found.series[0].labels;
    assert_eq!(labels["pool"], "eden");
    assert_eq!(labels["service"], "cart");
    assert_eq!(labels["resource.host.name"], "a");
    assert_eq!((found.series[0].kind.as_str(), found.series[0].unit.as_str()), ("gauge", "By"));
}

#[test]
fn a_counter_that_restarted_between_files_keeps_its_rate() {
    let at = |at: u64, value: f64| metric("cart", "hits", counter(vec![number(&[], at, value)]));
    let stored = stored(
        vec![at(360, 30.0)],
        vec![vec![at(0, 100.0), at(120, 10.0)], vec![at(60, 160.0), at(240, 20.0)]],
    );
    let grew = only(&stored, &windows("hits", 60, 360, 60, &["increase"]));
    assert_eq!(grew, [(60, 10.0), (120, 5.0), (180, 5.0), (240, 5.0), (300, 5.0)]);
    let rate = only(&stored, &windows("hits", 0, 60, 60, &["rate"]));
    assert_eq!(rate, [(0, 1.0)]);
    // What suits a counter.
    assert_eq!(only(&stored, &windows("hits", 0, 60, 60, &[])), rate);
}

#[test]
fn the_increase_before_the_first_point_in_time_is_known_by_the_point_before() {
    let at = |at: u64, value: f64| metric("cart", "hits", counter(vec![number(&[], at, value)]));
    let stored = stored(vec![at(590, 0.0), at(650, 60.0)], vec![]);
    assert_eq!(only(&stored, &windows("hits", 600, 660, 60, &["increase"])), [(600, 50.0)]);
}

#[test]
fn deltas_are_added_up() {
    let data = |at: u64, value: f64| {
        let point = NumberPoint { header: header(&[], at, at - 10), ..number(&[], at, value) };
        let (temporality, monotonic) = (Temporality::Delta, true);
        metric("cart", "hits", MetricData::Sum { temporality, monotonic, points: vec![point] })
    };
    let stored = stored(vec![data(40, 4.0)], vec![vec![data(20, 2.0), data(30, 3.0)]]);
    let grew = only(&stored, &windows("hits", 0, 40, 20, &["increase"]));
    assert_eq!(grew, [(0, 2.0), (20, 7.0)]);
}

fn histogram(at: u64, counts: &[u64]) -> HistogramPoint {
    HistogramPoint {
        header: header(&[], at, 0),
        count: counts.iter().sum(),
        sum: Some(counts.iter().sum::<u64>() as f64),
        bucket_counts: counts.to_vec(),
        explicit_bounds: vec![1.0, 2.0],
        min: None,
        max: None,
    }
}

#[test]
fn quantiles_of_a_histogram_are_those_of_what_came_in_the_window() {
    let at = |at: u64, counts: &[u64]| {
        let points = vec![histogram(at, counts)];
        metric(
            "cart",
            "took",
            MetricData::Histogram { temporality: Temporality::Cumulative, points },
        )
    };
    let stored = stored(
        vec![at(120, &[10, 10, 0])],
        vec![vec![at(0, &[0, 0, 0])], vec![at(60, &[10, 0, 0])]],
    );
    let query = windows("took", 0, 120, 60, &["quantile(0.5)", "count", "avg", "rate"]);
    let found = series(&stored.sources(), &query, &limits()).unwrap();
    let told: Vec<Vec<(u64, f64)>> = found.series.iter().map(points).collect();
    assert_eq!(told[0], [(0, 0.5), (60, 1.5)]);
    assert_eq!(told[1], [(0, 10.0), (60, 10.0)]);
    assert_eq!(told[2], [(0, 1.0), (60, 1.0)]);
    assert_eq!(told[3], [(0, 10.0 / 60.0), (60, 10.0 / 60.0)]);
    let functions: Vec<Option<&str>> =
        found.series.iter().map(|record| record.function.as_deref()).collect();
    assert_eq!(functions, [Some("quantile(0.5)"), Some("count"), Some("avg"), Some("rate")]);
    let error = series(&stored.sources(), &windows("took", 0, 60, 60, &["last"]), &limits());
    assert!(error.unwrap_err().to_string().contains("took is a histogram"));
    let raw = series(&stored.sources(), &ask("took", 100, 200), &limits()).unwrap();
    let [only] = raw.series[0].distributions.as_slice() else { panic!("{raw:?}") };
    assert_eq!(only.buckets, [(Some(1.0), 10.0), (Some(2.0), 10.0), (None, 0.0)]);
}

#[test]
fn exponential_histograms_and_summaries_tell_quantiles_too() {
    let point = |at: u64, counts: Vec<u64>| ExponentialPoint {
        header: header(&[], at, at - 50),
        count: counts.iter().sum(),
        scale: 0,
        positive: ExponentialBuckets { offset: 0, bucket_counts: counts },
        ..ExponentialPoint::default()
    };
    let exponential = |at: u64, counts: Vec<u64>| {
        let (temporality, points) = (Temporality::Delta, vec![point(at, counts)]);
        metric("cart", "took", MetricData::ExponentialHistogram { temporality, points })
    };
    let summary = |at: u64, p50: f64| {
        let point = SummaryPoint {
            header: header(&[], at, 0),
            count: at,
            sum: at as f64,
            quantiles: vec![(0.5, p50)],
        };
        metric("cart", "gc", MetricData::Summary(vec![point]))
    };
    let stored = stored(
        vec![exponential(120, vec![0, 4]), summary(100, 7.0)],
        vec![vec![exponential(60, vec![4, 0]), summary(10, 5.0)]],
    );
    let p100 = only(&stored, &windows("took", 0, 120, 60, &["quantile(1)"]));
    assert_eq!(p100, [(0, 2.0), (60, 4.0)]);
    assert_eq!(
        only(&stored, &windows("gc", 0, 120, 60, &["quantile(0.5)"])),
        [(0, 5.0), (60, 7.0)]
    );
    assert_eq!(only(&stored, &windows("gc", 0, 120, 120, &["avg"])), [(0, 1.0)]);
}

#[test]
fn what_there_is_can_be_listed() {
    let gauge = |service: &str, name: &str, pool: &str| {
        metric(service, name, MetricData::Gauge(vec![number(&[("pool", pool)], 10, 1.0)]))
    };
    let stored = stored(
        vec![gauge("cart", "heap", "eden"), gauge("cart", "heap", "old")],
        vec![vec![gauge("web", "heap", "old"), gauge("web", "cpu", "user")]],
    );
    let sources = stored.sources();
    let (all, time) = (Selector::default(), second(0)..second(20));
    let found = metrics(&sources, &all, time.clone(), 10, &limits()).unwrap();
    let told: Vec<(&str, u64, u64)> =
        found.items.iter().map(|one| (one.name.as_str(), one.series, one.points)).collect();
    assert_eq!(told, [("cpu", 1, 1), ("heap", 3, 3)]);
    assert_eq!((found.items[0].kind.as_str(), found.items[0].unit.as_str()), ("gauge", "By"));
    let cut = metrics(&sources, &all, time.clone(), 1, &limits()).unwrap();
    assert_eq!((cut.items[0].name.as_str(), cut.truncated), ("cpu", true));
    let names = labels(&sources, &all, time.clone(), 10, &limits()).unwrap();
    assert_eq!(names.items, ["pool", "resource.host.name", "resource.service.name", "service"]);
    let heap = "heap{service!=\"\"}".parse().unwrap();
    let pools = label_values(&sources, "pool", &heap, time, 10, &limits()).unwrap();
    assert_eq!(pools.items, ["eden", "old"]);
    let later = metrics(&sources, &all, second(50)..second(60), 10, &limits()).unwrap();
    assert_eq!(later.items, []);
}

#[test]
fn more_series_than_asked_for_are_cut_and_told() {
    let gauge = |n: u64| {
        let n = n.to_string();
        metric("cart", "heap", MetricData::Gauge(vec![number(&[("n", &n)], 10, 1.0)]))
    };
    let stored = stored((0..10).map(gauge).collect(), vec![(10..20).map(gauge).collect()]);
    let query = SeriesQuery { series_max: 5, ..ask("heap", 0, 100) };
    let found = series(&stored.sources(), &query, &limits()).unwrap();
    assert_eq!((found.series.len(), found.truncated), (5, true));
    let tight = Limits { memory_bytes: 100, ..limits() };
    let error = series(&stored.sources(), &ask("heap", 0, 100), &tight).unwrap_err();
    assert!(matches!(error, Error::Stopped(Stopped::Memory { .. })), "{error}");
    let nameless = series(&stored.sources(), &ask("{n=\"1\"}", 0, 100), &limits());
    assert!(nameless.unwrap_err().to_string().starts_with("name the metric"));
}

/// Metric, service, label, time, value, and where it is stored.
type Item = (&'static str, &'static str, &'static str, u64, f64, usize);

fn item() -> impl Strategy<Value = Item> {
    let names = (select(vec!["a", "b"]), select(vec!["cart", "web"]), select(vec!["", "x", "xy"]));
    (names, 0u64..100, 0u32..10, 0usize..4).prop_map(
        |((name, service, label), at, value, place)| {
            (name, service, label, at, f64::from(value), place)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn points_are_those_of_a_plain_filter_wherever_they_are_stored(
        items in prop::collection::vec(item(), 0..60),
        selector in select(vec![
            "a", "b{service=\"cart\"}", "a{l=\"\"}", "a{l!=\"x\"}", "a{l=~\"x.*\"}",
            "a{service!~\"w.*\"}", "a{resource.host.name=\"a\",l=\"x\"}", "a{nothing=\"1\"}",
        ]),
        from in 0u64..50,
        length in 1u64..100,
    ) {
        let mut stored = Stored::new(Table::Samples);
        for place in 0..4 {
            let here = items.iter().filter(|item| item.5 == place);
            let groups: Vec<_> = here
                .map(|(name, service, label, at, value, _)| {
                    let labels = [("l", *label)];
                    let labels = if label.is_empty() { &[] } else { &labels[..] };
                    metric(service, name, MetricData::Gauge(vec![number(labels, *at, *value)]))
                })
                .collect();
            match (groups.is_empty(), place) {
                (true, _) => {}
                (false, 0) => stored.add_hot(&Batch::Metrics(groups)),
                (false, _) => stored.add_file(&Batch::Metrics(groups)),
            }
        }
        let query = ask(selector, from, from + length);
        let found = series(&stored.sources(), &query, &limits()).unwrap();
        let mut told: Vec<(String, String, u64, u64)> = found
            .series
            .iter()
            .flat_map(|record| {
                let label = |name: &str| record.labels.get(name).cloned().unwrap_or_default();
                let key = (label("service"), label("l"));
                points(record).into_iter().map(move |(at, value)| {
                    (key.0.clone(), key.1.clone(), at, value as u64)
                })
            })
            .collect();
        told.sort();
        let takes = |item: &&Item| {
            let (name, service, label, at, ..) = **item;
            let value = |wanted: &str| match wanted {
                "service" => service,
                "l" => label,
                "resource.host.name" => "a",
                _ => "",
            };
            query.selector.metric.as_deref() == Some(name)
                && (from..from + length).contains(&at)
                && query.selector.matchers.iter().all(|one| one.is_match(value(&one.label)))
        };
        let mut expected: Vec<(String, String, u64, u64)> = items
            .iter()
            .filter(takes)
            .map(|item| (item.1.to_owned(), item.2.to_owned(), item.3, item.4 as u64))
            .collect();
        expected.sort();
        prop_assert_eq!(told, expected);
    }
}
