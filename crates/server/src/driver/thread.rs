//! The loop's thread: applies entries, journals what the loop says, hands orders over, saves the
//! state.

use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::Duration;

use engine::{Effects, Entry, Event, EventKind};
use model::signal::Batch;
use model::{Action, ActionId, IncidentId, PlanId, Timestamp};
use receivers::MemoryGuard;

use super::{Driver, Handle, Held, Message, Reply};
use crate::{journal, notify, samples};

/// Events that wait for the journal before the oldest are given up, and their orders with them.
const UNWRITTEN_MAX: usize = 100_000;
/// A journal that failed is tried again after this.
const WRITE_AGAIN: Duration = Duration::from_secs(5);
/// A snapshot waits this long for the telemetry before it to be in files.
const FLUSHED_WITHIN: Duration = Duration::from_secs(60);

pub(super) struct Thread {
    driver: Driver,
    /// To log what the loop's own thread has to say.
    handle: Handle,
    receiver: Receiver<Message>,
    unwritten: Unwritten,
    saved_at: Timestamp,
    saving: Option<JoinHandle<()>>,
}

/// What waits for the journal.
#[derive(Default)]
struct Unwritten {
    events: Vec<Event>,
    orders: Vec<Action>,
    /// Since when the last write failed.
    failed: Option<Timestamp>,
}

impl Unwritten {
    /// Gives up what is over the bound: an event, and with it the order that it tells of.
    fn cut(&mut self, max: usize) -> usize {
        let over = self.events.len().saturating_sub(max);
        let lost = self.events.drain(..over).filter_map(|event| match event.kind {
            EventKind::Order { action } => Some(action.id),
            _ => None,
        });
        let lost: Vec<ActionId> = lost.collect();
        self.orders.retain(|action| !lost.contains(&action.id));
        over
    }

    fn rests(&self, now: Timestamp) -> bool {
        // A clock that was set back is no reason to wait for it.
        self.failed.is_some_and(|at| now >= at && now.since(at) < WRITE_AGAIN)
    }
}

impl Thread {
    pub(super) fn new(driver: Driver, handle: Handle, receiver: Receiver<Message>) -> Thread {
        let (saved_at, unwritten) = (driver.core.engine.now(), Unwritten::default());
        Thread { driver, handle, receiver, unwritten, saved_at, saving: None }
    }

    pub(super) fn run(&mut self) {
        while let Ok(message) = self.receiver.recv() {
            match message {
                Message::Committed { seq, entry, reply, held } => {
                    self.committed(seq, *entry, reply, held);
                }
                Message::Ask(question) => question(&self.driver.core),
                Message::Stop => break,
            }
        }
        self.write();
        self.save_last();
    }

    fn committed(&mut self, seq: u64, entry: Entry, reply: Option<Reply>, held: Held) {
        self.driver.position = seq;
        if let Entry::Outcome { outcome, .. } = &entry {
            // What has an outcome already, such as "never reached the agent", must not be handed
            // over once the journal can be written again.
            self.unwritten.orders.retain(|action| action.id != outcome.action);
        }
        let telemetry = match &entry {
            Entry::Telemetry { arrival, batch } => Some((*arrival, batch.clone())),
            _ => None,
        };
        let mut effects = self.driver.core.apply(entry);
        if let Some((arrival, batch)) = telemetry {
            if matches!(*batch, Batch::Logs(_)) && self.driver.tail.is_followed() {
                let bytes = held.1.as_ref().map_or(0, MemoryGuard::bytes);
                self.driver.tail.show((arrival, batch.clone()), bytes);
            }
            told(self.driver.store.append(seq, arrival, batch, Box::new(held)));
        }
        let samples = std::mem::take(&mut effects.samples);
        if !samples.is_empty() {
            told(self.driver.store.append_engine(seq, samples::to_store(samples)));
        }
        self.take(effects, reply);
        if self.driver.store.wants_seal(self.driver.core.engine.now()) {
            told(self.driver.store.seal(seq));
        }
    }

    fn take(&mut self, effects: Effects, reply: Option<Reply>) {
        self.unwritten.events.extend(effects.events);
        self.unwritten.orders.extend(effects.orders);
        let now = self.driver.core.engine.now();
        if !self.unwritten.events.is_empty() && !self.unwritten.rests(now) {
            self.write();
        }
        if let Some(reply) = reply {
            let _ = reply.send(effects.reply.unwrap_or(Ok(String::new())));
        }
        if now.since(self.saved_at) >= self.driver.snapshot_every || now < self.saved_at {
            self.save();
        }
    }

    /// Journals what waits, then lets the orders go.
    fn write(&mut self) {
        let driver = &self.driver;
        let unwritten = &self.unwritten.events;
        match driver.journal.append(unwritten, &driver.receivers, notify::notifies) {
            Ok(differing) => {
                self.unwritten.failed = None;
                self.handle.health().journalled();
                if differing > 0 {
                    self.renumber(differing);
                }
                let events = std::mem::take(&mut self.unwritten.events);
                if events.iter().any(notify::notifies) {
                    self.driver.notify.send_modify(|rings| *rings += 1);
                }
                self.hand_over();
            }
            Err(error) => self.not_written(error),
        }
    }

    fn hand_over(&mut self) {
        for action in self.unwritten.orders.drain(..) {
            let id = action.id.clone();
            if self.driver.orders.try_send(action).is_err() {
                tracing::error!(action = %id, "order queue is full; the order will expire");
            }
        }
    }

    fn not_written(&mut self, error: journal::Error) {
        self.unwritten.failed = Some(self.driver.core.engine.now());
        self.handle.health().not_journalled(&format!("{:#}", anyhow::Error::new(error)));
        let lost = self.unwritten.cut(UNWRITTEN_MAX);
        if lost > 0 {
            tracing::error!(events = lost, "the journal loses its oldest unwritten events");
        }
    }

    /// The journal has other events under the numbers of the loop's: those it kept, these are lost.
    /// What comes now is numbered anew, by an entry in the log, so that a replay does the same.
    fn renumber(&self, lost: usize) {
        tracing::error!(
            events = lost,
            "the journal has other events under these numbers; these are lost: {:?}",
            self.unwritten.events.iter().map(|event| event.seq).collect::<Vec<_>>()
        );
        self.handle.health().conflicts(lost);
        let entry = match self.driver.journal.last_numbers() {
            Ok((event, incident, plan)) => {
                Entry::Renumber { event, incident: IncidentId(incident), plan: PlanId(plan) }
            }
            Err(error) => {
                let error = anyhow::Error::new(error);
                return tracing::error!("the journal's numbers cannot be read: {error:#}");
            }
        };
        if let Err(error) = self.handle.submit(entry) {
            tracing::error!(%error, "new numbers are not logged");
        }
    }

    /// Saves the state beside the loop: the disk's time is not the loop's.
    fn save(&mut self) {
        self.saved_at = self.driver.core.engine.now();
        // Of the last snapshot, whose bytes another thread has let go of.
        crate::allocator::give_back();
        if self.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return tracing::warn!(
                "the last snapshot is still being written; this one is left out"
            );
        }
        let Some(write) = self.snapshot() else { return };
        match std::thread::Builder::new().name("snapshot".to_owned()).spawn(write) {
            Ok(saving) => self.saving = Some(saving),
            Err(error) => tracing::error!(%error, "snapshot thread cannot be started"),
        }
    }

    fn save_last(&mut self) {
        if let Some(saving) = self.saving.take() {
            let _ = saving.join();
        }
        if let Some(write) = self.snapshot() {
            write();
        }
    }

    fn snapshot(&self) -> Option<impl FnOnce() + Send + use<>> {
        if self.unwritten.failed.is_some() {
            // A snapshot would skip the replay that can still write these events.
            return None;
        }
        let position = self.driver.position;
        let bytes = match engine::snapshot::save(&self.driver.core, position) {
            Ok(bytes) => bytes,
            Err(error) => {
                tracing::error!(%error, "state cannot be saved");
                return None;
            }
        };
        let folder = self.driver.folder.clone();
        let committer = self.handle.committer.clone();
        let log_bytes_max = self.driver.log_bytes_max;
        let store = self.driver.store.clone();
        told(store.seal(position));
        Some(move || {
            // A replay begins after the snapshot and makes the engine's own series again: those
            // before it have to be in files by then.
            if !store.wait_flushed(position, FLUSHED_WITHIN) {
                return tracing::warn!("telemetry is not in files yet; the snapshot is left out");
            }
            match folder.save_snapshot(position, &bytes) {
                Ok(oldest) => committer.trim(oldest.min(store.flushed()), log_bytes_max),
                Err(error) => tracing::error!("snapshot cannot be written: {error:#}"),
            }
        })
    }
}

/// The store stops only with the server, or when it has failed for good: it then says so itself,
/// and refuses telemetry.
fn told(result: Result<(), storage::Error>) {
    if let Err(error) = result {
        tracing::error!("telemetry does not reach the store: {:#}", anyhow::Error::new(error));
    }
}

#[cfg(test)]
mod tests {
    use engine::{Config, Core};
    use storage::{Committer, Log};
    use tokio::sync::{mpsc, watch};

    use super::*;
    use crate::driver;
    use crate::state::DataFolder;

    fn remark(seq: u64) -> Event {
        let kind = EventKind::Remark { text: "of another history".to_owned() };
        Event { seq, at: Timestamp(seq), kind }
    }

    fn order(seq: u64) -> (Event, Action) {
        let text = serde_json::json!({
            "id": format!("it-{seq}"), "target": "orders", "kind": "restart",
            "entity": model::Entity::service(&model::Scope::default(), "orders"),
            "expect": "no_process", "not_after": Timestamp(9),
        });
        let action: Action = serde_json::from_value(text).unwrap();
        let kind = EventKind::Order { action: Box::new(action.clone()) };
        (Event { seq, at: Timestamp(seq), kind }, action)
    }

    #[test]
    fn an_order_whose_event_is_given_up_is_given_up_too() {
        let ((first, lost), (second, kept)) = (order(1), order(3));
        let mut unwritten = Unwritten {
            events: vec![first, remark(2), second],
            orders: vec![lost, kept.clone()],
            failed: Some(Timestamp(7)),
        };
        assert_eq!(unwritten.cut(2), 1);
        assert_eq!(unwritten.orders, [kept]);
    }

    #[test]
    fn a_journal_that_fails_is_left_alone_for_a_while() {
        let at = Timestamp::ZERO + 100 * WRITE_AGAIN;
        let unwritten = Unwritten { failed: Some(at), ..Unwritten::default() };
        assert!(unwritten.rests(at) && unwritten.rests(at + WRITE_AGAIN / 2));
        assert!(!unwritten.rests(at + WRITE_AGAIN) && !unwritten.rests(at - WRITE_AGAIN));
    }

    #[tokio::test]
    async fn events_are_not_lost_for_ever_under_numbers_that_the_journal_has() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        let journal = std::sync::Arc::new(folder.journal().unwrap());
        let others: Vec<Event> = (1..=5).map(remark).collect();
        journal.append(&others, &[], |_| false).unwrap();
        let log = Log::open(&folder.log(), storage::Config::default()).unwrap().0;
        let committer = Committer::spawn(log, 1 << 20).unwrap();
        let (orders, _inbox) = mpsc::channel(1);
        let store = crate::testing::store(&folder);
        let driver = Driver {
            core: Core::new(Config::default(), "it"),
            position: 0,
            store: store.clone(),
            tail: Default::default(),
            journal: journal.clone(),
            folder: folder.clone(),
            log_bytes_max: 1 << 30,
            snapshot_every: Duration::from_secs(60),
            receivers: Vec::new(),
            orders,
            notify: watch::channel(0).0,
        };
        let (handle, thread, _) = driver::spawn(driver, committer).unwrap();
        for second in 1..=2 {
            let now = Timestamp(second);
            let reload = Entry::Reload { now, config: Box::default() };
            handle.ordered(reload).await.unwrap().unwrap();
            // The new numbers stand in the log before whatever comes next.
            while handle.ask(|core| core.engine.last_event()).await.unwrap() < 5 {}
        }
        assert_eq!(handle.health().journal_conflicts(), 1);
        assert_eq!(journal.newest_event().unwrap(), 6);
        tokio::task::spawn_blocking(move || handle.stop()).await.unwrap();
        thread.join().unwrap();
        std::fs::remove_dir_all(parent.path().join("snapshots")).unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        store.stop();
        drop(store);
        let store = crate::testing::store(&folder);
        let recovered = folder.recover(&journal, "it", &[], &store).unwrap();
        assert_eq!(recovered.core.engine.last_event(), 6, "a replay gives the same numbers");
    }
}
