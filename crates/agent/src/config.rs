//! Targets: what the agent may watch, restart, command and, in a drill, hurt.
//!
//! Command lines come only from here, as argument lists that no shell ever reads; an order names a
//! target and a command by name. Invariant: what `validate` passes can be acted on without further
//! checks of shape. It does not look at the disk: a program may be installed later.

mod balancer;

mod check;

mod container;

mod faults;

mod paths;

mod postgres;

mod requests;

mod systemd;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use balancer::{EjectTo, Haproxy, LoadBalancer, Nginx};
pub use check::validate;
pub use container::{Compose, Container, Limits};
pub use faults::FaultCommand;
pub use paths::ClearPath;
pub use postgres::Postgres;
pub use requests::{Request, Verb};
pub use systemd::{Systemd, Unit};

use model::human::HumanDuration;
use model::{Entity, EntityKind, Scope, SignalName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Targets that one agent takes.
pub const TARGETS_MAX: usize = 1_000;
/// Commands that one target may declare.
pub const COMMANDS_MAX: usize = 64;
/// Bytes of one command line, all arguments together.
pub const COMMAND_LINE_MAX: usize = 64 * 1024;
/// Longest time that a stop, a start or a command may be given.
pub const WAIT_MAX: Duration = Duration::from_secs(600);
/// Bytes that all targets may take as JSON: they travel in one frame.
pub const TARGETS_BYTES_MAX: usize = 768 * 1024;

/// Something that runs on this host and that Immune may act on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Unique name; policies and experiments refer to it.
    pub name: String,
    /// The service (`service.name` of its telemetry); or name a `database`.
    #[serde(default)]
    pub service: String,
    /// The database, `SYSTEM/NAMESPACE` as its callers name it: `postgresql/shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The instance (`service.instance.id` of its telemetry), where the target is one of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    #[serde(default = "default_environment")]
    pub environment: String,
    /// How its process is recognised. Without it the target has none of its own on this host, and
    /// only actions that need none can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessMatch>,
    /// How it is restarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<Restart>,
    /// Commands that a plan may run, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commands: BTreeMap<String, Command>,
    /// Faults of its own that a drill may inject, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, FaultCommand>,
    /// Folders whose file systems the agent watches for room, and a drill may fill though they are
    /// those of `/` or of Immune's own data; full paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<PathBuf>,
    /// The library that skews clocks in a drill (libfaketime), where it is not at one of its usual
    /// places; full path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libfaketime: Option<PathBuf>,
    /// It keeps data: no policy acts on it that does not say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stateful: bool,
    /// Signals that its process may be sent.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub signals: BTreeSet<SignalName>,
    /// Command that brings back the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Command>,
    /// HTTP requests that a plan may make, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub requests: BTreeMap<String, Request>,
    /// The load balancer before it, from which it may be ejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// The PostgreSQL database that it is: the agent looks at it, and its blocking sessions may be
    /// ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postgres: Option<Postgres>,
    /// Caches that may be cleared, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, ClearPath>,
    /// The container that it runs in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The unit of systemd that it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd: Option<Systemd>,
}

fn default_environment() -> String {
    "default".to_owned()
}

impl Default for Target {
    /// Declares nothing: a start for what is filled in field by field.
    fn default() -> Self {
        Target {
            name: String::new(),
            service: String::new(),
            database: None,
            instance: None,
            environment: default_environment(),
            process: None,
            restart: None,
            commands: BTreeMap::new(),
            faults: BTreeMap::new(),
            disks: Vec::new(),
            libfaketime: None,
            stateful: false,
            signals: BTreeSet::new(),
            rollback: None,
            requests: BTreeMap::new(),
            load_balancer: None,
            postgres: None,
            paths: BTreeMap::new(),
            container: None,
            systemd: None,
        }
    }
}

/// How a process is recognised as the target's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcessMatch {
    /// The process that listens on this TCP address, `127.0.0.1:5001`. Of several that share the
    /// socket it is the parent of the others.
    ListensOn(SocketAddr),
    /// The process whose id is in this file.
    PidFile(PathBuf),
    /// The main process of this unit, as systemd says.
    Systemd(Unit),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    pub start: Start,
    /// Time between SIGTERM and SIGKILL.
    #[serde(default = "default_stop_timeout")]
    pub stop_timeout: HumanDuration,
    /// The target must be recognised again within this, else the restart has failed.
    #[serde(default = "default_ready_within")]
    pub ready_within: HumanDuration,
}

fn default_stop_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

fn default_ready_within() -> HumanDuration {
    HumanDuration::from_secs(20)
}

/// How the target is started. The command may stay in the foreground (then it is the target) or put
/// itself into the background and exit with 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// Program (full path) and arguments. No shell reads them.
    pub command: Vec<String>,
    #[serde(default)]
    pub directory: Option<PathBuf>,
    /// Added to the few variables that the agent passes on (see `launch::PASSED_ON`).
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// File to which output is appended; without it output is discarded.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// Own session: neither the end of the agent nor its terminal ends the target.
    #[serde(default = "yes")]
    pub detached: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Program (full path) and arguments. No shell reads them.
    pub command: Vec<String>,
    /// The command and what it started are killed after this.
    #[serde(default = "default_command_timeout")]
    pub timeout: HumanDuration,
    #[serde(default)]
    pub directory: Option<PathBuf>,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Name of the target's command that takes back what this one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<String>,
}

fn default_command_timeout() -> HumanDuration {
    HumanDuration::from_secs(30)
}

/// Something wrong in the targets, and where: `targets[0].restart.start.command`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl Target {
    /// What the target is in incidents and plans: its database, its instance, or its service.
    pub fn entity(&self) -> Entity {
        let scope = Scope { environment: self.environment.clone(), ..Scope::default() };
        if let Some(database) = &self.database {
            return Entity::new(&scope, EntityKind::Database, database);
        }
        match &self.instance {
            Some(instance) => Entity::instance(&scope, &self.service, instance),
            None => Entity::service(&scope, &self.service),
        }
    }
}

impl Target {
    /// Puts `cover` in place of every value that may be a secret.
    pub fn cover_secrets(&mut self, cover: &str) {
        let faults = self.faults.values_mut().flat_map(FaultCommand::commands_mut);
        let commands = self.commands.values_mut().chain(self.rollback.as_mut()).chain(faults);
        let start = self.restart.iter_mut().map(|restart| &mut restart.start.environment);
        let mut secrets: Vec<&mut String> = start
            .chain(commands.map(|command| &mut command.environment))
            .flat_map(BTreeMap::values_mut)
            .collect();
        for request in self.requests.values_mut() {
            secrets.extend(request.headers.values_mut());
            secrets.push(&mut request.body);
            if let Some(at) = request.url.find('?') {
                request.url.replace_range(at + 1.., cover);
            }
        }
        secrets.extend(self.postgres.as_mut().and_then(|postgres| postgres.password.as_mut()));
        secrets.retain(|secret| !secret.is_empty());
        for secret in secrets {
            cover.clone_into(secret);
        }
    }
}

impl fmt::Display for ProcessMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessMatch::ListensOn(address) => write!(f, "listens on {address}"),
            ProcessMatch::PidFile(path) => write!(f, "is named by pid file {}", path.display()),
            ProcessMatch::Systemd(unit) => write!(f, "is the main process of {unit}"),
        }
    }
}

#[cfg(test)]
mod tests;
