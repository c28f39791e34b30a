//! The data folder: input log, journal and snapshots, and how the loop's state is recovered from
//! them.
//!
//! ```text
//! immune-data/log/         input log segments        immune-data/journal.db   events, drills
//! immune-data/snapshots/   POSITION.snap             immune-data/agent/       the local agent's own
//! ```

use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use engine::{Config, Core, Event};
use model::{IncidentId, PlanId};
use storage::{Log, Reader};

use crate::journal::Journal;
use crate::{entry, notify};

/// Snapshots kept: the newest, and one in case it is damaged.
const SNAPSHOTS_KEPT: usize = 2;
/// Events are journalled in portions of this many while replaying.
const REPLAY_PORTION: usize = 1_000;
/// Complaints about single entries that are told; a damaged log may hold millions.
const NOTES_MAX: usize = 100;
const LISTENING: &str = "listening.json";

#[derive(Clone, Debug)]
pub struct DataFolder {
    path: PathBuf,
}

/// The state as the last run left it.
pub struct Recovered {
    pub core: Core,
    /// Number of the last entry that was applied.
    pub position: u64,
    pub log: Log,
    /// What a person should know about how it went.
    pub notes: Vec<String>,
}

impl DataFolder {
    pub fn open(path: &Path) -> Result<DataFolder> {
        for part in ["log", "snapshots", "agent"] {
            let folder = path.join(part);
            // Telemetry may hold secrets, and the agent refuses a folder that others can write to.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(DataFolder { path: path.to_owned() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub fn agent(&self) -> PathBuf {
        self.path.join("agent")
    }

    pub fn journal(&self) -> Result<Journal> {
        let path = self.path.join("journal.db");
        Journal::open(&path).with_context(|| format!("cannot use {}", path.display()))
    }

    /// Opens the log and rebuilds the state: newest usable snapshot, then every entry after it.
    ///
    /// Events that the last run did not come to journal are journalled now, and `receivers` are
    /// owed their notifications as if nothing had happened.
    pub fn recover(
        &self,
        journal: &Journal,
        id_prefix: &str,
        receivers: &[String],
    ) -> Result<Recovered> {
        let (log, found) = Log::open(&self.log(), storage::Config::default())?;
        // The folder is ours now: what an earlier run announced holds no longer.
        let _ = std::fs::remove_file(self.path.join(LISTENING));
        let mut notes = Vec::new();
        if let Some(torn) = found.torn {
            notes.push(format!(
                "the last write to {} was cut short; {} bytes after offset {} were never \
                 acknowledged and are removed",
                torn.path.display(),
                torn.bytes_cut,
                torn.offset
            ));
        }
        if let Some(path) = found.damaged {
            notes.push(format!("{} is damaged; what can be read of it is used", path.display()));
        }
        let (mut core, position) = self
            .newest_snapshot(&mut notes)?
            .unwrap_or_else(|| (Core::new(Config::default(), id_prefix), 0));
        if found.next_seq <= position {
            bail!(
                "{} ends at entry {}, but a snapshot was taken after entry {position}: the log's \
                 end is missing; put it back, or move {} away to begin anew",
                self.log().display(),
                found.next_seq - 1,
                self.path.display()
            );
        }
        let replay = Replay { journal, receivers, notes: &mut notes };
        let position = replay.run(&mut core, Reader::open(&self.log(), position + 1)?, position)?;
        Ok(Recovered { core, position, log, notes })
    }

    /// Writes where the server can be reached, in one piece: whoever waits for the file may read it
    /// at once.
    pub fn announce(&self, text: &str) -> Result<()> {
        let path = self.path.join(LISTENING);
        let part = self.path.join("listening.part");
        std::fs::write(&part, text)
            .and_then(|()| std::fs::rename(&part, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn newest_snapshot(&self, notes: &mut Vec<String>) -> Result<Option<(Core, u64)>> {
        for (_, path) in self.snapshots()?.into_iter().rev() {
            let bytes =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            match engine::snapshot::load(&bytes) {
                Ok(found) => return Ok(Some(found)),
                Err(error) => notes.push(format!("{} is not used: {error}", path.display())),
            }
        }
        Ok(None)
    }

    fn snapshots(&self) -> Result<Vec<(u64, PathBuf)>> {
        let folder = self.path.join("snapshots");
        let mut all = Vec::new();
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some(position) = name.strip_suffix(".snap").and_then(|n| n.parse().ok()) {
                all.push((position, path));
            }
        }
        all.sort();
        Ok(all)
    }

    /// Writes a snapshot durably and drops old ones. Returns the oldest position still covered.
    pub fn save_snapshot(&self, position: u64, bytes: &[u8]) -> Result<u64> {
        let folder = self.path.join("snapshots");
        let path = folder.join(format!("{position:020}.snap"));
        let part = path.with_extension("part");
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, &path)?;
        File::open(&folder)?.sync_all()?;
        let mut all = self.snapshots()?;
        while all.len() > SNAPSHOTS_KEPT {
            std::fs::remove_file(all.remove(0).1)?;
        }
        Ok(all.first().map_or(0, |(oldest, _)| *oldest))
    }
}

/// Applies what a snapshot does not cover yet.
struct Replay<'a> {
    journal: &'a Journal,
    receivers: &'a [String],
    notes: &'a mut Vec<String>,
}

impl Replay<'_> {
    /// Returns the number of the last entry.
    fn run(self, core: &mut Core, mut reader: Reader, snapshot: u64) -> Result<u64> {
        let mut position = snapshot;
        let mut events: Vec<Event> = Vec::new();
        let mut differing = 0;
        for record in reader.by_ref() {
            let record = record?;
            position = record.seq;
            match entry::decode(record.kind, &record.payload) {
                Ok(entry) => events.extend(core.apply(entry).events),
                Err(error) if self.notes.len() < NOTES_MAX => {
                    self.notes.push(format!("log entry {}: {error}", record.seq));
                }
                Err(_) => {}
            }
            if events.len() >= REPLAY_PORTION {
                differing += self.write(&events)?;
                events.clear();
            }
        }
        differing += self.write(&events)?;
        for (first, last) in reader.gaps() {
            let note = format!("log entries {first} to {last} are damaged and were passed over");
            self.notes.push(note);
        }
        if differing > 0 {
            self.notes.push(format!("{differing} journal lines differ from their replay"));
        }
        if position > snapshot {
            self.notes.push(format!("replayed {} log entries", position - snapshot));
        }
        Ok(position)
    }

    fn write(&self, events: &[Event]) -> Result<usize> {
        Ok(self.journal.append(events, self.receivers, notify::notifies)?)
    }
}
