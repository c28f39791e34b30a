//! The container that a target runs in, and what may be done to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use model::human::HumanDuration;
use model::{ByteSize, ContainerOperation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Target;
use super::check::Check;

const LIMITS_MAX: usize = 16;
const COPIES_MAX: u32 = 1_000;
/// What Docker takes as a memory limit at least.
const MEMORY_MIN: u64 = 6 * 1024 * 1024;
const CPUS_MAX: f64 = 1_024.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// Its name in Docker.
    pub name: String,
    #[serde(default = "default_socket")]
    pub socket: PathBuf,
    /// What may be done to it.
    #[serde(default)]
    pub operations: BTreeSet<ContainerOperation>,
    /// Limits that it may be given, by name.
    #[serde(default)]
    pub limits: BTreeMap<String, Limits>,
    /// The compose service whose containers are started and stopped by `scale_out`, `scale_in`.
    #[serde(default)]
    pub compose: Option<Compose>,
    /// Time between SIGTERM and SIGKILL when it is stopped.
    #[serde(default = "default_stop_timeout")]
    pub stop_timeout: HumanDuration,
    /// For everything that one action takes besides.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_socket() -> PathBuf {
    PathBuf::from("/var/run/docker.sock")
}

fn default_stop_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(30)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    #[serde(default)]
    pub memory: Option<ByteSize>,
    #[serde(default)]
    pub cpus: Option<f64>,
    /// Name of the limits that take these back.
    #[serde(default)]
    pub undo: Option<String>,
}

/// Containers with these labels of compose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compose {
    pub project: String,
    pub service: String,
    /// Running containers that `scale_in` leaves.
    #[serde(default = "one")]
    pub copies_min: u32,
    /// Running containers beyond which `scale_out` starts none.
    pub copies_max: u32,
}

fn one() -> u32 {
    1
}

impl Check {
    pub(super) fn container(&mut self, path: &str, target: &Target) {
        let Some(container) = &target.container else { return };
        let path = format!("{path}.container");
        self.container_name(&format!("{path}.name"), &container.name);
        self.full(&format!("{path}.socket"), &container.socket);
        self.wait(&format!("{path}.stop_timeout"), container.stop_timeout);
        self.wait(&format!("{path}.timeout"), container.timeout);
        let scales = container.operations.iter().any(|operation| operation.scales());
        match &container.compose {
            Some(compose) => {
                self.text(&format!("{path}.compose.project"), &compose.project);
                self.text(&format!("{path}.compose.service"), &compose.service);
                let (min, max) = (compose.copies_min, compose.copies_max);
                if min < 1 || max < min || max > COPIES_MAX {
                    let why = format!("write 1 <= copies_min <= copies_max <= {COPIES_MAX}");
                    self.add(&format!("{path}.compose"), why);
                }
            }
            None if scales => {
                self.add(&format!("{path}.operations"), "to scale, name the `compose` service");
            }
            None => {}
        }
        if container.limits.len() > LIMITS_MAX {
            self.add(&format!("{path}.limits"), format!("more than {LIMITS_MAX}"));
        }
        for (name, limits) in &container.limits {
            let path = format!("{path}.limits.{name}");
            self.name(&path, name);
            self.undo(&path, limits.undo.as_ref(), container.limits.keys());
            if limits.memory.is_none() && limits.cpus.is_none() {
                self.add(&path, "write `memory`, `cpus` or both");
            }
            if limits.memory.is_some_and(|memory| memory.0 < MEMORY_MIN) {
                self.add(&format!("{path}.memory"), "must be at least 6MiB");
            }
            if limits.cpus.is_some_and(|cpus| !(0.01..=CPUS_MAX).contains(&cpus)) {
                self.add(&format!("{path}.cpus"), format!("must lie between 0.01 and {CPUS_MAX}"));
            }
        }
    }

    /// As Docker names containers, so that nothing in it is another path of its interface.
    fn container_name(&mut self, path: &str, name: &str) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let begins = name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !begins || name.len() > 128 || !name.chars().all(allowed) {
            self.add(
                path,
                "write 1 to 128 letters, digits, `-`, `_` or `.`, a letter or digit first",
            );
        }
    }
}
