//! The server's side of the local agent: starts it, hands it orders, logs what it reports.
//!
//! An order is handed over once. Whenever a connection begins, the agent is asked about every
//! action that the loop believes to be in flight; an order that never arrived is told to the loop
//! as not run, and never handed over again. Process reports are logged when they say something new.

mod aims;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent::protocol::{FaultId, FaultReport, FaultState, Freeze, FromAgent, Injection, Level};
use agent::{Client, ClientConfig, ClientError, ClientEvent};
use engine::{Command, Entry};
use model::human::HumanDuration;
use model::plan::OutcomeResult;
use model::tick::ProcessReport;
use model::{Action, ActionId, Outcome, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock;
use crate::driver::{self, Handle};

/// The agent undoes faults when it has not heard of the server for this long.
const LEASE: HumanDuration = HumanDuration::from_secs(30);
/// An agent that cannot be reached for this long is started anew.
const START_AFTER: Duration = Duration::from_secs(1);
const START_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// A process report that says nothing new is logged this often all the same.
const REPORT_AGAIN: Duration = Duration::from_secs(60);
const FAULTS_KEPT: usize = 1_000;
/// An outcome that the log could not take is offered again after this.
const LOG_AGAIN: Duration = Duration::from_secs(1);
/// Outcomes that may wait for the log; more than the guardrails let be in flight.
const OUTCOMES_WAITING_MAX: usize = 1_000;
/// An agent that was told to stop gets this long to end what is under way before the server goes
/// on.
const STOPS_WITHIN: Duration = Duration::from_secs(5);

/// Access to the agent for the API and the drills; cheap to clone.
#[derive(Clone)]
pub struct Hands {
    client: Client,
    faults: Arc<Mutex<BTreeMap<FaultId, FaultReport>>>,
    aims: aims::Aims,
    wishes: Arc<Wishes>,
}

/// What was asked for while the agent may have been away.
#[derive(Default)]
struct Wishes {
    /// Who thawed; until the agent was told so.
    thaw: Mutex<Option<String>>,
    stopping: AtomicBool,
}

impl Hands {
    pub fn connected(&self) -> bool {
        self.client.connected()
    }

    /// Tells the executor itself to refuse actions. When it is away it is told at its next
    /// connection.
    pub fn freeze(&self, who: &str, reason: &str) {
        self.wish_thaw(None);
        let freeze = Freeze { who: who.to_owned(), reason: reason.to_owned() };
        note_away(self.client.freeze(freeze), "freeze");
    }

    pub fn thaw(&self, who: &str) {
        let told = self.client.thaw(who);
        self.wish_thaw(told.is_err().then(|| who.to_owned()));
        note_away(told, "thaw");
    }

    fn wish_thaw(&self, who: Option<String>) {
        *self.wishes.thaw.lock().unwrap_or_else(PoisonError::into_inner) = who;
    }

    pub fn inject(&self, injection: Injection) -> Result<(), ClientError> {
        self.client.inject(injection)
    }

    pub fn undo(&self, id: &FaultId) -> Result<(), ClientError> {
        self.client.undo(id.clone())
    }

    /// Ends every fault that the agent knows of, whoever ordered it.
    pub fn undo_all(&self) -> Result<(), ClientError> {
        self.client.undo_all()
    }

    /// Asks the agent to tell of a fault again.
    pub fn query_fault(&self, id: &FaultId) -> Result<(), ClientError> {
        self.client.query_fault(id.clone())
    }

    /// The last that was heard of a fault.
    pub fn fault(&self, id: &FaultId) -> Option<FaultReport> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Tells the agent to undo every fault, finish what is under way, and end; waits a while for
    /// it.
    pub async fn stop(&self) {
        self.wishes.stopping.store(true, Ordering::Release);
        if !self.connected() {
            return;
        }
        note_away(self.client.stop(), "stop");
        let gone = async {
            while self.connected() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(STOPS_WITHIN, gone).await.is_err() {
            tracing::warn!("the agent is still busy; it ends by itself when it is done");
        }
    }
}

fn note_away(told: Result<(), ClientError>, what: &str) {
    if let Err(error) = told {
        tracing::warn!(%error, "agent was not told to {what}");
    }
}

/// A Unix socket's path has room for this, its final zero included.
const SOCKET_PATH_BYTES_MAX: usize = 108;

/// The agent's socket in its folder; an error when its path is too long to be one.
pub fn socket(dir: &Path) -> anyhow::Result<PathBuf> {
    let socket = dir.join("agent.sock");
    let bytes = socket.as_os_str().len();
    anyhow::ensure!(
        bytes < SOCKET_PATH_BYTES_MAX,
        "{} is too long for a socket: {bytes} bytes, and {} are allowed; choose a shorter \
         storage.path",
        socket.display(),
        SOCKET_PATH_BYTES_MAX - 1
    );
    Ok(socket)
}

/// Where the agent lives and what it is told.
pub struct Config {
    pub exe: PathBuf,
    pub dir: PathBuf,
    pub socket: PathBuf,
    pub targets: Vec<agent::Target>,
    /// The agent, and what it starts, has huge pages though this process renounced them.
    pub huge_pages: bool,
}

/// Connects, and serves orders until the driver ends.
pub fn start(config: Config, handle: Handle, orders: mpsc::Receiver<Action>) -> Hands {
    let client_config = ClientConfig {
        socket: config.socket.clone(),
        targets: config.targets.clone(),
        lease: LEASE,
    };
    let (client, events) = Client::start(client_config);
    let hands =
        Hands { client, faults: Arc::default(), aims: Default::default(), wishes: Arc::default() };
    let task = Task {
        config,
        handle,
        hands: hands.clone(),
        orders,
        waiting: Vec::new(),
        telling: Arc::default(),
        reported: BTreeMap::new(),
        acted_at: Timestamp::ZERO,
        reporting: None,
        unsettled: None,
        child: None,
        away_since: Some(Instant::now()),
        start_after: START_AFTER,
    };
    tokio::spawn(task.run(events));
    hands
}

/// A connection whose beginning is not settled yet.
struct Welcomed {
    agent_frozen: Option<Freeze>,
}

struct Task {
    config: Config,
    handle: Handle,
    hands: Hands,
    orders: mpsc::Receiver<Action>,
    /// Orders for which the agent was away.
    waiting: Vec<Action>,
    /// Actions whose outcome is on its way into the log.
    telling: Arc<Mutex<BTreeSet<ActionId>>>,
    /// What the log has of each target.
    reported: BTreeMap<String, ProcessReport>,
    /// When the agent last said what became of an action.
    acted_at: Timestamp,
    /// Reports on their way into the log; `None` comes back when it could not take them.
    reporting: Option<oneshot::Receiver<Option<Vec<ProcessReport>>>>,
    /// What the connection began with is not settled: the loop was too busy to be asked.
    unsettled: Option<Welcomed>,
    child: Option<Child>,
    away_since: Option<Instant>,
    start_after: Duration,
}

impl Task {
    async fn run(mut self, mut events: mpsc::Receiver<ClientEvent>) {
        let mut beat = interval(Duration::from_millis(500));
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.hear(event).await,
                    None => return,
                },
                order = self.orders.recv() => match order {
                    Some(action) => self.perform(action),
                    None => return,
                },
                _ = beat.tick() => {
                    self.look_after();
                    self.reconcile().await;
                }
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match self.hands.client.perform(action.clone()) {
            Ok(()) => {
                let Action { id, target, kind, .. } = &action;
                tracing::info!(action = %id, %target, "ordered {kind}");
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
            if !self.stopping() {
                let last = last_line(&self.config.dir.join("agent.log")).unwrap_or_default();
                tracing::warn!(%status, last, "the agent ended; the last line of its log is told");
            }
            self.child = None;
        }
        let missing = self.away_since.is_some_and(|since| since.elapsed() >= self.start_after);
        if missing && !self.stopping() {
            self.away_since = Some(Instant::now());
            self.start_after = START_AGAIN_AFTER;
            let Config { exe, dir, socket, huge_pages, .. } = &self.config;
            match agent::spawn(exe, dir, socket, *huge_pages) {
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

    fn stopping(&self) -> bool {
        self.hands.wishes.stopping.load(Ordering::Acquire)
    }

    async fn hear(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::Connected(welcome) => {
                tracing::info!(pid = welcome.pid, host = %welcome.host, "agent connected");
                self.away_since = None;
                self.start_after = START_AFTER;
                self.unsettled = Some(Welcomed { agent_frozen: welcome.frozen });
                self.reconcile().await;
            }
            ClientEvent::Disconnected { reason } => {
                match self.stopping() {
                    true => tracing::info!("the agent is gone"),
                    false => tracing::warn!(reason, "agent disconnected"),
                }
                self.unsettled = None;
                self.away_since = Some(Instant::now());
            }
            ClientEvent::Message(message) => self.message(message),
        }
    }

    /// Settles what may have been lost with the last connection, server, or agent; again on the
    /// next beat, when the loop is too busy to be asked.
    async fn reconcile(&mut self) {
        let Some(Welcomed { agent_frozen }) = self.unsettled.take() else { return };
        let asked = self.handle.ask(|core| {
            let in_flight: Vec<ActionId> =
                core.engine.healer.in_flight().iter().map(|action| action.id.clone()).collect();
            (in_flight, core.engine.healer.frozen().cloned())
        });
        let (in_flight, frozen) = match asked.await {
            Ok(answer) => answer,
            Err(driver::Error::Stopped) => return,
            Err(error) => {
                tracing::warn!(%error, "the loop cannot be asked yet what is in flight");
                self.unsettled = Some(Welcomed { agent_frozen });
                return;
            }
        };
        // What the loop had ordered when it answered was sent before it answered. An order that is
        // still on its way is handed over below; to ask about it would have it told as lost, and
        // then run.
        while let Ok(action) = self.orders.try_recv() {
            self.waiting.push(action);
        }
        for id in in_flight {
            if !self.waiting.iter().any(|action| action.id == id) {
                note_away(self.hands.client.query(id), "say what became of an action");
            }
        }
        match (frozen, agent_frozen) {
            (Some(freeze), None) => self.hands.freeze(&freeze.who, &freeze.reason),
            (None, Some(freeze)) => self.agent_alone_is_frozen(freeze),
            _ => {}
        }
    }

    /// Either the agent missed a thaw, or the loop never heard of a freeze: that is a freeze all
    /// the same.
    fn agent_alone_is_frozen(&self, freeze: Freeze) {
        let wish = self.hands.wishes.thaw.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(who) = wish {
            return self.hands.thaw(&who);
        }
        let command = Command::Freeze { reason: freeze.reason };
        self.submit(Entry::Command { now: clock::now(), by: freeze.who, command });
    }

    fn message(&mut self, message: FromAgent) {
        match message {
            FromAgent::Report { processes, .. } => self.report(processes),
            FromAgent::Outcome(outcome) => {
                let (result, detail) = (outcome.result.as_str(), &outcome.detail);
                tracing::info!(action = %outcome.action, result, detail, "outcome");
                self.acted_at = outcome.at;
                self.outcome(outcome);
            }
            FromAgent::Unknown(id) => self.not_run(id, "the order never reached the agent"),
            FromAgent::Fault(report) => self.fault(report),
            FromAgent::UnknownFault(id) => self.fault(FaultReport {
                id,
                at: clock::now(),
                state: FaultState::Refused,
                injected_at: None,
                effective_at: None,
                undone_at: None,
                detail: "the fault never reached the agent".to_owned(),
            }),
            FromAgent::Aimed { id, aim } => self.hands.aims.answered(&id, aim),
            FromAgent::Refused { reason } => tracing::warn!(reason, "agent refused a message"),
            FromAgent::Log { level: Level::Warning, message, .. } => {
                tracing::warn!("agent: {message}");
            }
            FromAgent::Log { message, .. } => tracing::info!("agent: {message}"),
            FromAgent::Welcome(_) | FromAgent::InProgress(_) | FromAgent::Frozen(_) => {}
        }
    }

    fn fault(&self, report: FaultReport) {
        let mut faults = self.hands.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.insert(report.id.clone(), report);
        while faults.len() > FAULTS_KEPT {
            faults.pop_first();
        }
    }

    /// Logs what says something new. The agent reports each second: while one report is on its way
    /// into the log, and when it did not get there, the next one tells the same.
    fn report(&mut self, processes: Vec<ProcessReport>) {
        match self.reporting.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Err(oneshot::error::TryRecvError::Empty)) => return,
            Some(Ok(Some(durable))) => {
                let durable = durable.into_iter().map(|report| (report.target.clone(), report));
                self.reported.extend(durable);
            }
            _ => {}
        }
        self.reporting = None;
        let news: Vec<ProcessReport> = processes
            .into_iter()
            .filter(|report| is_news(self.reported.get(&report.target), report, self.acted_at))
            .collect();
        if news.is_empty() {
            return;
        }
        let (told, reporting) = oneshot::channel();
        self.reporting = Some(reporting);
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let logged = handle.logged(Entry::Processes(news.clone())).await;
            if let Err(error) = &logged {
                tracing::debug!(%error, "process reports were not taken");
            }
            let _ = told.send(logged.is_ok().then_some(news));
        });
    }

    fn not_run(&self, action: ActionId, why: &str) {
        let (at, result) = (clock::now(), OutcomeResult::NotRun);
        self.outcome(Outcome { action, at, result, detail: why.to_owned() });
    }

    /// Logs an outcome, however long that takes: while it is not known, its target is not touched.
    fn outcome(&self, outcome: Outcome) {
        let (handle, telling) = (self.handle.clone(), self.telling.clone());
        {
            let mut telling = telling.lock().unwrap_or_else(PoisonError::into_inner);
            let full = telling.len() >= OUTCOMES_WAITING_MAX;
            if full || !telling.insert(outcome.action.clone()) {
                return;
            }
        }
        tokio::spawn(async move {
            let entry = || Entry::Outcome { now: clock::now(), outcome: outcome.clone() };
            while let Err(error) = handle.ordered(entry()).await {
                if matches!(error, driver::Error::Stopped) {
                    // The agent is asked again when the server runs again.
                    break;
                }
                tracing::warn!(action = %outcome.action, %error, "outcome waits for the log");
                tokio::time::sleep(LOG_AGAIN).await;
            }
            let mut telling = telling.lock().unwrap_or_else(PoisonError::into_inner);
            telling.remove(&outcome.action);
        });
    }

    fn submit(&self, entry: Entry) {
        if let Err(error) = self.handle.submit(entry) {
            tracing::warn!(%error, "what the agent said was not taken");
        }
    }
}

/// Whether the log should have a report, of which it has the `known` one. After an action the first
/// look says something even if the state was known before: only by looks that are newer than the
/// outcome does the healer tell what the action brought about.
fn is_news(known: Option<&ProcessReport>, report: &ProcessReport, acted_at: Timestamp) -> bool {
    known.is_none_or(|known| {
        known.state != report.state
            || known.entity != report.entity
            || has_grown_or_shrunk(known.memory_bytes, report.memory_bytes)
            || report.at.since(known.at) >= REPORT_AGAIN
            || (known.at <= acted_at && acted_at < report.at)
    })
}

/// Did memory change by a quarter, or become known?
fn has_grown_or_shrunk(known: Option<u64>, now: Option<u64>) -> bool {
    match (known, now) {
        (Some(known), Some(now)) => known.abs_diff(now) >= (known / 4).max(1),
        (None, now) => now.is_some(),
        (Some(_), None) => false,
    }
}

/// Why an agent ended stands at the end of its log.
fn last_line(path: &Path) -> Option<String> {
    const READ_MAX: u64 = 4 << 10;
    let mut file = std::fs::File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ_MAX))).ok()?;
    let mut bytes = Vec::new();
    file.take(READ_MAX).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    text.lines().rfind(|line| !line.trim().is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use model::Entity;
    use model::tick::ProcessState;

    use super::*;

    fn seen(at_s: u64, state: ProcessState) -> ProcessReport {
        let entity = Entity::service(&model::Scope::default(), "cart");
        let (at, target) = (Timestamp::from_secs(at_s), "cart".to_owned());
        ProcessReport { at, target, entity, state, memory_bytes: None }
    }

    #[test]
    fn the_first_look_after_an_action_is_told_though_its_state_is_known() {
        let known = seen(10, ProcessState::NeverSeen);
        let told = |at_s, acted_at_s| {
            let look = seen(at_s, ProcessState::NeverSeen);
            is_news(Some(&known), &look, Timestamp::from_secs(acted_at_s))
        };
        assert!(!told(11, 5), "it was told after that action");
        assert!(told(12, 11));
        assert!(!told(12, 12), "the look is not newer than the outcome");
        assert!(told(70, 5), "it was not told for a minute");
        assert!(is_news(None, &known, Timestamp::ZERO));
    }
}
