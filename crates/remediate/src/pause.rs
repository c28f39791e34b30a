//! Named pauses: a person keeps healing off a target, a service, or all, for a while.
//!
//! Several may hold at once; each ends by itself or when somebody resumes it by name. What is under
//! way finishes. Invariant: a pause always has an end.

use std::time::Duration;

use model::human::HumanDuration;
use model::{Entity, EntityKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::target::Target;

/// Pauses at the same time.
pub const PAUSES_MAX: usize = 100;
const NAME_CHARS_MAX: usize = 80;
const LENGTH_MAX: Duration = Duration::from_secs(30 * 86_400);

/// One pause in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Pause {
    pub name: String,
    pub what: Paused,
    pub who: String,
    pub reason: String,
    pub since: Timestamp,
    pub until: Timestamp,
}

/// What is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Paused {
    All,
    /// The target of this name.
    Target(String),
    /// All targets of the services of this name, in whatever environment.
    Service(String),
}

/// Why a pause was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PauseError {
    #[error("give the pause a name of 1 to {NAME_CHARS_MAX} characters")]
    Name,
    #[error("pause `{0}` is in force already; resume it first, or take another name")]
    Taken(String),
    #[error("{PAUSES_MAX} pauses are in force; resume one first")]
    TooMany,
    #[error("a pause lasts from 1s to 30d; `immune freeze` has no end")]
    Length,
    #[error("there is no target `{0}`")]
    NoTarget(String),
    #[error("no target is of service `{0}`")]
    NoService(String),
    #[error("there is no pause `{0}`")]
    Unknown(String),
}

impl Paused {
    pub fn covers(&self, target: &Target) -> bool {
        match self {
            Paused::All => true,
            Paused::Target(name) => target.name == *name,
            Paused::Service(name) => service_of(target).is_some_and(|it| it.name == *name),
        }
    }
}

impl std::fmt::Display for Paused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Paused::All => f.write_str("all healing"),
            Paused::Target(name) => write!(f, "target {name}"),
            Paused::Service(name) => write!(f, "service {name}"),
        }
    }
}

fn service_of(target: &Target) -> Option<Entity> {
    target.entity.owner().filter(|owner| owner.kind == EntityKind::Service)
}

/// Checks a wish for a pause of that length against those in force.
pub(crate) fn check<'a>(
    name: &str,
    what: &Paused,
    length: HumanDuration,
    in_force: &[Pause],
    mut targets: impl Iterator<Item = &'a Target>,
) -> Result<(), PauseError> {
    let chars = name.trim().chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&chars) {
        return Err(PauseError::Name);
    }
    if in_force.iter().any(|pause| pause.name == name) {
        return Err(PauseError::Taken(name.to_owned()));
    }
    if in_force.len() >= PAUSES_MAX {
        return Err(PauseError::TooMany);
    }
    if !(Duration::from_secs(1)..=LENGTH_MAX).contains(&length.0) {
        return Err(PauseError::Length);
    }
    let covers_any = targets.any(|target| what.covers(target));
    match what {
        Paused::Target(target) if !covers_any => Err(PauseError::NoTarget(target.clone())),
        Paused::Service(service) if !covers_any => Err(PauseError::NoService(service.clone())),
        _ => Ok(()),
    }
}
