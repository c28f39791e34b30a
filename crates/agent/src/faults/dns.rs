//! Wrong, late or no answers of DNS for some names: queries of this host go to a small resolver of
//! the keeper's, which passes all others on as they are.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use model::experiment::Fault;
use model::fault::{Dns, DnsAnswer};

use super::nft::Redirects;
use super::partition::probe_name;
use super::{Aim, Effect, Means, Prior, Spec, mismatch, resolver, watch_for};
use crate::bench::Bench;
use crate::clock;
use crate::config::Target;
use crate::dns::{self, MESSAGE_MAX};
use crate::keeper::Grip;
use crate::ledger::FaultRecord;

pub const PORT: u16 = 53;
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// As many as the C library asks.
const NAMESERVERS_MAX: usize = 3;
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// Beyond the delay of a late answer.
const EFFECT_WITHIN: Duration = Duration::from_secs(10);
/// In place of `*`.
const PROBE_LABEL: &str = "immune-drill";

pub const SPEC: Spec = Spec {
    id: "dns",
    title: "Wrong, late or no answers of DNS",
    documentation: "Leads what this host asks its nameservers (those of /etc/resolv.conf, or \
                    `server`), by UDP and TCP on port 53, to a resolver that answers `names` \
                    wrongly (`nxdomain`, `servfail`, an `address`), late (`slow`) or not at all \
                    (`none`) and passes everything else on. Refused when no nameserver answers \
                    before, or answers so already. Its effect is seen by a query.",
    undone_by: "ending the process that is the resolver and owns the rules that lead to it: the \
                kernel removes them with their owner",
    example: "fault: {dns: {names: [orders.internal, '*.payments.example'], answer: nxdomain}}\n",
    applies: |_| true,
    aim,
    means: Means::Held(hold),
    effect,
};

fn of(fault: &Fault) -> Result<&Dns, String> {
    match fault {
        Fault::Dns(dns) => Ok(dns),
        _ => mismatch(),
    }
}

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let dns = of(fault)?;
    Redirects::probe(&probe_name(bench, target))?;
    let servers = match dns.server {
        Some(server) => vec![server],
        None => nameservers()?,
    };
    let mut answering = servers.iter().filter_map(|server| Some((server, ask(*server, dns)?)));
    let Some((first, answered)) = answering.next() else {
        let all = words(&servers);
        return Err(format!("no nameserver of {all} answers a query before the fault"));
    };
    if answered.is_as(&dns.answer) {
        return Err(format!("{first} answers `{}` so already", probed(dns)));
    }
    let exactly = format!(
        "answers queries of this host to {} for {}: {}",
        words(&servers),
        dns.names.join(", "),
        dns.answer
    );
    Ok(Aim { prior: Some(Prior::Nameservers(servers)), exactly, ..Aim::default() })
}

fn words(servers: &[IpAddr]) -> String {
    servers.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

fn nameservers() -> Result<Vec<IpAddr>, String> {
    let text = std::fs::read_to_string(RESOLV_CONF)
        .map_err(|error| format!("{RESOLV_CONF} cannot be read: {error}"))?;
    let found = listed(&text);
    match found.is_empty() {
        true => Err(format!("{RESOLV_CONF} names no nameserver: this host asks none on port 53")),
        false => Ok(found),
    }
}

fn listed(text: &str) -> Vec<IpAddr> {
    let addresses = text.lines().filter_map(|line| {
        let mut words = line.split_ascii_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()?.parse().ok()
    });
    addresses.take(NAMESERVERS_MAX).collect()
}

/// What one query came to.
struct Answered {
    code: u8,
    has_address: bool,
    after: Duration,
}

impl Answered {
    fn is_as(&self, wanted: &DnsAnswer) -> bool {
        match wanted {
            DnsAnswer::Nxdomain => self.code == dns::NXDOMAIN,
            DnsAnswer::Servfail => self.code == dns::SERVFAIL,
            DnsAnswer::Address(_) => self.has_address,
            DnsAnswer::Slow(delay) => self.after >= delay.0,
            DnsAnswer::None => false,
        }
    }
}

fn probed(dns: &Dns) -> String {
    let name = dns.names.first().map_or("", String::as_str);
    name.replacen('*', PROBE_LABEL, 1).to_ascii_lowercase()
}

/// `None` when nobody answers in time.
fn ask(server: IpAddr, dns: &Dns) -> Option<Answered> {
    let (address, late) = match &dns.answer {
        DnsAnswer::Address(ip) => (Some(*ip), Duration::ZERO),
        DnsAnswer::Slow(delay) => (None, delay.0),
        _ => (None, Duration::ZERO),
    };
    let exchange = || -> std::io::Result<Option<Answered>> {
        let local: IpAddr = match server {
            IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((local, 0))?;
        socket.connect(SocketAddr::new(server, PORT))?;
        // The port is the kernel's choice, and nobody else sends from that address.
        let id = socket.local_addr()?.port();
        let Some(query) = dns::query(id, &probed(dns)) else { return Ok(None) };
        let begun = clock::monotonic();
        socket.send(&query)?;
        let within = ANSWER_WITHIN + late;
        let mut buffer = vec![0; MESSAGE_MAX];
        loop {
            let after = clock::monotonic().saturating_duration_since(begun);
            let left = within.saturating_sub(after);
            if left.is_zero() {
                return Ok(None);
            }
            socket.set_read_timeout(Some(left))?;
            let read = socket.recv(&mut buffer)?;
            let message = buffer.get(..read).unwrap_or_default();
            if let Some((code, has_address)) = dns::read_answer(id, message, address) {
                let after = clock::monotonic().saturating_duration_since(begun);
                return Ok(Some(Answered { code, has_address, after }));
            }
        }
    };
    exchange().ok().flatten()
}

fn servers(record: &FaultRecord) -> Result<&[IpAddr], String> {
    match &record.prior {
        Some(Prior::Nameservers(servers)) => Ok(servers),
        _ => Err("the record names no nameservers".to_owned()),
    }
}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    resolver::hold(record, of(&record.fault)?, servers(record)?)
}

fn effect(_: &Bench, record: &FaultRecord) -> Effect {
    let late = match &record.fault {
        Fault::Dns(Dns { answer: DnsAnswer::Slow(delay), .. }) => delay.0,
        _ => Duration::ZERO,
    };
    watch_for(EFFECT_WITHIN + late, || {
        let dns = of(&record.fault)?;
        let server = *servers(record)?.first().ok_or("the record names no nameserver")?;
        let name = probed(dns);
        match ask(server, dns) {
            None if dns.answer == DnsAnswer::None => {
                Ok(format!("a query for `{name}` to {server} is not answered"))
            }
            None => Err(format!("a query for `{name}` to {server} is not answered")),
            Some(answered) => {
                let Answered { code, after, .. } = answered;
                let seconds = after.as_secs_f64();
                let seen = format!(
                    "a query for `{name}` to {server} was answered with code {code} in \
                     {seconds:.3} s"
                );
                if answered.is_as(&dns.answer) { Ok(seen) } else { Err(seen) }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn nameservers_are_read_as_the_c_library_reads_them() {
        let text = "# x\nsearch a\nnameserver 127.0.0.53\n nameserver ::1\nnameserver x\n\
                    nameserver fe80::1%eth0\nnameserver 10.0.0.1 # y\nnameserver 10.0.0.2\n";
        let found: Vec<String> = super::listed(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.53", "::1", "10.0.0.1"]);
        assert!(super::listed("").is_empty());
    }
}
