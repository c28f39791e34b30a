//! Toxics on TCP connections: those that this host makes to a port are led through a proxy of the
//! keeper's, without a word to client or server.

use std::net::TcpStream;
use std::time::Duration;

use model::experiment::Fault;
use model::fault::Tcp;

use super::redirect::{self, MARK, Way};
use super::{Aim, Effect, Means, Prior, Spec, mismatch, through, toxics, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::keeper::Grip;
use crate::ledger::FaultRecord;

const REFUSED_WITHIN: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);

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
    applies: |_| true,
    aim,
    means: Means::Held(hold),
    effect,
};

fn way(tcp: &Tcp) -> Way {
    Way { port: tcp.port, peer: tcp.peer }
}

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::Tcp(tcp) = fault else { return mismatch() };
    let way = way(tcp);
    let far = redirect::ready(bench, target, way)?;
    let probe = redirect::probe_address(bench, target)?;
    let exactly = format!("leads {}, seen at {far}{}", way.words(), tcp.toxics);
    Ok(Aim { prior: Some(Prior::Probe(probe)), exactly, ..Aim::default() })
}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    let Fault::Tcp(tcp) = &record.fault else { return mismatch() };
    if tcp.toxics.down {
        return redirect::hold_refusing(record, way(tcp));
    }
    let toxics = toxics::json(&tcp.toxics, "");
    redirect::hold(record, way(tcp), |listeners| {
        proxy::Redirected::tcp(listeners, MARK, toxics, proxy::Config::default())
    })
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    let Fault::Tcp(tcp) = &record.fault else {
        return Effect { at: None, detail: "not this kind of fault".to_owned() };
    };
    if tcp.toxics.down {
        let far = redirect::far(&record.target, way(tcp));
        return watch_for(REFUSED_WITHIN, || {
            match TcpStream::connect_timeout(&far, CONNECT_WITHIN) {
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    Ok(format!("a connection to {far} is refused"))
                }
                Err(error) => Err(format!("a connection to {far} fails otherwise: {error}")),
                Ok(_) => Err(format!("{far} still accepts connections")),
            }
        });
    }
    let expected = toxics::expected(&tcp.toxics);
    let through = |probe| through::try_once(probe, &expected);
    redirect::effect(bench, record, way(tcp), through)
}
