//! Where a connection goes on to: a place that was named, or the one that the client meant before a
//! rule of the kernel led it here (nf_tables `redirect`).

use std::io;
use std::net::SocketAddr;

use rustix::net::sockopt::{ip_original_dst, ipv6_original_dst};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upstream {
    /// Host and port.
    Named(String),
    /// Where each client meant to go. Connections from here bear the mark, by which the rule that
    /// led the client here lets them pass.
    Meant { mark: u32 },
}

impl Upstream {
    pub async fn connect(&self, client: &TcpStream) -> io::Result<TcpStream> {
        match self {
            Upstream::Named(address) => TcpStream::connect(address).await,
            Upstream::Meant { mark } => connect_marked(meant(client)?, *mark).await,
        }
    }
}

/// Where the client meant to go. Who was not led here meant this proxy itself, and is refused: it
/// would be led in a circle.
pub fn meant(client: &TcpStream) -> io::Result<SocketAddr> {
    let local = client.local_addr()?;
    let meant = match local {
        SocketAddr::V4(_) => SocketAddr::V4(ip_original_dst(client)?),
        SocketAddr::V6(_) => SocketAddr::V6(ipv6_original_dst(client)?),
    };
    match meant == local {
        true => Err(io::Error::new(io::ErrorKind::InvalidInput, "not led here by a rule")),
        false => Ok(meant),
    }
}

pub async fn connect_marked(to: SocketAddr, mark: u32) -> io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    SockRef::from(&socket).set_mark(mark)?;
    socket.connect(to).await
}
