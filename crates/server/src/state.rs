//! The data folder: input log, journal, snapshots and telemetry, and how the loop's state and the
//! store's open telemetry are recovered from them.
//!
//! ```text
//! immune-data/log/         input log segments        immune-data/journal.db   events, drills
//! immune-data/snapshots/   POSITION.snap             immune-data/agent/       the agent's own
//! immune-data/telemetry/   files and their catalog   immune-data/reserve      room for a full disk
//! ```

use std::fs::{DirBuilder, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use engine::{Config, Core, Entry, Event};
use model::{IncidentId, PlanId};
use storage::store::Store;
use storage::{Log, Reader, durable};

use crate::journal::Journal;
use crate::{entry, notify, samples};

/// Snapshots kept: the newest, and one in case it is damaged.
const SNAPSHOTS_KEPT: usize = 2;
/// Events are journalled in portions of this many while replaying.
const REPLAY_PORTION: usize = 1_000;
/// Complaints about single entries that are told; a damaged log may hold millions.
const NOTES_MAX: usize = 100;
/// A recovery with more telemetry than fits in memory waits this long for room.
const ROOM_WITHIN: Duration = Duration::from_secs(60);
/// Smaller segments of the log would be more files than records.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;
const LISTENING: &str = "listening.json";

#[derive(Clone, Debug)]
pub struct DataFolder {
    path: PathBuf,
    segment_bytes: u64,
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
    /// Opens or makes the folder, durably: what is acknowledged in it later must not go with it.
    pub fn open(path: &Path) -> Result<DataFolder> {
        let is_new = !path.is_dir();
        durable::create_folder(path)?;
        if is_new {
            std::fs::set_permissions(path, Permissions::from_mode(0o700))
                .with_context(|| format!("cannot make {} private", path.display()))?;
        }
        for part in ["log", "snapshots", "agent", "telemetry"] {
            let folder = path.join(part);
            // Telemetry may hold secrets, and the agent refuses a folder that others can write to.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        durable::sync_folder(path)?;
        let segment_bytes = storage::Config::default().segment_bytes;
        Ok(DataFolder { path: path.to_owned(), segment_bytes })
    }

    /// Closes segments of the log early enough for it to keep to `log_size_max`.
    pub fn with_log_size_max(mut self, log_size_max: u64) -> DataFolder {
        self.segment_bytes = (log_size_max / 4).clamp(SEGMENT_BYTES_MIN, self.segment_bytes);
        self
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub fn telemetry(&self) -> PathBuf {
        self.path.join("telemetry")
    }

    pub fn agent(&self) -> PathBuf {
        self.path.join("agent")
    }

    pub fn journal(&self) -> Result<Journal> {
        let path = self.path.join("journal.db");
        Journal::open(&path).with_context(|| format!("cannot use {}", path.display()))
    }

    /// Opens the log and rebuilds the state: newest usable snapshot, then every entry after it.
    /// What is not in the store's files yet is given to it again.
    ///
    /// Events that the last run did not come to journal are journalled now, and `receivers` are
    /// owed their notifications as if nothing had happened.
    pub fn recover(
        &self,
        journal: &Journal,
        id_prefix: &str,
        receivers: &[String],
        store: &Store,
    ) -> Result<Recovered> {
        let (mut log, found) =
            Log::open(&self.log(), storage::Config { segment_bytes: self.segment_bytes })?;
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
        let covered = position.max(store.flushed());
        if found.next_seq <= covered {
            bail!(
                "{} ends at entry {}, but snapshots and telemetry go up to entry {covered}: the \
                 log's end is missing; put it back, or move {} away to begin anew",
                self.log().display(),
                found.next_seq - 1,
                self.path.display()
            );
        }
        let replay = Replay { journal, receivers, store, notes: &mut notes };
        let first = position.min(store.flushed()) + 1;
        let mut position = replay.run(&mut core, Reader::open(&self.log(), first)?, position)?;
        if journal.newest_event()? > core.engine.last_event() {
            position = renumber(journal, &mut core, &mut log)?;
            notes.push(
                "the journal has events that no replay repeats; numbers go on after them"
                    .to_owned(),
            );
        }
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
    store: &'a Store,
    notes: &'a mut Vec<String>,
}

impl Replay<'_> {
    /// Returns the number of the last entry.
    fn run(mut self, core: &mut Core, mut reader: Reader, snapshot: u64) -> Result<u64> {
        let mut position = snapshot;
        let mut events: Vec<Event> = Vec::new();
        let mut differing = 0;
        for record in reader.by_ref() {
            let record = record?;
            if position == 0 && record.seq > 1 {
                self.begin_late(core, record.seq)?;
            }
            let known = record.seq <= snapshot;
            position = record.seq.max(snapshot);
            match entry::decode(record.kind, &record.payload) {
                Ok(entry) => {
                    self.stored(record.seq, &entry)?;
                    if !known {
                        let effects = core.apply(entry);
                        events.extend(effects.events);
                        let made = samples::to_store(effects.samples);
                        self.store.append_engine(record.seq, made)?;
                    }
                }
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

    /// Gives telemetry that is in no file yet to the store, as fast as that can write it.
    fn stored(&self, seq: u64, entry: &Entry) -> Result<()> {
        let Entry::Telemetry { arrival, batch } = entry else { return Ok(()) };
        self.store.append(seq, *arrival, batch.clone(), Box::new(()))?;
        if self.store.wants_seal(*arrival) {
            self.store.seal(seq)?;
            self.store.wait_room(ROOM_WITHIN);
        }
        Ok(())
    }

    /// The log's beginning was deleted, and there is no snapshot: numbers must go on all the same.
    fn begin_late(&mut self, core: &mut Core, first: u64) -> Result<()> {
        let (event, incident, plan) = self.journal.last_numbers()?;
        core.engine.continue_after(event, IncidentId(incident), PlanId(plan));
        self.notes.push(format!(
            "no snapshot can be used and the log begins at entry {first}: what was known before is \
             only in the journal"
        ));
        Ok(())
    }

    fn write(&self, events: &[Event]) -> Result<usize> {
        Ok(self.journal.append(events, self.receivers, notify::notifies)?)
    }
}

/// Lets numbers go on after the journal's, by an entry of the log: a replay will do the same.
fn renumber(journal: &Journal, core: &mut Core, log: &mut Log) -> Result<u64> {
    let (event, incident, plan) = journal.last_numbers()?;
    let (incident, plan) = (IncidentId(incident), PlanId(plan));
    let entry = engine::Entry::Renumber { event, incident, plan };
    let (kind, payload) = entry::encode(&entry)?;
    let position = log.append(kind, &payload)?;
    log.sync()?;
    core.apply(entry);
    Ok(position)
}

#[cfg(test)]
mod tests {
    use model::Timestamp;

    use super::*;

    fn recover(folder: &DataFolder, journal: &Journal) -> Result<Recovered> {
        let store = crate::testing::store(folder);
        let recovered = folder.recover(journal, "it", &[], &store)?;
        store.stop();
        Ok(recovered)
    }

    #[test]
    fn numbers_go_on_where_the_journal_ends_when_the_log_has_lost_its_beginning() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        let small = storage::Config { segment_bytes: 1 };
        let mut log = Log::open(&folder.log(), small).unwrap().0;
        for second in 1..=3 {
            let now = Timestamp(second * model::time::SECOND);
            let config = Box::new(Config::default());
            let (kind, payload) = entry::encode(&engine::Entry::Reload { now, config }).unwrap();
            log.append(kind, &payload).unwrap();
            log.sync().unwrap();
        }
        drop(log);
        let first = folder.log().join(format!("{:020}.wal", 1));
        std::fs::remove_file(first).unwrap();
        let journal = folder.journal().unwrap();
        let kind = engine::EventKind::CatchingUp { away_seconds: 1, until: Timestamp(1) };
        let known = Event { seq: 41, at: Timestamp(1), kind };
        journal.append(&[known], &[], |_| false).unwrap();

        let recovered = recover(&folder, &journal).unwrap();
        assert!(recovered.notes.iter().any(|note| note.contains("begins at entry 2")));
        assert_eq!((recovered.position, journal.newest_event().unwrap()), (3, 43));
    }

    #[test]
    fn numbers_go_on_after_what_the_journal_has_and_no_replay_repeats() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        let journal = folder.journal().unwrap();
        let kind = engine::EventKind::CatchingUp { away_seconds: 1, until: Timestamp(1) };
        let known = Event { seq: 41, at: Timestamp(1), kind };
        journal.append(&[known], &[], |_| false).unwrap();

        let recovered = recover(&folder, &journal).unwrap();
        assert_eq!((recovered.position, recovered.core.engine.last_event()), (1, 41));
        drop(recovered);
        let again = recover(&folder, &journal).unwrap();
        assert_eq!((again.position, again.core.engine.last_event()), (1, 41));
    }
}
