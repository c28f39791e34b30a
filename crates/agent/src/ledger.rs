//! The ledger: what the agent was told to do and what it did, on disk before anything happens.
//!
//! One append-only file of JSON lines, each with its checksum, the first naming format and version.
//! Invariants: `append` returns only after fsync, and after an error the file holds what it held
//! before; a torn tail (the agent died while writing) is cut off, with a message; a damaged line in
//! the middle is left out, with a message, and never stops the agent.

mod lines;

mod book;

pub use book::{ActionEntry, Book, FaultEntry, fingerprint};

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use model::experiment::Fault;
use model::tick::ProcessIdentity;
use model::{Action, Outcome, Timestamp};
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::Target;
use crate::faults::Prior;
use crate::protocol::{FaultId, Freeze};

const FORMAT: &str = "immune-agent-ledger";
const VERSION: u32 = 1;
/// The file is rewritten with what still matters when it grows beyond this.
pub const COMPACT_BYTES: u64 = 8 * 1024 * 1024;
/// Longest line that is read; longer ones are damage.
const LINE_MAX: u64 = 4 * 1024 * 1024;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    Header {
        format: String,
        version: u32,
        created: Timestamp,
    },
    /// The agent will now try.
    ActionAccepted {
        at: Timestamp,
        action: Box<Action>,
    },
    /// How it ended; also of actions that were refused without being accepted.
    ActionEnded {
        outcome: Outcome,
        fingerprint: u32,
    },
    /// The undo record: written before the fault is injected.
    FaultAccepted {
        fault: Box<FaultRecord>,
    },
    FaultInjected {
        id: FaultId,
        at: Timestamp,
    },
    /// `at` is empty when no effect was seen.
    FaultEffective {
        id: FaultId,
        at: Option<Timestamp>,
        detail: String,
    },
    FaultUndone {
        id: FaultId,
        at: Timestamp,
        how: String,
    },
    FaultRefused {
        id: FaultId,
        at: Timestamp,
        reason: String,
    },
    Frozen {
        at: Timestamp,
        freeze: Freeze,
    },
    Thawed {
        at: Timestamp,
        who: String,
    },
    /// Other targets came into force; their CRC-32C.
    Targets {
        at: Timestamp,
        count: usize,
        hash: u32,
    },
}

/// All that is needed to undo a fault, whatever the configuration says by then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultRecord {
    pub id: FaultId,
    pub fault: Fault,
    pub target: Target,
    /// The process that the fault hits, where it is one.
    pub identity: Option<ProcessIdentity>,
    /// What was there before, or what the undo is; of faults that have such.
    #[serde(default)]
    pub prior: Option<Prior>,
    pub accepted: Timestamp,
    pub deadline: Timestamp,
}

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{}: cannot {operation} the ledger", path.display())]
    Io {
        path: PathBuf,
        operation: &'static str,
        #[source]
        source: io::Error,
    },
    #[error(
        "{}: the ledger is of format `{format}` version {version}, this agent reads \
         `{FORMAT}` version {VERSION}; use the agent that wrote it, or another folder",
        path.display()
    )]
    Version { path: PathBuf, format: String, version: u32 },
    #[error("the ledger could not be repaired after a failed write; restart the agent")]
    Broken,
}

#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: File,
    bytes: u64,
    compact_at: u64,
    broken: bool,
    book: Book,
    /// What people should know of how it was opened.
    pub messages: Vec<String>,
}

impl Ledger {
    pub fn open(path: &Path) -> Result<Ledger, LedgerError> {
        let fail =
            |operation| move |source| LedgerError::Io { path: path.to_owned(), operation, source };
        let file = File::options()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(path)
            .map_err(fail("open"))?;
        let mut ledger = Ledger {
            path: path.to_owned(),
            file,
            bytes: 0,
            compact_at: COMPACT_BYTES,
            broken: false,
            book: Book::default(),
            messages: Vec::new(),
        };
        ledger.read()?;
        if ledger.bytes == 0 {
            ledger.append(&header())?;
            sync_parent(path).map_err(fail("create"))?;
        }
        Ok(ledger)
    }

    pub fn book(&self) -> &Book {
        &self.book
    }

    /// Writes an entry through to the disk and takes it into the book.
    pub fn append(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        if self.broken {
            return Err(LedgerError::Broken);
        }
        let line = lines::encode(entry);
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            // Half a line must not stay: the next one would be joined to it.
            let repaired = self.file.set_len(self.bytes).and_then(|()| self.file.sync_data());
            self.broken = repaired.is_err();
            return Err(LedgerError::Io { path: self.path.clone(), operation: "write", source });
        }
        self.bytes += line.len() as u64;
        self.book.take(entry);
        if self.bytes > self.compact_at {
            self.compact_or_wait();
        }
        Ok(())
    }

    /// Takes into the book what could not be written: true until the agent ends.
    pub fn note(&mut self, entry: &Entry) {
        self.book.take(entry);
    }

    fn read(&mut self) -> Result<(), LedgerError> {
        let path = self.path.clone();
        let fail =
            |operation| move |source| LedgerError::Io { path: path.clone(), operation, source };
        let mut reader = BufReader::new(self.file.try_clone().map_err(fail.clone()("read"))?);
        let (mut offset, mut good_end, mut damaged) = (0, 0, 0_u64);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = io::Read::take(&mut reader, LINE_MAX)
                .read_until(b'\n', &mut line)
                .map_err(fail.clone()("read"))? as u64;
            if length == 0 {
                break;
            }
            offset += length;
            let Some(entry) = lines::decode(&line) else {
                damaged += 1;
                continue;
            };
            self.check_version(&entry)?;
            self.book.take(&entry);
            good_end = offset;
            // Damage that good lines follow is not a torn tail.
            if damaged > 0 {
                self.messages.push(format!(
                    "{}: {damaged} damaged lines before byte {good_end} are left out",
                    self.path.display()
                ));
                damaged = 0;
            }
        }
        if offset > good_end {
            self.messages.push(format!(
                "{}: cut {} bytes of an unfinished line at its end",
                self.path.display(),
                offset - good_end
            ));
            self.file.set_len(good_end).map_err(fail.clone()("repair"))?;
            self.file.sync_all().map_err(fail.clone()("repair"))?;
        }
        self.bytes = good_end;
        self.file.seek(SeekFrom::End(0)).map_err(fail("read"))?;
        Ok(())
    }

    fn check_version(&self, entry: &Entry) -> Result<(), LedgerError> {
        match entry {
            Entry::Header { format, version, .. } if format != FORMAT || *version != VERSION => {
                Err(LedgerError::Version {
                    path: self.path.clone(),
                    format: format.clone(),
                    version: *version,
                })
            }
            _ => Ok(()),
        }
    }

    /// A ledger that cannot be rewritten (a full disk) goes on growing and is tried again later.
    fn compact_or_wait(&mut self) {
        if let Err(error) = self.compact() {
            tracing::warn!(%error, "cannot compact the ledger");
        }
        self.compact_at = COMPACT_BYTES.max(self.bytes * 2);
    }

    fn compact(&mut self) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut text = lines::encode(&header());
        for entry in self.book.entries() {
            text.extend(lines::encode(&entry));
        }
        let mut file =
            File::options().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&text)?;
        file.sync_all()?;
        let file = File::options().read(true).append(true).open(&fresh)?;
        fs::rename(&fresh, &self.path)?;
        self.file = file;
        self.bytes = text.len() as u64;
        sync_parent(&self.path)
    }
}

fn header() -> Entry {
    Entry::Header { format: FORMAT.to_owned(), version: VERSION, created: clock::now() }
}

/// A new name is durable once its folder is.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
