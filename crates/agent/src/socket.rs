//! Unix sockets: the agent's own, however long its path, and those of others, within a time.
//!
//! The kernel takes 107 bytes for a socket's path. A longer one is reached through its folder: the
//! folder is opened, and the path goes by way of `/proc/self/fd`. So a data folder deep down works
//! like any other; only the socket's own name has to be short.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{UnixListener, UnixStream};

/// Bytes of a path that the kernel takes, without the NUL at its end.
const PATH_MAX: usize = 107;
/// An agent that lives takes a connection sooner than this.
const PROBE_WITHIN: Duration = Duration::from_secs(5);

/// A path short enough for the kernel; good for as long as this lives.
struct Short {
    path: PathBuf,
    _folder: Option<OwnedFd>,
}

impl Short {
    fn of(path: &Path) -> io::Result<Short> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no socket"));
        };
        if path.as_os_str().len() <= PATH_MAX {
            return Ok(Short { path: path.to_owned(), _folder: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = rustix::fs::open(folder, flags, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Short { path, _folder: Some(folder) })
    }
}

pub fn bind(path: &Path) -> io::Result<UnixListener> {
    let short = Short::of(path)?;
    UnixListener::bind(&short.path)
}

pub async fn connect(path: &Path) -> io::Result<UnixStream> {
    let short = Short::of(path)?;
    UnixStream::connect(&short.path).await
}

/// Does somebody listen? An error says why not; one who takes no connection listens all the same.
pub fn probe(path: &Path) -> io::Result<()> {
    let short = Short::of(path)?;
    match connect_within(&short.path, PROBE_WITHIN) {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(()),
        connected => connected.map(drop),
    }
}

/// Connects, or gives up: a listener whose queue is full would else be waited for without end.
pub fn connect_within(path: &Path, limit: Duration) -> io::Result<std::os::unix::net::UnixStream> {
    let (family, flags) = (AddressFamily::UNIX, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // The kernel bounds connecting by what it bounds sending by.
    set_socket_timeout(&socket, Timeout::Send, Some(limit))?;
    match rustix::net::connect(&socket, &SocketAddrUnix::new(path)?) {
        Ok(()) => Ok(socket.into()),
        Err(Errno::AGAIN) => {
            let why = format!("nobody took the connection within {} s", limit.as_secs_f64());
            Err(io::Error::new(io::ErrorKind::TimedOut, why))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_whose_queue_is_full_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("full");
        let limit = Duration::from_millis(20);
        let missing = connect_within(&path, limit).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        let flags = SocketFlags::CLOEXEC;
        let listener =
            rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        rustix::net::bind(&listener, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let _waits = connect_within(&path, limit).unwrap();
        let full = connect_within(&path, limit).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::TimedOut, "{full}");
        let _accepted = rustix::net::accept(&listener).unwrap();
        connect_within(&path, limit).unwrap();
    }
}
