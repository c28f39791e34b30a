//! The server's side of the local agent: starts it, hands it orders, logs what it reports.
//!
//! An order is handed over once. Whenever a connection begins, the agent is asked about every action that
//! the loop believes to be in flight; an order that never arrived is told to the loop as not run, and never
//! handed over again. Process reports are logged when they say something new.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::protocol::{FaultId, FaultReport, Freeze, FromAgent, Injection, Level};
use agent::{Client, ClientConfig, ClientError, ClientEvent};
use engine::{Command, Entry};
use model::human::HumanDuration;
use model::plan::OutcomeResult;
use model::tick::ProcessReport;
use model::{Action, ActionId, Outcome, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock;
use crate::driver::Handle;

/// The agent undoes faults when it has not heard of the server for this long.
const LEASE: HumanDuration = HumanDuration::from_secs(30);
/// An agent that cannot be reached for this long is started anew.
const START_AFTER: Duration = Duration::from_secs(1);
const START_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A process report that says nothing new is logged this often all the same.
const REPORT_AGAIN: Duration = Duration::from_secs(60);
const FAULTS_KEPT: usize = 1_000;

/// Access to the agent for the API and the drills; cheap to clone.
#[derive(Clone)]
pub struct Hands {
    client: Client,
    faults: Arc<Mutex<BTreeMap<FaultId, FaultReport>>>,
}

impl Hands {
    pub fn connected(&self) -> bool {
        self.client.connected()
    }

    /// Tells the executor itself to refuse actions. When it is away it is told at its next connection.
    pub async fn freeze(&self, who: &str, reason: &str) {
        let freeze = Freeze { who: who.to_owned(), reason: reason.to_owned() };
        note_away(self.client.freeze(freeze), "freeze");
    }

    pub async fn thaw(&self, who: &str) {
        note_away(self.client.thaw(who), "thaw");
    }

    pub fn inject(&self, injection: Injection) -> Result<(), ClientError> {
        self.client.inject(injection)
    }

    pub fn undo(&self, id: &FaultId) -> Result<(), ClientError> {
        self.client.undo(id.clone())
    }

    /// Asks the agent to tell of a fault again.
    pub fn query_fault(&self, id: &FaultId) -> Result<(), ClientError> {
        self.client.query_fault(id.clone())
    }

    /// The last that was heard of a fault.
    pub fn fault(&self, id: &FaultId) -> Option<FaultReport> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Undo every fault, finish what is under way, end.
    pub fn stop(&self) {
        note_away(self.client.stop(), "stop");
    }
}

fn note_away(told: Result<(), ClientError>, what: &str) {
    if let Err(error) = told {
        tracing::warn!(%error, "agent was not told to {what}");
    }
}

/// Where the agent lives and what it is told.
pub struct Config {
    pub exe: PathBuf,
    pub dir: PathBuf,
    pub targets: Vec<agent::Target>,
}

/// Connects, and serves orders until the driver ends.
pub fn start(config: Config, handle: Handle, orders: mpsc::Receiver<Action>) -> Hands {
    let socket = config.dir.join("agent.sock");
    let client_config =
        ClientConfig { socket: socket.clone(), targets: config.targets.clone(), lease: LEASE };
    let (client, events) = Client::start(client_config);
    let hands = Hands { client, faults: Arc::default() };
    let task = Task {
        config,
        socket,
        handle,
        hands: hands.clone(),
        waiting: Vec::new(),
        reported: BTreeMap::new(),
        child: None,
        away_since: Some(Instant::now()),
        start_after: START_AFTER,
    };
    tokio::spawn(task.run(events, orders));
    hands
}

struct Task {
    config: Config,
    socket: PathBuf,
    handle: Handle,
    hands: Hands,
    /// Orders for which the agent was away.
    waiting: Vec<Action>,
    reported: BTreeMap<String, ProcessReport>,
    child: Option<Child>,
    away_since: Option<Instant>,
    start_after: Duration,
}

impl Task {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<ClientEvent>,
        mut orders: mpsc::Receiver<Action>,
    ) {
        let mut beat = interval(Duration::from_millis(500));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.hear(event).await,
                    None => return,
                },
                order = orders.recv() => match order {
                    Some(action) => self.perform(action),
                    None => return,
                },
                _ = beat.tick() => self.look_after(),
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match self.hands.client.perform(action.clone()) {
            Ok(()) => {
                tracing::info!(action = %action.id, target = %action.target, "ordered {}", action.kind)
            }
            Err(error) => {
                tracing::warn!(action = %action.id, %error, "order waits for the agent");
                self.waiting.push(action);
            }
        }
    }

    /// Starts a missing agent, lets waiting orders go or expire.
    fn look_after(&mut self) {
        if let Some(child) = &mut self.child
            && let Ok(Some(status)) = child.try_wait()
        {
            tracing::warn!(%status, "the agent ended");
            self.child = None;
        }
        if self.away_since.is_some_and(|since| since.elapsed() >= self.start_after) {
            self.away_since = Some(Instant::now());
            self.start_after = START_AGAIN_AFTER;
            match agent::spawn(&self.config.exe, &self.config.dir, &self.socket) {
                Ok(child) => self.child = Some(child),
                Err(error) => tracing::error!(%error, "agent cannot be started; nothing is healed"),
            }
        }
        for action in std::mem::take(&mut self.waiting) {
            if action.not_after < clock::now() {
                self.not_run(action.id, "the agent could not be reached in time");
            } else if self.hands.connected() {
                self.perform(action);
            } else {
                self.waiting.push(action);
            }
        }
    }

    async fn hear(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Connected(welcome) => {
                tracing::info!(pid = welcome.pid, host = %welcome.host, "agent connected");
                self.away_since = None;
                self.start_after = START_AFTER;
                self.reconcile(welcome.frozen).await;
            }
            ClientEvent::Disconnected { reason } => {
                tracing::warn!(reason, "agent disconnected");
                self.away_since = Some(Instant::now());
            }
            ClientEvent::Message(message) => self.message(message),
        }
    }

    /// Settles what may have been lost with the last connection, server, or agent.
    async fn reconcile(&mut self, agent_frozen: Option<Freeze>) {
        let asked = self.handle.ask(|core| {
            let in_flight: Vec<ActionId> =
                core.engine.healer.in_flight().iter().map(|action| action.id.clone()).collect();
            (in_flight, core.engine.healer.frozen().cloned())
        });
        let Ok((in_flight, frozen)) = asked.await else { return };
        for id in in_flight {
            if !self.waiting.iter().any(|action| action.id == id) {
                note_away(self.hands.client.query(id), "say what became of an action");
            }
        }
        match (frozen, agent_frozen) {
            (Some(freeze), None) => self.hands.freeze(&freeze.who, &freeze.reason).await,
            (None, Some(freeze)) => {
                // A freeze that the loop never heard of is a freeze all the same.
                let command = Command::Freeze { reason: freeze.reason };
                let entry = Entry::Command { now: clock::now(), by: freeze.who, command };
                self.submit(entry);
            }
            _ => {}
        }
    }

    fn message(&mut self, message: FromAgent) {
        match message {
            FromAgent::Report { at, processes } => self.report(at, processes),
            FromAgent::Outcome(outcome) => {
                let (result, detail) = (outcome.result.as_str(), &outcome.detail);
                tracing::info!(action = %outcome.action, result, detail, "outcome");
                self.submit(Entry::Outcome { now: clock::now(), outcome });
            }
            FromAgent::Unknown(id) => self.not_run(id, "the order never reached the agent"),
            FromAgent::Fault(report) => {
                let mut faults = self.hands.faults.lock().unwrap_or_else(PoisonError::into_inner);
                faults.insert(report.id.clone(), report);
                while faults.len() > FAULTS_KEPT {
                    faults.pop_first();
                }
            }
            FromAgent::Refused { reason } => tracing::warn!(reason, "agent refused a message"),
            FromAgent::Log { level: Level::Warning, message, .. } => {
                tracing::warn!("agent: {message}");
            }
            FromAgent::Log { message, .. } => tracing::info!("agent: {message}"),
            FromAgent::Welcome(_)
            | FromAgent::InProgress(_)
            | FromAgent::UnknownFault(_)
            | FromAgent::Frozen(_) => {}
        }
    }

    fn report(&mut self, at: Timestamp, processes: Vec<ProcessReport>) {
        let news: Vec<ProcessReport> = processes
            .into_iter()
            .filter(|report| {
                self.reported.get(&report.target).is_none_or(|known| {
                    known.state != report.state
                        || known.entity != report.entity
                        || at.since(known.at) >= REPORT_AGAIN
                })
            })
            .collect();
        if news.is_empty() {
            return;
        }
        if self.submit(Entry::Processes(news.clone())) {
            self.reported.extend(news.into_iter().map(|report| (report.target.clone(), report)));
        }
    }

    fn not_run(&self, action: ActionId, why: &str) {
        let at = clock::now();
        let outcome = Outcome { action, at, result: OutcomeResult::NotRun, detail: why.to_owned() };
        self.submit(Entry::Outcome { now: at, outcome });
    }

    fn submit(&self, entry: Entry) -> bool {
        let taken = self.handle.submit(entry);
        if let Err(error) = &taken {
            tracing::warn!(%error, "what the agent said was not taken");
        }
        taken.is_ok()
    }
}
