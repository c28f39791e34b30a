//! A table of packet filter rules that the kernel removes when its owner is gone.
//!
//! Speaks nf_tables' netlink protocol itself (linux/netfilter/nf_tables.h), so that no program has
//! to be there and one process alone holds the table: `flags owner` (Linux 5.12) binds it to this
//! process's socket. Rules match packets from and to a port, a peer or both, TCP and UDP, and hand
//! them to one chain that drops them, all or a share; each packet comes to that chain once. On
//! loopback packets are dropped on the way in only, elsewhere in both directions.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::keeper::Grip;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const DROPPING: &str = "dropping";
/// Shares are counted in thousandths.
const WHOLE: u32 = 1_000;

/// Which packets, and which share of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    pub port: Option<u16>,
    pub peer: Option<IpAddr>,
    /// `None`: all.
    pub share: Option<f64>,
}

/// The socket that owns the table.
pub struct Table {
    _socket: OwnedFd,
}

impl Grip for Table {}

impl Table {
    /// The rules are in force when this returns.
    pub fn hold(name: &str, rules: &Rules) -> Result<Table, String> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(NETFILTER),
        )
        .map_err(|error| format!("this kernel has no netfilter: {error}"))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0)).map_err(explain)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_WITHIN)).map_err(explain)?;
        let batch = batch(name, rules);
        rustix::net::send(&socket, &batch.bytes, SendFlags::empty()).map_err(explain)?;
        confirm(&socket, batch.answers).map_err(explain)?;
        Ok(Table { _socket: socket })
    }

    /// Can this host do it at all? The table of this trial drops nothing, and is gone at once.
    pub fn probe(name: &str, rules: &Rules) -> Result<(), String> {
        // Addresses of documentation (RFC 5737, RFC 3849), which nobody has.
        let nobody: IpAddr = match rules.peer {
            Some(IpAddr::V6(_)) => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
            _ => [192, 0, 2, 1].into(),
        };
        Table::hold(name, &Rules { peer: Some(nobody), ..*rules }).map(|_| ())
    }
}

fn explain(error: Errno) -> String {
    match error {
        Errno::PERM | Errno::ACCESS => {
            "packet filter rules need the right CAP_NET_ADMIN; start the agent with it".to_owned()
        }
        Errno::OPNOTSUPP | Errno::INVAL | Errno::NOENT => format!(
            "this kernel has no nf_tables with tables that belong to a process (Linux 5.12): \
             {error}"
        ),
        error => format!("packet filter rules were not taken: {error}"),
    }
}

/// Reads the kernel's answers; the first error is the result.
fn confirm(socket: &OwnedFd, answers: usize) -> Result<(), Errno> {
    const HEADER: usize = 16;
    const ERROR: u16 = 2;
    let mut confirmed = 0;
    while confirmed < answers {
        let mut buffer = [0; 16 << 10];
        let (_, length) = rustix::net::recv(socket, &mut buffer, RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while rest.len() >= HEADER + 4 {
            let word = |at: usize| [rest[at], rest[at + 1], rest[at + 2], rest[at + 3]];
            let size = u32::from_ne_bytes(word(0)) as usize;
            if u16::from_ne_bytes([rest[4], rest[5]]) == ERROR {
                let code = i32::from_ne_bytes(word(HEADER));
                if code != 0 {
                    return Err(Errno::from_raw_os_error(code.saturating_neg()));
                }
                confirmed += 1;
            }
            rest = rest.get(size.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
        }
    }
    Ok(())
}

struct Batch {
    bytes: Vec<u8>,
    answers: usize,
}

const FAMILY_INET: u8 = 1;
const LOCAL_IN: u32 = 1;
const FORWARD: u32 = 2;
const LOCAL_OUT: u32 = 3;

fn batch(table: &str, rules: &Rules) -> Batch {
    const TABLE: u16 = 0;
    const CHAIN: u16 = 3;
    const RULE: u16 = 6;
    const OWNER: u32 = 2;
    let mut batch = Batch { bytes: Vec::new(), answers: 0 };
    batch.bracket(16);
    let attributes = [text(1, table), number(2, OWNER)].concat();
    batch.add(TABLE, &attributes);
    let dropping = [text(1, table), text(3, DROPPING)].concat();
    batch.add(CHAIN, &dropping);
    let rule = |chain: &str, expressions: &[Vec<u8>]| {
        [text(1, table), text(2, chain), nested(4, &expressions.concat())].concat()
    };
    batch.add(RULE, &rule(DROPPING, &drop_share(rules.share)));
    for (name, hook) in [("input", LOCAL_IN), ("forward", FORWARD), ("output", LOCAL_OUT)] {
        // Before all filters of the host's own.
        const PRIORITY: i32 = -300;
        const ACCEPT: u32 = 1;
        let place = [number(1, hook), number(2, PRIORITY as u32)].concat();
        let chain = [
            text(1, table),
            text(3, name),
            nested(4, &place),
            number(5, ACCEPT),
            text(7, "filter"),
        ];
        batch.add(CHAIN, &chain.concat());
        for matched in matches(hook, rules) {
            batch.add(RULE, &rule(name, &matched));
        }
    }
    batch.bracket(17);
    batch
}

impl Batch {
    /// Begin (16) or end (17) of a transaction.
    fn bracket(&mut self, kind: u16) {
        const NFTABLES: [u8; 2] = 10_u16.to_be_bytes();
        let body = [0, 0, NFTABLES[0], NFTABLES[1]];
        self.message(kind, 1, &body);
    }

    fn add(&mut self, kind: u16, attributes: &[u8]) {
        const NFTABLES: u16 = 10;
        // Request, acknowledge, create, append.
        const FLAGS: u16 = 0x1 | 0x4 | 0x400 | 0x800;
        let body = [&[FAMILY_INET, 0, 0, 0][..], attributes].concat();
        self.message(NFTABLES << 8 | kind, FLAGS, &body);
        self.answers += 1;
    }

    fn message(&mut self, kind: u16, flags: u16, body: &[u8]) {
        let sequence = u32::try_from(self.answers).unwrap_or(u32::MAX);
        self.bytes.extend(u32::try_from(16 + body.len()).unwrap_or(u32::MAX).to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(sequence.to_ne_bytes());
        self.bytes.extend(0_u32.to_ne_bytes());
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

/// An attribute; its value is padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nested(kind: u16, value: &[u8]) -> Vec<u8> {
    const NESTED: u16 = 1 << 15;
    attribute(kind | NESTED, value)
}

fn text(kind: u16, value: &str) -> Vec<u8> {
    attribute(kind, &[value.as_bytes(), b"\0"].concat())
}

fn number(kind: u16, value: u32) -> Vec<u8> {
    attribute(kind, &value.to_be_bytes())
}

fn expression(name: &str, data: &[Vec<u8>]) -> Vec<u8> {
    nested(1, &[text(1, name), nested(2, &data.concat())].concat())
}

const REGISTER: u32 = 1;

/// The register is, or is not, this value, or less.
fn compare(operation: u32, value: &[u8]) -> Vec<u8> {
    let data = nested(3, &attribute(1, value));
    expression("cmp", &[number(1, REGISTER), number(2, operation), data])
}

const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const LESS: u32 = 2;

fn meta(key: u32) -> Vec<u8> {
    expression("meta", &[number(1, REGISTER), number(2, key)])
}

fn payload(base: u32, offset: u32, length: usize) -> Vec<u8> {
    let length = number(4, u32::try_from(length).unwrap_or(u32::MAX));
    expression("payload", &[number(1, REGISTER), number(2, base), number(3, offset), length])
}

fn verdict(attributes: &[u8]) -> Vec<u8> {
    expression("immediate", &[number(1, 0), nested(2, &nested(2, attributes))])
}

/// Drops, with a counter for those who look at the rules.
fn drop_share(share: Option<f64>) -> Vec<Vec<u8>> {
    const RANDOM: u32 = 1;
    const DROP: u32 = 0;
    let mut expressions = Vec::new();
    if let Some(share) = share {
        let below = (share.clamp(0.0, 1.0) * f64::from(WHOLE)).round() as u32;
        let random = [number(1, REGISTER), number(2, WHOLE), number(3, RANDOM), number(4, 0)];
        expressions.push(expression("numgen", &random));
        // The number is in the host's order, and comparisons are byte by byte.
        let order =
            [number(1, REGISTER), number(2, REGISTER), number(3, 1), number(4, 4), number(5, 4)];
        expressions.push(expression("byteorder", &order));
        expressions.push(compare(LESS, &below.to_be_bytes()));
    }
    expressions.push(expression("counter", &[]));
    expressions.push(verdict(&number(1, DROP)));
    expressions
}

/// One list of expressions for each combination of side and protocol.
fn matches(hook: u32, rules: &Rules) -> Vec<Vec<Vec<u8>>> {
    let mut common = Vec::new();
    if hook == LOCAL_OUT {
        const OUTPUT_NAME: u32 = 7;
        let mut name = [0; 16];
        name[..2].copy_from_slice(b"lo");
        common.extend([meta(OUTPUT_NAME), compare(NOT_EQUAL, &name)]);
    }
    let mut matches = Vec::new();
    for address in addresses(rules.peer) {
        for port in ports(rules.port) {
            const GOTO: i32 = -4;
            let mut expressions = [common.clone(), address.clone(), port].concat();
            expressions.push(verdict(&[number(1, GOTO as u32), text(2, DROPPING)].concat()));
            matches.push(expressions);
        }
    }
    matches
}

/// Source or destination is the peer.
fn addresses(peer: Option<IpAddr>) -> Vec<Vec<Vec<u8>>> {
    const NETWORK_FAMILY: u32 = 15;
    const NETWORK: u32 = 1;
    let (family, bytes, offsets) = match peer {
        None => return vec![Vec::new()],
        Some(IpAddr::V4(address)) => (2, address.octets().to_vec(), [12, 16]),
        Some(IpAddr::V6(address)) => (10, address.octets().to_vec(), [8, 24]),
    };
    let of = |offset: u32| {
        vec![
            meta(NETWORK_FAMILY),
            compare(EQUAL, &[family]),
            payload(NETWORK, offset, bytes.len()),
            compare(EQUAL, &bytes),
        ]
    };
    offsets.into_iter().map(of).collect()
}

/// Source or destination port, of TCP or UDP.
fn ports(port: Option<u16>) -> Vec<Vec<Vec<u8>>> {
    const TRANSPORT_PROTOCOL: u32 = 16;
    const TRANSPORT: u32 = 2;
    const TCP: u8 = 6;
    const UDP: u8 = 17;
    let Some(port) = port else { return vec![Vec::new()] };
    let mut matches = Vec::new();
    for protocol in [TCP, UDP] {
        for offset in [0, 2] {
            matches.push(vec![
                meta(TRANSPORT_PROTOCOL),
                compare(EQUAL, &[protocol]),
                payload(TRANSPORT, offset, 2),
                compare(EQUAL, &port.to_be_bytes()),
            ]);
        }
    }
    matches
}
