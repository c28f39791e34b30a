//! What traces tell, and that it stays bounded. All through the observer, as spans come.

use model::signal::{Span, SpanKind};
use model::tick::Quality;
use model::traces::{CountFacts, EdgeFacts, ErrorFacts, OperationFacts, TraceFacts};
use model::{Entity, EntityKind, Scope};
use proptest::prelude::*;

use crate::testing::*;
use crate::{Config, Observer};

use SpanKind::{Client, Consumer, Internal, Producer, Server};

mod bounds;

/// Span of trace 1 from `times.0` to `times.1` milliseconds.
fn one(kind: SpanKind, ids: (u8, u8), times: (u64, u64), pairs: &[(&str, &str)]) -> Span {
    let mut span = span(kind, (1, ids.0, ids.1), 1.0, pairs);
    span.start_unix_nanos = at(0.0).as_nanos() + times.0 * 1_000_000;
    span.end_unix_nanos = at(0.0).as_nanos() + times.1 * 1_000_000;
    span
}

fn request(ids: (u8, u8), times: (u64, u64), status: &str) -> Span {
    let pairs = [
        ("http.request.method", "GET"),
        ("http.route", "/a"),
        ("http.response.status_code", status),
    ];
    one(Server, ids, times, &pairs)
}

fn call(callee: &str, ids: (u8, u8), times: (u64, u64), status: &str) -> Span {
    let pairs = [
        ("http.request.method", "GET"),
        ("url.path", "/a"),
        ("peer.service", callee),
        ("http.response.status_code", status),
    ];
    one(Client, ids, times, &pairs)
}

fn take(observer: &mut Observer, service: &str, spans: Vec<Span>, seconds: f64) {
    observer.take(&traces(&resource(service, &[]), spans), at(seconds));
}

/// What is told once all has come at second 1 and been idle since.
fn tell(sent: &[(&str, Span)]) -> (TraceFacts, Quality) {
    let mut observer = observer();
    for (service, span) in sent {
        take(&mut observer, service, vec![span.clone()], 1.0);
    }
    let came = observer.tick(1, at(2.0));
    assert_eq!(came.traces, TraceFacts::default(), "the trace is not over");
    let mut quality = came.quality;
    let closed = observer.tick(2, at(11.0));
    quality.add(&closed.quality);
    (closed.traces, quality)
}

fn operation<'a>(facts: &'a TraceFacts, service: &str) -> &'a OperationFacts {
    facts.operations.iter().find(|facts| facts.operation.part_of == service).expect("is told of")
}

fn edge<'a>(facts: &'a TraceFacts, caller: &str, callee: &str) -> &'a EdgeFacts {
    let is_it = |edge: &&EdgeFacts| edge.caller.name == caller && edge.callee.name == callee;
    facts.edges.iter().find(is_it).expect("is told of")
}

fn kinds(errors: &[ErrorFacts]) -> Vec<(&str, u64)> {
    errors.iter().map(|error| (error.kind.as_str(), error.found.count)).collect()
}

fn longest_millis(times: &model::traces::TimeFacts) -> u64 {
    times.longest.as_ref().map_or(0, |longest| longest.duration_nanos / 1_000_000)
}

fn trace_1() -> String {
    "01".repeat(16)
}

#[test]
fn self_time_is_what_remains_when_overlapping_calls_are_taken_off_once() {
    let (facts, _) = tell(&[
        ("shop", request((1, 0), (0, 100), "200")),
        ("shop", call("a", (2, 1), (10, 40), "200")),
        ("shop", call("b", (3, 1), (30, 60), "200")),
        ("shop", call("c", (4, 1), (90, 130), "200")),
    ]);
    let shop = operation(&facts, "shop");
    assert_eq!(shop.operation, Entity::operation(&Scope::default(), "shop", "GET /a"));
    assert_eq!((facts.trees, shop.self_time.times.count()), (1, 1.0));
    assert_eq!(longest_millis(&shop.self_time), 40);
    assert_eq!(shop.self_time.longest.as_ref().unwrap().trace_id, trace_1());
}

#[test]
fn internal_spans_hide_neither_a_call_nor_who_answers_it() {
    let (facts, quality) = tell(&[
        ("shop", request((1, 0), (0, 100), "200")),
        ("shop", one(Internal, (2, 1), (5, 90), &[])),
        ("shop", one(Internal, (3, 2), (6, 89), &[])),
        ("shop", call("orders", (4, 3), (10, 80), "200")),
        ("shop", one(Internal, (5, 4), (11, 12), &[])),
        ("orders", request((6, 4), (20, 70), "200")),
    ]);
    assert_eq!(longest_millis(&operation(&facts, "shop").self_time), 30);
    assert_eq!(longest_millis(&operation(&facts, "orders").self_time), 50);
    let edge = edge(&facts, "shop", "orders");
    assert_eq!((longest_millis(&edge.gap), edge.outlived), (20, 0));
    assert_eq!((edge.fan_out.requests, edge.fan_out.calls, edge.fan_out.calls_max), (1, 1, 1));
    assert_eq!(quality.orphan_spans, 0);
}

#[test]
fn client_spans_nested_for_the_same_callee_are_one_call() {
    let (facts, _) = tell(&[
        ("shop", request((1, 0), (0, 100), "200")),
        ("shop", call("orders", (2, 1), (10, 80), "200")),
        ("shop", call("orders", (3, 2), (15, 75), "200")),
        ("orders", request((4, 3), (20, 70), "200")),
    ]);
    let edge = edge(&facts, "shop", "orders");
    assert_eq!((edge.fan_out.calls, longest_millis(&edge.gap)), (1, 20));
}

#[test]
fn an_error_starts_at_the_deepest_that_failed_and_all_above_pass_it_on() {
    let refused =
        [("db.system", "postgresql"), ("db.name", "shop"), ("error.type", "ECONNREFUSED")];
    let (facts, _) = tell(&[
        ("shop", request((1, 0), (0, 100), "502")),
        ("shop", call("orders", (2, 1), (10, 80), "500")),
        ("orders", request((3, 2), (20, 70), "500")),
        ("orders", failed(one(Client, (4, 3), (30, 40), &refused), "")),
    ]);
    let (shop, orders) = (operation(&facts, "shop"), operation(&facts, "orders"));
    assert_eq!(kinds(&shop.errors_passed_on), [("http_502", 1)]);
    assert_eq!(kinds(&orders.errors_passed_on), [("http_500", 1)]);
    assert!(shop.errors_started.is_empty() && orders.errors_started.is_empty());
    assert!(edge(&facts, "shop", "orders").errors_started.is_empty());
    let database = edge(&facts, "orders", "postgresql/shop");
    assert_eq!(database.callee.kind, EntityKind::Database);
    assert_eq!(kinds(&database.errors_started), [("connection_refused", 1)]);
    assert_eq!(database.errors_started[0].found.exemplar, trace_1());
}

#[test]
fn a_call_that_failed_although_its_callee_went_well_failed_on_the_way() {
    let (facts, _) = tell(&[
        ("shop", request((1, 0), (0, 100), "504")),
        ("shop", call("orders", (2, 1), (10, 60), "504")),
        ("orders", request((3, 2), (20, 90), "200")),
    ]);
    let edge = edge(&facts, "shop", "orders");
    assert_eq!(kinds(&edge.errors_started), [("http_504", 1)]);
    assert_eq!((edge.outlived, edge.gap.times.count()), (1, 0.0));
    assert_eq!(kinds(&operation(&facts, "shop").errors_passed_on), [("http_504", 1)]);
}

#[test]
fn an_error_whose_calls_all_went_well_in_the_end_started_here() {
    let (facts, _) = tell(&[
        ("shop", request((1, 0), (0, 100), "500")),
        ("shop", call("orders", (2, 1), (10, 20), "503")),
        ("shop", call("orders", (3, 1), (25, 40), "200")),
    ]);
    assert_eq!(kinds(&operation(&facts, "shop").errors_started), [("http_500", 1)]);
    let edge = edge(&facts, "shop", "orders");
    assert_eq!(kinds(&edge.errors_started), [("http_503", 1)]);
    assert_eq!(edge.retries, CountFacts { count: 1, exemplar: trace_1() });
}

#[test]
fn a_call_that_went_well_does_not_make_good_a_later_one() {
    let (facts, _) = tell(&[
        ("shop", request((1, 0), (0, 100), "500")),
        ("shop", call("orders", (2, 1), (10, 20), "200")),
        ("shop", call("orders", (3, 1), (25, 40), "503")),
    ]);
    assert_eq!(kinds(&operation(&facts, "shop").errors_passed_on), [("http_500", 1)]);
    assert_eq!(edge(&facts, "shop", "orders").retries, CountFacts::default());
}

#[test]
fn of_spans_that_share_an_id_the_same_one_counts_in_any_order() {
    let mut sent = vec![
        ("shop", request((1, 0), (0, 100), "200")),
        ("shop", request((2, 0), (200, 220), "200")),
        ("shop", one(Internal, (3, 1), (10, 90), &[])),
        ("shop", one(Internal, (3, 2), (10, 90), &[])),
        ("shop", call("orders", (4, 3), (20, 30), "200")),
    ];
    let (first, _) = tell(&sent);
    sent.reverse();
    let (second, _) = tell(&sent);
    assert_eq!(first, second);
    assert_eq!(edge(&first, "shop", "orders").fan_out.calls, 1);
}

#[test]
fn a_call_is_a_retry_only_after_one_that_asked_the_same_had_failed() {
    let mut other = call("orders", (6, 1), (70, 80), "503");
    other.attributes = attributes(&[("peer.service", "orders"), ("url.path", "/b")]);
    let (facts, _) = tell(&[
        ("shop", request((1, 0), (0, 100), "503")),
        // Begins while the first still runs: hedging, not a retry.
        ("shop", call("orders", (2, 1), (10, 30), "503")),
        ("shop", call("orders", (3, 1), (20, 40), "503")),
        ("shop", call("orders", (4, 1), (40, 50), "503")),
        ("shop", call("orders", (5, 1), (55, 65), "200")),
        ("shop", other),
    ]);
    let edge = edge(&facts, "shop", "orders");
    assert_eq!(edge.retries.count, 2);
    assert_eq!((edge.fan_out.calls, edge.fan_out.calls_max), (5, 5));
    assert_eq!(edge.fan_out.exemplar, trace_1());
}

#[test]
fn calls_to_an_address_count_for_the_service_that_answers_there() {
    let address = |ids, times, status| {
        let pairs = [("server.address", "10.0.0.1"), ("http.response.status_code", status)];
        one(Client, ids, times, &pairs)
    };
    let (facts, _) = tell(&[
        ("shop", request((1, 0), (0, 100), "200")),
        ("shop", address((2, 1), (10, 30), "503")),
        ("shop", address((3, 1), (40, 60), "200")),
        ("orders", request((4, 3), (45, 55), "200")),
    ]);
    assert_eq!(edge(&facts, "shop", "orders").fan_out.calls, 2);
}

#[test]
fn nobody_waits_for_messages() {
    let queue = [("messaging.system", "kafka"), ("messaging.destination.name", "orders")];
    let (facts, quality) = tell(&[
        ("shop", request((1, 0), (0, 100), "200")),
        ("shop", one(Producer, (2, 1), (10, 20), &queue)),
        ("mail", failed(one(Consumer, (3, 2), (500, 900), &queue), "x")),
    ]);
    let queue = edge(&facts, "shop", "kafka/orders");
    assert_eq!((queue.fan_out.calls, queue.gap.times.count()), (1, 0.0));
    assert_eq!(longest_millis(&operation(&facts, "shop").self_time), 90);
    assert_eq!(longest_millis(&operation(&facts, "mail").self_time), 400);
    assert_eq!(kinds(&operation(&facts, "mail").errors_started), [("error", 1)]);
    assert_eq!(quality.orphan_spans, 0);
}

#[test]
fn health_checks_and_what_they_call_tell_nothing() {
    let mut health = request((1, 0), (0, 100), "200");
    health.attributes = attributes(&[("http.request.method", "GET"), ("http.route", "/healthz")]);
    let database = [("db.system", "redis"), ("db.operation", "PING")];
    let ping = one(Client, (2, 1), (10, 20), &database);
    let (facts, quality) = tell(&[("shop", health), ("shop", ping)]);
    assert!(facts.operations.is_empty() && facts.edges.is_empty());
    assert_eq!((facts.trees, quality.orphan_spans), (1, 0));
}

#[test]
fn ids_in_a_circle_are_orphans_and_end_no_loop() {
    let (facts, quality) = tell(&[
        ("shop", request((1, 3), (0, 100), "200")),
        ("shop", one(Internal, (2, 1), (0, 50), &[])),
        ("shop", call("orders", (3, 2), (0, 40), "200")),
        ("shop", one(Internal, (4, 4), (0, 40), &[])),
    ]);
    assert_eq!((facts.trees, quality.orphan_spans), (1, 4));
}

#[test]
fn a_span_whose_parent_never_came_is_an_orphan_and_still_tells() {
    let (facts, quality) = tell(&[("orders", request((3, 2), (20, 70), "500"))]);
    assert_eq!(quality.orphan_spans, 1);
    assert_eq!(kinds(&operation(&facts, "orders").errors_started), [("http_500", 1)]);
}

#[test]
fn a_late_span_is_counted_and_opens_nothing() {
    let mut observer = observer();
    take(&mut observer, "shop", vec![request((1, 0), (0, 100), "200")], 1.0);
    assert_eq!(observer.tick(1, at(11.0)).traces.trees, 1);
    take(&mut observer, "shop", vec![call("orders", (2, 1), (10, 20), "200")], 12.0);
    let tick = observer.tick(2, at(12.0));
    assert_eq!(tick.quality.spans_after_close, 1);
    assert_eq!(observer.tick(3, at(60.0)).traces, TraceFacts::default());
}

/// A trace as instrumented services send it: whoever is called is who answers.
fn any_trace() -> impl Strategy<Value = Vec<(String, Span)>> {
    let node = (any::<prop::sample::Index>(), 0..6_u8, 0..3_u8, 0..400_u64, 1..200_u64, 0..5_u8);
    prop::collection::vec(node, 1..40).prop_map(|nodes| {
        let mut sent: Vec<(String, Span, Option<String>)> = Vec::new();
        for (number, (above, kind, callee, start, duration, class)) in nodes.into_iter().enumerate()
        {
            let id = number as u8 + 1;
            let times = (start, start + duration);
            let status = format!("{}00", class + 1);
            let callee = format!("s{callee}");
            let above = (number > 0).then(|| above.index(number));
            let parent = above.map_or(0, |above| above as u8 + 1);
            let asked = above.and_then(|above| sent[above].2.clone());
            let caller = above.map_or("s0".to_owned(), |above| sent[above].0.clone());
            sent.push(match (kind, asked) {
                (0..3, Some(service)) => (service, request((id, parent), times, &status), None),
                (3, _) => (caller, one(Internal, (id, parent), times, &[]), None),
                (4, _) if above.is_some() => (caller, request((id, parent), times, &status), None),
                _ if above.is_some() => {
                    (caller, call(&callee, (id, parent), times, &status), Some(callee))
                }
                _ => (caller, request((id, parent), times, &status), None),
            });
        }
        sent.into_iter().map(|(service, span, _)| (service, span)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_order_and_split_of_a_trace_tells_the_same(
        (sent, shuffled) in any_trace()
            .prop_flat_map(|sent| (Just(sent.clone()), Just(sent).prop_shuffle())),
        cuts in prop::collection::vec(1..9_usize, 1..20),
    ) {
        let mut whole = observer();
        for (service, span) in &sent {
            take(&mut whole, service, vec![span.clone()], 1.0);
        }
        let mut parts = observer();
        let (mut seconds, mut rest) = (1.0, shuffled.as_slice());
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (head, tail) = rest.split_at(rest.len().min(*cut));
            for (service, span) in head {
                take(&mut parts, service, vec![span.clone()], seconds);
            }
            seconds += 1.0;
            prop_assert_eq!(parts.tick(seconds as u64, at(seconds)).traces.trees, 0);
            let bytes = postcard::to_stdvec(&parts).unwrap();
            parts = postcard::from_bytes(&bytes).unwrap();
            rest = tail;
        }
        let (a, b) = (whole.tick(99, at(70.0)), parts.tick(99, at(70.0)));
        prop_assert_eq!(a.traces.trees, 1);
        prop_assert_eq!(a.traces, b.traces);
        prop_assert_eq!(a.quality.orphan_spans, b.quality.orphan_spans);
    }

    #[test]
    fn what_is_told_adds_up(sent in any_trace()) {
        let sent: Vec<(&str, Span)> =
            sent.iter().map(|(service, span)| (service.as_str(), span.clone())).collect();
        let (facts, _) = tell(&sent);
        let requests = sent.iter().filter(|(_, span)| span.kind == Server);
        let told: f64 = facts.operations.iter().map(|facts| facts.self_time.times.count()).sum();
        prop_assert_eq!(told, requests.clone().count() as f64);
        let failed = requests.filter(|(_, span)| {
            span.attributes.i64("http.response.status_code") == Some(500)
        });
        let all = |errors: &[ErrorFacts]| errors.iter().map(|error| error.found.count).sum::<u64>();
        let told: u64 = facts
            .operations
            .iter()
            .map(|facts| all(&facts.errors_started) + all(&facts.errors_passed_on))
            .sum();
        prop_assert_eq!(told, failed.count() as u64);
        for edge in &facts.edges {
            prop_assert!(edge.fan_out.calls_max <= edge.fan_out.calls);
            prop_assert!(edge.retries.count < edge.fan_out.calls.max(1));
        }
    }
}

fn config(edit: impl FnOnce(&mut crate::TreeLimits)) -> Config {
    let mut config = Config::default();
    edit(&mut config.trees);
    config
}
