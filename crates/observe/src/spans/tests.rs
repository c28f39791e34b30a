//! What single spans count for, and what stock SDKs of two languages tell together.

use super::*;
use crate::testing::*;
use crate::{Config, ServiceRules};
use model::signal::SpanKind::{Client, Consumer, Internal, Server};
use model::tick::SeriesKey;
use model::{Entity, Scope, Tick};

fn check(spans: Vec<Span>, expected: (f64, f64)) -> Tick {
    let mut observer = observer();
    observer.take(&traces(&resource("shop", &[]), spans), at(5.0));
    let tick = observer.tick(1, at(6.0));
    assert_eq!(counts(&tick, &SeriesKey::Service(service("shop"))), expected);
    tick
}

const GET: (&str, &str) = ("http.request.method", "GET");
const OK: (&str, &str) = ("http.response.status_code", "200");
const BAD_GATEWAY: (&str, &str) = ("http.response.status_code", "502");

#[test]
fn a_request_counts_once_for_service_operation_and_instance() {
    let route = ("http.route", "/cart/{id}");
    let tick = check(
        vec![
            span(Server, (1, 1, 0), 1.0, &[GET, OK, route]),
            span(Internal, (1, 2, 1), 1.0, &[]),
            span(Server, (2, 1, 0), 2.0, &[GET, BAD_GATEWAY, route]),
            span(Consumer, (3, 1, 0), 3.0, &[("messaging.system", "kafka")]),
        ],
        (3.0, 1.0),
    );
    let scope = Scope::default();
    let operation = SeriesKey::Operation(Entity::operation(&scope, "shop", "GET /cart/{id}"));
    assert_eq!(counts(&tick, &operation), (2.0, 1.0));
    let instance = SeriesKey::Instance(Entity::instance(&scope, "shop", "shop"));
    assert_eq!(counts(&tick, &instance), (3.0, 1.0));
    let point = point(&tick, &operation);
    assert_eq!(point.error_kinds, [("http_502".to_owned(), 1.0)]);
    assert_eq!(point.first_error_at, Some(at(2.0)));
    let exemplar = point.exemplar.as_ref().unwrap();
    assert!(exemplar.error && exemplar.trace_id == "02".repeat(16));
}

#[test]
fn a_server_span_inside_another_of_the_same_process_is_no_entry() {
    let with_flags = |flags| Span { flags, ..span(Server, (1, 2, 1), 1.0, &[OK]) };
    check(vec![with_flags(0x100)], (0.0, 0.0));
    check(vec![with_flags(0x300)], (1.0, 0.0));
    check(vec![with_flags(0)], (1.0, 0.0));
}

#[test]
fn a_span_delivered_twice_counts_once() {
    let one = span(Server, (1, 1, 0), 1.0, &[OK]);
    check(vec![one.clone(), one], (1.0, 0.0));
}

#[test]
fn health_checks_and_synthetic_traffic_are_not_users() {
    check(
        vec![
            span(Server, (1, 1, 0), 1.0, &[GET, BAD_GATEWAY, ("url.path", "/healthz")]),
            span(Server, (2, 1, 0), 1.0, &[GET, OK, ("http.target", "/ready/?full=1")]),
            span(Server, (3, 1, 0), 1.0, &[GET, OK, ("user_agent.synthetic.type", "test")]),
            span(Server, (4, 1, 0), 1.0, &[("rpc.system", "grpc"), ("rpc.service", GRPC_HEALTH)]),
            span(Server, (5, 1, 0), 1.0, &[GET, OK, ("url.path", "/healthzone")]),
        ],
        (1.0, 0.0),
    );
}

#[test]
fn operations_can_be_ignored_per_service() {
    let mut config = Config::default();
    let ignore = ServiceRules {
        ignore_operations: vec!["GET /metrics".to_owned()],
        ..ServiceRules::default()
    };
    config.services.insert("shop".to_owned(), ignore);
    let mut observer = Observer::new(config);
    let metrics = span(Server, (1, 1, 0), 1.0, &[GET, OK, ("http.route", "/metrics")]);
    for name in ["shop", "cart"] {
        let mut own = metrics.clone();
        own.span_id = [name.len() as u8; 8];
        own.trace_id[0] = name.len() as u8 + name.as_bytes()[0];
        observer.take(&traces(&resource(name, &[]), vec![own]), at(5.0));
    }
    let tick = observer.tick(1, at(6.0));
    assert_eq!(counts(&tick, &SeriesKey::Service(service("shop"))), (0.0, 0.0));
    assert_eq!(counts(&tick, &SeriesKey::Service(service("cart"))), (1.0, 0.0));
}

#[test]
fn a_sampled_span_stands_for_many_but_is_one_piece_of_evidence() {
    let sampled =
        Span { trace_state: "ot=th:c".into(), ..span(Server, (1, 1, 0), 1.0, &[BAD_GATEWAY]) };
    let tick = check(vec![sampled], (4.0, 4.0));
    let point = point(&tick, &SeriesKey::Service(service("shop")));
    assert_eq!((point.total_raw, point.errors_raw), (1, 1));
    assert_eq!(point.durations.count(), 4.0);
}

#[test]
fn requests_fall_into_the_bucket_in_which_they_ended() {
    let mut observer = observer();
    let shop = resource("shop", &[]);
    let spans = [9.5, 10.5, 31.0].map(|end| span(Server, (end as u8, 1, 0), end, &[OK])).to_vec();
    observer.take(&traces(&shop, spans), at(21.0));
    let tick = observer.tick(1, at(21.0));
    let series = SeriesKey::Service(service("shop"));
    let buckets: Vec<_> = tick
        .requests
        .iter()
        .filter(|point| point.series == series)
        .map(|point| point.bucket)
        .collect();
    assert_eq!(buckets, [at(0.0), at(10.0), at(20.0)], "the future one is clamped to its arrival");
    assert_eq!(tick.quality.skew_max_nanos, 10_000_000_000);
}

#[test]
fn late_spans_are_counted_and_change_no_bucket() {
    let mut observer = observer();
    let shop = resource("shop", &[]);
    observer.take(&traces(&shop, vec![span(Server, (1, 1, 0), 1.0, &[OK])]), at(400.0));
    let tick = observer.tick(1, at(400.0));
    assert_eq!((tick.quality.spans, tick.quality.late_spans), (1, 1));
    assert!(tick.requests.is_empty());
    assert_eq!(tick.heard, [(service("shop"), at(400.0))]);
}

#[test]
fn thresholds_are_counted_exactly_for_requests_that_succeeded() {
    let mut observer = observer();
    let series = SeriesKey::Service(service("shop"));
    observer.set_thresholds([(series.clone(), vec![0.1, 0.25])].into());
    let lasting = |trace: u8, millis: u64, attributes: &[(&str, &str)]| {
        let mut span = span(Server, (trace, 1, 0), 2.0, attributes);
        span.start_unix_nanos = span.end_unix_nanos - millis * 1_000_000;
        span
    };
    let spans = vec![
        lasting(1, 100, &[OK]),
        lasting(2, 101, &[OK]),
        lasting(3, 250, &[OK]),
        lasting(4, 1, &[BAD_GATEWAY]),
        lasting(5, 900, &[OK]),
    ];
    observer.take(&traces(&resource("shop", &[]), spans), at(3.0));
    assert_eq!(point(&observer.tick(1, at(4.0)), &series).within, [(0.1, 1.0), (0.25, 3.0)]);
}

#[test]
fn only_failed_connects_to_a_database_count() {
    let db = [("db.system", "postgresql"), ("db.name", "shop")];
    let named =
        |name: &str, trace| Span { name: name.into(), ..span(Client, (trace, 1, 0), 1.0, &db) };
    let query = span(Client, (9, 1, 0), 1.0, &[db[0], db[1], ("db.statement", "SELECT 1")]);
    let tick = check(
        vec![
            named("pg-pool.connect", 1),
            named("pg.connect", 2),
            failed(named("pg.connect", 3), "connect ECONNREFUSED"),
            query,
        ],
        (0.0, 0.0),
    );
    let database = Entity::new(&Scope::default(), EntityKind::Database, "postgresql/shop");
    let series = edge("shop", database);
    assert_eq!(counts(&tick, &series), (2.0, 1.0));
    assert_eq!(point(&tick, &series).error_kinds, [("connection_refused".to_owned(), 1.0)]);
}

/// Attributes as `@opentelemetry/instrumentation-{http,undici}` 0.223 and the Flask instrumentation
/// 0.66b1 send them: new conventions on one side, old ones on the other.
#[test]
fn stock_node_and_python_fit_together() {
    let mut observer = observer();
    let status = |code| ("http.response.status_code", code);
    let front = [GET, ("http.route", "/api/orders/:id"), ("server.address", "127.0.0.1")];
    let fetch = [
        GET,
        ("url.full", "http://127.0.0.1:24141/orders/14"),
        ("server.address", "127.0.0.1"),
        ("server.port", "24141"),
    ];
    let flask = [
        ("http.method", "GET"),
        ("http.route", "/orders/<int:order_id>"),
        ("http.target", "/orders/14"),
        ("net.host.name", "127.0.0.1:24141"),
        ("net.peer.ip", "127.0.0.1"),
        ("http.status_code", "404"),
    ];
    type Pair = (&'static str, &'static str);
    let with = |pairs: &[Pair], last: Pair| [pairs, &[last]].concat();
    let remote = |span: Span| Span { flags: 0x300, ..span };
    let storefront = vec![
        failed(span(Client, (1, 3, 2), 1.0, &with(&fetch, status("404"))), ""),
        span(Server, (1, 1, 0), 1.0, &with(&front, status("404"))),
        failed(
            span(Client, (2, 3, 2), 2.0, &with(&fetch, ("error.type", "ECONNREFUSED"))),
            "connect ECONNREFUSED 127.0.0.1:24141",
        ),
        failed(span(Server, (2, 1, 0), 2.0, &with(&front, status("502"))), ""),
    ];
    observer.take(&traces(&resource("storefront", &[]), storefront), at(4.0));
    let orders = vec![remote(span(Server, (1, 4, 3), 1.0, &flask))];
    observer.take(&traces(&resource("orders", &[]), orders), at(5.0));
    let tick = observer.tick(1, at(5.0));
    let of = |name: &str| counts(&tick, &SeriesKey::Service(service(name)));
    assert_eq!((of("storefront"), of("orders")), ((2.0, 1.0), (1.0, 0.0)));
    let calls = point(&tick, &edge("storefront", service("orders")));
    assert_eq!((calls.total, calls.errors), (2.0, 1.0));
    assert_eq!(calls.error_kinds, [("connection_refused".to_owned(), 1.0)]);
}
