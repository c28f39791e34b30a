//! Changes of state: what may have caused trouble.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::time::Timestamp;

/// A deploy, configuration, scale or restart event, received or inferred from telemetry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    pub at: Timestamp,
    pub kind: ChangeKind,
    pub entity: Entity,
    /// One line: `version v1 -> v2`.
    pub summary: String,
    /// Where it is known from: `telemetry`, `api`, `immune` (an action of our own).
    pub source: String,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Deploy,
    Configuration,
    Flag,
    Scale,
    Restart,
}

impl ChangeKind {
    pub const ALL: &[ChangeKind] = &[
        ChangeKind::Deploy,
        ChangeKind::Configuration,
        ChangeKind::Flag,
        ChangeKind::Scale,
        ChangeKind::Restart,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Deploy => "deploy",
            ChangeKind::Configuration => "configuration",
            ChangeKind::Flag => "flag",
            ChangeKind::Scale => "scale",
            ChangeKind::Restart => "restart",
        }
    }
}
