//! TCP sockets of this host, asked of the kernel by the port of their other side (sock_diag,
//! linux/inet_diag.h), and cut by it.
//!
//! Sees and cuts the sockets of its own network namespace alone.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// More connections to one port than any host has.
const SOCKETS_MAX: usize = 1 << 20;

const HEADER: usize = 16;
const BY_FAMILY: u16 = 20;
const DESTROY: u16 = 21;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const DUMP: u16 = 0x300;
const V4: u8 = 2;
const V6: u8 = 10;
const TCP: u8 = 6;
/// Bytes of `inet_diag_sockid`: ports, addresses, interface, cookie.
const ID: usize = 48;
/// Where that is in `inet_diag_msg`, and where the inode.
const ID_AT: usize = 4;
const INODE_AT: usize = 68;

/// A connection, as one of its two ends has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// 0 while nobody has it.
    pub inode: u64,
    family: u8,
    id: [u8; ID],
}

/// Connections whose other side has this port.
pub fn connected_to(port: u16) -> io::Result<Vec<Socket>> {
    // Established, about to be, or half closed.
    const STATES: u32 = 1 << 1 | 1 << 2 | 1 << 8;
    let mut found = Vec::new();
    for family in [V4, V6] {
        let socket = open()?;
        let mut id = [0; ID];
        id[2..4].copy_from_slice(&port.to_be_bytes());
        send(&socket, BY_FAMILY, REQUEST | DUMP, family, STATES, &id)?;
        read_all(&socket, |message| {
            found.extend(read(message).filter(|socket| socket.remote.port() == port));
            found.len() < SOCKETS_MAX
        })?;
    }
    Ok(found)
}

/// Cuts it as if the network had: its owner reads an error, its other side gets a RST. `false` when
/// it was gone.
pub fn cut(socket: &Socket) -> io::Result<bool> {
    let netlink = open()?;
    send(&netlink, DESTROY, REQUEST | ACKNOWLEDGE, socket.family, u32::MAX, &socket.id)?;
    match read_all(&netlink, |_| true) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Can this kernel cut connections? Tries it on one of its own.
pub fn can_cut() -> bool {
    let tried = || -> io::Result<bool> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let _client = std::net::TcpStream::connect(address)?;
        let socket = connected_to(address.port())?.into_iter().next();
        socket.map_or(Ok(false), |socket| cut(&socket))
    };
    tried().unwrap_or(false)
}

fn open() -> io::Result<OwnedFd> {
    let (raw, close) = (SocketType::RAW, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(AddressFamily::NETLINK, raw, close, Some(SOCK_DIAG))?;
    rustix::net::bind(&socket, &SocketAddrNetlink::new(0, 0))?;
    set_socket_timeout(&socket, Timeout::Recv, Some(ANSWER_WITHIN))?;
    Ok(socket)
}

/// Sends an `inet_diag_req_v2`.
fn send(
    socket: &OwnedFd,
    kind: u16,
    flags: u16,
    family: u8,
    states: u32,
    id: &[u8; ID],
) -> io::Result<()> {
    let length = (HEADER + 8 + ID) as u32;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([family, TCP, 0, 0]);
    message.extend(states.to_ne_bytes());
    message.extend(id);
    rustix::net::send(socket, &message, SendFlags::empty())?;
    Ok(())
}

/// Reads until the end of the list or an acknowledgement, while more is wanted.
fn read_all(socket: &OwnedFd, mut more: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    const ERROR: u16 = 2;
    const DONE: u16 = 3;
    loop {
        let mut buffer = [0; 32 << 10];
        let (_, length) = rustix::net::recv(socket, &mut buffer, RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((head, _)) = rest.split_at_checked(HEADER) {
            let size = u32::from_ne_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let kind = u16::from_ne_bytes([head[4], head[5]]);
            let body = rest.get(HEADER..size).unwrap_or_default();
            match kind {
                DONE => return Ok(()),
                ERROR => {
                    let code = body.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
                    return match code {
                        0 => Ok(()),
                        code => Err(Errno::from_raw_os_error(code.saturating_neg()).into()),
                    };
                }
                _ if !more(body) => return Ok(()),
                _ => {}
            }
            rest = rest.get(size.max(HEADER).next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

/// Reads an `inet_diag_msg`.
fn read(message: &[u8]) -> Option<Socket> {
    let family = *message.first()?;
    let id: [u8; ID] = message.get(ID_AT..ID_AT + ID)?.try_into().ok()?;
    let inode = message.get(INODE_AT..INODE_AT + 4)?.try_into().ok()?;
    let port = |at: usize| u16::from_be_bytes([id[at], id[at + 1]]);
    let ip = |at: usize| -> Option<IpAddr> {
        match family {
            V4 => Some(Ipv4Addr::from(*id.get(at..)?.first_chunk::<4>()?).into()),
            V6 => Some(Ipv6Addr::from(*id.get(at..)?.first_chunk::<16>()?).to_canonical()),
            _ => None,
        }
    };
    Some(Socket {
        local: SocketAddr::new(ip(4)?, port(0)),
        remote: SocketAddr::new(ip(20)?, port(2)),
        inode: u64::from(u32::from_ne_bytes(inode)),
        family,
        id,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn both_ends_of_a_connection_are_found_and_one_is_cut() {
        let listener = TcpListener::bind("127.77.1.2:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).unwrap();
        let (server, from) = listener.accept().unwrap();
        let [at_client] = &connected_to(address.port()).unwrap()[..] else { panic!("not one") };
        assert_eq!((at_client.local, at_client.remote), (from, address));
        let at_server = connected_to(from.port()).unwrap();
        assert!(at_server.iter().any(|end| end.local == server.local_addr().unwrap()));
        match cut(at_client) {
            Ok(was_there) => {
                assert!(was_there);
                let error = client.read(&mut [0]).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
                assert!(!cut(at_client).unwrap(), "it is cut once");
            }
            // Without the right or the kernel for it.
            Err(error) => assert!(!can_cut(), "{error}"),
        }
    }
}
