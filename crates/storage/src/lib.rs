//! Durable storage: the write-ahead log that every input of Immune goes through.
//!
//! `segment` is the format on disk, `log` appends and recovers, `reader` reads in order,
//! `committer` is the thread that makes many appends durable with one fsync before anything is
//! acknowledged.
//!
//! Invariants: a record that was acknowledged is on disk and in order; a torn tail is cut with a
//! report, never silently and never with a crash; damage in the middle never hides the records
//! after it, and never makes a record of what is inside another. Storage does not know what the
//! records mean.

pub mod segment;

pub mod log;

pub mod reader;

pub mod committer;

pub use committer::{Committer, Entry, Priority, Refused, Reservation};
pub use log::{Config, Log, Recovered, TornTail};
pub use reader::{Reader, Record};

/// What went wrong, named after the operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {operation} {path}")]
    Io {
        operation: &'static str,
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{path} is of log format version {found}; this program reads version {}",
        segment::VERSION
    )]
    Version { path: std::path::PathBuf, found: u32 },
    #[error("{path} is not a log segment; move it out of the folder")]
    NotASegment { path: std::path::PathBuf },
    #[error("another process writes the log in {path}; stop it, or use another data folder")]
    Locked { path: std::path::PathBuf },
    #[error(
        "a record of {bytes} bytes is larger than the {} bytes allowed",
        segment::PAYLOAD_BYTES_MAX
    )]
    TooLarge { bytes: usize },
}

impl Error {
    pub(crate) fn io(
        operation: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::Io { operation, path, source }
    }
}
