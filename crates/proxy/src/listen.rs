//! Addresses to listen on, written as Toxiproxy takes them (`localhost:3310`, `:8080`, port 0), and
//! errors that read as Go's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// The address that a text means; of a name the first IPv4 address, if it has one.
pub async fn resolve(listen: &str) -> Result<SocketAddr, String> {
    if listen.is_empty() {
        return Ok(anywhere(0));
    }
    let (host, port) = split(listen)?;
    let number: u16 = port.parse().map_err(|_| format!("lookup tcp/{port}: unknown port"))?;
    if host.is_empty() {
        return Ok(anywhere(number));
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, number));
    }
    let found = tokio::net::lookup_host((host, number)).await;
    let all: Vec<SocketAddr> = found.map_err(|_| format!("lookup {host}: no such host"))?.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| format!("lookup {host}: no such host"))
}

/// Listens there.
pub async fn bind(listen: &str) -> Result<TcpListener, String> {
    let address = resolve(listen).await.map_err(|why| format!("listen tcp: {why}"))?;
    match listener(address) {
        // Hosts without IPv6 have their "anywhere" elsewhere.
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && is_without_ipv6(&error) => {
            let address = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            listener(address).map_err(|error| told(address, &error))
        }
        bound => bound.map_err(|error| told(address, &error)),
    }
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn is_without_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn told(address: SocketAddr, error: &io::Error) -> String {
    let what = match error.kind() {
        io::ErrorKind::AddrInUse => "address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "cannot assign requested address".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    };
    format!("listen tcp {address}: bind: {what}")
}

fn anywhere(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port)
}

/// Host and port, as Go's `net.SplitHostPort`.
fn split(text: &str) -> Result<(&str, &str), String> {
    let wrong = |why: &str| format!("address {text}: {why}");
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']').ok_or_else(|| wrong("missing ']' in address"))?;
        let port = port.strip_prefix(':').ok_or_else(|| wrong("missing port in address"))?;
        return Ok((host, port));
    }
    let (host, port) = text.rsplit_once(':').ok_or_else(|| wrong("missing port in address"))?;
    if host.contains(':') {
        return Err(wrong("too many colons in address"));
    }
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_are_read_as_go_reads_them() {
        for (text, expected) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            (":8080", "[::]:8080"),
            ("", "[::]:0"),
            ("[::1]:81", "[::1]:81"),
            ("localhost:3310", "127.0.0.1:3310"),
        ] {
            assert_eq!(resolve(text).await.map(|address| address.to_string()), Ok(expected.into()));
        }
        for (text, why) in [
            ("local373", "address local373: missing port in address"),
            ("a:b:1", "address a:b:1: too many colons in address"),
            ("localhost:walrus", "lookup tcp/walrus: unknown port"),
        ] {
            assert_eq!(resolve(text).await.unwrap_err(), why);
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_told_of() {
        let taken = bind("localhost:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(&address.to_string()).await.unwrap_err();
        assert_eq!(error, format!("listen tcp {address}: bind: address already in use"));
    }
}
