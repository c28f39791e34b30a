//! The hands: a small separate process on each host that watches processes, carries out actions,
//! and injects and undoes faults. The server gives orders over a Unix socket through [`Client`];
//! the `immune agent` sub-command calls [`run`].
//!
//! Why separate: it outlives the server. It undoes faults when the server is silent, remembers in
//! its ledger what it was told to do, and is the only part that needs rights over other processes.
//!
//! Invariants, each with a test that kills the agent at the worst moment:
//! - what is done is written down first, through to the disk;
//! - an action's id acts at most once, whatever is repeated or restarted;
//! - a target is verified at the moment of acting: host, boot, pid, start time;
//! - a fault is undone though agent, server or both die;
//! - command lines come from configuration alone, never from an order or from telemetry.
//!
//! Reading order: `config` (targets), `protocol`, `process` (who runs), `watch` (reports),
//! `ledger`, `bench`, `lifecycle` (stop and start), `capture` (what a process can still tell),
//! `http`, `balancer`, `postgres`, `clear`, `docker`, `dns`, `systemd` (what actions and faults
//! work with), `conditions` (looks at databases and disks), `actions`, `faults`, `keeper` (a
//! process beside each fault), `keepers` (the agent's side of it), `hands` (the thread of
//! decisions), `socket`, `link` (its connections), `run`, `client`.

pub mod actions;
mod balancer;
pub mod bench;
mod capture;
mod clear;
pub mod client;
mod clock;
mod conditions;
pub mod config;
pub mod dns;
mod docker;
pub mod faults;
mod frames;
mod hands;
mod http;
mod keeper;
mod keepers;
mod launch;
pub mod ledger;
mod lifecycle;
mod link;
mod outbox;
mod postgres;
pub mod process;
pub mod protocol;
mod run;
mod socket;
mod store;
mod systemd;
mod trouble;
mod watch;

pub use bench::Step;
pub use client::{Client, ClientConfig, ClientError, ClientEvent, spawn};
pub use config::{Problem, Target, validate};
pub use keeper::keep;
pub use keepers::KeeperCommand;
pub use protocol::{FaultId, FaultReport, FaultState, Freeze, FromAgent, Injection, ToAgent};
pub use run::{AgentConfig, AgentError, run};
