//! When what was counted is told, once, and under which names.

use super::*;
use model::Scope;
use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use model::traces::{CountFacts, FanOut, TimeFacts};

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_secs(1_795_350_790 + seconds)
}

fn service(name: &str) -> Entity {
    Entity::service(&Scope::default(), name)
}

/// `total` requests of 100 ms of which `errors` failed.
fn point(series: SeriesKey, bucket: u64, total: f64, errors: f64) -> RequestPoint {
    let mut durations = Histogram::default();
    durations.record(0.1, total);
    RequestPoint {
        series,
        bucket: at(bucket),
        total,
        errors,
        total_raw: total as u64,
        errors_raw: errors as u64,
        durations,
        within: Vec::new(),
        error_kinds: if errors > 0.0 { vec![("http_500".to_owned(), errors)] } else { Vec::new() },
        first_error_at: None,
        exemplar: None,
    }
}

fn tick(second: u64, requests: Vec<RequestPoint>) -> Tick {
    Tick { seq: second, now: at(second), requests, ..Tick::default() }
}

/// `metric{attributes} value @seconds` of each sample.
fn lines(samples: &[Sample]) -> Vec<String> {
    samples.iter().map(line).collect()
}

fn line(sample: &Sample) -> String {
    let attributes: Vec<String> = std::iter::once(format!("service={}", sample.service))
        .chain(sample.attributes.iter().map(|(name, value)| format!("{name}={value}")))
        .filter(|text| text != "deployment.environment.name=default")
        .collect();
    let seconds = sample.at.since(at(0)).as_secs();
    format!("{}{{{}}} {} @{seconds}", sample.metric, attributes.join(","), sample.value)
}

#[test]
fn a_bucket_is_told_once_when_it_has_been_over_for_ten_seconds() {
    let mut samples = Samples::default();
    let shop = || SeriesKey::Service(service("shop"));
    samples.step(&tick(5, Vec::new()));
    for second in 6..20 {
        let told = samples.step(&tick(second, vec![point(shop(), 0, 2.0, 1.0)]));
        assert_eq!(told, [], "at {second}");
    }
    let told = samples.step(&tick(20, Vec::new()));
    let bound = Histogram::bound_at_least(0.1);
    let expected = [
        "immune.requests{service=shop,of=service} 28 @10".to_owned(),
        "immune.errors{service=shop,of=service,error.type=http_500} 14 @10".to_owned(),
        format!("immune.duration{{service=shop,of=service,quantile=0.5}} {bound} @10"),
        format!("immune.duration{{service=shop,of=service,quantile=0.95}} {bound} @10"),
        format!("immune.duration{{service=shop,of=service,quantile=0.99}} {bound} @10"),
    ];
    assert_eq!(lines(&told), expected);
    assert_eq!((told[0].kind, told[2].kind), (SampleKind::DeltaSum, SampleKind::Gauge));
    assert_eq!(samples.step(&tick(30, Vec::new())), []);
}

#[test]
fn what_comes_late_is_told_as_further_requests_of_the_same_time_and_alters_no_quantile() {
    let mut samples = Samples::default();
    let shop = || SeriesKey::Service(service("shop"));
    samples.step(&tick(1, vec![point(shop(), 0, 5.0, 0.0)]));
    assert_eq!(samples.step(&tick(20, Vec::new())).len(), 4);
    for second in 21..30 {
        let told = samples.step(&tick(second, vec![point(shop(), 0, 1.0, 0.0)]));
        assert_eq!(told, []);
    }
    let told = samples.step(&tick(30, Vec::new()));
    assert_eq!(lines(&told), ["immune.requests{service=shop,of=service} 9 @10"]);
}

#[test]
fn a_step_that_comes_late_closes_all_buckets_that_are_over_in_their_order() {
    let mut samples = Samples::default();
    let shop = || SeriesKey::Service(service("shop"));
    let points = [20, 0, 10].map(|bucket| point(shop(), bucket, 1.0, 0.0)).to_vec();
    let told = samples.step(&tick(3600, points));
    let times: Vec<u64> = told
        .iter()
        .filter(|sample| sample.metric == "immune.requests")
        .map(|sample| sample.at.since(at(0)).as_secs())
        .collect();
    assert_eq!(times, [10, 20, 30]);
    assert_eq!(samples, Samples { closed_until: at(3590), ..Samples::default() });
}

#[test]
fn each_kind_of_series_says_what_it_is_of() {
    let scope = Scope::new("acme", "staging");
    let caller = Entity::service(&scope, "shop");
    let callee = Entity::new(&scope, EntityKind::Database, "postgresql/shop");
    let keys = [
        SeriesKey::Operation(Entity::operation(&scope, "shop", "GET /a")),
        SeriesKey::Instance(Entity::instance(&scope, "shop", "shop-1")),
        SeriesKey::Edge { caller, callee },
    ];
    let mut samples = Samples::default();
    let points = keys.map(|key| point(key, 0, 1.0, 0.0)).to_vec();
    let told = samples.step(&tick(40, points));
    let own: Vec<&Sample> = told.iter().filter(|told| told.metric == "immune.requests").collect();
    let of = |sample: &Sample| line(sample).split_once(' ').unwrap().0.to_owned();
    let scope = "deployment.environment.name=staging,tenant=acme";
    assert_eq!(
        own.iter().map(|sample| of(sample).replace("immune.requests", "")).collect::<Vec<_>>(),
        [
            format!("{{service=shop,of=operation,{scope},operation=GET"),
            format!("{{service=shop,of=instance,{scope},instance=shop-1}}"),
            format!("{{service=shop,of=edge,{scope},callee=postgresql/shop,callee.kind=database}}"),
        ]
    );
}

#[test]
fn requests_in_flight_are_told_at_once() {
    let instance = Entity::instance(&Scope::default(), "shop", "shop-1");
    let mut samples = Samples::default();
    samples.step(&tick(0, Vec::new()));
    let told = samples.step(&Tick { in_flight: vec![(instance, 3.0)], ..tick(1, Vec::new()) });
    assert_eq!(lines(&told), ["immune.in_flight{service=shop,of=instance,instance=shop-1} 3 @1"]);
}

#[test]
fn the_memory_of_a_targets_process_is_told_at_once() {
    let process = ProcessIdentity {
        host: "host".to_owned(),
        boot_id: "boot".to_owned(),
        pid: 7,
        start_ticks: 1,
    };
    let report = ProcessReport {
        at: at(1),
        target: "cart".to_owned(),
        entity: Entity::service(&Scope::default(), "cart"),
        state: ProcessState::Running(process),
        memory_bytes: Some(1 << 20),
    };
    let mut samples = Samples::default();
    let told = samples.step(&Tick { processes: vec![report], ..tick(1, Vec::new()) });
    assert_eq!(
        lines(&told),
        ["immune.process.memory{service=cart,of=service,target=cart} 1048576 @1"]
    );
}

#[test]
fn facts_of_traces_are_told_every_ten_seconds() {
    let errors = |kind: &str| {
        let found = CountFacts { count: 1, exemplar: String::new() };
        vec![ErrorFacts { kind: kind.to_owned(), found }]
    };
    let times = || {
        let mut times = Histogram::default();
        times.record(1.0, 1.0);
        TimeFacts { times, longest: None }
    };
    let facts = TraceFacts {
        trees: 1,
        operations: vec![OperationFacts {
            operation: Entity::operation(&Scope::default(), "shop", "/a"),
            self_time: times(),
            errors_started: errors("http_500"),
            errors_passed_on: errors("http_502"),
        }],
        edges: vec![EdgeFacts {
            caller: service("shop"),
            callee: service("orders"),
            gap: times(),
            outlived: 0,
            fan_out: FanOut { requests: 2, calls: 5, calls_max: 4, exemplar: String::new() },
            retries: CountFacts { count: 3, exemplar: String::new() },
            errors_started: errors("timeout"),
        }],
    };
    let mut samples = Samples::default();
    samples.step(&tick(0, Vec::new()));
    for second in 1..10 {
        let told = samples.step(&Tick { traces: facts.clone(), ..tick(second, Vec::new()) });
        assert_eq!(told, []);
    }
    let told = lines(&samples.step(&tick(11, Vec::new())));
    let own = "service=shop,of=operation,operation=/a";
    let edge = "service=shop,of=edge,callee=orders,callee.kind=service";
    let expected = [
        format!("immune.span.self_time{{{own},quantile=0.5}} 1 @10"),
        format!("immune.span.self_time{{{own},quantile=0.95}} 1 @10"),
        format!("immune.span.self_time{{{own},quantile=0.99}} 1 @10"),
        format!("immune.errors.started{{{own},error.type=http_500}} 9 @10"),
        format!("immune.errors.passed_on{{{own},error.type=http_502}} 9 @10"),
        format!("immune.edge.gap{{{edge},quantile=0.5}} 1 @10"),
        format!("immune.edge.gap{{{edge},quantile=0.95}} 1 @10"),
        format!("immune.edge.gap{{{edge},quantile=0.99}} 1 @10"),
        format!("immune.edge.fan_out{{{edge},statistic=mean}} 2.5 @10"),
        format!("immune.edge.fan_out{{{edge},statistic=max}} 4 @10"),
        format!("immune.edge.retries{{{edge}}} 27 @10"),
        format!("immune.errors.started{{{edge},error.type=timeout}} 9 @10"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn series_beyond_the_bound_are_left_out_and_said_to_be() {
    let mut samples = Samples::default();
    samples.step(&tick(0, Vec::new()));
    let shop = |number: usize| SeriesKey::Service(service(&format!("s{number}")));
    let points = (0..SERIES_MAX + 7).map(|number| point(shop(number), 0, 1.0, 0.0)).collect();
    samples.step(&tick(1, points));
    let told = samples.step(&tick(20, Vec::new()));
    assert_eq!(told.len(), SERIES_MAX * 4 + 1);
    let left_out = told.last().unwrap();
    assert_eq!(line(left_out), "immune.samples.left_out{service=} 7 @20");
    assert_eq!(samples.series, 0);
}

#[test]
fn kinds_of_errors_beyond_the_bound_are_one() {
    let mut errors = Errors::default();
    (0..40).for_each(|number| errors.add(&format!("kind {number}"), 1.0));
    assert_eq!(errors.0.len(), KINDS_MAX + 1);
    assert_eq!(errors.0[OTHER], (40 - KINDS_MAX) as f64);
}
