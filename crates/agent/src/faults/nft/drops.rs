//! Rules that drop packets from and to a port, a peer or both, TCP and UDP: all, or a share. Each
//! packet comes to the dropping chain once. On loopback packets are dropped on the way in only,
//! elsewhere in both directions.

use std::net::IpAddr;

use super::{
    Batch, FORWARD, Hook, LESS, LOCAL_IN, LOCAL_OUT, NETWORK, NOT_EQUAL, Owner, REGISTER, TCP,
    TRANSPORT, Table, UDP, address_offsets, compare, expression, is_family, is_protocol, is_there,
    meta, number, octets, text, verdict,
};

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

impl Rules {
    /// They are in force when this returns.
    pub fn hold(&self, name: &str) -> Result<Table, String> {
        Owner::open()?.hold(&self.batch(name))
    }

    /// Can this host do it at all? The table of this trial drops nothing, and is gone at once.
    pub fn probe(&self, name: &str) -> Result<(), String> {
        // Addresses of documentation (RFC 5737, RFC 3849), which nobody has.
        let nobody: IpAddr = match self.peer {
            Some(IpAddr::V6(_)) => [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
            _ => [192, 0, 2, 1].into(),
        };
        Rules { peer: Some(nobody), ..*self }.hold(name).map(|_| ())
    }

    fn batch(&self, table: &str) -> Batch {
        let mut batch = Batch::of_table(table);
        batch.chain(DROPPING, None);
        batch.rule(DROPPING, &drop_share(self.share));
        for (name, number) in [("input", LOCAL_IN), ("forward", FORWARD), ("output", LOCAL_OUT)] {
            // Before all filters of the host's own.
            batch.chain(name, Some(Hook { number, priority: -300, kind: "filter" }));
            for matched in matches(number, self) {
                batch.rule(name, &matched);
            }
        }
        batch.end()
    }
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
    let Some(peer) = peer else { return vec![Vec::new()] };
    let of = |offset| [is_family(peer), is_there(NETWORK, offset, &octets(peer))].concat();
    address_offsets(peer).into_iter().map(of).collect()
}

/// Source or destination port, of TCP or UDP.
fn ports(port: Option<u16>) -> Vec<Vec<Vec<u8>>> {
    let Some(port) = port else { return vec![Vec::new()] };
    let mut matches = Vec::new();
    for protocol in [TCP, UDP] {
        for offset in [0, 2] {
            let is_port = is_there(TRANSPORT, offset, &port.to_be_bytes());
            matches.push([is_protocol(protocol), is_port].concat());
        }
    }
    matches
}
