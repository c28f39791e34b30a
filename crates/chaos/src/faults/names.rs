//! Bounds of names that DNS answers wrongly, and of what it answers.

use core::net::IpAddr;

use model::fault::{Dns, DnsAnswer};

use super::proxied::delay;

const NAMES_MAX: usize = 64;
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

pub fn dns(dns: &Dns) -> Result<(), String> {
    if !(1..=NAMES_MAX).contains(&dns.names.len()) {
        return Err(format!("names: write 1 to {NAMES_MAX} names"));
    }
    if let Some(name) = dns.names.iter().find(|name| !is_name(name)) {
        return Err(format!(
            "names: `{name}` is no name; write it as a.b or *.b, without a dot last"
        ));
    }
    match &dns.answer {
        DnsAnswer::Slow(late) if late.0.is_zero() => Err("answer.slow: 0s is none".to_owned()),
        DnsAnswer::Slow(late) => delay(Some(*late), "answer.slow"),
        DnsAnswer::Address(ip) if !is_nobodys(*ip) => Err(format!(
            "answer.address: {ip} may be somebody's; write one of loopback or of those for \
             documentation, as 192.0.2.1 or 2001:db8::1"
        )),
        DnsAnswer::Address(_) | DnsAnswer::Nxdomain | DnsAnswer::Servfail | DnsAnswer::None => {
            Ok(())
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let is_label =
        |label: &str| (1..=LABEL_MAX).contains(&label.len()) && label.bytes().all(allowed);
    let plain = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= NAME_MAX && plain.split('.').all(is_label)
}

/// Of loopback, or for documentation (RFC 5737, RFC 3849).
fn is_nobodys(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_documentation(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.segments()[..2] == [0x2001, 0xdb8],
    }
}
