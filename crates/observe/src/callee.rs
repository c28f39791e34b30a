//! What a client or producer span calls.
//!
//! In this order: a database (`db.*`), a queue (`messaging.*`), a service that the caller names
//! (`peer.service`), an address. Names are short and stable: `postgresql/shop`; without a
//! namespace, and always for caches whose namespace is a mere number, `redis@127.0.0.1:6379`;
//! `kafka/orders`; a peer is `host:port` as the caller wrote it, which is what aliases are learnt
//! for. Loopback addresses mean different things on different hosts of one environment; callers
//! that share such an address across hosts should set `peer.service`.

use std::borrow::Cow;

use model::EntityKind;
use model::signal::{Span, SpanKind};

use crate::config::Config;
use crate::normalise::{Facts, Field, split_host_port, split_url};

/// Kind and name of what is called. `None`: the span does not say.
pub(crate) fn name(facts: &Facts<'_>, config: &Config) -> Option<(EntityKind, String)> {
    if let Some(system) = facts.text(Field::DbSystem) {
        return Some((EntityKind::Database, database(facts, system, config)));
    }
    if let Some(system) = facts.text(Field::MessagingSystem) {
        let destination = facts.text(Field::MessagingDestination).map(Cow::Borrowed);
        let name = match destination.or_else(|| address(facts).map(Cow::Owned)) {
            Some(destination) => format!("{system}/{destination}"),
            None => system.to_owned(),
        };
        return Some((EntityKind::Queue, name));
    }
    if let Some(service) = facts.text(Field::PeerService) {
        return Some((EntityKind::Service, service.to_owned()));
    }
    if let Some(address) = address(facts) {
        return Some((EntityKind::Peer, address));
    }
    let system = facts.text(Field::RpcSystem)?;
    let service = facts.text(Field::RpcService).or_else(|| {
        facts
            .text(Field::RpcMethod)
            .and_then(|method| method.split_once('/'))
            .map(|(service, _)| service)
    })?;
    Some((EntityKind::Peer, format!("{system}/{service}")))
}

/// Opening a connection is not a call of its own, only a failed one is: then no statement follows
/// it. Client instrumentation of pools (`pg-pool.connect`, `pg.connect`, SQLAlchemy `connect`)
/// tells of both.
pub(crate) fn is_mere_connect(span: &Span, facts: &Facts<'_>) -> bool {
    span.kind == SpanKind::Client
        && facts.has(Field::DbSystem)
        && !facts.has(Field::DbOperation)
        && span.name.to_ascii_lowercase().contains("connect")
}

fn database(facts: &Facts<'_>, system: &str, config: &Config) -> String {
    // `db.namespace` of these is the number of a table space that only some of their spans carry.
    let numbered = matches!(system, "redis" | "valkey" | "memcached");
    let namespace = facts.text(Field::DbNamespace).filter(|_| !numbered);
    let address = match namespace {
        Some(_) if !config.qualify_databases_by_address => None,
        _ => address(facts),
    };
    let mut name = system.to_owned();
    if let Some(namespace) = namespace {
        name.push('/');
        name.push_str(namespace);
    }
    if let Some(address) = address {
        name.push('@');
        name.push_str(&address);
    }
    name
}

/// `host:port` as the caller knows it, lower case, IPv6 in brackets.
fn address(facts: &Facts<'_>) -> Option<String> {
    let url = facts.text(Field::Url).and_then(split_url);
    let (host, port) = if let Some(address) = facts.text(Field::ServerAddress) {
        let (host, port) = split_host_port(address);
        (host, facts.port(Field::ServerPort).or(port).or(url.and_then(|(_, port, _)| port)))
    } else if let Some((host, port, _)) = url {
        (host, port)
    } else {
        let host = facts.text(Field::SocketAddress)?;
        (host, facts.port(Field::SocketPort).or_else(|| facts.port(Field::ServerPort)))
    };
    let port = port.or_else(|| facts.port(Field::SocketPort));
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.is_empty() {
        return None;
    }
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Some(port.map_or(host.clone(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::signal::Attributes;

    fn check(attributes: &[(&str, &str)], expected: Option<(EntityKind, &str)>) {
        let attributes = attributes
            .iter()
            .fold(Attributes::default(), |all, (name, value)| all.with_str(name, value));
        let found = name(&Facts::read(&attributes), &Config::default());
        assert_eq!(found.as_ref().map(|(kind, name)| (*kind, name.as_str())), expected);
    }

    #[test]
    fn names_databases_the_same_under_old_and_new_conventions() {
        let expected = Some((EntityKind::Database, "postgresql/shop"));
        check(
            &[("db.system", "postgresql"), ("db.name", "shop"), ("net.peer.name", "db")],
            expected,
        );
        check(&[("db.system.name", "postgresql"), ("db.namespace", "shop")], expected);
    }

    #[test]
    fn names_caches_by_address() {
        let expected = Some((EntityKind::Database, "redis@127.0.0.1:6379"));
        let address = [("net.peer.name", "127.0.0.1"), ("net.peer.port", "6379")];
        check(&[("db.system", "redis"), address[0], address[1]], expected);
        check(&[("db.system", "redis"), ("db.namespace", "0"), address[0], address[1]], expected);
    }

    #[test]
    fn names_peers_as_the_caller_wrote_them() {
        let expected = Some((EntityKind::Peer, "127.0.0.1:5001"));
        check(&[("server.address", "127.0.0.1"), ("server.port", "5001")], expected);
        check(&[("url.full", "http://127.0.0.1:5001/orders/14")], expected);
        check(&[("http.host", "127.0.0.1:5001"), ("http.url", "http://other:80/")], expected);
        check(&[("net.sock.peer.addr", "127.0.0.1"), ("net.sock.peer.port", "5001")], expected);
        check(&[("server.address", "Orders.Local.")], Some((EntityKind::Peer, "orders.local")));
        check(
            &[("server.address", "::1"), ("server.port", "80")],
            Some((EntityKind::Peer, "[::1]:80")),
        );
    }

    #[test]
    fn names_queues_services_and_remote_procedures() {
        check(
            &[("messaging.system", "kafka"), ("messaging.destination", "orders")],
            Some((EntityKind::Queue, "kafka/orders")),
        );
        check(
            &[("peer.service", "pay"), ("server.address", "10.0.0.1")],
            Some((EntityKind::Service, "pay")),
        );
        check(
            &[("rpc.system", "grpc"), ("rpc.service", "pay.Pay")],
            Some((EntityKind::Peer, "grpc/pay.Pay")),
        );
        check(&[("code.function", "x")], None);
    }
}
