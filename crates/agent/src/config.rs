//! Targets: what the agent may watch, restart, command and, in a drill, hurt.
//!
//! Command lines come only from here, as argument lists that no shell ever reads; an order names a
//! target and a command by name. Invariant: what `validate` passes can be acted on without further
//! checks of shape. It does not look at the disk: a program may be installed later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::human::HumanDuration;
use model::{Entity, Scope};
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Unique name; policies and experiments refer to it.
    pub name: String,
    /// The service (`service.name` of its telemetry).
    pub service: String,
    /// The instance (`service.instance.id` of its telemetry), where the target is one of several.
    #[serde(default)]
    pub instance: Option<String>,
    #[serde(default = "default_environment")]
    pub environment: String,
    /// How its process is recognised.
    pub process: ProcessMatch,
    /// How it is restarted. Without it the target is watched only.
    #[serde(default)]
    pub restart: Option<Restart>,
    /// Commands that a plan may run, by name.
    #[serde(default)]
    pub commands: BTreeMap<String, Command>,
    /// Faults of its own that a drill may inject, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub faults: BTreeMap<String, FaultCommand>,
    /// Folders whose file systems a drill may fill though they are those of `/` or of Immune's own
    /// data; full paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<PathBuf>,
    /// It keeps data: no policy acts on it that does not say so.
    #[serde(default)]
    pub stateful: bool,
}

fn default_environment() -> String {
    "default".to_owned()
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
}

/// A fault that the target knows how to bring about, and to take back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultCommand {
    pub inject: Command,
    /// May run at any time, more than once, and though `inject` did not run to its end.
    pub undo: Command,
    /// Ends with 0 while the fault is there, with anything else when it is not.
    pub check: Command,
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
    /// What the target is in incidents and plans: its instance, else its service.
    pub fn entity(&self) -> Entity {
        let scope = Scope { environment: self.environment.clone(), ..Scope::default() };
        match &self.instance {
            Some(instance) => Entity::instance(&scope, &self.service, instance),
            None => Entity::service(&scope, &self.service),
        }
    }
}

impl fmt::Display for ProcessMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProcessMatch::ListensOn(address) => write!(f, "listens on {address}"),
            ProcessMatch::PidFile(path) => write!(f, "is named by pid file {}", path.display()),
        }
    }
}

/// All that is wrong with the targets; empty when they can be used.
pub fn validate(targets: &[Target]) -> Vec<Problem> {
    let mut check = Check { problems: Vec::new() };
    if targets.len() > TARGETS_MAX {
        check.add("targets", format!("{} are more than the {TARGETS_MAX} allowed", targets.len()));
        return check.problems;
    }
    let (mut names, mut matches) = (BTreeSet::new(), BTreeSet::new());
    for (index, target) in targets.iter().enumerate() {
        let path = format!("targets[{index}]");
        check.target(&path, target);
        if !names.insert(&target.name) {
            let message = format!("`{}` names an earlier target too", target.name);
            check.add(&format!("{path}.name"), message);
        }
        if !matches.insert(target.process.to_string()) {
            let message = format!("an earlier target has this process too: {}", target.process);
            check.add(&format!("{path}.process"), message);
        }
    }
    let bytes = serde_json::to_vec(targets).map_or(usize::MAX, |json| json.len());
    if bytes > TARGETS_BYTES_MAX {
        check.add("targets", format!("together larger than {} KiB", TARGETS_BYTES_MAX / 1024));
    }
    check.problems
}

struct Check {
    problems: Vec<Problem>,
}

impl Check {
    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), message: message.into() });
    }

    fn target(&mut self, path: &str, target: &Target) {
        self.name(&format!("{path}.name"), &target.name);
        self.text(&format!("{path}.service"), &target.service);
        self.text(&format!("{path}.environment"), &target.environment);
        if let Some(instance) = &target.instance {
            self.text(&format!("{path}.instance"), instance);
        }
        match &target.process {
            ProcessMatch::ListensOn(address) if address.port() == 0 => {
                self.add(&format!("{path}.process.listens_on"), "port 0 is no port to listen on");
            }
            ProcessMatch::ListensOn(_) => {}
            ProcessMatch::PidFile(file) => self.full(&format!("{path}.process.pid_file"), file),
        }
        if let Some(restart) = &target.restart {
            let path = format!("{path}.restart");
            let start = &restart.start;
            self.command(&format!("{path}.start"), &start.command, &start.directory);
            self.variables(&format!("{path}.start.environment"), &start.environment);
            if let Some(log) = &start.log {
                self.full(&format!("{path}.start.log"), log);
            }
            self.wait(&format!("{path}.stop_timeout"), restart.stop_timeout);
            self.wait(&format!("{path}.ready_within"), restart.ready_within);
        }
        if target.commands.len() > COMMANDS_MAX {
            self.add(&format!("{path}.commands"), format!("more than {COMMANDS_MAX}"));
        }
        for (name, command) in &target.commands {
            let path = format!("{path}.commands.{name}");
            self.name(&path, name);
            self.whole_command(&path, command);
        }
        self.faults(path, target);
    }

    fn faults(&mut self, path: &str, target: &Target) {
        if target.faults.len() > COMMANDS_MAX || target.disks.len() > COMMANDS_MAX {
            self.add(&format!("{path}.faults"), format!("more than {COMMANDS_MAX}"));
        }
        for (name, fault) in &target.faults {
            let path = format!("{path}.faults.{name}");
            self.name(&path, name);
            let FaultCommand { inject, undo, check } = fault;
            for (part, command) in [("inject", inject), ("undo", undo), ("check", check)] {
                self.whole_command(&format!("{path}.{part}"), command);
            }
        }
        for (index, disk) in target.disks.iter().enumerate() {
            self.full(&format!("{path}.disks[{index}]"), disk);
        }
    }

    fn whole_command(&mut self, path: &str, command: &Command) {
        self.command(path, &command.command, &command.directory);
        self.variables(&format!("{path}.environment"), &command.environment);
        self.wait(&format!("{path}.timeout"), command.timeout);
    }

    fn name(&mut self, path: &str, name: &str) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            self.add(path, "write 1 to 64 letters, digits, `-`, `_` or `.`");
        }
    }

    fn text(&mut self, path: &str, text: &str) {
        if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
            self.add(path, "write 1 to 255 bytes without control characters");
        }
    }

    fn full(&mut self, path: &str, file: &Path) {
        if !file.is_absolute() || file.as_os_str().as_encoded_bytes().contains(&0) {
            self.add(path, format!("`{}` is not a full path; begin with `/`", file.display()));
        }
    }

    fn command(&mut self, path: &str, line: &[String], directory: &Option<PathBuf>) {
        let command = format!("{path}.command");
        match line.first() {
            Some(program) => self.full(&format!("{command}[0]"), Path::new(program)),
            None => self.add(&command, "empty; write the full path of a program and its arguments"),
        }
        if line.iter().any(|argument| argument.contains('\0')) {
            self.add(&command, "an argument holds a NUL character");
        }
        if line.iter().map(String::len).sum::<usize>() > COMMAND_LINE_MAX {
            self.add(&command, format!("longer than {} KiB", COMMAND_LINE_MAX / 1024));
        }
        if let Some(directory) = directory {
            self.full(&format!("{path}.directory"), directory);
        }
    }

    fn variables(&mut self, path: &str, variables: &BTreeMap<String, String>) {
        for (name, value) in variables {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                self.add(path, format!("`{}` cannot be a variable", name.escape_default()));
            }
        }
    }

    fn wait(&mut self, path: &str, wait: HumanDuration) {
        if wait.0.is_zero() || wait.0 > WAIT_MAX {
            self.add(path, format!("`{wait}` is not within 1ms to {}", HumanDuration(WAIT_MAX)));
        }
    }
}

#[cfg(test)]
mod tests;
