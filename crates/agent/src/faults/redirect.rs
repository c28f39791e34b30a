//! What faults that lead connections of this host through a proxy have in common: the proxy is the
//! keeper's, the rules that lead to it are a table that the keeper owns, and with the keeper both
//! are gone.
//!
//! Led are connections that this host itself makes, new ones; those that are open are cut, so that
//! they are made anew. The keeper's own connections bear a mark and go their way.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::nft::{Owner, Redirect, Redirects, Rules, Table};
use super::partition::{far_side, probe_name, table_name, words};
use super::{Effect, Prior, sockets, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::keeper::Grip;
use crate::keepers;
use crate::ledger::FaultRecord;

/// Bears no meaning for others: the letters "immu".
pub const MARK: u32 = 0x696d_6d75;
const BACKLOG: i32 = 1_024;
const WORKERS: usize = 2;
const ACCEPTED_WITHIN: Duration = Duration::from_secs(2);
const LED_WITHIN: Duration = Duration::from_secs(5);
/// Connections that are tried until it is seen; those of a share may miss it.
const EFFECT_WITHIN: Duration = Duration::from_secs(30);
/// Where probes are: addresses of loopback that nothing listens on by habit.
const PROBE_NETWORK: [u8; 2] = [127, 69];

/// Connections to this port, of one address or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    pub port: u16,
    pub peer: Option<IpAddr>,
}

/// What is asked before: can this host do it, and does somebody accept connections there?
pub fn ready(bench: &Bench, target: &Target, way: Way) -> Result<SocketAddr, String> {
    Redirects::probe(&probe_name(bench, target))?;
    let far = far(target, way);
    TcpStream::connect_timeout(&far, ACCEPTED_WITHIN)
        .map(|_| far)
        .map_err(|error| format!("{far} accepts no connection before the fault: {error}"))
}

/// Where a connection is tried.
pub fn far(target: &Target, way: Way) -> SocketAddr {
    far_side(target, &way.rules())
}

impl Way {
    fn rules(self) -> Rules {
        Rules { port: Some(self.port), peer: self.peer, share: None }
    }

    pub fn words(self) -> String {
        let others = match sockets::can_cut() {
            true => "those that are open are cut",
            false => {
                "those that are open go on as they were, for this kernel cannot cut them \
                      (CONFIG_INET_DIAG_DESTROY)"
            }
        };
        format!("new TCP connections of this host to {}; {others}", words(&self.rules()))
    }

    fn addresses(self) -> Vec<IpAddr> {
        match self.peer {
            Some(peer) => vec![peer],
            None => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
        }
    }
}

/// An address for connections of the agent's own: free now, and nobody else looks for it.
pub fn probe_address(bench: &Bench, target: &Target) -> Result<SocketAddr, String> {
    let of = format!("{} {}", bench.dir.display(), target.name);
    let [.., high, low] = crc32c::crc32c(of.as_bytes()).to_be_bytes();
    let [first, second] = PROBE_NETWORK;
    let ip = Ipv4Addr::new(first, second, high, low);
    TcpListener::bind((ip, 0))
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("cannot listen on {ip}: {error}"))
}

/// A proxy of the keeper's, and the rules that lead to it.
struct Led {
    // In this order: connections end before the rules that lead their last packets back.
    _redirected: proxy::Redirected,
    _runtime: tokio::runtime::Runtime,
    _table: Table,
}

impl Grip for Led {}

/// A port that refuses connections, and the rules that lead to it.
struct Refused {
    _sockets: Vec<socket2::Socket>,
    _table: Table,
}

impl Grip for Refused {}

/// Leads connections to a proxy that `start` makes of listeners, in a runtime.
pub fn hold(
    record: &FaultRecord,
    way: Way,
    start: impl FnOnce(Vec<tokio::net::TcpListener>) -> Result<proxy::Redirected, proxy::Error>,
) -> Result<Box<dyn Grip>, String> {
    let (table, sockets) = Entrance::open(true)?.lead(record, way, Some(probe(record)?))?;
    let proxy = || -> io::Result<_> {
        let threads = &mut tokio::runtime::Builder::new_multi_thread();
        let runtime = threads.worker_threads(WORKERS).enable_all().build()?;
        let inside = runtime.enter();
        let mut listeners = Vec::new();
        for socket in sockets {
            socket.set_nonblocking(true)?;
            listeners.push(tokio::net::TcpListener::from_std(socket.into())?);
        }
        let redirected = start(listeners).map_err(io::Error::other)?;
        drop(inside);
        Ok((redirected, runtime))
    };
    let (redirected, runtime) =
        proxy().map_err(|error| format!("its proxy does not start: {error}"))?;
    Ok(Box::new(Led { _redirected: redirected, _runtime: runtime, _table: table }))
}

/// Leads connections to where they are refused.
pub fn hold_refusing(record: &FaultRecord, way: Way) -> Result<Box<dyn Grip>, String> {
    let (table, sockets) = Entrance::open(false)?.lead(record, way, None)?;
    Ok(Box::new(Refused { _sockets: sockets, _table: table }))
}

/// The address that the record has for connections of the agent's own.
pub fn probe(record: &FaultRecord) -> Result<SocketAddr, String> {
    match record.prior {
        Some(Prior::Probe(address)) => Ok(address),
        _ => Err("the record names no address to try connections on".to_owned()),
    }
}

/// Seen first by a connection to the far side, then by what one of the agent's own goes through.
pub fn effect(
    bench: &Bench,
    record: &FaultRecord,
    way: Way,
    mut through: impl FnMut(SocketAddr) -> Result<String, String>,
) -> Effect {
    let far = far(&record.target, way);
    let led = watch_for(LED_WITHIN, || is_led(bench, record, far));
    if led.at.is_none() {
        return led;
    }
    let seen = watch_for(EFFECT_WITHIN, || through(probe(record)?));
    Effect { at: seen.at, detail: format!("{}; {}", led.detail, seen.detail) }
}

/// Sockets of loopback to which connections will be led, and the table to be.
struct Entrance {
    owner: Owner,
    sockets: Vec<socket2::Socket>,
}

impl Entrance {
    /// Bound to ports. Who is led there waits to be accepted, or is refused.
    fn open(accepts: bool) -> Result<Entrance, String> {
        // Before the sockets: see `Owner`.
        let owner = Owner::open()?;
        let mut sockets = Vec::new();
        for ip in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let address = SocketAddr::new(ip, 0);
            let bound = socket2::Socket::new(
                socket2::Domain::for_address(address),
                socket2::Type::STREAM,
                Some(socket2::Protocol::TCP),
            )
            .and_then(|socket| {
                socket.bind(&address.into())?;
                if accepts {
                    socket.listen(BACKLOG)?;
                }
                Ok(socket)
            });
            match bound {
                Ok(socket) => sockets.push(socket),
                // A host without IPv6 has nothing to be led there.
                Err(_) if ip.is_ipv6() => {}
                Err(error) => return Err(format!("cannot take a port of {ip}: {error}")),
            }
        }
        Ok(Entrance { owner, sockets })
    }

    /// The rules are in force, and what was open is cut, when this returns.
    fn lead(
        self,
        record: &FaultRecord,
        way: Way,
        probe: Option<SocketAddr>,
    ) -> Result<(Table, Vec<socket2::Socket>), String> {
        let mut all = Vec::new();
        for socket in &self.sockets {
            let at = socket.local_addr().ok().and_then(|address| address.as_socket());
            let Some(at) = at else { return Err("a socket has no address".to_owned()) };
            let probes = probe.iter().map(|probe| (probe.ip(), probe.port()));
            let led = way.addresses().into_iter().map(|ip| (ip, way.port)).chain(probes);
            let of_family = led.filter(|(ip, _)| ip.is_ipv4() == at.is_ipv4());
            all.extend(of_family.map(|(address, port)| Redirect {
                is_udp: false,
                address,
                port,
                to: at.port(),
            }));
        }
        let redirects = Redirects { mark: MARK, all };
        let table = redirects.hold(self.owner, &table_name(&record.id.0))?;
        cut_open(way);
        Ok((table, self.sockets))
    }
}

/// Connections that are made meanwhile are led already; they are cut too and made once more.
fn cut_open(way: Way) {
    let open = match sockets::connected_to(way.port) {
        Ok(open) => open,
        Err(error) => return tracing::warn!(%error, "cannot see the connections that are open"),
    };
    for socket in open {
        if way.peer.is_some_and(|peer| peer.to_canonical() != socket.remote.ip()) {
            continue;
        }
        if let Err(error) = sockets::cut(&socket) {
            return tracing::warn!(%error, "connections that are open are not cut");
        }
    }
}

/// A connection is made; is it the keeper that accepts it? It may take its time to.
fn is_led(bench: &Bench, record: &FaultRecord, far: SocketAddr) -> Result<String, String> {
    let stream = TcpStream::connect_timeout(&far, ACCEPTED_WITHIN)
        .map_err(|error| format!("a connection to {far} cannot be tried: {error}"))?;
    let own = stream.local_addr().map_err(|error| error.to_string())?;
    let own = SocketAddr::new(own.ip().to_canonical(), own.port());
    let keepers = keepers::find(&bench.host, &bench.dir, record)
        .map_err(|error| format!("cannot look for its holder: {error}"))?;
    let seen = watch_for(ACCEPTED_WITHIN, || {
        let ends = sockets::connected_to(own.port())
            .map_err(|error| format!("the connections of this host cannot be seen: {error}"))?;
        let inodes: BTreeSet<u64> =
            ends.iter().filter(|end| end.remote == own).map(|end| end.inode).collect();
        match keepers.iter().find(|keeper| has_one_of(keeper.pid, &inodes)) {
            Some(keeper) => {
                Ok(format!("a connection to {far} comes to its holder, pid {}", keeper.pid))
            }
            None => Err(format!("a connection to {far} does not come to its holder")),
        }
    });
    if seen.at.is_some() { Ok(seen.detail) } else { Err(seen.detail) }
}

fn has_one_of(pid: u32, inodes: &BTreeSet<u64>) -> bool {
    let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let mut links = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    links.any(|link| {
        let number =
            link.to_str().and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']'));
        number.and_then(|number| number.parse().ok()).is_some_and(|inode| inodes.contains(&inode))
    })
}
