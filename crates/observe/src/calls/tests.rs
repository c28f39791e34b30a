//! Calls counted once, and addresses learnt, in every order of arrival.

use super::*;
use crate::testing::*;
use crate::{Config, Observer};
use model::signal::Span;
use model::signal::SpanKind::{Client, Server};
use model::{Entity, Scope, Tick};

const ADDRESS: [(&str, &str); 2] = [("server.address", "127.0.0.1"), ("server.port", "5001")];

fn peer() -> Entity {
    Entity::new(&Scope::default(), EntityKind::Peer, "127.0.0.1:5001")
}

fn call(trace: u8, end: f64) -> Span {
    span(Client, (trace, 2, 1), end, &ADDRESS)
}

fn answer(trace: u8, end: f64) -> Span {
    span(Server, (trace, 3, 2), end, &[])
}

fn aliases(tick: &Tick) -> Vec<String> {
    let alias = |change: &TopologyChange| match change {
        TopologyChange::Alias { from, entity } => Some(format!("{from} is {entity}")),
        _ => None,
    };
    tick.topology.iter().filter_map(alias).collect()
}

fn take(observer: &mut Observer, service: &str, spans: Vec<Span>, seconds: f64) {
    observer.take(&traces(&resource(service, &[]), spans), at(seconds));
}

#[test]
fn an_address_is_learnt_in_either_order_of_arrival() {
    for callee_first in [false, true] {
        let mut observer = observer();
        let mut sides = [("web", call(1, 1.0)), ("orders", answer(1, 1.0))];
        if callee_first {
            sides.reverse();
        }
        let mut ticks = Vec::new();
        for (at_second, (name, span)) in sides.into_iter().enumerate() {
            take(&mut observer, name, vec![span], 2.0 + at_second as f64);
            ticks.push(observer.tick(ticks.len() as u64 + 1, at(2.5 + at_second as f64)));
        }
        assert_eq!(aliases(&ticks[1]), ["peer 127.0.0.1:5001 is orders"]);
        take(&mut observer, "web", vec![call(2, 5.0)], 6.0);
        let tick = observer.tick(9, at(6.0));
        assert_eq!(counts(&tick, &edge("web", service("orders"))), (1.0, 0.0));
        assert!(aliases(&tick).is_empty(), "an alias is told once");
    }
}

#[test]
fn a_call_not_yet_resolved_is_a_call_of_the_address() {
    let mut observer = observer();
    take(&mut observer, "web", vec![call(1, 1.0)], 2.0);
    let tick = observer.tick(1, at(2.0));
    assert_eq!(counts(&tick, &edge("web", peer())), (1.0, 0.0));
    let calls = TopologyChange::Calls { caller: service("web"), callee: peer() };
    assert!(tick.topology.contains(&calls));
}

#[test]
fn a_refused_call_still_blames_the_service_behind_the_address() {
    let mut observer = observer();
    take(&mut observer, "web", vec![call(1, 1.0)], 2.0);
    take(&mut observer, "orders", vec![answer(1, 1.0)], 2.0);
    observer.tick(1, at(2.0));
    let refused = failed(call(2, 3.0), "connect ECONNREFUSED 127.0.0.1:5001");
    take(&mut observer, "web", vec![refused], 4.0);
    let tick = observer.tick(2, at(4.0));
    let series = edge("web", service("orders"));
    assert_eq!(counts(&tick, &series), (1.0, 1.0));
    assert_eq!(point(&tick, &series).error_kinds, [("connection_refused".to_owned(), 1.0)]);
}

#[test]
fn an_alias_changes_hands_only_after_several_matches_in_a_row() {
    let mut observer = observer();
    take(&mut observer, "web", (1..=12).map(|trace| call(trace, 1.0)).collect(), 2.0);
    let mut learnt = |service: &str, trace: u8| {
        take(&mut observer, service, vec![answer(trace, 1.0)], 2.0);
        aliases(&observer.tick(u64::from(trace), at(2.0)))
    };
    assert_eq!(learnt("orders", 1), ["peer 127.0.0.1:5001 is orders"]);
    for trace in 2..=5 {
        assert!(learnt("other", trace).is_empty());
    }
    assert!(learnt("orders", 6).is_empty(), "the first one answers again: the count starts anew");
    for trace in 7..=10 {
        assert!(learnt("other", trace).is_empty());
    }
    assert_eq!(learnt("other", 11), ["peer 127.0.0.1:5001 is other"]);
}

#[test]
fn an_alias_never_crosses_environments() {
    let mut observer = observer();
    take(&mut observer, "web", vec![call(1, 1.0)], 2.0);
    let staging = resource("orders", &[("deployment.environment.name", "staging")]);
    observer.take(&traces(&staging, vec![answer(1, 1.0)]), at(2.0));
    assert!(aliases(&observer.tick(1, at(2.0))).is_empty());
}

#[test]
fn nested_client_spans_of_one_call_count_once_in_any_order() {
    let outer = || call(1, 1.0);
    let inner = || span(Client, (1, 3, 2), 1.0, &ADDRESS);
    let innermost = || span(Client, (1, 4, 3), 1.0, &ADDRESS);
    let orders: [Vec<Vec<Span>>; 4] = [
        vec![vec![innermost(), inner(), outer()]],
        vec![vec![outer(), inner(), innermost()]],
        vec![vec![innermost()], vec![inner()], vec![outer()]],
        vec![vec![outer()], vec![innermost(), inner()]],
    ];
    for (case, batches) in orders.into_iter().enumerate() {
        let mut observer = observer();
        let mut total = 0.0;
        for (seq, batch) in batches.into_iter().enumerate() {
            take(&mut observer, "web", batch, 2.0);
            total += counts(&observer.tick(seq as u64, at(2.0)), &edge("web", peer())).0;
        }
        assert_eq!(total, 1.0, "case {case}");
    }
}

#[test]
fn client_spans_for_different_callees_each_count() {
    let mut observer = observer();
    let search = span(Client, (1, 2, 1), 1.0, &[("db.system", "elasticsearch"), ("db.name", "x")]);
    let http = span(Client, (1, 3, 2), 1.0, &ADDRESS);
    take(&mut observer, "web", vec![http, search], 2.0);
    let tick = observer.tick(1, at(2.0));
    assert_eq!(tick.requests.len(), 2);
}

#[test]
fn calls_beyond_what_can_wait_are_counted_at_once() {
    let mut config = Config::default();
    config.limits.pending_calls = 4;
    let mut observer = Observer::new(config);
    take(&mut observer, "web", (1..=10).map(|trace| call(trace, 1.0)).collect(), 2.0);
    assert!(observer.calls.pending.len() < 4);
    assert_eq!(counts(&observer.tick(1, at(2.0)), &edge("web", peer())), (10.0, 0.0));
}

#[test]
fn keys_of_different_spans_differ() {
    let mut keys: Vec<_> = (1..=255_u8)
        .flat_map(|trace| (1..=255_u8).map(move |span| SpanKey::new(&[trace; 16], &[span; 8])))
        .collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 255 * 255);
    assert_eq!(SpanKey::new(&[0; 16], &[1; 8]), None);
}
