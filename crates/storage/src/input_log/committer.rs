//! The thread that owns the log: takes entries from many producers, writes what has gathered, makes
//! it durable with one fsync, and only then tells each producer, in the order of the log.
//!
//! Invariants: callbacks run in log order on one thread, so whoever listens sees the inputs in the
//! order in which a replay will; the queue is bounded in entries and in bytes, and says no when it
//! is full. Telemetry never fills it: a part of the queue is kept for control entries, which the
//! bound on bytes does not concern either.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;

use super::segment;
use crate::{Error, Log};

/// Told once the entry is durable (its number) or could not be made so (why). Who keeps the
/// reservation keeps the entry's bytes counted as waiting.
pub type OnCommit = Box<dyn FnOnce(Result<u64, String>, Reservation) + Send>;

/// A telemetry entry's share of the bounds on what waits; given back when dropped. That of a
/// control entry is empty.
#[derive(Debug)]
pub struct Reservation {
    bytes: usize,
    entries: usize,
    waiting: Arc<Waiting>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.waiting.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.waiting.entries.fetch_sub(self.entries, Ordering::AcqRel);
    }
}

/// Telemetry that waits.
#[derive(Debug, Default)]
struct Waiting {
    bytes: AtomicUsize,
    entries: AtomicUsize,
}

/// What an entry is refused for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Comes in any amount from anyone, and comes again when refused.
    Telemetry,
    /// What the loop lives by: ticks, commands, outcomes. Rare and small.
    Control,
}

pub struct Entry {
    pub priority: Priority,
    pub kind: u8,
    pub payload: Bytes,
    pub on_commit: OnCommit,
}

/// Why an entry was not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The caller should shed load, and may come again.
    #[error("the queue of the log is full")]
    Full,
    /// It can never be written.
    #[error(
        "an entry of {bytes} bytes is larger than the {} bytes allowed",
        segment::PAYLOAD_BYTES_MAX
    )]
    TooLarge { bytes: usize },
}

const QUEUE_ENTRIES_MAX: usize = 4096;
/// The rest of the queue is kept for control entries.
const TELEMETRY_ENTRIES_MAX: usize = 3072;
/// A batch is written when it has grown to this, or when nothing more waits.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Handle to the thread; cheap to share.
#[derive(Clone)]
pub struct Committer {
    sender: SyncSender<Order>,
    waiting: Arc<Waiting>,
    bytes_waiting_max: usize,
    fsyncs: Arc<AtomicU64>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

enum Order {
    Append(Entry, Reservation),
    Trim { keep_from: u64, bytes_max: u64 },
    Stop,
}

impl Committer {
    /// Starts the thread. `bytes_waiting_max` bounds the payloads of telemetry that are not yet
    /// durable, or whose reservation is still kept.
    pub fn spawn(log: Log, bytes_waiting_max: usize) -> std::io::Result<Committer> {
        let (sender, receiver) = sync_channel(QUEUE_ENTRIES_MAX);
        let waiting = Arc::new(Waiting::default());
        let fsyncs = Arc::new(AtomicU64::new(0));
        let worker = Worker { log, receiver, fsyncs: fsyncs.clone() };
        let thread = std::thread::Builder::new()
            .name("log-committer".to_owned())
            .spawn(move || worker.run())?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok(Committer { sender, waiting, bytes_waiting_max, fsyncs, thread })
    }

    /// Queues an entry. `Full` when the queue is at its bound for entries of this priority, or the
    /// committer has stopped.
    pub fn submit(&self, entry: Entry) -> Result<(), Refused> {
        let bytes = entry.payload.len();
        if bytes > segment::PAYLOAD_BYTES_MAX {
            return Err(Refused::TooLarge { bytes });
        }
        let reservation = match entry.priority {
            Priority::Telemetry => self.reserve(bytes)?,
            Priority::Control => {
                Reservation { bytes: 0, entries: 0, waiting: self.waiting.clone() }
            }
        };
        self.sender.try_send(Order::Append(entry, reservation)).map_err(|_| Refused::Full)
    }

    fn reserve(&self, bytes: usize) -> Result<Reservation, Refused> {
        let bytes_before = self.waiting.bytes.fetch_add(bytes, Ordering::AcqRel);
        let entries_before = self.waiting.entries.fetch_add(1, Ordering::AcqRel);
        let reservation = Reservation { bytes, entries: 1, waiting: self.waiting.clone() };
        // One entry larger than the whole bound may pass alone, else it never could.
        let too_many_bytes = bytes_before + bytes > self.bytes_waiting_max && bytes_before > 0;
        if too_many_bytes || entries_before >= TELEMETRY_ENTRIES_MAX {
            return Err(Refused::Full);
        }
        Ok(reservation)
    }

    /// Asks for old segments to be deleted; see `Log::trim`.
    pub fn trim(&self, keep_from: u64, bytes_max: u64) {
        if let Err(TrySendError::Full(_)) =
            self.sender.try_send(Order::Trim { keep_from, bytes_max })
        {
            tracing::debug!("log queue is full; trimming waits for the next snapshot");
        }
    }

    /// Whether telemetry had better not be offered now: there is hardly room for any.
    pub fn is_full(&self) -> bool {
        self.bytes_waiting() >= self.bytes_waiting_max / 16 * 15
            || self.waiting.entries.load(Ordering::Acquire) >= TELEMETRY_ENTRIES_MAX
    }

    /// Bytes of telemetry that wait.
    pub fn bytes_waiting(&self) -> usize {
        self.waiting.bytes.load(Ordering::Acquire)
    }

    pub fn fsyncs(&self) -> u64 {
        self.fsyncs.load(Ordering::Relaxed)
    }

    /// Writes what is queued and ends the thread.
    pub fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(thread) = thread {
            let stopped = self.sender.send(Order::Stop).is_err() || thread.join().is_ok();
            debug_assert!(stopped, "the committer thread does not panic");
        }
    }
}

struct Worker {
    log: Log,
    receiver: Receiver<Order>,
    fsyncs: Arc<AtomicU64>,
}

impl Worker {
    fn run(mut self) {
        let mut stopping = false;
        while !stopping {
            let Ok(first) = self.receiver.recv() else { return };
            let mut entries = Vec::new();
            let mut trim = None;
            let mut bytes = 0;
            let mut order = Some(first);
            while let Some(next) = order {
                match next {
                    Order::Append(entry, reservation) => {
                        bytes += entry.payload.len();
                        entries.push((entry, reservation));
                    }
                    Order::Trim { keep_from, bytes_max } => trim = Some((keep_from, bytes_max)),
                    Order::Stop => stopping = true,
                }
                let full = bytes >= BATCH_BYTES_MAX || stopping;
                order = if full { None } else { self.receiver.try_recv().ok() };
            }
            self.commit(entries);
            if let Some((keep_from, bytes_max)) = trim
                && let Err(error) = self.log.trim(keep_from, bytes_max)
            {
                tracing::warn!(error = %chain(&error), "cannot delete old log segments");
            }
        }
    }

    fn commit(&mut self, entries: Vec<(Entry, Reservation)>) {
        if entries.is_empty() {
            return;
        }
        let mut numbered = Vec::with_capacity(entries.len());
        for (entry, reservation) in entries {
            let number = self.log.append(entry.kind, &entry.payload).map_err(|e| chain(&e));
            numbered.push((number, reservation, entry.on_commit));
        }
        let synced = self.log.sync().map_err(|error| chain(&error));
        self.fsyncs.fetch_add(1, Ordering::Relaxed);
        for (number, reservation, on_commit) in numbered {
            on_commit(synced.clone().and(number), reservation);
        }
    }
}

/// An error with what caused it, on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
