//! Entries of the input log: everything that can move the loop, in the order in which it was taken.

use std::sync::Arc;

use model::human::HumanDuration;
use model::signal::Batch;
use model::tick::{ProbeResult, ProcessReport};
use model::{AlertReport, Change, ConditionReport, IncidentId, Outcome, PlanId, Timestamp};
use remediate::Paused;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Config;

/// One input. Telemetry is logged as the bytes that were received and decoded again at replay; all
/// others are logged as they stand here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    Telemetry {
        arrival: Timestamp,
        /// Shared with whoever stores it.
        batch: Arc<Batch>,
    },
    Probe(ProbeResult),
    /// What another system told of its alerts, in one message.
    Alerts {
        reports: Vec<AlertReport>,
        /// Alerts of the message that were not sent, or too many to be taken.
        left_out: u64,
    },
    Processes(Vec<ProcessReport>),
    Conditions(Vec<ConditionReport>),
    Change(Change),
    Tick {
        now: Timestamp,
    },
    Outcome {
        now: Timestamp,
        outcome: Outcome,
    },
    Command {
        now: Timestamp,
        by: String,
        command: Command,
    },
    /// The server started, or took up a new configuration.
    Reload {
        now: Timestamp,
        config: Box<Config>,
    },
    /// The journal already holds lines up to these numbers that the loop does not know of.
    Renumber {
        event: u64,
        incident: IncidentId,
        plan: PlanId,
    },
}

/// What a person, or a token in a person's name, may ask of the loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    Approve {
        plan: PlanId,
    },
    Deny {
        plan: PlanId,
    },
    Acknowledge {
        incident: IncidentId,
    },
    /// End an incident whose recovery cannot be proven, such as that of a system that was removed.
    Close {
        incident: IncidentId,
    },
    Freeze {
        reason: String,
    },
    Thaw,
    /// Forget a learned limit and learn it anew.
    Relearn {
        objective: String,
    },
    /// Leave something alone for a while.
    Pause {
        name: String,
        what: Paused,
        length: HumanDuration,
        reason: String,
    },
    /// End a pause.
    Resume {
        name: String,
    },
}
