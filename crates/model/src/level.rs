//! Levels: how much is used of what there is only so much of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::time::Timestamp;

/// What there is only so much of.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Time of processors.
    Cpu,
    Memory,
    /// Room of a file system.
    Disk,
    /// Connections of a pool.
    Pool,
}

impl Resource {
    pub const ALL: &[Resource] = &[Resource::Cpu, Resource::Memory, Resource::Disk, Resource::Pool];

    pub fn as_str(self) -> &'static str {
        match self {
            Resource::Cpu => "cpu",
            Resource::Memory => "memory",
            Resource::Disk => "disk",
            Resource::Pool => "pool",
        }
    }
}

/// Which level of whom.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct LevelKey {
    /// An instance, or a host.
    pub entity: Entity,
    pub resource: Resource,
    /// Of several: the pool, the folder. Else empty.
    pub name: String,
}

impl LevelKey {
    /// `pool orders-db`, `memory`.
    pub fn what(&self) -> String {
        match self.name.as_str() {
            "" => self.resource.as_str().to_owned(),
            name => format!("{} {name}", self.resource.as_str()),
        }
    }
}

/// One reading.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Level {
    pub at: Timestamp,
    pub key: LevelKey,
    /// Connections, bytes, or the share itself.
    pub used: f64,
    /// In the unit of `used`; above zero.
    pub limit: f64,
    /// Who waits for some of it, where that is told.
    pub waiting: Option<f64>,
}

impl Level {
    /// 0–1, as far as it is told.
    pub fn share(&self) -> f64 {
        (self.used / self.limit).clamp(0.0, 1.0)
    }
}
