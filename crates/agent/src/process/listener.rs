//! Which sockets listen on an address: `/proc/self/net/tcp` and `tcp6`.
//!
//! The kernel lists all listening sockets before any other, so reading stops at the first that does
//! not listen: a host with a hundred thousand connections costs no more than one with ten.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Listening sockets read from one table; more than any host has.
const LISTENERS_MAX: usize = 100_000;
const STATE_LISTEN: &str = "0A";

/// All listening sockets at one moment, with their inodes.
#[derive(Clone, Debug, Default)]
pub struct Listeners(Vec<(SocketAddr, u64)>);

impl Listeners {
    pub fn read() -> io::Result<Listeners> {
        let mut listeners = Vec::new();
        for table in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            let file = match File::open(table) {
                Ok(file) => file,
                // A kernel without IPv6 has no such table.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            for line in BufReader::new(file).lines().skip(1).take(LISTENERS_MAX) {
                let Some(listener) = parse_listener(&line?) else { break };
                listeners.push(listener);
            }
        }
        Ok(Listeners(listeners))
    }

    /// Inodes of the sockets that take connections to `address`: bound to it, else to the wildcard.
    pub fn inodes(&self, address: SocketAddr) -> Vec<u64> {
        let (mut exact, mut wildcard) = (Vec::new(), Vec::new());
        for (bound, inode) in &self.0 {
            if bound.port() != address.port() {
                continue;
            }
            if bound.ip().to_canonical() == address.ip().to_canonical() {
                exact.push(*inode);
            } else if bound.ip() == Ipv6Addr::UNSPECIFIED
                || (bound.ip() == Ipv4Addr::UNSPECIFIED && address.is_ipv4())
            {
                wildcard.push(*inode);
            }
        }
        if exact.is_empty() { wildcard } else { exact }
    }
}

/// Address and inode of a line, `None` when its socket does not listen.
fn parse_listener(line: &str) -> Option<(SocketAddr, u64)> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let state = fields.nth(1)?;
    if state != STATE_LISTEN {
        return None;
    }
    let inode = fields.nth(5)?.parse().ok()?;
    let (ip, port) = local.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((SocketAddr::new(parse_ip(ip)?, port), inode))
}

/// The kernel prints each 32-bit word of an address in the byte order of the machine.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let digits = hex.get(at..at + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    match hex.len() {
        8 => Some(IpAddr::from(word(0)?)),
        32 => {
            let mut octets = [0; 16];
            for (index, chunk) in octets.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            Some(IpAddr::from(octets))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn inodes(address: SocketAddr) -> Vec<u64> {
        Listeners::read().unwrap().inodes(address)
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn reads_lines_as_the_kernel_prints_them() {
        let line = "   0: 0100007F:1389 00000000:0000 0A 00000000:00000000 00:00000000 \
                    00000000  1000        0 31337 1 0000000000000000 100 0 0 10 0";
        assert_eq!(parse_listener(line), Some(("127.0.0.1:5001".parse().unwrap(), 31337)));
        assert_eq!(parse_listener(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(parse_listener("   0: zz:1389"), None);
        let loopback = parse_ip("00000000000000000000000001000000");
        assert_eq!(loopback, Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    }

    #[test]
    fn an_exact_address_goes_before_the_wildcard() {
        let exact = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = exact.local_addr().unwrap();
        assert_eq!(inodes(address).len(), 1);
        let elsewhere = SocketAddr::new("127.0.0.2".parse().unwrap(), address.port());
        assert_eq!(inodes(elsewhere), Vec::<u64>::new());
        drop(exact);
        assert_eq!(inodes(address), Vec::<u64>::new());
        let all = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = all.local_addr().unwrap().port();
        let loopback = SocketAddr::new("127.0.0.1".parse().unwrap(), port);
        assert_eq!(inodes(loopback).len(), 1);
    }
}
