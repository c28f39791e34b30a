//! Telemetry between the input log and its readers: columns in memory, files, and one catalog.
//!
//! The driver appends what the log has made durable; writer threads fill columns; a *seal* at a
//! position of the log takes what they gathered as a *generation*, of which the flush thread makes
//! files; a commit of the catalog then says that the log is in files up to there. `keep` merges and
//! deletes files, `upload` sends them to an object store.
//!
//! Invariants, which tests hold it to at every step of the above:
//! - an item is in exactly one place: in memory when its number in the log is above `flushed`, else
//!   in files; a query sees it once, whatever happens meanwhile;
//! - nothing is deleted, and `flushed` is not told, before the commit that says so is durable;
//! - opening reads the catalog and names of files, never their content.
//!
//! Not here: the input log (whoever drives it appends again what is above `flushed` at a start, and
//! trims it up to `flushed` at most), and queries.

mod config;

mod writer;

mod flush;

mod keep;

mod upload;

mod plan;

mod shared;

mod shelf;

mod recover;

mod status;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::Batch;

use crate::Error;
use crate::columns::{EngineSample, Hot, Sealed};
use crate::objects;
use crate::reserve::{DiskState, DiskWatch};
use crate::schema::Table;

pub use config::{Config, Objects, Retention};
pub use shared::Clock;
pub use shelf::FileEntry;
pub use status::{Pressure, Status, TableStatus};

use shared::{Generation, Shared, lock};
use writer::{Answer, Message, QUEUE_MAX, Writer};

/// Sealed generations at once: one that becomes files, and one that waits for it.
const GENERATIONS_MAX: usize = 2;

/// The telemetry of one data folder.
pub struct Store {
    shared: Arc<Shared>,
    writers: Vec<SyncSender<Message>>,
    /// Which writer is next.
    turn: AtomicUsize,
    driver: Mutex<Driver>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    _lock: std::fs::File,
}

/// What the one who appends has done so far.
#[derive(Debug, Default)]
struct Driver {
    generation: u64,
    /// Where the last seal was.
    sealed_at: u64,
    /// Arrival of the oldest item that is not sealed.
    oldest: Option<Timestamp>,
    /// A seal was asked for while there was no room for one.
    seal_wanted: bool,
}

/// What was found when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// Everything in the log up to and with this number is in files.
    pub flushed: u64,
    pub files: usize,
    /// What was unusual, for people.
    pub notes: Vec<String>,
}

/// All there is of a table for a time, at one moment: each item once.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// What is in memory, of whatever time.
    pub hot: Vec<RecordBatch>,
    /// Files with rows of that time, the oldest first.
    pub files: Vec<Arc<FileEntry>>,
    /// Files of that time that are in the catalog and cannot be found.
    pub missing: usize,
}

impl Store {
    /// Opens or begins the store in `folder`, and starts its threads. What a crash has left behind
    /// is deleted.
    pub fn open(
        folder: &Path,
        config: Config,
        clock: Clock,
        disk: Arc<DiskWatch>,
    ) -> Result<(Store, Opened), Error> {
        let connect = |store| match &config.objects {
            Some(objects) => objects::Objects::open(&objects.store, store).map(Some),
            None => Ok(None),
        };
        let recovered = recover::open(folder, connect)?;
        let (store, opened, keeper, uploader) = Store::prepare(config, clock, disk, recovered)?;
        store.spawn("store-keep", move || keeper.run())?;
        if let Some(uploader) = uploader {
            store.spawn("store-upload", move || uploader.run())?;
        }
        Ok((store, opened))
    }

    /// A store that takes telemetry in and flushes it; what keeps its files in order is not
    /// running yet.
    fn prepare(
        config: Config,
        clock: Clock,
        disk: Arc<DiskWatch>,
        recovered: recover::Recovered,
    ) -> Result<(Store, Opened, keep::Keeper, Option<upload::Uploader>), Error> {
        let recover::Recovered { lock: lock_file, catalog, shelf, files, opened } = recovered;
        let shared = Arc::new(Shared::new(config, clock, disk, shelf, catalog, files));
        // Before anything can change the catalog.
        let keeper = keep::Keeper::new(shared.clone());
        let uploader = uploader(&shared);
        let driver = Driver { sealed_at: opened.flushed, ..Driver::default() };
        let mut store = Store {
            shared: shared.clone(),
            writers: Vec::new(),
            turn: AtomicUsize::new(0),
            driver: Mutex::new(driver),
            threads: Mutex::default(),
            _lock: lock_file,
        };
        for number in 0..shared.hot_bytes_of.len() {
            let (sender, messages) = sync_channel(QUEUE_MAX);
            let shared = shared.clone();
            let writer = Writer { number, shared, messages, hot: Hot::new(), generation: 1 };
            store.spawn("store-writer", move || writer.run())?;
            store.writers.push(sender);
        }
        store.spawn("store-flush", move || flush::run(&shared))?;
        Ok((store, opened, keeper, uploader))
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = thread.map_err(Error::io("start threads for", &self.shared.shelf.folder))?;
        lock(&self.threads).push(thread);
        Ok(())
    }

    /// Takes in a batch that the log holds under `seq`. `held` is let go once it is in columns. One
    /// that is in files already is ignored. Waits while the writers' queues are full.
    pub fn append(
        &self,
        seq: u64,
        arrival: Timestamp,
        batch: Arc<Batch>,
        held: Box<dyn Send>,
    ) -> Result<(), Error> {
        if !self.takes(seq, arrival) {
            return Ok(());
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % self.writers.len();
        self.send(turn, Message::Append { arrival, batch, held })
    }

    /// Takes in samples that the engine made at the entry `seq` of the log.
    pub fn append_engine(&self, seq: u64, samples: Vec<EngineSample>) -> Result<(), Error> {
        let Some(first) = samples.first() else { return Ok(()) };
        if !self.takes(seq, first.at) {
            return Ok(());
        }
        // Always the same writer, so that its series lie together.
        self.send(0, Message::Engine(samples))
    }

    fn takes(&self, seq: u64, arrival: Timestamp) -> bool {
        let mut driver = lock(&self.driver);
        if seq <= driver.sealed_at {
            return false;
        }
        driver.oldest.get_or_insert(arrival);
        true
    }

    fn send(&self, writer: usize, message: Message) -> Result<(), Error> {
        self.writers[writer].send(message).map_err(|_| self.stopped())
    }

    /// Has everything that was appended so far written to files: all of the log up to `position`.
    /// When no seal can be begun now, it is remembered, and `wants_seal` says so once it can.
    pub fn seal(&self, position: u64) -> Result<(), Error> {
        let mut driver = lock(&self.driver);
        if position <= driver.sealed_at {
            return Ok(());
        }
        {
            let mut state = lock(&self.shared.state);
            if state.generations.len() >= GENERATIONS_MAX {
                driver.seal_wanted = true;
                return Ok(());
            }
            driver.generation += 1;
            let parts = vec![None; self.writers.len()];
            let number = driver.generation;
            state.generations.push_back(Generation { number, position, parts });
            self.shared.sealed_count.store(state.generations.len(), Ordering::Release);
        }
        let generation = driver.generation;
        *driver = Driver { generation, sealed_at: position, ..Driver::default() };
        for writer in 0..self.writers.len() {
            self.send(writer, Message::Seal { generation })?;
        }
        Ok(())
    }

    /// Whether it is time to seal: there is much in memory, or something old, or a seal is
    /// remembered; and one can be begun. Cheap.
    pub fn wants_seal(&self, now: Timestamp) -> bool {
        if self.shared.sealed_count.load(Ordering::Acquire) >= GENERATIONS_MAX {
            return false;
        }
        let driver = lock(&self.driver);
        let is_old = |oldest| now.since(oldest) >= self.shared.config.seal_after;
        driver.seal_wanted
            || driver.oldest.is_some_and(is_old)
            || self.shared.hot_bytes() >= self.shared.config.seal_bytes()
    }

    /// All of the log up to here is in files, durably.
    pub fn flushed(&self) -> u64 {
        lock(&self.shared.state).flushed
    }

    /// Waits until all of the log up to `position` is in files; no longer than `time`. Says whether
    /// it is. Somebody has to have sealed there.
    pub fn wait_flushed(&self, position: u64, time: Duration) -> bool {
        let state =
            self.shared.wait(time, |state| state.flushed >= position || state.failed.is_some());
        state.flushed >= position
    }

    /// Why ingest should be refused now, if it should.
    pub fn pressure(&self) -> Option<Pressure> {
        let shared = &self.shared;
        if shared.has_failed.load(Ordering::Acquire) {
            let reason = lock(&shared.state).failed.clone();
            return Some(Pressure::Failed { reason: reason.unwrap_or_default() });
        }
        if shared.disk.state() != DiskState::Ok {
            return Some(Pressure::Disk(shared.disk.status()));
        }
        let (bytes, bytes_max) = (shared.memory_bytes(), shared.config.memory);
        if bytes < bytes_max {
            return None;
        }
        let because = lock(&shared.state).trouble.flush.clone();
        Some(Pressure::Memory { bytes, bytes_max, because })
    }

    /// Waits until there is memory for more; no longer than `time`. Says whether there is. For who
    /// reads the log again and is not held back by receivers.
    pub fn wait_room(&self, time: Duration) -> bool {
        let has_room = || self.shared.memory_bytes() < self.shared.config.memory;
        // Released by the same lock that is taken to let memory go.
        drop(self.shared.wait(time, |state| has_room() || state.failed.is_some()));
        has_room()
    }

    /// What there is of `table` with rows in `times` (the end is not in it); of samples, those of
    /// `metric` where one is named. Sees all that was appended before. Not for async threads.
    pub fn view(
        &self,
        table: Table,
        times: Range<Timestamp>,
        metric: Option<&str>,
    ) -> Result<View, Error> {
        let answers = self.ask_writers(table, metric)?;
        let mut view = View::default();
        let mut sealed: Vec<Arc<Sealed>> = Vec::new();
        {
            let state = lock(&self.shared.state);
            for answer in answers {
                // What was sealed since is among the sealed parts or in files.
                if answer.generation > state.delivered[answer.writer] {
                    view.hot.extend(answer.batches?);
                }
            }
            let parts = state.generations.iter().flat_map(|generation| &generation.parts);
            sealed.extend(parts.flatten().cloned());
            let of_table = state
                .files
                .values()
                .filter(|file| file.table == table && file.overlaps(times.start, times.end));
            for file in of_table {
                if file.is_missing() {
                    view.missing += 1;
                } else {
                    view.files.push(file.clone());
                }
            }
        }
        for part in sealed {
            view.hot.extend(part.snapshot(table, metric)?);
        }
        view.files.sort_by_key(|file| (file.time_min, file.id));
        Ok(view)
    }

    fn ask_writers(&self, table: Table, metric: Option<&str>) -> Result<Vec<Answer>, Error> {
        let (reply, answers) = sync_channel(self.writers.len());
        for writer in 0..self.writers.len() {
            let metric = metric.map(str::to_owned);
            self.send(writer, Message::Snapshot { table, metric, reply: reply.clone() })?;
        }
        drop(reply);
        let answers: Vec<Answer> = answers.iter().collect();
        if answers.len() < self.writers.len() {
            return Err(self.stopped());
        }
        Ok(answers)
    }

    pub fn status(&self) -> Status {
        status::of(&self.shared)
    }

    /// Ends all threads. What is not in files by now is read from the log at the next start.
    pub fn stop(&self) {
        self.shared.stop();
        for writer in &self.writers {
            // One that has ended needs no telling.
            let _ = writer.send(Message::Stop);
        }
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            let ended = thread.join().is_ok();
            debug_assert!(ended, "the threads of a store do not panic");
        }
    }

    fn stopped(&self) -> Error {
        let failed = lock(&self.shared.state).failed.clone();
        Error::StoreStopped { reason: failed.unwrap_or_else(|| "it was asked to".to_owned()) }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop();
    }
}

fn uploader(shared: &Arc<Shared>) -> Option<upload::Uploader> {
    let local_size_max = shared.config.objects.as_ref()?.local_size_max;
    let objects = shared.shelf.objects.clone()?;
    Some(upload::Uploader::new(shared.clone(), objects, local_size_max))
}
