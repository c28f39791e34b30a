//! Requests told by metrics: deltas, cumulative streams, restarts, the switch to spans.

use super::*;
use crate::testing::*;
use model::signal::{ExponentialBuckets, ExponentialPoint, HistogramPoint, Number, Span, SpanKind};
use model::tick::{InstanceEventKind, SeriesKey};
use model::{Entity, Scope, Tick};

const SERVED: (&str, &str) = ("http.response.status_code", "200");
const FAILED: (&str, &str) = ("http.response.status_code", "503");

/// Header of a point of a stream that began at `start` and stands at `time`, seconds after `START`.
fn header(start: f64, time: f64, status: (&str, &str)) -> PointHeader {
    PointHeader {
        attributes: attributes(&[("http.request.method", "GET"), ("http.route", "/cart"), status]),
        start_time_unix_nanos: at(start).as_nanos(),
        time_unix_nanos: at(time).as_nanos(),
        ..PointHeader::default()
    }
}

/// `counts` of requests up to 5, 100 and more milliseconds.
fn explicit(temporality: Temporality, header: PointHeader, counts: [u64; 3]) -> Metric {
    let point = HistogramPoint {
        header,
        count: counts.iter().sum(),
        sum: Some(counts.iter().sum::<u64>() as f64 * 0.05),
        bucket_counts: counts.to_vec(),
        explicit_bounds: vec![0.005, 0.1],
        ..HistogramPoint::default()
    };
    let data = MetricData::Histogram { temporality, points: vec![point] };
    Metric {
        name: "http.server.request.duration".into(),
        unit: "s".into(),
        data,
        ..Metric::default()
    }
}

fn take(observer: &mut Observer, metric: Metric, seconds: f64) -> Tick {
    observer.take(&metrics(&resource("shop", &[]), vec![metric]), at(seconds));
    observer.tick(0, at(seconds))
}

fn shop(tick: &Tick) -> (f64, f64) {
    counts(tick, &SeriesKey::Service(service("shop")))
}

#[test]
fn a_service_without_spans_is_counted_from_its_metrics() {
    let mut observer = observer();
    let metric = explicit(Temporality::Delta, header(0.0, 60.0, SERVED), [1, 2, 3]);
    let tick = take(&mut observer, metric, 61.0);
    assert_eq!(shop(&tick), (6.0, 0.0));
    let operation = Entity::operation(&Scope::default(), "shop", "GET /cart");
    assert_eq!(counts(&tick, &SeriesKey::Operation(operation)), (6.0, 0.0));
    let point = point(&tick, &SeriesKey::Service(service("shop")));
    assert_eq!(point.durations.count(), 6.0);
    assert!((point.durations.sum_seconds() - 0.3).abs() < 1e-9);
    let metric = explicit(Temporality::Delta, header(60.0, 120.0, FAILED), [0, 1, 0]);
    assert_eq!(shop(&take(&mut observer, metric, 121.0)), (1.0, 1.0));
}

#[test]
fn cumulative_points_tell_only_what_was_added() {
    let mut observer = observer();
    let mut told = |start, time, counts| {
        let metric = explicit(Temporality::Cumulative, header(start, time, SERVED), counts);
        shop(&take(&mut observer, metric, time + 1.0)).0
    };
    assert_eq!(told(-100.0, 60.0, [50, 50, 0]), 0.0, "older than we are: only a base");
    assert_eq!(told(-100.0, 120.0, [51, 52, 1]), 4.0);
    assert_eq!(told(-100.0, 120.0, [51, 52, 1]), 0.0, "the same point again");
    assert_eq!(told(130.0, 180.0, [2, 0, 0]), 2.0, "a new process");
    assert_eq!(told(130.0, 240.0, [2, 0, 1]), 1.0);
}

#[test]
fn a_stream_younger_than_we_are_is_counted_from_its_first_point() {
    let mut observer = observer();
    let metric = explicit(Temporality::Cumulative, header(1.0, 60.0, SERVED), [1, 1, 1]);
    assert_eq!(shop(&take(&mut observer, metric, 61.0)), (3.0, 0.0));
}

#[test]
fn a_stream_that_began_anew_tells_of_a_restart() {
    let mut observer = observer();
    let mut told = |start, time, counts| {
        let metric = explicit(Temporality::Cumulative, header(start, time, SERVED), counts);
        take(&mut observer, metric, time)
    };
    told(0.0, 60.0, [1, 1, 1]);
    told(0.0, 120.0, [2, 2, 2]);
    let tick = told(150.0, 180.0, [1, 0, 0]);
    assert_eq!(tick.instances[0].kind, InstanceEventKind::Restarted);
    assert_eq!(tick.instances[0].at, at(150.0));
    assert_eq!(tick.changes[0].summary, "instance shop restarted");
}

#[test]
fn nothing_is_told_twice_when_spans_come_after_metrics() {
    let mut observer = observer();
    let metric = explicit(Temporality::Cumulative, header(1.0, 60.0, SERVED), [3, 0, 0]);
    assert_eq!(shop(&take(&mut observer, metric, 61.0)).0, 3.0);
    let entry = |trace: u8, end| span(SpanKind::Server, (trace, 1, 0), end, &[SERVED]);
    let spans: Vec<Span> = vec![entry(1, 59.0), entry(2, 60.5), entry(3, 61.5)];
    observer.take(&traces(&resource("shop", &[]), spans), at(62.0));
    assert_eq!(shop(&observer.tick(1, at(62.0))).0, 2.0, "one ended before the metrics did");
    let metric = explicit(Temporality::Cumulative, header(1.0, 120.0, SERVED), [9, 0, 0]);
    assert_eq!(shop(&take(&mut observer, metric, 121.0)).0, 0.0);
}

#[test]
fn thresholds_count_only_what_is_surely_within() {
    let mut observer = observer();
    let series = SeriesKey::Service(service("shop"));
    observer.set_thresholds([(series.clone(), vec![0.1, 0.05])].into());
    let metric = explicit(Temporality::Delta, header(0.0, 60.0, SERVED), [1, 2, 3]);
    let tick = take(&mut observer, metric, 61.0);
    assert_eq!(point(&tick, &series).within, [(0.1, 3.0), (0.05, 1.0)]);
}

#[test]
fn exponential_histograms_and_old_names_in_milliseconds_are_read() {
    let mut observer = observer();
    let sent = ExponentialPoint {
        header: header(0.0, 60.0, FAILED),
        count: 3,
        sum: Some(300.0),
        scale: 0,
        positive: ExponentialBuckets { offset: 6, bucket_counts: vec![2, 1] },
        ..ExponentialPoint::default()
    };
    let data =
        MetricData::ExponentialHistogram { temporality: Temporality::Delta, points: vec![sent] };
    let name = "http.server.duration".to_owned();
    let tick = take(&mut observer, Metric { name: name.into(), data, ..Metric::default() }, 61.0);
    let point = point(&tick, &SeriesKey::Service(service("shop")));
    assert_eq!((point.total, point.errors), (3.0, 3.0));
    assert!((point.durations.mean_seconds().unwrap() - 0.1).abs() < 1e-9);
    let median = point.durations.quantile(0.5).unwrap();
    assert!((0.128..0.14).contains(&median), "{median}");
}

#[test]
fn requests_in_flight_are_summed_per_instance() {
    let mut observer = observer();
    let point = |method: &str, value| NumberPoint {
        header: PointHeader {
            attributes: attributes(&[("http.request.method", method)]),
            ..PointHeader::default()
        },
        value: Some(Number::Int(value)),
    };
    let mut active = |points| {
        let data =
            MetricData::Sum { temporality: Temporality::Cumulative, monotonic: false, points };
        take(&mut observer, Metric { name: ACTIVE_REQUESTS.into(), data, ..Metric::default() }, 5.0)
            .in_flight
    };
    let instance = Entity::instance(&Scope::default(), "shop", "shop");
    assert_eq!(active(vec![point("GET", 3), point("POST", 2)]), [(instance.clone(), 5.0)]);
    assert_eq!(active(vec![point("GET", 1)]), [(instance, 3.0)]);
}
