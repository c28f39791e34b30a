//! A declared target: what the healer may act on, and how.
//!
//! Targets are declared once, in the configuration of the agent; the server hands the list over.
//! Nothing from telemetry ever becomes a target.

use model::human::HumanDuration;
use model::{ActionKind, Entity};
use serde::{Deserialize, Serialize};

/// One declared target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    pub name: String,
    /// The service, instance, database … that the target is.
    pub entity: Entity,
    /// What the target allows.
    pub actions: Vec<ActionKind>,
    /// Longest time that one action on it may take, as the executor enforces it.
    pub action_timeout: HumanDuration,
}
