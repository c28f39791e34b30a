//! Where the agent's socket is, however long its path.
//!
//! The kernel takes 107 bytes for a socket's path. A longer one is reached through its folder: the
//! folder is opened, and the path goes by way of `/proc/self/fd`. So a data folder deep down works
//! like any other; only the socket's own name has to be short.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tokio::net::{UnixListener, UnixStream};

/// Bytes of a path that the kernel takes, without the NUL at its end.
const PATH_MAX: usize = 107;

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

/// Does somebody listen? An error says why not.
pub fn probe(path: &Path) -> io::Result<()> {
    let short = Short::of(path)?;
    std::os::unix::net::UnixStream::connect(&short.path).map(|_| ())
}
