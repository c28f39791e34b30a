//! Rules that lead what this host itself sends to a port to another port of this host: the chain is
//! that of locally generated packets, before they leave; what is forwarded is not touched. Only the
//! first packet of a connection is judged, so connections that are there go on as they were.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Batch, Hook, LOCAL_OUT, NETWORK, NOT_EQUAL, Owner, REGISTER, TCP, TRANSPORT, Table, UDP,
    address_offsets, attribute, compare, expression, is_family, is_protocol, is_there, meta,
    nested, number, octets,
};

/// What is sent there goes to the port `to` of loopback instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect {
    pub is_udp: bool,
    /// One address, or with an unspecified one all of that version of IP.
    pub address: IpAddr,
    pub port: u16,
    pub to: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirects {
    /// Sockets with this mark go their way.
    pub mark: u32,
    pub all: Vec<Redirect>,
}

impl Redirects {
    /// They are in force when this returns.
    pub fn hold(&self, owner: Owner, name: &str) -> Result<Table, String> {
        owner.hold(&self.batch(name))
    }

    /// Can this host do it at all? The table of this trial leads nothing, and is gone at once.
    pub fn probe(name: &str) -> Result<(), String> {
        // Addresses of documentation (RFC 5737, RFC 3849), which nobody has.
        let nobody: [IpAddr; 2] = [
            Ipv4Addr::new(192, 0, 2, 1).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        ];
        let redirect = |address| Redirect { is_udp: false, address, port: 1, to: 1 };
        let all = nobody.map(redirect).into();
        Redirects { mark: 1, all }.hold(Owner::open()?, name).map(|_| ())
    }

    fn batch(&self, table: &str) -> Batch {
        const CHAIN: &str = "output";
        let mut batch = Batch::of_table(table);
        // Before rules of others that lead elsewhere: of those the first counts.
        batch.chain(CHAIN, Some(Hook { number: LOCAL_OUT, priority: -110, kind: "nat" }));
        for redirect in &self.all {
            batch.rule(CHAIN, &self.rule(redirect));
        }
        batch.end()
    }

    fn rule(&self, redirect: &Redirect) -> Vec<Vec<u8>> {
        const MARK: u32 = 3;
        let Redirect { is_udp, address, port, to } = *redirect;
        let mut rule = vec![meta(MARK), compare(NOT_EQUAL, &self.mark.to_ne_bytes())];
        rule.extend(is_family(address));
        rule.extend(is_protocol(if is_udp { UDP } else { TCP }));
        if !address.is_unspecified() {
            let [_, destination] = address_offsets(address);
            rule.extend(is_there(NETWORK, destination, &octets(address)));
        }
        rule.extend(is_there(TRANSPORT, 2, &port.to_be_bytes()));
        rule.push(expression("counter", &[]));
        let to = nested(2, &attribute(1, &to.to_be_bytes()));
        rule.push(expression("immediate", &[number(1, REGISTER), to]));
        rule.push(expression("redir", &[number(1, REGISTER)]));
        rule
    }
}
