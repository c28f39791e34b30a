//! Stops and starts a target: shared by the restart action and by the undo of faults that kill.
//!
//! Invariants: only processes recognised as the target's are stopped, through pidfds; what was
//! started and did not become ready is stopped again, so that a failed start leaves nothing behind.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::bench::{Bench, Step};
use crate::clock;
use crate::config::{Restart, Target};
use crate::process::{Found, ProcessHandle, find, holders};

/// How long a process may take to vanish after SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// Time between two looks whether the target is ready.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long a target that somebody else started may take to be recognised.
pub const SEEN_WITHIN: Duration = Duration::from_secs(20);
const SEEN_EVERY: Duration = Duration::from_millis(200);
/// What is quoted of a log.
const QUOTE_BYTES: u64 = 2_000;
const QUOTE_CHARS: usize = 300;

/// Stops the target's process and the workers that share its socket. Says how.
pub fn stop(bench: &Bench, target: &Target, handle: &ProcessHandle) -> Result<String, String> {
    let restart = restart_of(target)?;
    let pid = handle.identity.pid;
    let workers: Vec<ProcessHandle> = holders(&bench.host, &target.process)
        .map_err(|error| format!("cannot see the processes of the target: {error}"))?
        .into_iter()
        .filter(|identity| *identity != handle.identity)
        .filter_map(|identity| ProcessHandle::open(&bench.host, &identity).ok().flatten())
        .collect();
    bench.watch.stop_requested(target, &handle.identity, clock::now());
    let timeout = restart.stop_timeout.0;
    let how = if end(handle, timeout)? { "SIGTERM" } else { "SIGKILL" };
    for worker in &workers {
        // Orderly parents take their workers along; what is left would keep the socket.
        if !worker.wait_gone(Duration::ZERO).map_err(text)? {
            end(worker, timeout.min(Duration::from_secs(1)))?;
        }
    }
    bench.reached(Step::TargetStopped);
    Ok(format!("stopped pid {pid} with {how}"))
}

/// True when the process went on SIGTERM, false when SIGKILL was needed.
fn end(handle: &ProcessHandle, timeout: Duration) -> Result<bool, String> {
    handle.signal(Signal::TERM).map_err(text)?;
    if handle.wait_gone(timeout).map_err(text)? {
        return Ok(true);
    }
    handle.signal(Signal::KILL).map_err(text)?;
    if handle.wait_gone(KILL_WAIT).map_err(text)? {
        return Ok(false);
    }
    Err(format!("pid {} does not end even on SIGKILL", handle.identity.pid))
}

/// Starts the target and waits until it is recognised. Says what runs.
pub fn start(bench: &Bench, target: &Target) -> Result<String, String> {
    let restart = restart_of(target)?;
    let begun = clock::monotonic();
    let log_from = restart.start.log.as_deref().map_or(0, length);
    let mut child = crate::launch::start(&restart.start)
        .map_err(|error| format!("cannot start {}: {error}", restart.start.command[0]))?;
    bench.reached(Step::TargetStarted);
    let pid = child.id();
    let ready = wait_ready(bench, target, restart, &mut child, begun);
    let quote = || match restart.start.log.as_deref().and_then(|log| last_line(log, log_from)) {
        Some(line) => format!("; its log ends with `{line}`"),
        None => String::new(),
    };
    match ready {
        Ready::Runs { pid: found, status } => {
            bench.children.adopt(child);
            let seconds = clock::monotonic().saturating_duration_since(begun).as_secs_f64();
            let note = match status {
                Some(status) if !status.success() => {
                    format!(" (not by our start command, which ended with {status})")
                }
                _ => String::new(),
            };
            Ok(format!("started pid {found} in {seconds:.1} s{note}"))
        }
        Ready::Ended(status) => {
            Err(format!("the start command ended with {status} before it was ready{}", quote()))
        }
        Ready::Late { ended, hidden } => {
            let within = restart.ready_within;
            let why = hidden.unwrap_or_else(|| match &target.process {
                Some(process) => format!("nothing {process}"),
                None => "it declares no process".to_owned(),
            });
            let then = match ended {
                true => "the start command had ended with 0".to_owned(),
                false => stop_again(bench, restart, &mut child, pid),
            };
            bench.children.adopt(child);
            Err(format!("not ready within {within} ({why}); {then}{}", quote()))
        }
    }
}

/// Waits until the target that somebody else has started is recognised.
pub fn wait_seen(bench: &Bench, target: &Target) -> Result<(), String> {
    let until = clock::monotonic() + SEEN_WITHIN;
    loop {
        let found = find(&bench.host, &target.process);
        let why = match found {
            Ok(Found::Process(_)) => return Ok(()),
            Ok(Found::Hidden(why)) => why,
            Ok(Found::Nothing) => "nothing of the target is recognised".to_owned(),
            Err(error) => error.to_string(),
        };
        if clock::monotonic() >= until {
            return Err(why);
        }
        clock::pause(SEEN_EVERY);
    }
}

enum Ready {
    Runs {
        pid: u32,
        status: Option<ExitStatus>,
    },
    Ended(ExitStatus),
    /// `hidden` says why something that may be the target was not recognised.
    Late {
        ended: bool,
        hidden: Option<String>,
    },
}

fn wait_ready(
    bench: &Bench,
    target: &Target,
    restart: &Restart,
    child: &mut Child,
    begun: Instant,
) -> Ready {
    loop {
        // The status first: a command that put the target into the background has it listed by
        // then.
        let status = child.try_wait().ok().flatten();
        let hidden = match find(&bench.host, &target.process) {
            Ok(Found::Process(holder)) => {
                return Ready::Runs { pid: holder.identity.pid, status };
            }
            Ok(Found::Hidden(why)) => Some(why),
            Ok(Found::Nothing) | Err(_) => None,
        };
        match status {
            Some(status) if !status.success() => return Ready::Ended(status),
            _ => {}
        }
        if clock::monotonic().saturating_duration_since(begun) >= restart.ready_within.0 {
            return Ready::Late { ended: status.is_some(), hidden };
        }
        clock::pause(LOOK_EVERY);
    }
}

/// Ends what was started and did not become ready. The child is not reaped yet, so its pid, and the
/// process group that it leads, are still its own.
fn stop_again(bench: &Bench, restart: &Restart, child: &mut Child, pid: u32) -> String {
    let handle = bench
        .host
        .identity(pid)
        .and_then(|identity| ProcessHandle::open(&bench.host, &identity).ok().flatten());
    let Some(handle) = handle else { return format!("pid {pid} has ended") };
    let group = Pid::from_child(child);
    let signal = |signal| match restart.start.detached {
        true => rustix::process::kill_process_group(group, signal).map_err(io::Error::from),
        false => handle.signal(signal).map(|_| ()),
    };
    let mut result = signal(Signal::TERM);
    if !matches!(handle.wait_gone(restart.stop_timeout.0), Ok(true)) {
        result = signal(Signal::KILL);
        let _ = handle.wait_gone(KILL_WAIT);
    }
    match result {
        Ok(()) => format!("stopped pid {pid} again"),
        Err(error) => format!("could not stop pid {pid} again: {error}"),
    }
}

pub fn restart_of(target: &Target) -> Result<&Restart, String> {
    target
        .restart
        .as_ref()
        .ok_or_else(|| format!("target {} has no `restart` in configuration", target.name))
}

fn text(error: io::Error) -> String {
    error.to_string()
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// The last line that was written to the log since it was `from` bytes long.
fn last_line(path: &Path, from: u64) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let begin = from.max(length(path).saturating_sub(QUOTE_BYTES));
    file.seek(SeekFrom::Start(begin)).ok()?;
    let mut bytes = Vec::new();
    file.take(QUOTE_BYTES).read_to_end(&mut bytes).ok()?;
    quote(&bytes)
}

/// The last line that says something, without control characters.
pub fn quote(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim().chars().filter(|c| !c.is_control()).take(QUOTE_CHARS).collect())
}
