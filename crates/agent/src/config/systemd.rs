//! The unit of systemd that a target is, and what may be done to it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use model::UnitOperation;
use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::{ProcessMatch, Target};

/// As long as systemd lets a unit's name be.
const UNIT_BYTES_MAX: usize = 255;

/// A service as its manager knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Unit {
    /// Its full name: `orders.service`.
    pub unit: String,
    /// Socket of the bus on which its manager is; that of user 1000's is `/run/user/1000/bus`.
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    /// Its full name: `orders.service`.
    pub unit: String,
    /// Socket of the bus on which its manager is; that of user 1000's is `/run/user/1000/bus`.
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
    /// What may be done to it.
    pub operations: BTreeSet<UnitOperation>,
    /// For the job that an action asks for. It goes on when it takes longer.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_socket() -> PathBuf {
    PathBuf::from("/run/dbus/system_bus_socket")
}

/// A stop and a start may take 90 s each, where a unit does not say otherwise.
fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(180)
}

impl Systemd {
    pub fn unit(&self) -> Unit {
        Unit { unit: self.unit.clone(), socket: self.socket.clone() }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}", self.unit, self.socket.display())
    }
}

impl Check {
    pub(super) fn systemd(&mut self, path: &str, target: &Target) {
        let is_unit = matches!(target.process, Some(ProcessMatch::Systemd(_)));
        if is_unit && target.restart.is_some() {
            let message = "its process is systemd's, which would start it too; write `systemd`, \
                           with the operation `restart`";
            self.add(&format!("{path}.restart"), message);
        }
        let Some(systemd) = &target.systemd else { return };
        let unit = systemd.unit();
        let path = format!("{path}.systemd");
        self.unit(&path, &unit);
        self.wait(&format!("{path}.timeout"), systemd.timeout);
        if systemd.operations.is_empty() {
            self.add(&format!("{path}.operations"), "write `restart`, `reload`, `start` or more");
        }
        if let Some(ProcessMatch::Systemd(process)) = &target.process
            && *process != unit
        {
            self.add(&path, format!("is not the unit of its process, {process}"));
        }
    }

    /// As systemd names services, so that a template without its instance is none.
    pub(super) fn unit(&mut self, path: &str, unit: &Unit) {
        let Unit { unit: name, socket } = unit;
        let allowed =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '-' | '_' | '.' | '\\' | '@');
        let stem = name.strip_suffix(".service").unwrap_or_default();
        let is_whole = !stem.is_empty() && !stem.starts_with('@') && !stem.ends_with('@');
        if name.len() > UNIT_BYTES_MAX || !name.chars().all(allowed) || !is_whole {
            let message = "write the full name of a service, such as `orders.service` or \
                           `orders@1.service`";
            self.add(&format!("{path}.unit"), message);
        }
        self.full(&format!("{path}.socket"), socket);
    }
}
