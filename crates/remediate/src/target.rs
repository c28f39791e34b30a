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
    /// Of these the ones that can be taken back, each with its counter-action.
    pub undos: Vec<(ActionKind, ActionKind)>,
    /// Longest time that one action on it may take, as the executor enforces it.
    pub action_timeout: HumanDuration,
    /// It keeps data: acted upon only where the policy says so (G-15).
    pub stateful: bool,
}

impl Target {
    /// The declared counter-action, if there is one.
    pub fn undo(&self, kind: &ActionKind) -> Option<&ActionKind> {
        self.undos.iter().find(|(done, _)| done == kind).map(|(_, undo)| undo)
    }
}
