//! The driver: the one thread that owns the loop.
//!
//! It takes entries in log order, after they are durable, journals what the loop says, and only
//! then lets it be done. While the journal cannot be written nothing is ordered; what was said is
//! kept and written when it can be again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use engine::{Command, Core, Effects, Entry, Event};
use model::{Action, Timestamp};
use storage::{Committer, Reservation};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::journal::Journal;
use crate::state::DataFolder;
use crate::{clock, entry, notify};

/// Entries that are durable and wait for the loop. Full, the log waits, and receivers shed load.
const QUEUE_MAX: usize = 1024;
/// Events that wait for the journal before the oldest state changes are given up.
const UNWRITTEN_MAX: usize = 100_000;

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

pub enum Message {
    /// An entry is durable under this number.
    Committed {
        seq: u64,
        entry: Box<Entry>,
        reply: Option<Reply>,
        _waiting: Reservation,
    },
    Ask(Question),
    Stop,
}

/// What the driver needs from the rest.
pub struct Driver {
    pub core: Core,
    pub position: u64,
    pub journal: Arc<Journal>,
    pub folder: DataFolder,
    pub log_bytes_max: u64,
    pub snapshot_every: std::time::Duration,
    /// Names of those who are notified.
    pub receivers: Vec<String>,
    pub orders: mpsc::Sender<Action>,
    /// Rung when notifications may be owed.
    pub notified: Arc<Notify>,
}

/// Access to the loop for everyone else; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    committer: Committer,
    sender: SyncSender<Message>,
}

/// Starts the thread. Entries given to the handle are applied from now on. The last of the three
/// resolves when the thread has ended, for whatever reason.
pub fn spawn(
    driver: Driver,
    committer: Committer,
) -> std::io::Result<(Handle, JoinHandle<()>, oneshot::Receiver<()>)> {
    let (sender, receiver) = sync_channel(QUEUE_MAX);
    let handle = Handle { committer: committer.clone(), sender };
    let saved_at = driver.core.engine.now();
    let mut thread =
        Thread { driver, committer, receiver, unwritten: Unwritten::default(), saved_at };
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
    ) -> Result<oneshot::Receiver<Result<(), String>>, Error> {
        let (done, durable) = oneshot::channel();
        self.append(kind, payload, entry, None, move |result| {
            let _ = done.send(result);
        })?;
        Ok(durable)
    }

    /// Logs any other entry without waiting.
    pub fn submit(&self, entry: Entry) -> Result<(), Error> {
        let (kind, payload) = encode(&entry)?;
        self.append(kind, payload, entry, None, |_| ())
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
        self.append(kind, payload, entry, Some(reply), move |result| {
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

    pub fn log_fsyncs(&self) -> u64 {
        self.committer.fsyncs()
    }

    fn append(
        &self,
        kind: u8,
        payload: bytes::Bytes,
        entry: Entry,
        reply: Option<Reply>,
        done: impl FnOnce(Result<(), String>) + Send + 'static,
    ) -> Result<(), Error> {
        let sender = self.sender.clone();
        let entry = Box::new(entry);
        let on_commit = move |result: Result<u64, String>, waiting: Reservation| match result {
            Ok(seq) => {
                // Blocking here holds the log back, which holds the receivers back.
                let _ = sender.send(Message::Committed { seq, entry, reply, _waiting: waiting });
                done(Ok(()));
            }
            Err(error) => done(Err(error)),
        };
        let entry = storage::Entry { kind, payload, on_commit: Box::new(on_commit) };
        self.committer.submit(entry).map_err(|_| Error::Busy)
    }
}

fn encode(entry: &Entry) -> Result<(u8, bytes::Bytes), Error> {
    entry::encode(entry).map_err(|error| Error::Log(error.to_string()))
}

struct Thread {
    driver: Driver,
    committer: Committer,
    receiver: Receiver<Message>,
    unwritten: Unwritten,
    saved_at: Timestamp,
}

/// What waits for the journal.
#[derive(Default)]
struct Unwritten {
    events: Vec<Event>,
    orders: Vec<Action>,
    failing: bool,
}

impl Thread {
    fn run(&mut self) {
        while let Ok(message) = self.receiver.recv() {
            match message {
                Message::Committed { seq, entry, reply, _waiting } => {
                    self.driver.position = seq;
                    if let Entry::Outcome { outcome, .. } = &*entry {
                        // What has an outcome already, such as "never reached the agent", must not
                        // be handed over once the journal can be written again.
                        self.unwritten.orders.retain(|action| action.id != outcome.action);
                    }
                    let effects = self.driver.core.apply(*entry);
                    self.take(effects, reply);
                }
                Message::Ask(question) => question(&self.driver.core),
                Message::Stop => break,
            }
        }
        self.write();
        self.save(true);
    }

    fn take(&mut self, effects: Effects, reply: Option<Reply>) {
        self.unwritten.events.extend(effects.events);
        self.unwritten.orders.extend(effects.orders);
        if !self.unwritten.events.is_empty() {
            self.write();
        }
        if let Some(reply) = reply {
            let _ = reply.send(effects.reply.unwrap_or(Ok(String::new())));
        }
        let now = self.driver.core.engine.now();
        if now.since(self.saved_at) >= self.driver.snapshot_every {
            self.save(false);
        }
    }

    /// Journals what waits, then lets the orders go.
    fn write(&mut self) {
        let driver = &self.driver;
        let unwritten = &self.unwritten.events;
        let written = driver.journal.append(unwritten, &driver.receivers, notify::notifies);
        match written {
            Ok(_) => {
                self.unwritten.events.clear();
                self.unwritten.failing = false;
                driver.notified.notify_one();
                for action in self.unwritten.orders.drain(..) {
                    let id = action.id.clone();
                    if driver.orders.try_send(action).is_err() {
                        tracing::error!(action = %id, "order queue is full; the order will expire");
                    }
                }
            }
            Err(error) => {
                if !self.unwritten.failing {
                    let error = anyhow::Error::new(error);
                    tracing::error!("journal cannot be written, nothing is ordered: {error:#}");
                }
                self.unwritten.failing = true;
                let over = self.unwritten.events.len().saturating_sub(UNWRITTEN_MAX);
                if over > 0 {
                    tracing::error!(events = over, "the journal loses its oldest unwritten events");
                    self.unwritten.events.drain(..over);
                }
            }
        }
    }

    fn save(&mut self, last: bool) {
        self.saved_at = self.driver.core.engine.now();
        if self.unwritten.failing {
            // A snapshot would skip the replay that can still write these events.
            return;
        }
        let position = self.driver.position;
        let bytes = match engine::snapshot::save(&self.driver.core, position) {
            Ok(bytes) => bytes,
            Err(error) => return tracing::error!(%error, "state cannot be saved"),
        };
        let (folder, committer) = (self.driver.folder.clone(), self.committer.clone());
        let log_bytes_max = self.driver.log_bytes_max;
        let write = move || match folder.save_snapshot(position, &bytes) {
            Ok(oldest) => committer.trim(oldest, log_bytes_max),
            Err(error) => tracing::error!("snapshot cannot be written: {error:#}"),
        };
        if last {
            return write();
        }
        // The disk's time is not the loop's. The next snapshot is minutes away.
        let spawned = std::thread::Builder::new().name("snapshot".to_owned()).spawn(write);
        if let Err(error) = spawned {
            tracing::error!(%error, "snapshot thread cannot be started");
        }
    }
}
