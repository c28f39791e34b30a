//! The agent's side of its keepers (see `keeper`): starts them, dismisses them, finds those that
//! are left.
//!
//! Keepers of held faults end with the agent: the kernel kills them when the thread that started
//! them ends, so one thread that lives as long as the agent starts them all. Invariant: a keeper
//! says in its arguments which fault of which agent it is for; by that alone, and its owner, it is
//! found again, whoever is asked.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::tick::ProcessIdentity;
use rustix::event::{PollFd, PollFlags};
use rustix::process::Signal;

use crate::bench::Bench;
use crate::faults::{self, Means};
use crate::keeper::{Answer, Charge, DISMISSED};
use crate::ledger::FaultRecord;
use crate::process::{Host, ProcessHandle, identity};
use crate::protocol::FaultId;
use crate::{clock, launch};

/// How long a keeper may take to say that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// How long a keeper may take to vanish after SIGKILL.
const GONE_WITHIN: Duration = Duration::from_secs(5);
const GONE_LOOK: Duration = Duration::from_millis(2);
/// Lines before the answer that are not the keeper's.
const LINES_MAX: usize = 64;
const ANSWER_MAX: u64 = 64 << 10;

/// How this program is started as a keeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeeperCommand {
    /// The very program that runs, though another has been installed in its place.
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: BTreeMap<String, String>,
}

impl Default for KeeperCommand {
    fn default() -> Self {
        KeeperCommand {
            program: PathBuf::from("/proc/self/exe"),
            arguments: vec!["keep".to_owned()],
            environment: BTreeMap::new(),
        }
    }
}

type Spawned = Result<Child, String>;

#[derive(Debug)]
pub struct Keepers {
    command: KeeperCommand,
    spawner: SyncSender<(Command, SyncSender<Spawned>)>,
    running: Mutex<BTreeMap<FaultId, Running>>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// While this is open the agent lives.
    life: Option<ChildStdin>,
}

impl Keepers {
    pub fn new(command: KeeperCommand) -> std::io::Result<Keepers> {
        let (spawner, requests) = sync_channel::<(Command, SyncSender<Spawned>)>(1);
        std::thread::Builder::new().name("keepers".to_owned()).spawn(move || {
            while let Ok((mut command, reply)) = requests.recv() {
                let _ = reply.send(command.spawn().map_err(|error| error.to_string()));
            }
        })?;
        Ok(Keepers { command, spawner, running: Mutex::default() })
    }

    /// Returns when the keeper is ready; a held fault is in effect then.
    pub fn start(&self, bench: &Bench, record: &FaultRecord) -> Result<(), String> {
        let fail = |why: String| format!("its keeper did not start: {why}");
        let mut child = self.spawn(bench, record).map_err(fail)?;
        let (life, answers) = (child.stdin.take(), child.stdout.take());
        let (Some(mut life), Some(answers)) = (life, answers) else {
            return Err(fail("it has no input and output".to_owned()));
        };
        let left = record.deadline.since(clock::now());
        let charge = Charge {
            dir: bench.dir.clone(),
            record: record.clone(),
            within_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX),
        };
        let told = serde_json::to_vec(&charge)
            .map_err(std::io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                life.write_all(&line)
            })
            .map_err(|error| error.to_string());
        let answered = told.and_then(|()| answer(answers));
        self.running().insert(record.id.clone(), Running { child, life: Some(life) });
        answered.map_err(fail)
    }

    fn spawn(&self, bench: &Bench, record: &FaultRecord) -> Spawned {
        let mut line = vec![self.command.program.to_string_lossy().into_owned()];
        line.extend(self.command.arguments.iter().cloned());
        line.push(mark(&bench.dir, record));
        let mut command = launch::command(&line, None, &self.command.environment)
            .map_err(|error| error.to_string())?;
        command.arg0("immune").stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::inherit());
        launch::in_own_session(&mut command);
        if matches!(faults::spec(&record.fault).means, Means::Held(_)) {
            launch::ends_with_parent(&mut command);
        }
        let (reply, spawned) = sync_channel(1);
        let gone = "the thread that starts keepers is gone";
        self.spawner.send((command, reply)).map_err(|_| gone.to_owned())?;
        spawned.recv().map_err(|_| gone.to_owned())?
    }

    /// The fault is undone: the keeper ends without doing anything.
    pub fn dismiss(&self, id: &FaultId) {
        if let Some(running) = self.running().get_mut(id)
            && let Some(mut life) = running.life.take()
        {
            let _ = life.write_all(DISMISSED);
        }
    }

    /// Waits for the end of this fault's keeper, where this agent started it. One that is ending
    /// has no arguments any more to be found by, while the kernel still takes back what it held.
    fn wait_gone(&self, id: &FaultId) -> Result<(), String> {
        let until = clock::monotonic() + GONE_WITHIN;
        loop {
            let mut running = self.running();
            let Some(Running { child, .. }) = running.get_mut(id) else { return Ok(()) };
            if !matches!(child.try_wait(), Ok(None)) {
                return Ok(());
            }
            let pid = child.id();
            drop(running);
            if clock::monotonic() >= until {
                return Err(format!("its holder, pid {pid}, does not end"));
            }
            clock::pause(GONE_LOOK);
        }
    }

    /// Takes notice of those that ended.
    pub fn reap(&self) {
        self.running().retain(|_, running| matches!(running.child.try_wait(), Ok(None)));
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<FaultId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which fault of which agent: the last argument of its keeper.
fn mark(dir: &Path, record: &FaultRecord) -> String {
    format!("fault {} of {}", record.id, dir.display())
}

fn answer(output: std::process::ChildStdout) -> Result<(), String> {
    let until = clock::monotonic() + READY_WITHIN;
    let mut reader = BufReader::new(Read::take(output, ANSWER_MAX));
    let mut line = Vec::new();
    for _ in 0..LINES_MAX {
        if reader.buffer().is_empty() {
            let left = until.saturating_duration_since(clock::monotonic());
            let mut fds = [PollFd::new(reader.get_ref().get_ref(), PollFlags::IN)];
            match rustix::event::poll(&mut fds, Some(&clock::timespec(left))) {
                Ok(0) => return Err(format!("not ready within {} s", READY_WITHIN.as_secs())),
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.to_string()),
                Ok(_) => {}
            }
        }
        line.clear();
        match reader.read_until(b'\n', &mut line) {
            Ok(0) => return Err("it ended at once".to_owned()),
            Err(error) => return Err(error.to_string()),
            Ok(_) => {}
        }
        match serde_json::from_slice(&line) {
            Ok(Answer::KeeperReady) => return Ok(()),
            Ok(Answer::KeeperFailed(why)) => return Err(why),
            Err(_) => {}
        }
    }
    Err("it does not say whether it is ready".to_owned())
}

/// Keepers of this fault that run.
pub fn find(
    host: &Host,
    dir: &Path,
    record: &FaultRecord,
) -> std::io::Result<Vec<ProcessIdentity>> {
    let mark = mark(dir, record);
    let uid = rustix::process::getuid().as_raw();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else { continue };
        let mut arguments = line.strip_suffix(b"\0").unwrap_or(&line).split(|byte| *byte == 0);
        let is_ours = || identity::owner(pid).is_some_and(|owner| owner.uid == uid);
        if arguments.next_back() == Some(mark.as_bytes()) && is_ours() {
            found.extend(host.identity(pid));
        }
    }
    Ok(found)
}

/// Ends a held fault: with its keeper it is gone. `Ok` when no keeper of it runs any more.
pub fn release(bench: &Bench, record: &FaultRecord) -> Result<String, String> {
    let found = || {
        find(&bench.host, &bench.dir, record)
            .map_err(|error| format!("cannot look for its holder: {error}"))
    };
    let holders = found()?;
    for identity in &holders {
        let handle = ProcessHandle::open(&bench.host, identity).map_err(|e| e.to_string())?;
        if let Some(handle) = handle {
            handle.signal(Signal::KILL).map_err(|error| error.to_string())?;
            handle.wait_gone(GONE_WITHIN).map_err(|error| error.to_string())?;
        }
    }
    if let Some(keepers) = &bench.keepers {
        keepers.wait_gone(&record.id)?;
        keepers.reap();
    }
    match found()?.first() {
        Some(left) => Err(format!("its holder, pid {}, does not end", left.pid)),
        None => Ok(match holders.first() {
            Some(holder) => format!("ended its holder, pid {}", holder.pid),
            None => "its holder had ended".to_owned(),
        }),
    }
}
