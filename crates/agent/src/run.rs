//! One agent, from its lock to its last word.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use model::tick::ProcessReport;
use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;

use crate::bench::{Bench, Step};
use crate::hands::{EVENTS_MAX, Event, Hands, Settings};
use crate::keepers::{KeeperCommand, Keepers};
use crate::ledger::{Ledger, LedgerError};
use crate::outbox::Outbox;
use crate::process::Host;
use crate::protocol::{FromAgent, Level, REPORT_MAX};
use crate::watch::Watch;
use crate::{clock, conditions, link, store};

const TICK: Duration = Duration::from_millis(200);
/// How often processes are looked at and reported.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// A killed agent's lock may outlive it for a moment, in a child between fork and exec.
const LOCK_TRIES: u32 = 30;
const ALONE_FOR_DEFAULT: Duration = Duration::from_secs(600);
/// Time for the last messages to be written.
const LAST_WORDS: Duration = Duration::from_millis(300);

#[derive(Clone, Debug)]
pub struct AgentConfig {
    /// Where the agent keeps its ledger; private to its user, one agent at a time.
    pub dir: PathBuf,
    /// Socket on which it listens, in a private folder.
    pub socket: PathBuf,
    /// Without a server and with nothing to do, it exits after this.
    pub alone_for: Duration,
    /// How this program is started as a keeper of a fault.
    pub keeper: KeeperCommand,
    /// Called at each point at which a crash would matter; for crash tests.
    pub on_step: Option<fn(Step)>,
}

impl AgentConfig {
    pub fn new(dir: impl Into<PathBuf>, socket: impl Into<PathBuf>) -> Self {
        AgentConfig {
            dir: dir.into(),
            socket: socket.into(),
            alone_for: ALONE_FOR_DEFAULT,
            keeper: KeeperCommand::default(),
            on_step: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("folder {}", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("another agent works in {}", .0.display())]
    Locked(PathBuf),
    #[error("socket {}", path.display())]
    Socket {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot read who this host is")]
    Host(#[source] io::Error),
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// Runs an agent until `shutdown`, a server's `Stop`, or a long time without server and work.
pub async fn run(
    config: AgentConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), AgentError> {
    let _lock = lock(&config.dir).await?;
    let host = Host::this().map_err(AgentError::Host)?;
    let ledger = Ledger::open(&config.dir.join("ledger.jsonl"))?;
    let (watch, mut message) = Watch::open(host.clone(), &config.dir.join("processes.json"));
    let targets_path = config.dir.join("targets.json");
    let keepers = Some(Keepers::new(config.keeper).map_err(AgentError::Thread)?);
    let dir = std::path::absolute(&config.dir).unwrap_or_else(|_| config.dir.clone());
    let bench = Arc::new(Bench::new(host, watch, dir, keepers, config.on_step));
    match store::load_targets(&targets_path) {
        Ok(targets) => bench.set_targets(targets),
        // The server brings them again; faults carry their own.
        Err(error) => message = Some(format!("{}: {error}", targets_path.display())),
    }

    let socket = |source| AgentError::Socket { path: config.socket.clone(), source };
    let folder = config.socket.parent().filter(|parent| !parent.as_os_str().is_empty());
    store::private_folder(folder.unwrap_or(Path::new("."))).map_err(socket)?;
    let listener = link::listen(&config.socket).map_err(socket)?;

    let outbox = Arc::new(Outbox::default());
    let (events, inbox) = mpsc::channel(EVENTS_MAX);
    if let Some(text) = message {
        let _ = events.send(Event::Message { level: Level::Warning, text }).await;
    }
    let settings = Settings { targets_path, alone_for: config.alone_for };
    let hands = Hands::new(settings, bench.clone(), ledger, outbox.clone(), events.clone());
    let (ended, end) = oneshot::channel();
    spawn("hands", move || {
        hands.run(inbox);
        let _ = ended.send(());
    })?;
    let (look, looks) = mpsc::channel(1);
    let (events_of_watch, outbox_of_watch) = (events.clone(), outbox.clone());
    let (bench_of_disks, outbox_of_disks) = (bench.clone(), outbox.clone());
    let (look_at_disks, disk_looks) = mpsc::channel(1);
    spawn("disks", move || {
        conditions::watch_disks(&bench_of_disks, &outbox_of_disks, disk_looks);
    })?;
    let conditions = conditions::watch(bench.clone(), outbox.clone(), look_at_disks);
    let conditions = tokio::spawn(conditions);
    spawn("watch", move || report(&bench, &outbox_of_watch, &events_of_watch, looks))?;
    let accepting = tokio::spawn(link::accept(listener, events.clone()));

    drive(events, look, end, shutdown).await;

    outbox.close();
    tokio::time::sleep(LAST_WORDS).await;
    accepting.abort();
    conditions.abort();
    let _ = fs::remove_file(&config.socket);
    Ok(())
}

/// Keeps time until the thread of decisions has ended.
async fn drive(
    events: mpsc::Sender<Event>,
    look: mpsc::Sender<()>,
    mut end: oneshot::Receiver<()>,
    shutdown: impl Future<Output = ()>,
) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut told = false;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut looks = tokio::time::interval(REPORT_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = &mut end => return,
            () = &mut shutdown, if !told => {
                told = true;
                let _ = events.send(Event::Shutdown).await;
            }
            // A thread that is still busy with the last one needs no other.
            _ = ticks.tick() => { let _ = events.try_send(Event::Tick); }
            _ = looks.tick() => { let _ = look.try_send(()); }
        }
    }
}

/// The thread that looks at processes and reports them.
fn report(
    bench: &Bench,
    outbox: &Outbox,
    events: &mpsc::Sender<Event>,
    mut looks: mpsc::Receiver<()>,
) {
    while looks.blocking_recv().is_some() {
        let targets = bench.targets();
        let at = clock::now();
        let look = bench.watch.look(targets.values().map(|target| &**target), at);
        for text in look.messages {
            let _ = events.blocking_send(Event::Message { level: Level::Warning, text });
        }
        for processes in frames(look.reports) {
            let _ = outbox.send(FromAgent::Report { at, processes });
        }
    }
}

/// Parts that fit into a frame each; at least one, for it also says that the agent lives.
fn frames(reports: Vec<ProcessReport>) -> Vec<Vec<ProcessReport>> {
    match reports.is_empty() {
        true => vec![reports],
        false => reports.chunks(REPORT_MAX).map(<[_]>::to_vec).collect(),
    }
}

async fn lock(dir: &Path) -> Result<fs::File, AgentError> {
    let folder = |source| AgentError::Folder { path: dir.to_owned(), source };
    store::private_folder(dir).map_err(folder)?;
    for _ in 0..LOCK_TRIES {
        if let Some(lock) = store::lock(&dir.join("lock")).map_err(folder)? {
            return Ok(lock);
        }
        tokio::time::sleep(TICK).await;
    }
    Err(AgentError::Locked(dir.to_owned()))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), AgentError> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    thread.map(|_| ()).map_err(AgentError::Thread)
}
