//! The driver: the one thread that owns the loop.
//!
//! It takes entries in log order, after they are durable, journals what the loop says, and only
//! then lets it be done (`thread`). While the journal cannot be written nothing is ordered; what
//! was said is kept and written when it can be again. `health` tells the API of such trouble.

mod health;

mod thread;

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

pub use health::Health;

use engine::{Command, Core, Entry};
use model::Action;
use receivers::MemoryGuard;
use storage::store::Store;
use storage::{Committer, Priority, Refused, Reservation};
use tokio::sync::{mpsc, oneshot, watch};

use crate::journal::Journal;
use crate::state::DataFolder;
use crate::tail::Tail;
use crate::{clock, entry};

/// Entries that are durable and wait for the loop. Full, the log waits, and receivers shed load.
const QUEUE_MAX: usize = 1024;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("Immune is too busy to take this now; try again in a moment")]
    Busy,
    #[error("the input log cannot be written: {0}")]
    Log(String),
    #[error("Immune is stopping")]
    Stopped,
}

type Question = Box<dyn FnOnce(&Core) + Send>;
type Reply = oneshot::Sender<Result<String, String>>;

/// What counts as held until loop and store have taken an entry.
type Held = (Reservation, Option<MemoryGuard>);

pub enum Message {
    /// An entry is durable under this number.
    Committed {
        seq: u64,
        entry: Box<Entry>,
        reply: Option<Reply>,
        held: Held,
    },
    Ask(Question),
    Stop,
}

/// What the driver needs from the rest.
pub struct Driver {
    pub core: Core,
    pub position: u64,
    pub store: Arc<Store>,
    /// Log records as they are taken, for those who follow them.
    pub tail: Arc<Tail>,
    pub journal: Arc<Journal>,
    pub folder: DataFolder,
    pub log_bytes_max: u64,
    pub snapshot_every: std::time::Duration,
    /// Names of those who are notified.
    pub receivers: Vec<String>,
    pub orders: mpsc::Sender<Action>,
    /// Rung when notifications may be owed.
    pub notify: watch::Sender<u64>,
}

/// Access to the loop for everyone else; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    committer: Committer,
    sender: SyncSender<Message>,
    health: Arc<Health>,
}

/// Starts the thread. Entries given to the handle are applied from now on. The last of the three
/// resolves when the thread has ended, for whatever reason.
pub fn spawn(
    driver: Driver,
    committer: Committer,
) -> std::io::Result<(Handle, JoinHandle<()>, oneshot::Receiver<()>)> {
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    let handle = Handle { committer, sender, health: Arc::default() };
    let mut thread = thread::Thread::new(driver, handle.clone(), receiver);
    let (alive, ended) = oneshot::channel();
    let join = std::thread::Builder::new().name("loop".to_owned()).spawn(move || {
        let _alive = alive;
        thread.run();
    })?;
    Ok((handle, join, ended))
}

impl Handle {
    /// Logs telemetry and gives it to the loop; resolves when it is durable.
    pub fn telemetry(
        &self,
        (kind, payload): (u8, bytes::Bytes),
        entry: Entry,
        memory: Option<MemoryGuard>,
    ) -> Result<oneshot::Receiver<Result<(), String>>, Error> {
        let (done, durable) = oneshot::channel();
        self.append((kind, payload), entry, memory, None, move |result| {
            let _ = done.send(result);
        })?;
        Ok(durable)
    }

    /// Logs any other entry; resolves when it is durable.
    pub async fn logged(&self, entry: Entry) -> Result<(), Error> {
        let durable = self.telemetry(encode(&entry)?, entry, None)?;
        durable.await.map_err(|_| Error::Stopped)?.map_err(Error::Log)
    }

    /// Logs any other entry without waiting.
    pub fn submit(&self, entry: Entry) -> Result<(), Error> {
        let (kind, payload) = encode(&entry)?;
        self.append((kind, payload), entry, None, None, |_| ())
    }

    /// Logs a command and waits for the loop's answer.
    pub async fn command(
        &self,
        by: &str,
        command: Command,
    ) -> Result<Result<String, String>, Error> {
        let entry = Entry::Command { now: clock::now(), by: by.to_owned(), command };
        self.ordered(entry).await
    }

    /// Logs an entry and waits until the loop has taken it; the answer is empty but for commands.
    pub async fn ordered(&self, entry: Entry) -> Result<Result<String, String>, Error> {
        let (kind, payload) = encode(&entry)?;
        let (reply, answer) = oneshot::channel();
        let (failed, failure) = oneshot::channel();
        self.append((kind, payload), entry, None, Some(reply), move |result| {
            if let Err(error) = result {
                let _ = failed.send(error);
            }
        })?;
        match answer.await {
            Ok(answer) => Ok(answer),
            Err(_) => Err(failure.await.map_or(Error::Stopped, Error::Log)),
        }
    }

    /// Runs a question on the loop's thread, between two entries.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Core) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (sender, answer) = oneshot::channel();
        let question: Question = Box::new(move |core| drop(sender.send(question(core))));
        match self.sender.try_send(Message::Ask(question)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(Error::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(Error::Stopped),
        }
        answer.await.map_err(|_| Error::Stopped)
    }

    /// Ends the loop after everything that was given to it; the state is saved.
    pub fn stop(&self) {
        self.committer.stop();
        let _ = self.sender.send(Message::Stop);
    }

    pub fn log_bytes_waiting(&self) -> usize {
        self.committer.bytes_waiting()
    }

    /// Whether the log has hardly room for more telemetry.
    pub fn log_is_full(&self) -> bool {
        self.committer.is_full()
    }

    pub fn health(&self) -> &Health {
        &self.health
    }

    pub fn log_fsyncs(&self) -> u64 {
        self.committer.fsyncs()
    }

    fn append(
        &self,
        (kind, payload): (u8, bytes::Bytes),
        entry: Entry,
        memory: Option<MemoryGuard>,
        reply: Option<Reply>,
        done: impl FnOnce(Result<(), String>) + Send + 'static,
    ) -> Result<(), Error> {
        let sender = self.sender.clone();
        let priority = match entry {
            Entry::Telemetry { .. } => Priority::Telemetry,
            _ => Priority::Control,
        };
        let entry = Box::new(entry);
        let health = self.health.clone();
        let on_commit = move |result: Result<u64, String>, waiting: Reservation| match result {
            Ok(seq) => {
                health.committed();
                // Blocking here holds the log back, which holds the receivers back.
                let message = Message::Committed { seq, entry, reply, held: (waiting, memory) };
                let _ = sender.send(message);
                done(Ok(()));
            }
            Err(error) => {
                health.not_committed(&error);
                done(Err(error));
            }
        };
        let entry = storage::Entry { priority, kind, payload, on_commit: Box::new(on_commit) };
        self.committer.submit(entry).map_err(|refused| match refused {
            Refused::Full => Error::Busy,
            Refused::TooLarge { .. } => Error::Log(refused.to_string()),
        })
    }
}

fn encode(entry: &Entry) -> Result<(u8, bytes::Bytes), Error> {
    entry::encode(entry).map_err(|error| Error::Log(error.to_string()))
}
