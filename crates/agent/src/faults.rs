//! Faults: what the agent can do to a target in a drill, and how each is undone. One file each,
//! listed in `ALL`.
//!
//! Apart from actions on purpose: no plan can name a fault. Invariants: the undo record is on disk
//! before `inject`; `undo` may be called any number of times, in any state, by an agent that knows
//! nothing but the record; the effect is looked for by other means than those that caused it.

mod kill_process;

use model::Timestamp;
use model::experiment::Fault;

use crate::bench::Bench;
use crate::config::Target;
use crate::ledger::FaultRecord;
use crate::process::ProcessHandle;

/// One kind of fault.
pub struct Spec {
    pub id: &'static str,
    pub title: &'static str,
    pub documentation: &'static str,
    /// How it is undone, for the documentation.
    pub undone_by: &'static str,
    pub example: &'static str,
    /// Can it be undone on this target? Else it is refused.
    pub allowed: fn(&Target) -> Result<(), String>,
    /// Quick, so that the agent's thread of decisions can do it itself.
    pub inject: fn(&Bench, &FaultRecord, &ProcessHandle) -> Result<(), String>,
    /// Watches for the effect, for a few seconds.
    pub effect: fn(&Bench, &FaultRecord) -> Effect,
    /// `Ok` when the target was seen running, and how that came.
    pub undo: fn(&Bench, &FaultRecord) -> Result<String, String>,
}

/// When the effect was seen, if it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    pub at: Option<Timestamp>,
    pub detail: String,
}

pub const ALL: &[&Spec] = &[&kill_process::SPEC];

pub fn spec(fault: &Fault) -> &'static Spec {
    match fault {
        Fault::KillProcess => &kill_process::SPEC,
    }
}
