//! Toxics on TCP connections: those that this host makes to a port are led through a proxy of the
//! keeper's, without a word to client or server.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use model::experiment::Fault;
use model::fault::Tcp;

use super::redirect::{self, Entrance, MARK, Way};
use super::{Aim, Effect, Means, Prior, Spec, mismatch, through, toxics, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::keeper::Grip;
use crate::ledger::FaultRecord;

const LED_WITHIN: Duration = Duration::from_secs(5);
/// Connections that are tried until a toxic acts; those of a share may miss it.
const EFFECT_WITHIN: Duration = Duration::from_secs(30);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
const WORKERS: usize = 2;

pub const SPEC: Spec = Spec {
    id: "tcp",
    title: "Toxics on TCP connections",
    documentation: "Leads the TCP connections that this host makes to `port` (of `peer`, or of \
                    anybody) through a proxy: `latency` and `jitter`, `bandwidth`, `timeout`, \
                    `reset_peer`, `slicer`, `limit_data` as Toxiproxy has them, or `down`. \
                    Connections that are open are cut, and made anew through it. Refused when \
                    nobody accepts connections there before. Its effect is seen by a connection \
                    that comes to the proxy, and by one of the agent's own through it.",
    undone_by: "ending the process that is the proxy and owns the rules that lead to it: the \
                kernel removes them with their owner, and connections through it break",
    example: "fault: {tcp: {port: 8000, latency: 2s, jitter: 100ms}}\n",
    aim,
    means: Means::Held(hold),
    effect,
};

struct Proxy {
    // In this order: connections end before the rules that lead their last packets back.
    _redirected: Option<proxy::Redirected>,
    _runtime: Option<tokio::runtime::Runtime>,
    _refusing: Vec<socket2::Socket>,
    _table: super::nft::Table,
}

impl Grip for Proxy {}

fn way(tcp: &Tcp) -> Way {
    Way { port: tcp.port, peer: tcp.peer }
}

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::Tcp(tcp) = fault else { return mismatch() };
    let way = way(tcp);
    let far = redirect::ready(bench, target, way)?;
    let probe = redirect::probe_address(&format!("{} {}", bench.dir.display(), target.name))?;
    let exactly = format!("leads {}, seen at {far}{}", way.words(), tcp.toxics);
    Ok(Aim { prior: Some(Prior::Probe(probe)), exactly, ..Aim::default() })
}

fn probe(record: &FaultRecord) -> Result<SocketAddr, String> {
    match record.prior {
        Some(Prior::Probe(address)) => Ok(address),
        _ => Err("the record names no address to try connections on".to_owned()),
    }
}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    let Fault::Tcp(tcp) = &record.fault else { return mismatch() };
    let entrance = Entrance::open(!tcp.toxics.down)?;
    if tcp.toxics.down {
        let (table, sockets) = entrance.lead(record, way(tcp), None)?;
        return Ok(Box::new(Proxy {
            _redirected: None,
            _runtime: None,
            _refusing: sockets,
            _table: table,
        }));
    }
    let (table, sockets) = entrance.lead(record, way(tcp), Some(probe(record)?))?;
    let start = || -> std::io::Result<_> {
        let threads = &mut tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(WORKERS).enable_all().build()?;
        let inside = runtime.enter();
        let mut listeners = Vec::new();
        for socket in sockets {
            socket.set_nonblocking(true)?;
            listeners.push(tokio::net::TcpListener::from_std(socket.into())?);
        }
        let toxics = toxics::json(&tcp.toxics, "");
        let config = proxy::Config::default();
        let redirected = proxy::Redirected::start(listeners, MARK, toxics, config);
        drop(inside);
        Ok((redirected.map_err(std::io::Error::other)?, runtime))
    };
    let (redirected, runtime) =
        start().map_err(|error| format!("its proxy does not start: {error}"))?;
    Ok(Box::new(Proxy {
        _redirected: Some(redirected),
        _runtime: Some(runtime),
        _refusing: Vec::new(),
        _table: table,
    }))
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    let Fault::Tcp(tcp) = &record.fault else {
        return Effect { at: None, detail: "not this kind of fault".to_owned() };
    };
    let far = redirect::far(&record.target, way(tcp));
    if tcp.toxics.down {
        return watch_for(LED_WITHIN, || match TcpStream::connect_timeout(&far, CONNECT_WITHIN) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Ok(format!("a connection to {far} is refused"))
            }
            Err(error) => Err(format!("a connection to {far} fails otherwise: {error}")),
            Ok(_) => Err(format!("{far} still accepts connections")),
        });
    }
    let led = watch_for(LED_WITHIN, || redirect::is_led(bench, record, far));
    if led.at.is_none() {
        return led;
    }
    let expected = toxics::expected(&tcp.toxics);
    let seen = watch_for(EFFECT_WITHIN, || {
        let probe = probe(record)?;
        through::try_once(probe, probe, &expected)
    });
    Effect { at: seen.at, detail: format!("{}; {}", led.detail, seen.detail) }
}
