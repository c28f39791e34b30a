//! Events: what the loop did and why, in the order in which it happened. The journal is a table of
//! these.

use model::{Action, Change, Incident, Outcome, Plan, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One journal line. `seq` counts from 1 without gaps and identifies the event for ever.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    pub seq: u64,
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: EventKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    Incident {
        reason: IncidentReason,
        incident: Box<Incident>,
    },
    Plan {
        plan: Box<Plan>,
    },
    /// An action is about to be handed to an executor.
    Order {
        action: Box<Action>,
    },
    Outcome {
        outcome: Outcome,
    },
    Change {
        change: Change,
    },
    /// Something worth a line that belongs to no incident.
    Remark {
        text: String,
    },
    Command {
        by: String,
        command: crate::Command,
        result: String,
    },
    /// Immune was away or its clock jumped; paging and healing rest until then.
    CatchingUp {
        away_seconds: u64,
        until: Timestamp,
    },
    /// The clock was set back; what was timed by the old one was begun anew.
    ClockSetBack {
        seconds: u64,
    },
    /// Configuration was taken up; the hash is of its canonical text.
    Reload {
        engine_version: u32,
        config_crc: u32,
    },
}

impl EventKind {
    pub fn as_str(&self) -> &'static str {
        match self {
            EventKind::Incident { .. } => "incident",
            EventKind::Plan { .. } => "plan",
            EventKind::Order { .. } => "order",
            EventKind::Outcome { .. } => "outcome",
            EventKind::Change { .. } => "change",
            EventKind::Remark { .. } => "remark",
            EventKind::Command { .. } => "command",
            EventKind::CatchingUp { .. } => "catching_up",
            EventKind::ClockSetBack { .. } => "clock_set_back",
            EventKind::Reload { .. } => "reload",
        }
    }
}

/// Why an incident is told of again. All but `Updated` are worth a notification.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum IncidentReason {
    Opened,
    /// What a person would read of it changed: symptoms, first cause, state.
    Changed,
    NeedsHuman,
    Resolved,
    /// Timeline, plans, acknowledgement.
    Updated,
}
