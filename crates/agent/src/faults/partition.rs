//! Partition: packets from and to a port, a peer or both are dropped by rules that the keeper owns.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use model::experiment::Fault;

use super::nft::Rules;
use super::{Aim, Effect, Means, Spec, mismatch, watch_for};
use crate::bench::Bench;
use crate::clock;
use crate::config::{ProcessMatch, Target};
use crate::keeper::Grip;
use crate::ledger::FaultRecord;

const EFFECT_WITHIN: Duration = Duration::from_secs(10);
/// A connection that is not answered for this long is cut.
const ANSWER_WITHIN: Duration = Duration::from_millis(700);
/// What a peer without a port is asked on: whether it accepts or refuses does not matter.
const ANY_PORT: u16 = 80;

pub const SPEC: Spec = Spec {
    id: "partition",
    title: "Partition",
    documentation: "Drops all TCP and UDP packets of this host from and to `port` (of either \
                    side), `peer` (an address) or both, loopback included; forwarded ones too. \
                    Refused when nobody answers there before. Its effect is seen by a connection \
                    that is tried and not answered.",
    undone_by: "ending the process that owns the table of rules: the kernel removes it with its \
                owner, which also ends with the agent and at the deadline",
    example: "fault: {partition: {port: 5432, peer: 10.0.0.7}}\n",
    applies: |_| true,
    aim,
    means: Means::Held(hold),
    effect,
};

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::Partition(cut) = fault else { return mismatch() };
    let rules = Rules { port: cut.port, peer: cut.peer, share: None };
    let far = ready(bench, target, &rules)?;
    let exactly = format!("drops packets from and to {}, seen at {far}", words(&rules));
    Ok(Aim { exactly, ..Aim::default() })
}

/// What both network faults ask before: can it be done, and is there anything to be cut off from?
pub(super) fn ready(bench: &Bench, target: &Target, rules: &Rules) -> Result<SocketAddr, String> {
    if rules.port.is_none() && rules.peer.is_none() {
        return Err("neither port nor peer is named; everything would be cut".to_owned());
    }
    rules.probe(&probe_name(bench, target))?;
    let far = far_side(target, rules);
    match is_answered(far, ANSWER_WITHIN) {
        true => Ok(far),
        false => Err(format!("{far} does not answer before the fault, so it could not be told")),
    }
}

/// Where a connection is tried: the peer, or the target itself, or this host.
pub(super) fn far_side(target: &Target, rules: &Rules) -> SocketAddr {
    let own = match &target.process {
        Some(ProcessMatch::ListensOn(address))
            if rules.port.is_none_or(|port| port == address.port()) =>
        {
            Some(match address.ip() {
                IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
                ip => ip,
            })
        }
        _ => None,
    };
    let ip = rules.peer.or(own).unwrap_or(Ipv4Addr::LOCALHOST.into());
    SocketAddr::new(ip, rules.port.unwrap_or(ANY_PORT))
}

/// Accepted or refused: somebody is there.
pub(super) fn is_answered(far: SocketAddr, within: Duration) -> bool {
    match TcpStream::connect_timeout(&far, within) {
        Ok(_) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionRefused,
    }
}

pub(super) fn words(rules: &Rules) -> String {
    match (rules.port, rules.peer) {
        (Some(port), Some(peer)) => format!("port {port} with peer {peer}"),
        (Some(port), None) => format!("port {port}"),
        (None, Some(peer)) => format!("peer {peer}"),
        (None, None) => "nobody".to_owned(),
    }
}

/// Names of tables are short, and one's own.
pub(super) fn table_name(of: &str) -> String {
    format!("immune_{:08x}_{}", crc32c::crc32c(of.as_bytes()), std::process::id())
}

pub(super) fn probe_name(bench: &Bench, target: &Target) -> String {
    table_name(&format!("probe {} {}", bench.dir.display(), target.name))
}

pub(super) fn hold_rules(record: &FaultRecord, rules: &Rules) -> Result<Box<dyn Grip>, String> {
    Ok(Box::new(rules.hold(&table_name(&record.id.0))?))
}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    let Fault::Partition(cut) = &record.fault else { return mismatch() };
    hold_rules(record, &Rules { port: cut.port, peer: cut.peer, share: None })
}

fn effect(_: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        let Fault::Partition(cut) = &record.fault else { return mismatch() };
        let rules = Rules { port: cut.port, peer: cut.peer, share: None };
        let far = far_side(&record.target, &rules);
        let begun = clock::monotonic();
        if is_answered(far, ANSWER_WITHIN) {
            return Err(format!("{far} still answers"));
        }
        // A connection that failed at once, for another reason, shows nothing.
        match clock::monotonic().saturating_duration_since(begun) >= ANSWER_WITHIN / 2 {
            true => Ok(format!("a connection to {far} is not answered")),
            false => Err(format!("a connection to {far} cannot be tried")),
        }
    })
}

pub(super) fn tried_at(record: &FaultRecord, rules: &Rules) -> SocketAddr {
    far_side(&record.target, rules)
}
