//! What the threads of a store share: the files, what is sealed, and the one way to commit.
//!
//! Two locks, always taken in this order: the *ledger*, held while the catalog is written, so that
//! commits are one after the other; then the *state*, held only to look or to swap, so that queries
//! never wait for a disk.
//!
//! Invariant: at every moment at which the state is not locked, each item that was sealed is in
//! exactly one of the sealed generations and the files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Timestamp;

use super::config::Config;
use super::plan::{self, Candidate};
use super::shelf::{FileEntry, Shelf};
use crate::Error;
use crate::catalog::{Catalog, Edit};
use crate::columns::Sealed;
use crate::reserve::DiskWatch;

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What one writer gathered between two seals, and where the log stood at the later one.
pub(super) struct Generation {
    pub number: u64,
    pub position: u64,
    /// One for each writer that has handed over its part.
    pub parts: Vec<Option<Arc<Sealed>>>,
}

impl Generation {
    pub fn is_complete(&self) -> bool {
        self.parts.iter().all(Option::is_some)
    }
}

/// Behind the lock that queries take.
pub(super) struct State {
    pub files: BTreeMap<u64, Arc<FileEntry>>,
    /// Sealed and not yet in files, the oldest first.
    pub generations: VecDeque<Generation>,
    /// For each writer: the last generation of which it handed over its part.
    pub delivered: Vec<u64>,
    pub flushed: u64,
    /// Why nothing can be stored any more.
    pub failed: Option<String>,
    pub trouble: Trouble,
}

/// What does not work at the moment and is tried again.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    pub flush: Option<String>,
    pub merge: Option<String>,
    pub upload: Option<String>,
    /// Why telemetry that has expired is kept for now.
    pub retention: Option<String>,
}

/// What was done since the start.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub flushes: AtomicU64,
    pub flush_failures: AtomicU64,
    pub merges: AtomicU64,
    pub merge_failures: AtomicU64,
    pub files_expired: AtomicU64,
    pub files_evicted: AtomicU64,
    pub uploads: AtomicU64,
    pub upload_failures: AtomicU64,
    pub batches_refused: AtomicU64,
}

pub(super) struct Shared {
    pub config: Config,
    pub clock: Clock,
    pub disk: Arc<DiskWatch>,
    pub shelf: Arc<Shelf>,
    pub ledger: Mutex<Catalog>,
    pub state: Mutex<State>,
    /// Rung when the state changed, and at the stop.
    pub changed: Condvar,
    pub stopping: AtomicBool,
    /// Whether `State::failed` says something.
    pub has_failed: AtomicBool,
    /// Of each writer, as it last told.
    pub hot_bytes_of: Vec<AtomicUsize>,
    pub hot_rows_of: Vec<AtomicUsize>,
    /// Of all sealed generations.
    pub sealed_bytes: AtomicUsize,
    pub sealed_count: AtomicUsize,
    pub next_id: AtomicU64,
    /// Commits since the start: whether the files are others than before.
    pub commits: AtomicU64,
    pub counters: Counters,
    #[cfg(test)]
    pub on_step: Mutex<Option<super::tests::OnStep>>,
}

/// Locks, also after a thread that held the lock has panicked: the invariants are kept by swapping
/// whole values.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Shared {
    pub fn new(
        config: Config,
        clock: Clock,
        disk: Arc<DiskWatch>,
        shelf: Arc<Shelf>,
        catalog: Catalog,
        files: BTreeMap<u64, Arc<FileEntry>>,
    ) -> Shared {
        let writers = config.writers.max(1);
        let gauges = || (0..writers).map(|_| AtomicUsize::new(0)).collect();
        let next_id = AtomicU64::new(catalog.content().next_id);
        let state = State {
            files,
            generations: VecDeque::new(),
            delivered: vec![0; writers],
            flushed: catalog.content().flushed,
            failed: None,
            trouble: Trouble::default(),
        };
        Shared {
            config,
            clock,
            disk,
            shelf,
            ledger: Mutex::new(catalog),
            state: Mutex::new(state),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            hot_bytes_of: gauges(),
            hot_rows_of: gauges(),
            sealed_bytes: AtomicUsize::new(0),
            sealed_count: AtomicUsize::new(0),
            next_id,
            commits: AtomicU64::new(0),
            counters: Counters::default(),
            #[cfg(test)]
            on_step: Default::default(),
        }
    }

    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// A number for a new file.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::AcqRel)
    }

    /// Makes `edit` durable, then lets queries see it, together with `change`. What is removed is
    /// deleted once nobody holds it. After an error nothing is deleted that `edit` names: it is not
    /// known whether the catalog on disk names it now.
    pub fn commit(&self, edit: Edit, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut ledger = lock(&self.ledger);
        self.step("before commit");
        ledger.commit(edit.clone())?;
        self.step("committed");
        let mut state = lock(&self.state);
        let removed: Vec<Arc<FileEntry>> =
            edit.remove.iter().filter_map(|id| state.files.remove(id)).collect();
        for entry in &edit.add {
            state.files.insert(entry.id, FileEntry::new(entry, true, self.shelf.clone()));
        }
        for file in edit.remote.iter().filter_map(|id| state.files.get(id)) {
            file.set_remote();
        }
        change(&mut state);
        count(&self.commits, 1);
        drop(state);
        drop(ledger);
        self.changed.notify_all();
        if removed.is_empty() {
            return Ok(());
        }
        for file in &removed {
            file.set_dropped();
        }
        self.step("before deletion");
        drop(removed);
        self.step("deleted");
        Ok(())
    }

    /// A writer hands over its part of a generation.
    pub fn deliver(&self, writer: usize, generation: u64, sealed: Sealed) {
        let bytes = sealed.bytes();
        let mut state = lock(&self.state);
        let found = state.generations.iter_mut().find(|known| known.number == generation);
        let Some(found) = found else {
            debug_assert!(false, "a generation is there until all its parts are in files");
            return;
        };
        found.parts[writer] = Some(Arc::new(sealed));
        state.delivered[writer] = generation;
        self.sealed_bytes.fetch_add(bytes, Ordering::AcqRel);
        drop(state);
        self.changed.notify_all();
    }

    /// Nothing can be stored any more; what is not flushed is read from the log at the next start.
    pub fn fail(&self, reason: String) {
        tracing::error!(%reason, "telemetry cannot be stored any more");
        lock(&self.state).failed.get_or_insert(reason);
        self.has_failed.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Bytes of telemetry that is not sealed.
    pub fn hot_bytes(&self) -> usize {
        self.hot_bytes_of.iter().map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }

    /// Spans, log records and points that are not sealed.
    pub fn hot_rows(&self) -> usize {
        self.hot_rows_of.iter().map(|rows| rows.load(Ordering::Relaxed)).sum()
    }

    /// Bytes of telemetry that is not in files.
    pub fn memory_bytes(&self) -> usize {
        self.hot_bytes() + self.sealed_bytes.load(Ordering::Acquire)
    }

    pub fn candidates(&self) -> Vec<Candidate> {
        lock(&self.state).files.values().map(|file| file.candidate()).collect()
    }

    pub fn files(&self, ids: &BTreeSet<u64>) -> Vec<Arc<FileEntry>> {
        let state = lock(&self.state);
        ids.iter().filter_map(|id| state.files.get(id).cloned()).collect()
    }

    /// Deletes local copies of the oldest files that the object store has, so that `bytes` are
    /// freed where there are so many.
    pub fn evict(&self, files: &[Candidate], bytes: u64) -> Result<(), Error> {
        for file in self.files(&plan::to_evict(files, bytes).into_iter().collect()) {
            file.evict()?;
            count(&self.counters.files_evicted, 1);
            self.step("evicted");
        }
        Ok(())
    }

    /// Waits until the state is as `wanted`, the store stops, or the time is over. Hands the state
    /// out as it is then.
    pub fn wait(&self, time: Duration, wanted: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let not_yet = |state: &mut State| !self.is_stopping() && !wanted(state);
        let waited = self.changed.wait_timeout_while(lock(&self.state), time, not_yet);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits so long, and no longer when the store stops.
    pub fn pause(&self, time: Duration) {
        drop(self.wait(time, |_| false));
    }

    /// Rings all who wait.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // Taken so that nobody is between looking and waiting.
        drop(lock(&self.state));
        self.changed.notify_all();
    }

    pub fn set_trouble(
        &self,
        of: impl FnOnce(&mut Trouble) -> &mut Option<String>,
        told: Option<String>,
    ) {
        let mut state = lock(&self.state);
        let trouble = of(&mut state.trouble);
        let changes = *trouble != told;
        *trouble = told;
        drop(state);
        if changes {
            self.changed.notify_all();
        }
    }

    /// Where a test looks at the disk, as a crash would leave it.
    #[cfg(test)]
    pub fn step(&self, name: &'static str) {
        let on_step = lock(&self.on_step).clone();
        if let Some(on_step) = on_step {
            on_step(name);
        }
    }

    #[cfg(not(test))]
    pub fn step(&self, _name: &'static str) {}
}

/// An error with what caused it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
