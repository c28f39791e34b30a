//! What Immune remembers: the input log, and the telemetry that is made of it.
//!
//! `input_log` is the write-ahead log of all inputs. `schema` says how spans, log records and
//! samples look at rest.
//!
//! Invariant: nothing is lost that was acknowledged, and nothing is told twice.

pub mod input_log;

pub mod schema;

pub mod columns;

pub mod rows;

pub mod file;

pub mod tokens;

pub mod durable;

pub mod catalog;

pub mod store;

pub mod objects;

pub mod reserve;

pub mod query;

pub use input_log::committer::{Committer, Entry, Priority, Refused, Reservation};
pub use input_log::log::{Config, Log, Recovered, TornTail};
pub use input_log::reader::{Reader, Record};
pub use input_log::segment;

/// What went wrong, named after the operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A query that ended before it was done.
    #[error(transparent)]
    Stopped(#[from] query::Stopped),
    /// A question that cannot be asked so.
    #[error("{reason}")]
    BadQuery { reason: String },
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
    #[error("{file} is damaged: {reason}; take it out of the folder, or restore it")]
    Damaged { file: String, reason: String },
    #[error(
        "{file} is of file format {found}; this program reads version {}",
        schema::FORMAT_VERSION
    )]
    FileVersion { file: String, found: String },
    #[error("cannot {operation}")]
    Columns {
        operation: &'static str,
        #[source]
        source: arrow_schema::ArrowError,
    },
    #[error("cancelled")]
    Cancelled,
    #[error("the catalog of telemetry in {folder} cannot be used: {reason}")]
    Catalog { folder: std::path::PathBuf, reason: String },
    #[error(
        "{path} is of catalog version {found}; this program reads version {}",
        catalog::VERSION
    )]
    CatalogVersion { path: std::path::PathBuf, found: u32 },
    #[error("cannot {operation} {key} in the object store")]
    Objects {
        operation: &'static str,
        key: String,
        #[source]
        source: object_store::Error,
    },
    #[error("objects: {reason}")]
    ObjectsConfig { reason: String },
    #[error("another process uses the telemetry in {path}; stop it, or use another data folder")]
    StoreLocked { path: std::path::PathBuf },
    #[error("storing telemetry stopped: {reason}")]
    StoreStopped { reason: String },
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
