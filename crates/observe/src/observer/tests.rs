//! Properties of the whole: never panics, splits, order, snapshots, limits.

use super::*;
use crate::normalise::TABLE;
use crate::testing::*;
use model::signal::{
    AnyValue, Attributes, HistogramPoint, Metric, MetricData, PointHeader, Span, SpanEvent,
    SpanKind, SpanStatus, Temporality,
};
use model::tick::{RequestPoint, TopologyChange};
use proptest::prelude::*;

/// Requests and errors, summed over everything but the series.
type Sums = BTreeMap<SeriesKey, (f64, f64, u64, u64)>;

fn sums(points: impl IntoIterator<Item = RequestPoint>) -> Sums {
    let mut sums = Sums::new();
    for point in points {
        let sum = sums.entry(point.series).or_default();
        sum.0 += point.total;
        sum.1 += point.errors;
        sum.2 += point.total_raw;
        sum.3 += point.errors_raw;
    }
    sums
}

#[derive(Clone, Debug)]
struct Sent {
    service: u8,
    span: Span,
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    prop_oneof![
        Just(AnyValue::Empty),
        any::<bool>().prop_map(AnyValue::Bool),
        any::<i64>().prop_map(AnyValue::Int),
        (0_i64..700).prop_map(AnyValue::Int),
        any::<f64>().prop_map(AnyValue::Double),
        ".{0,12}".prop_map(|text| AnyValue::String(text.into())),
        "(http://)?[a-z:/@?\\[\\]0-9]{0,12}".prop_map(|text| AnyValue::String(text.into())),
        Just(AnyValue::Array(vec![AnyValue::Empty])),
        Just(AnyValue::Bytes(vec![255])),
    ]
}

/// Attributes of which most are those that are read.
fn any_attributes() -> impl Strategy<Value = Attributes> {
    let name = prop_oneof![
        4 => prop::sample::select(TABLE).prop_map(|(name, _, _)| name.to_owned()),
        1 => ".{0,8}",
    ];
    prop::collection::vec((name, any_value()), 0..8).prop_map(|pairs: Vec<(String, _)>| {
        Attributes(pairs.into_iter().map(|(name, value)| (name.into(), value)).collect())
    })
}

fn any_span() -> impl Strategy<Value = Span> {
    let kind = prop::sample::select(vec![
        SpanKind::Internal,
        SpanKind::Server,
        SpanKind::Client,
        SpanKind::Producer,
        SpanKind::Consumer,
    ]);
    let status = prop::sample::select(vec![SpanStatus::Unset, SpanStatus::Ok, SpanStatus::Error]);
    let ids = (1..20_u8, 1..20_u8, 0..20_u8);
    let end = prop_oneof![9 => 0.0..300.0_f64, 1 => Just(-1e9)];
    let exception = any_attributes().prop_map(|attributes| SpanEvent {
        name: "exception".into(),
        attributes,
        time_unix_nanos: 0,
    });
    let more = (any_attributes(), prop::option::of(exception), ".{0,20}", any::<bool>(), 0..4_u32);
    (kind, status, ids, end, more).prop_map(
        |(kind, status, ids, end, (attributes, exception, text, is_odd, remote))| {
            let mut span = span(kind, ids, end.max(0.0), &[]);
            if end < 0.0 {
                (span.start_unix_nanos, span.end_unix_nanos) =
                    (u64::MAX, if is_odd { u64::MAX } else { 0 });
            }
            span.attributes = attributes;
            span.events.extend(exception);
            span.status = status;
            span.flags = remote << 8;
            span.trace_state =
                if is_odd { format!("ot=th:{text}").into() } else { text.clone().into() };
            span.name = text.clone().into();
            span.status_message = text.into();
            span
        },
    )
}

fn any_sent() -> impl Strategy<Value = Vec<Sent>> {
    let sent = (0..4_u8, any_span()).prop_map(|(service, span)| Sent { service, span });
    prop::collection::vec(sent, 0..60)
}

fn service_of(sent: &Sent) -> String {
    format!("s{}", sent.service)
}

fn take_all(observer: &mut Observer, sent: &[Sent], arrival: Timestamp) {
    for one in sent {
        let resource = resource(&service_of(one), &[]);
        observer.take(&traces(&resource, vec![one.span.clone()]), arrival);
    }
}

/// A well-behaved trace as SDKs send it, for the properties that need sense.
fn plain_sent() -> impl Strategy<Value = Vec<Sent>> {
    let one = (0..3_u8, any::<u16>(), any::<bool>(), 0..300_u16, 0..5_u8);
    prop::collection::vec(one, 0..80).prop_map(|all| {
        all.into_iter()
            .enumerate()
            .map(|(number, (service, trace, is_entry, tenths, class))| {
                let kind = if is_entry { SpanKind::Server } else { SpanKind::Client };
                let status = format!("{}00", class + 1);
                let end = f64::from(tenths) / 10.0;
                let pairs = [("http.status_code", status.as_str()), ("server.address", "orders")];
                let mut span = span(kind, (1, 1, 0), end, &pairs);
                span.trace_id[..2].copy_from_slice(&trace.to_be_bytes());
                span.span_id[..8].copy_from_slice(&(number as u64 + 1).to_be_bytes());
                Sent { service, span }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_that_arrives_can_make_it_panic(sent in any_sent(), arrival in 0.0..400.0_f64) {
        let mut observer = observer();
        take_all(&mut observer, &sent, at(arrival));
        let tick = observer.tick(1, at(arrival));
        for point in &tick.requests {
            prop_assert!(point.total.is_finite() && point.errors <= point.total);
            prop_assert!(point.durations.sum_seconds().is_finite());
            prop_assert!(point.error_kinds.len() <= 9);
        }
    }

    #[test]
    fn batches_split_in_any_way_give_the_same_tick(
        sent in any_sent(),
        cuts in prop::collection::vec(1..9_usize, 1..20),
    ) {
        let mut whole = observer();
        let mut parts = observer();
        for own in 0..4_u8 {
            let own: Vec<&Sent> = sent.iter().filter(|one| one.service == own).collect();
            let Some(first) = own.first() else { continue };
            let resource = resource(&service_of(first), &[]);
            let spans: Vec<Span> = own.iter().map(|one| one.span.clone()).collect();
            let mut rest = spans.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (head, tail) = rest.split_at(rest.len().min(*cut));
                parts.take(&traces(&resource, head.to_vec()), at(200.0));
                rest = tail;
            }
            whole.take(&traces(&resource, spans), at(200.0));
        }
        prop_assert_eq!(whole.tick(1, at(200.0)), parts.tick(1, at(200.0)));
    }

    #[test]
    fn the_order_of_arrival_does_not_change_the_sums(
        (sent, shuffled) in plain_sent()
            .prop_flat_map(|sent| (Just(sent.clone()), Just(sent).prop_shuffle()))
    ) {
        let (mut a, mut b) = (observer(), observer());
        take_all(&mut a, &sent, at(31.0));
        take_all(&mut b, &shuffled, at(31.0));
        prop_assert_eq!(sums(a.tick(1, at(31.0)).requests), sums(b.tick(1, at(31.0)).requests));
    }

    #[test]
    fn each_entry_span_is_one_request(sent in plain_sent()) {
        let mut observer = observer();
        take_all(&mut observer, &sent, at(31.0));
        let mut requests = observer.tick(1, at(31.0)).requests;
        requests.retain(|point| matches!(point.series, SeriesKey::Service(_)));
        let total: u64 = requests.iter().map(|point| point.total_raw).sum();
        let errors: u64 = requests.iter().map(|point| point.errors_raw).sum();
        let entries = || sent.iter().filter(|one| one.span.kind == SpanKind::Server);
        let failed = |one: &&Sent| one.span.attributes.i64("http.status_code") == Some(500);
        prop_assert_eq!(total, entries().count() as u64);
        prop_assert_eq!(errors, entries().filter(failed).count() as u64);
    }

    #[test]
    fn a_snapshot_at_any_moment_goes_on_the_same(before in any_sent(), after in any_sent()) {
        let mut original = observer();
        take_all(&mut original, &before, at(100.0));
        original.tick(1, at(101.0));
        take_all(&mut original, &after, at(102.0));
        let bytes = postcard::to_stdvec(&original).unwrap();
        let mut restored: Observer = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(&original, &restored);
        for (seq, seconds) in [(2, 102.0), (3, 130.0), (4, 900.0)] {
            take_all(&mut original, &before, at(seconds));
            take_all(&mut restored, &before, at(seconds));
            let (a, b) = (original.tick(seq, at(seconds)), restored.tick(seq, at(seconds)));
            prop_assert_eq!(postcard::to_stdvec(&a).unwrap(), postcard::to_stdvec(&b).unwrap());
        }
        prop_assert_eq!(&original, &restored);
    }

    #[test]
    fn no_histogram_can_make_it_panic(
        counts in prop::collection::vec(any::<u64>(), 0..6),
        bounds in prop::collection::vec(any::<f64>(), 0..6),
        sum in any::<f64>(),
        times in (any::<u64>(), any::<u64>()),
        is_delta in any::<bool>(),
    ) {
        let mut observer = observer();
        for count in [1, u64::MAX] {
            let header = PointHeader {
                start_time_unix_nanos: times.0,
                time_unix_nanos: times.1.max(count),
                ..PointHeader::default()
            };
            let point = HistogramPoint {
                header, count, sum: Some(sum), bucket_counts: counts.clone(),
                explicit_bounds: bounds.clone(), ..HistogramPoint::default()
            };
            let temporality = if is_delta { Temporality::Delta } else { Temporality::Cumulative };
            let data = MetricData::Histogram { temporality, points: vec![point] };
            let name = "http.server.duration".to_owned();
            let metric = Metric { name: name.into(), data, ..Metric::default() };
            observer.take(&metrics(&resource("m", &[]), vec![metric]), at(5.0));
        }
        let tick = observer.tick(1, at(5.0));
        prop_assert!(tick.requests.iter().all(|point| point.total.is_finite()));
    }
}

#[test]
fn every_table_stays_within_its_limit() {
    let mut config = Config::default();
    config.limits.services = 3;
    config.limits.instances = 5;
    config.limits.operations_per_service = 4;
    config.limits.callees = 6;
    config.limits.edges = 4;
    let mut observer = Observer::new(config);
    for number in 0..50_u8 {
        let id = format!("i{number}");
        let resource = resource(&format!("s{}", number % 5), &[("service.instance.id", &id)]);
        let route = ("http.route", format!("/r{number}"));
        let entry = [("http.method", "GET"), (route.0, route.1.as_str())];
        let host = format!("h{}", number % 10);
        let call = [("server.address", host.as_str())];
        let spans = vec![
            span(SpanKind::Server, (number + 1, 1, 0), 1.0, &entry),
            span(SpanKind::Client, (number + 1, 2, 1), 1.0, &call),
        ];
        observer.take(&traces(&resource, spans), at(2.0));
    }
    let tick = observer.tick(1, at(2.0));
    let count = |wanted: fn(&SeriesKey) -> bool| {
        let mut keys: Vec<_> =
            tick.requests.iter().map(|p| &p.series).filter(|key| wanted(key)).collect();
        keys.dedup();
        keys.len()
    };
    assert_eq!(count(|key| matches!(key, SeriesKey::Service(_))), 3);
    assert_eq!(count(|key| matches!(key, SeriesKey::Instance(_))), 5);
    assert_eq!(count(|key| matches!(key, SeriesKey::Operation(_))), 15);
    assert_eq!(count(|key| matches!(key, SeriesKey::Edge { .. })), 4);
    assert!(tick.quality.over_limit > 0);
    let (served, _) = sums(tick.requests).iter().fold((0.0, 0.0), |sum, (key, point)| match key {
        SeriesKey::Service(_) => (sum.0 + point.0, sum.1 + point.1),
        _ => sum,
    });
    assert_eq!(served, 30.0, "what has a service is counted for it");
}

#[test]
fn idle_names_are_forgotten_and_announced_anew() {
    let mut observer = observer();
    let entry =
        || traces(&resource("shop", &[]), vec![span(SpanKind::Server, (1, 0, 0), 1.0, &[])]);
    let seen = |tick: &Tick| tick.topology.contains(&TopologyChange::Entity(service("shop")));
    observer.take(&entry(), at(1.0));
    assert!(seen(&observer.tick(1, at(2.0))));
    observer.take(&entry(), at(3.0));
    assert!(!seen(&observer.tick(2, at(3.0))));
    observer.tick(3, at(90_000.0));
    observer.take(&entry(), at(90_001.0));
    assert!(seen(&observer.tick(4, at(90_001.0))));
}

#[test]
fn time_never_runs_backwards_and_what_is_handed_in_is_handed_out_once() {
    let mut observer = observer();
    let probe = ProbeResult {
        at: at(1.0),
        probe: "front".to_owned(),
        entity: service("shop"),
        error: None,
        duration_nanos: 1,
        certificate_until: None,
    };
    observer.probe(probe.clone());
    let tick = observer.tick(1, at(5.0));
    assert_eq!(tick.probes, [probe]);
    let tick = observer.tick(2, at(4.0));
    assert_eq!(tick.now, at(5.0));
    assert!(tick.is_empty());
}

#[test]
fn a_new_configuration_keeps_what_was_learnt() {
    let mut observer = observer();
    let failed = |trace| span(SpanKind::Server, (trace, 1, 0), 1.0, &[("http.status_code", "429")]);
    let shop = resource("shop", &[]);
    observer.take(&traces(&shop, vec![failed(1)]), at(1.0));
    let series = SeriesKey::Service(service("shop"));
    assert_eq!(counts(&observer.tick(1, at(2.0)), &series), (1.0, 0.0));
    let mut config = Config::default();
    config.errors.http_statuses = Some(vec![crate::StatusRange::new(429, 429)]);
    observer.reload(config);
    observer.take(&traces(&shop, vec![failed(2)]), at(2.0));
    let tick = observer.tick(2, at(2.0));
    assert_eq!(counts(&tick, &series), (1.0, 1.0));
    assert!(tick.topology.is_empty());
}
