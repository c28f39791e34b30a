//! A table of packet filter rules that the kernel removes when its owner is gone.
//!
//! Speaks nf_tables' netlink protocol itself (linux/netfilter/nf_tables.h), so that no program has
//! to be there and one process alone holds the table: `flags owner` (Linux 5.12) binds it to this
//! process's socket. `drops` and `redirects` say which rules there are.

mod drops;

mod redirects;

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{NETFILTER, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

pub use drops::Rules;
pub use redirects::{Redirect, Redirects};

use crate::keeper::Grip;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The socket that is to own a table. Where connections are redirected it is opened before theirs:
/// the kernel closes the youngest first, so that who is connected hears of the end while the table
/// still leads answers back.
pub struct Owner(OwnedFd);

/// The socket that owns the table.
pub struct Table {
    _socket: OwnedFd,
}

impl Grip for Table {}

impl Owner {
    pub fn open() -> Result<Owner, String> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(NETFILTER),
        )
        .map_err(|error| format!("this kernel has no netfilter: {error}"))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0)).map_err(explain)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_WITHIN)).map_err(explain)?;
        Ok(Owner(socket))
    }

    /// The rules are in force when this returns.
    pub fn hold(self, batch: &Batch) -> Result<Table, String> {
        rustix::net::send(&self.0, &batch.bytes, SendFlags::empty()).map_err(explain)?;
        confirm(&self.0, batch.answers).map_err(explain)?;
        Ok(Table { _socket: self.0 })
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

const FAMILY_INET: u8 = 1;
const LOCAL_IN: u32 = 1;
const FORWARD: u32 = 2;
const LOCAL_OUT: u32 = 3;
const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where packets come to a chain, and in which order of chains.
struct Hook {
    number: u32,
    priority: i32,
    kind: &'static str,
}

/// A table with its chains and rules, as one transaction.
pub struct Batch {
    table: String,
    bytes: Vec<u8>,
    answers: usize,
}

impl Batch {
    /// Begins with a table that its socket owns.
    fn of_table(name: &str) -> Batch {
        const TABLE: u16 = 0;
        const OWNER: u32 = 2;
        let mut batch = Batch { table: name.to_owned(), bytes: Vec::new(), answers: 0 };
        batch.bracket(16);
        batch.add(TABLE, &[text(1, name), number(2, OWNER)].concat());
        batch
    }

    /// Without a hook only other chains lead to it.
    fn chain(&mut self, name: &str, hook: Option<Hook>) {
        const CHAIN: u16 = 3;
        const ACCEPT: u32 = 1;
        let mut attributes = [text(1, &self.table), text(3, name)].concat();
        if let Some(hook) = hook {
            let place = [number(1, hook.number), number(2, hook.priority as u32)].concat();
            attributes.extend([nested(4, &place), number(5, ACCEPT), text(7, hook.kind)].concat());
        }
        self.add(CHAIN, &attributes);
    }

    fn rule(&mut self, chain: &str, expressions: &[Vec<u8>]) {
        const RULE: u16 = 6;
        let rule = [text(1, &self.table), text(2, chain), nested(4, &expressions.concat())];
        self.add(RULE, &rule.concat());
    }

    fn end(mut self) -> Batch {
        self.bracket(17);
        self
    }

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

/// The packet is of that transport protocol.
fn is_protocol(protocol: u8) -> [Vec<u8>; 2] {
    const TRANSPORT_PROTOCOL: u32 = 16;
    [meta(TRANSPORT_PROTOCOL), compare(EQUAL, &[protocol])]
}

/// The packet is of this version of IP.
fn is_family(ip: IpAddr) -> [Vec<u8>; 2] {
    const NETWORK_FAMILY: u32 = 15;
    [meta(NETWORK_FAMILY), compare(EQUAL, &[if ip.is_ipv4() { 2 } else { 10 }])]
}

/// What stands at that place of the network's (1) or the transport's (2) header is this.
fn is_there(header: u32, offset: u32, value: &[u8]) -> [Vec<u8>; 2] {
    let length = number(4, u32::try_from(value.len()).unwrap_or(u32::MAX));
    let load = [number(1, REGISTER), number(2, header), number(3, offset), length];
    [expression("payload", &load), compare(EQUAL, value)]
}

/// As the kernel writes it into headers.
fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

/// Offset of the addresses in the network's header: source, destination.
fn address_offsets(ip: IpAddr) -> [u32; 2] {
    if ip.is_ipv4() { [12, 16] } else { [8, 24] }
}

fn verdict(attributes: &[u8]) -> Vec<u8> {
    expression("immediate", &[number(1, 0), nested(2, &nested(2, attributes))])
}
