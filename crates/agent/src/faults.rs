//! Faults: what the agent can do to a target in a drill, and how each is undone. One file each,
//! listed in `ALL`.
//!
//! Apart from actions on purpose: no plan can name a fault. Invariants: the undo record is on disk
//! before anything is done; beside every fault there is a keeper, a process of its own (see
//! `keeper`), so that the death of agent or server leaves nothing behind; an undo may be called any
//! number of times, in any state, by a process that knows nothing but the record; the effect is
//! looked for by other means than those that caused it.

mod asked;

mod clock_skew;

mod command;

mod container;

mod cpu;

mod disk_fill;

mod dns;

mod file_descriptors;

mod http;

mod kill_process;

mod memory;

mod nft;

mod packet_loss;

mod partition;

mod pause_process;

mod redirect;

mod resolver;

mod sockets;

mod tcp;

mod through;

mod toxics;

mod toxiproxy;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use model::Timestamp;
use model::experiment::Fault;
use model::tick::ProcessIdentity;
use serde::{Deserialize, Serialize};

use crate::bench::{Bench, Step};
use crate::config::{FaultCommand, Target};
use crate::keeper::Grip;
use crate::ledger::FaultRecord;
use crate::process::{Found, ProcessHandle, find};
use crate::{clock, keepers};

/// Another process that undoes the same fault gets this long to end.
const TURN_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// One kind of fault.
pub struct Spec {
    pub id: &'static str,
    pub title: &'static str,
    pub documentation: &'static str,
    /// How it is undone, for the documentation.
    pub undone_by: &'static str,
    pub example: &'static str,
    /// Whether the target declares what it needs. What the host can do is asked by `aim`.
    pub applies: fn(&Target) -> bool,
    /// What exactly it would hit, or why this host cannot do it, or why it may not be done to this
    /// target. Changes nothing that is not changed back at once.
    pub aim: fn(&Bench, &Target, &Fault) -> Result<Aim, String>,
    pub means: Means,
    /// Watches for the effect, for some seconds.
    pub effect: fn(&Bench, &FaultRecord) -> Effect,
}

/// Who takes the fault back when agent and server are dead.
pub enum Means {
    /// The kernel. The keeper holds the fault, and it is gone when the keeper is, however it ended;
    /// it ends with the agent.
    Held(fn(&FaultRecord) -> Result<Box<dyn Grip>, String>),
    /// The keeper: it outlives the agent, and undoes when that has died.
    Kept {
        inject: fn(&Bench, &FaultRecord) -> Result<(), String>,
        /// `Ok` when the fault was seen gone, and how that came.
        undo: fn(&Bench, &FaultRecord) -> Result<String, String>,
    },
}

/// What a fault is aimed at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Aim {
    /// The process that is hit, where it is one.
    pub identity: Option<ProcessIdentity>,
    pub prior: Option<Prior>,
    /// One sentence for people.
    pub exactly: String,
}

/// What was there before, or what the configuration said: what the undo needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prior {
    /// Soft limit of open files; `None` is none.
    OpenFiles {
        before: Option<u64>,
        lowered: u64,
    },
    Command(Box<FaultCommand>),
    /// The file system, by the device of its files, and the bytes that were free.
    Disk {
        device: u64,
        free: u64,
    },
    /// An address of loopback that nobody else has, for the connections by which the effect is
    /// seen.
    Probe(SocketAddr),
    Nameservers(Vec<IpAddr>),
    /// That changes what a process reads of the clock.
    Library(PathBuf),
    /// By its id, with the networks that it was on.
    Container {
        id: String,
        networks: BTreeMap<String, serde_json::Value>,
    },
}

/// When the effect was seen, if it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub at: Option<Timestamp>,
    pub detail: String,
}

pub const ALL: &[&Spec] = &[
    &kill_process::SPEC,
    &pause_process::SPEC,
    &cpu::SPEC,
    &memory::SPEC,
    &disk_fill::SPEC,
    &file_descriptors::SPEC,
    &partition::SPEC,
    &packet_loss::SPEC,
    &tcp::SPEC,
    &http::SPEC,
    &dns::SPEC,
    &toxiproxy::SPEC,
    &container::SPEC,
    &clock_skew::SPEC,
    &command::SPEC,
];

pub fn spec(fault: &Fault) -> &'static Spec {
    match fault {
        Fault::KillProcess => &kill_process::SPEC,
        Fault::PauseProcess => &pause_process::SPEC,
        Fault::Cpu(_) => &cpu::SPEC,
        Fault::Memory(_) => &memory::SPEC,
        Fault::DiskFill(_) => &disk_fill::SPEC,
        Fault::FileDescriptors(_) => &file_descriptors::SPEC,
        Fault::Partition(_) => &partition::SPEC,
        Fault::PacketLoss(_) => &packet_loss::SPEC,
        Fault::Tcp(_) => &tcp::SPEC,
        Fault::Http(_) => &http::SPEC,
        Fault::Dns(_) => &dns::SPEC,
        Fault::Toxiproxy(_) => &toxiproxy::SPEC,
        Fault::Container(_) => &container::SPEC,
        Fault::Clock(_) => &clock_skew::SPEC,
        Fault::Command(_) => &command::SPEC,
    }
}

/// Starts the keeper, then the fault. The record is on disk. Returns when it was done.
pub fn inject(bench: &Bench, record: &FaultRecord) -> Result<Timestamp, String> {
    let keepers = bench.keepers.as_ref().ok_or("a keeper starts no faults")?;
    keepers.start(bench, record)?;
    bench.reached(Step::KeeperStarted);
    if let Means::Kept { inject, .. } = spec(&record.fault).means {
        inject(bench, record)?;
    }
    let at = clock::now();
    bench.reached(Step::FaultInjected);
    Ok(at)
}

/// Ends the fault. One process at a time undoes the same one: the agent, a keeper that it left
/// behind, or the agent that came after it.
pub fn undo(bench: &Bench, record: &FaultRecord) -> Result<String, String> {
    let _turn = turn(bench, record)?;
    bench.reached(Step::UndoBegun);
    match spec(&record.fault).means {
        Means::Held(_) => keepers::release(bench, record),
        Means::Kept { undo, .. } => {
            let how = undo(bench, record)?;
            if let Some(keepers) = &bench.keepers {
                keepers.dismiss(&record.id);
            }
            Ok(how)
        }
    }
}

fn turn(bench: &Bench, record: &FaultRecord) -> Result<std::fs::File, String> {
    const LOCKS: u32 = 16;
    let number = crc32c::crc32c(record.id.0.as_bytes()) % LOCKS;
    let path = bench.dir.join(format!("undo-{number}.lock"));
    let until = clock::monotonic() + TURN_WITHIN;
    loop {
        match crate::store::lock(&path) {
            Ok(Some(lock)) => return Ok(lock),
            Ok(None) if clock::monotonic() >= until => {
                return Err("another process has been undoing it for a minute".to_owned());
            }
            Ok(None) => clock::pause(LOOK_EVERY),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
}

/// The one process of the target that runs now.
fn process_of(bench: &Bench, target: &Target) -> Result<ProcessIdentity, String> {
    let identity = match find(&bench.host, &target.process).map_err(|error| error.to_string())? {
        Found::Process(holder) => holder.identity,
        Found::Nothing => return Err("nothing of the target runs".to_owned()),
        Found::Hidden(why) => return Err(why),
    };
    bench.watch.saw(target, &identity, clock::now());
    handle_on(bench, &identity)?
        .map(|handle| handle.identity)
        .ok_or_else(|| format!("pid {} has just ended", identity.pid))
}

fn handle_on(bench: &Bench, identity: &ProcessIdentity) -> Result<Option<ProcessHandle>, String> {
    ProcessHandle::open(&bench.host, identity)
        .map_err(|error| format!("cannot take hold of pid {}: {error}", identity.pid))
}

/// The process that a record names.
fn hit(record: &FaultRecord) -> Result<&ProcessIdentity, String> {
    record.identity.as_ref().ok_or_else(|| "the record names no process".to_owned())
}

/// Looks until there is something to see, or the time is over; then says what there was instead.
fn watch_for(within: Duration, mut look: impl FnMut() -> Result<String, String>) -> Effect {
    let until = clock::monotonic() + within;
    loop {
        let seen = look();
        let at = clock::now();
        match seen {
            Ok(detail) => return Effect { at: Some(at), detail },
            Err(detail) if clock::monotonic() >= until => return Effect { at: None, detail },
            Err(_) => clock::pause(LOOK_EVERY),
        }
    }
}

/// An order and a spec that do not belong together: a defect of `spec`.
fn mismatch<T>() -> Result<T, String> {
    Err("the agent has a defect: the fault is of another kind".to_owned())
}
