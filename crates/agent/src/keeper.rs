//! The keeper: a process beside each fault, this same program started as `immune keep`, which takes
//! the fault back when nobody else is left to do it.
//!
//! It is told on its input which fault it is for, and the input stays open: when that ends, the
//! agent is dead. Of a fault that the kernel owns the keeper is the holder: it has the memory, the
//! file, the table of rules, and whatever ends it ends the fault. Of any other it only waits, and
//! undoes when the agent died, or did not act at the deadline. Invariant: it ends by itself, soon
//! after the deadline at the latest, unless an undo that it was left alone with keeps failing.

use std::io::{BufRead, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::clock;
use crate::faults::{self, Means};
use crate::ledger::FaultRecord;
use crate::process::Host;
use crate::watch::Watch;

/// Bytes of the charge: a record holds a target's configuration.
const CHARGE_MAX: u64 = 4 << 20;
/// A living agent undoes at the deadline; this is for one that hangs.
const AGENT_LATE: Duration = Duration::from_secs(2);
const RETRY_FIRST: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(60);
/// About a day; the next agent undoes in any case.
const ATTEMPTS_MAX: u32 = 1_500;
/// What the agent says when the keeper is not needed any more.
pub const DISMISSED: &[u8] = b"dismissed\n";

/// What the keeper is told first, one line of JSON.
#[derive(Debug, Serialize, Deserialize)]
pub struct Charge {
    pub dir: PathBuf,
    pub record: FaultRecord,
    /// Time to the deadline, by a clock that nobody sets.
    pub within_ms: u64,
}

/// What the keeper answers, one line of JSON.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Held, or ready to undo.
    KeeperReady,
    KeeperFailed(String),
}

/// A fault in the keeper's hands; the kernel takes it back when the process ends.
pub trait Grip {
    /// Called again and again, after the time that it said last. An error ends the fault.
    fn tick(&mut self) -> Result<Duration, String> {
        Ok(Duration::from_secs(1))
    }
}

/// Why the keeper waits no longer.
enum Wake {
    Deadline,
    AgentDied,
    Dismissed,
}

/// Reads the charge from standard input and keeps the fault. Returns when it is not needed any
/// more.
pub fn keep() -> Result<(), String> {
    let charge = charge()?;
    let deadline = clock::monotonic() + Duration::from_millis(charge.within_ms);
    match faults::spec(&charge.record.fault).means {
        Means::Held(hold) => match hold(&charge.record) {
            Ok(grip) => {
                answer(&Answer::KeeperReady);
                held(grip, deadline)
            }
            Err(error) => {
                answer(&Answer::KeeperFailed(error.clone()));
                Err(error)
            }
        },
        Means::Kept { .. } => {
            answer(&Answer::KeeperReady);
            match wait(deadline + AGENT_LATE) {
                Wake::Dismissed => Ok(()),
                _ => undo(&charge),
            }
        }
    }
}

fn charge() -> Result<Charge, String> {
    let mut line = Vec::new();
    // The lock's buffer keeps what follows the line; `wait` asks the same buffer.
    let mut input = std::io::stdin().lock();
    let mut limited = Read::take(&mut input, CHARGE_MAX);
    limited.read_until(b'\n', &mut line).map_err(|error| format!("cannot read: {error}"))?;
    serde_json::from_slice(&line).map_err(|error| format!("not a charge for a keeper: {error}"))
}

/// The line is short enough to be written at once; an agent that died does not read it.
fn answer(answer: &Answer) {
    let json = serde_json::to_string(answer).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "{json}");
}

fn held(mut grip: Box<dyn Grip>, deadline: Instant) -> Result<(), String> {
    loop {
        let next = clock::monotonic() + grip.tick()?;
        match wait(next.min(deadline)) {
            Wake::Deadline if next < deadline => {}
            Wake::Deadline | Wake::AgentDied | Wake::Dismissed => return Ok(()),
        }
    }
}

/// Waits for word of the agent, or until then.
fn wait(until: Instant) -> Wake {
    let mut input = std::io::stdin().lock();
    loop {
        let left = until.saturating_duration_since(clock::monotonic());
        if left.is_zero() {
            return Wake::Deadline;
        }
        let ready = {
            let mut fds = [PollFd::new(&input, PollFlags::IN)];
            rustix::event::poll(&mut fds, Some(&clock::timespec(left)))
        };
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return Wake::AgentDied,
        }
        let mut line = Vec::new();
        let mut limited = Read::take(&mut input, DISMISSED.len() as u64);
        return match limited.read_until(b'\n', &mut line) {
            Ok(_) if line == DISMISSED => Wake::Dismissed,
            _ => Wake::AgentDied,
        };
    }
}

fn undo(charge: &Charge) -> Result<(), String> {
    let id = &charge.record.id;
    let host = Host::this().map_err(|error| format!("cannot read who this host is: {error}"))?;
    let (watch, _) = Watch::open(host.clone(), &charge.dir.join("processes.json"));
    let bench = Bench::new(host, watch, charge.dir.clone(), None, None);
    let mut failure = String::new();
    for attempt in 0..ATTEMPTS_MAX {
        match faults::undo(&bench, &charge.record) {
            Ok(how) => {
                tracing::warn!(fault = %id, how, "undone by its keeper");
                return Ok(());
            }
            Err(error) => {
                tracing::warn!(fault = %id, error, "its keeper cannot undo it yet");
                failure = error;
            }
        }
        clock::pause((RETRY_FIRST * 2_u32.saturating_pow(attempt.min(6))).min(RETRY_MAX));
    }
    Err(format!("fault {id} could not be undone: {failure}"))
}
