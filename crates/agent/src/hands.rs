//! The agent's thread of decisions: one event after the other, each order judged and written down
//! before anything is done.
//!
//! It owns the ledger. Work that takes time runs in threads of its own, one at a time per target;
//! reports of processes come from another thread, so that nothing here delays them.
//!
//! Invariants: an order is accepted or refused in the order in which it arrived, by the connection
//! that is current; an accepted action ends with exactly one outcome; a fault stays unfinished
//! until its target was seen running again.

mod orders;

mod drills;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::plan::OutcomeResult;
use model::{ActionId, Outcome, Timestamp};
use tokio::sync::mpsc;

use crate::bench::Bench;
use crate::clock;
use crate::config;
use crate::faults::{Aim, Effect};
use crate::ledger::{Entry, FaultRecord, Ledger, LedgerError, fingerprint};
use crate::outbox::{Connection, Outbox};
use crate::protocol::{
    FaultId, Freeze, FromAgent, Hello, Injection, Level, NAME_MAX, ToAgent, Welcome,
};
use crate::store;

/// Events that wait for this thread; beyond it connections are read no further.
pub const EVENTS_MAX: usize = 256;
/// Actions under way at once; more are refused.
pub const ACTIONS_AT_ONCE: usize = 8;
/// An order that holds longer than this from now was dated by another clock.
const NOT_AFTER_AHEAD_MAX: Duration = Duration::from_secs(600);
/// Outcomes and fault reports kept for a server that is away.
const UNTOLD_MAX: usize = 1_000;
pub const LEASE_DEFAULT: Duration = Duration::from_secs(30);
const LEASE_MIN: Duration = Duration::from_secs(1);
const LEASE_MAX: Duration = Duration::from_secs(600);
/// How long a stop waits for what is under way.
const STOP_WITHIN: Duration = Duration::from_secs(60);

pub enum Event {
    Frame {
        connection: Connection,
        message: Box<ToAgent>,
    },
    Closed {
        connection: u64,
    },
    ActionEnded {
        target: String,
        outcome: Outcome,
        fingerprint: u32,
    },
    DryAimed {
        id: FaultId,
        aim: Result<String, String>,
    },
    FaultAimed {
        order: Box<Injection>,
        aim: Result<Aim, String>,
    },
    Injected {
        id: FaultId,
        target: String,
        result: Result<Timestamp, String>,
    },
    EffectSeen {
        id: FaultId,
        effect: Effect,
    },
    UndoEnded {
        id: FaultId,
        target: String,
        result: Result<String, String>,
    },
    Message {
        level: Level,
        text: String,
    },
    /// Several times a second.
    Tick,
    Shutdown,
}

pub struct Settings {
    pub targets_path: PathBuf,
    /// Without a server and with nothing to do, the agent exits after this.
    pub alone_for: Duration,
}

pub struct Hands {
    settings: Settings,
    bench: Arc<Bench>,
    ledger: Ledger,
    outbox: Arc<Outbox>,
    events: mpsc::Sender<Event>,
    started: Timestamp,
    lease: Duration,
    /// When the server was last heard.
    heard: Instant,
    /// What is done to which target.
    busy: BTreeMap<String, Work>,
    /// Looks at the host for dry runs that are under way.
    dry_aims: usize,
    undoing: BTreeMap<FaultId, drills::Undoing>,
    /// Deadlines by the monotonic clock, which nobody sets.
    deadlines: BTreeMap<FaultId, Instant>,
    untold: VecDeque<FromAgent>,
    stopping: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    Action(ActionId),
    Inject(FaultId),
    Undo(FaultId),
}

impl Hands {
    pub fn new(
        settings: Settings,
        bench: Arc<Bench>,
        ledger: Ledger,
        outbox: Arc<Outbox>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let heard = clock::monotonic();
        bench.set_frozen(ledger.book().frozen().is_some());
        Hands {
            settings,
            bench,
            ledger,
            outbox,
            events,
            started: clock::now(),
            lease: LEASE_DEFAULT,
            heard,
            busy: BTreeMap::new(),
            dry_aims: 0,
            undoing: BTreeMap::new(),
            deadlines: BTreeMap::new(),
            untold: VecDeque::new(),
            stopping: None,
        }
    }

    /// Works until the agent is to exit.
    pub fn run(mut self, mut inbox: mpsc::Receiver<Event>) {
        self.recover();
        while let Some(event) = inbox.blocking_recv() {
            match event {
                Event::Frame { connection, message } => self.frame(&connection, *message),
                Event::Closed { connection } => {
                    if self.outbox.remove(connection) {
                        tracing::info!("the server is disconnected");
                    }
                }
                Event::ActionEnded { target, outcome, fingerprint } => {
                    self.busy.remove(&target);
                    self.end_action(outcome, fingerprint);
                }
                Event::DryAimed { id, aim } => {
                    self.dry_aims -= 1;
                    self.tell(FromAgent::Aimed { id, aim });
                }
                Event::FaultAimed { order, aim } => self.aimed(*order, aim),
                Event::Injected { id, target, result } => self.injected(id, &target, result),
                Event::EffectSeen { id, effect } => self.effect_seen(id, effect),
                Event::UndoEnded { id, target, result } => self.undo_ended(id, target, result),
                Event::Message { level, text } => self.log(level, text),
                Event::Shutdown => self.stop(),
                Event::Tick => {
                    self.tick();
                    if self.may_exit() {
                        return;
                    }
                }
            }
        }
    }

    /// What an earlier agent left behind: actions that it cannot have finished, faults to undo.
    fn recover(&mut self) {
        for message in std::mem::take(&mut self.ledger.messages) {
            self.log(Level::Warning, message);
        }
        let interrupted: Vec<_> = self.ledger.book().actions_in_progress().cloned().collect();
        for action in interrupted {
            let outcome = Outcome {
                action: action.id.clone(),
                at: clock::now(),
                result: OutcomeResult::Interrupted,
                detail: "the agent ended while it was under way; it is not run again".to_owned(),
            };
            self.end_action(outcome, fingerprint(&action));
        }
        self.undo_all("the agent was restarted");
    }

    fn frame(&mut self, connection: &Connection, message: ToAgent) {
        if let ToAgent::Hello(hello) = message {
            return self.hello(connection, hello);
        }
        if !self.outbox.is_current(connection.id) {
            let reason = "say hello first; or another server has taken this one's place";
            let _ = connection.send(FromAgent::Refused { reason: reason.to_owned() });
            return;
        }
        self.heard = clock::monotonic();
        match message {
            ToAgent::Hello(_) | ToAgent::Heartbeat => {}
            ToAgent::Perform(action) => self.perform(action),
            ToAgent::Query(id) => self.query(id),
            ToAgent::Inject(injection) => self.inject(injection),
            ToAgent::Aim(injection) => self.aim(injection),
            ToAgent::Undo(id) => self.undo_ordered(id),
            ToAgent::UndoAll => self.undo_all("everything was asked to be undone"),
            ToAgent::QueryFault(id) => {
                let answer = self.ledger.book().fault_report(&id);
                self.tell(answer.map_or(FromAgent::UnknownFault(id), FromAgent::Fault));
            }
            ToAgent::Freeze(freeze) => self.freeze(freeze),
            ToAgent::Thaw { who } => self.thaw(who),
            ToAgent::Stop => self.stop(),
        }
    }

    fn hello(&mut self, connection: &Connection, hello: Hello) {
        if let Err(reason) = self.adopt(&hello) {
            tracing::warn!(reason, "refused a server's hello");
            let _ = connection.send(FromAgent::Refused { reason });
            return;
        }
        self.lease = hello.lease.0;
        self.heard = clock::monotonic();
        if let Some(before) = self.outbox.replace(connection) {
            let reason = "another server has taken this one's place".to_owned();
            let _ = before.send(FromAgent::Refused { reason });
            before.close();
        }
        let welcome = Welcome {
            host: self.bench.host.name.clone(),
            boot_id: self.bench.host.boot_id.clone(),
            pid: std::process::id(),
            started: self.started,
            frozen: self.ledger.book().frozen().cloned(),
        };
        self.tell(FromAgent::Welcome(welcome));
        let faults: Vec<_> =
            self.ledger.book().unfinished_faults().map(|fault| fault.report()).collect();
        for report in faults {
            self.tell(FromAgent::Fault(report));
        }
        self.tell_untold();
    }

    /// Takes the server's targets, on disk before in force.
    fn adopt(&mut self, hello: &Hello) -> Result<(), String> {
        if hello.lease.0 < LEASE_MIN || hello.lease.0 > LEASE_MAX {
            return Err(format!("lease `{}` is not within 1s to 10m", hello.lease));
        }
        if let Some(problem) = config::validate(&hello.targets).first() {
            return Err(problem.to_string());
        }
        let hash = store::save_targets(&self.settings.targets_path, &hello.targets)
            .map_err(|error| format!("cannot save the targets: {error}"))?;
        if self.ledger.book().targets_hash() != Some(hash) {
            let count = hello.targets.len();
            self.record(Entry::Targets { at: clock::now(), count, hash })
                .map_err(|error| chain(&error))?;
        }
        self.bench.set_targets(hello.targets.clone());
        Ok(())
    }

    fn freeze(&mut self, freeze: Freeze) {
        if freeze.who.len() > NAME_MAX || freeze.reason.len() > 4 * NAME_MAX {
            return self.refuse("a freeze with so long a name or reason");
        }
        // In force at once; the record follows.
        self.bench.set_frozen(true);
        if let Err(error) = self.record(Entry::Frozen { at: clock::now(), freeze }) {
            self.log(
                Level::Warning,
                format!("frozen until the agent ends only: {}", chain(&error)),
            );
        }
        self.tell(FromAgent::Frozen(self.ledger.book().frozen().cloned()));
    }

    fn thaw(&mut self, who: String) {
        if who.len() > NAME_MAX {
            return self.refuse("a thaw with so long a name");
        }
        match self.record(Entry::Thawed { at: clock::now(), who }) {
            Ok(()) => self.bench.set_frozen(false),
            Err(error) => self.log(Level::Warning, format!("stays frozen: {}", chain(&error))),
        }
        self.tell(FromAgent::Frozen(self.ledger.book().frozen().cloned()));
    }

    fn stop(&mut self) {
        if self.stopping.is_none() {
            tracing::info!("stopping: faults are undone, what is under way is finished");
            self.stopping = Some(clock::monotonic());
        }
    }

    fn tick(&mut self) {
        self.bench.children.reap();
        if let Some(keepers) = &self.bench.keepers {
            keepers.reap();
        }
        self.watch_faults();
        self.begin_undos();
        self.tell_untold();
    }

    fn may_exit(&self) -> bool {
        let idle = self.busy.is_empty() && self.ledger.book().unfinished_faults().next().is_none();
        let now = clock::monotonic();
        match self.stopping {
            Some(since) => idle || now.saturating_duration_since(since) > STOP_WITHIN,
            None => {
                let silent = now.saturating_duration_since(self.heard);
                idle && silent > self.settings.alone_for && !self.outbox.connected()
            }
        }
    }

    fn record(&mut self, entry: Entry) -> Result<(), LedgerError> {
        self.ledger.append(&entry)
    }

    /// To the server if it is there, else lost: the next such message says the same.
    fn tell(&self, message: FromAgent) {
        let _ = self.outbox.send(message);
    }

    /// To the server now, or when it comes back.
    fn tell_surely(&mut self, message: FromAgent) {
        if self.untold.len() >= UNTOLD_MAX {
            self.untold.pop_front();
        }
        self.untold.push_back(message);
        self.tell_untold();
    }

    fn tell_untold(&mut self) {
        while let Some(message) = self.untold.pop_front() {
            if let Err(message) = self.outbox.send(message) {
                self.untold.push_front(*message);
                return;
            }
        }
    }

    fn refuse(&self, reason: impl Into<String>) {
        let reason = reason.into();
        tracing::warn!(reason, "refused");
        self.tell(FromAgent::Refused { reason });
    }

    fn log(&mut self, level: Level, message: String) {
        match level {
            Level::Info => tracing::info!("{message}"),
            Level::Warning => tracing::warn!("{message}"),
        }
        self.tell_surely(FromAgent::Log { at: clock::now(), level, message });
    }
}

/// An error with what caused it, for records and people.
fn chain(error: &LedgerError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Runs work in a thread; a panic in it is an error like any other, so that no target stays busy.
fn in_thread<T: Send + 'static>(
    name: &str,
    events: &mpsc::Sender<Event>,
    work: impl FnOnce() -> T + Send + 'static,
    event: impl FnOnce(Result<T, String>) -> Event + Send + 'static,
) {
    let events_of_thread = events.clone();
    let event = Arc::new(std::sync::Mutex::new(Some(event)));
    let event_of_thread = event.clone();
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work))
            .map_err(|_| "the agent has a defect; see its log".to_owned());
        let event = event_of_thread.lock().ok().and_then(|mut event| event.take());
        if let Some(event) = event {
            let _ = events_of_thread.blocking_send(event(result));
        }
    });
    if let Err(error) = spawned {
        let event = event.lock().ok().and_then(|mut event| event.take());
        // The thread of decisions is the caller: it must not wait for itself.
        if let Some(event) = event {
            let _ = events.try_send(event(Err(format!("cannot start a thread: {error}"))));
        }
    }
}

fn undo_thread(bench: &Arc<Bench>, events: &mpsc::Sender<Event>, record: FaultRecord) {
    let (bench, id, target) = (bench.clone(), record.id.clone(), record.target.name.clone());
    in_thread(
        "undo",
        events,
        move || crate::faults::undo(&bench, &record),
        |result| Event::UndoEnded { id, target, result: result.and_then(|result| result) },
    );
}
