//! What is wrong with declared targets, and where.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use model::human::HumanDuration;

use super::{
    COMMAND_LINE_MAX, COMMANDS_MAX, Command, Problem, ProcessMatch, TARGETS_BYTES_MAX, TARGETS_MAX,
    Target, WAIT_MAX,
};

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
        if let Some(process) = &target.process
            && !matches.insert(process.to_string())
        {
            let message = format!("an earlier target has this process too: {process}");
            check.add(&format!("{path}.process"), message);
        }
    }
    let bytes = serde_json::to_vec(targets).map_or(usize::MAX, |json| json.len());
    if bytes > TARGETS_BYTES_MAX {
        check.add("targets", format!("together larger than {} KiB", TARGETS_BYTES_MAX / 1024));
    }
    check.problems
}

pub(super) struct Check {
    problems: Vec<Problem>,
}

impl Check {
    pub(super) fn add(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), message: message.into() });
    }

    fn target(&mut self, path: &str, target: &Target) {
        self.who(path, target);
        match &target.process {
            Some(ProcessMatch::ListensOn(address)) if address.port() == 0 => {
                self.add(&format!("{path}.process.listens_on"), "port 0 is no port to listen on");
            }
            Some(ProcessMatch::PidFile(file)) => {
                self.full(&format!("{path}.process.pid_file"), file);
            }
            Some(ProcessMatch::Systemd(unit)) => {
                self.unit(&format!("{path}.process.systemd"), unit);
            }
            Some(ProcessMatch::ListensOn(_)) | None => {}
        }
        if let Some(restart) = &target.restart {
            let path = format!("{path}.restart");
            if target.process.is_none() {
                self.add(&path, "needs a `process`, by which it is seen that it runs again");
            }
            let start = &restart.start;
            self.command(&format!("{path}.start"), &start.command, &start.directory);
            self.variables(&format!("{path}.start.environment"), &start.environment);
            if let Some(log) = &start.log {
                self.full(&format!("{path}.start.log"), log);
            }
            self.wait(&format!("{path}.stop_timeout"), restart.stop_timeout);
            self.wait(&format!("{path}.ready_within"), restart.ready_within);
        }
        self.commands(path, target);
        if let Some(rollback) = &target.rollback {
            self.declared(&format!("{path}.rollback"), rollback, target);
        }
        self.requests(path, target);
        self.load_balancer(path, target);
        self.postgres(path, target);
        self.paths(path, target);
        self.faults(path, target);
        self.container(path, target);
        self.systemd(path, target);
        if !target.signals.is_empty() && target.process.is_none() {
            self.add(&format!("{path}.signals"), "needs a `process`, which is sent them");
        }
    }

    fn commands(&mut self, path: &str, target: &Target) {
        let commands = format!("{path}.commands");
        if target.commands.len() > COMMANDS_MAX {
            self.add(&commands, format!("more than {COMMANDS_MAX}"));
        }
        for (name, command) in &target.commands {
            let path = format!("{commands}.{name}");
            self.name(&path, name);
            self.declared(&path, command, target);
        }
    }

    pub(super) fn declared(&mut self, path: &str, command: &Command, target: &Target) {
        self.command(path, &command.command, &command.directory);
        self.variables(&format!("{path}.environment"), &command.environment);
        self.wait(&format!("{path}.timeout"), command.timeout);
        self.undo(path, command.undo.as_ref(), target.commands.keys());
    }

    /// The counter-action must be declared beside.
    pub(super) fn undo<'a>(
        &mut self,
        path: &str,
        undo: Option<&String>,
        mut declared: impl Iterator<Item = &'a String>,
    ) {
        if let Some(undo) = undo
            && !declared.any(|name| name == undo)
        {
            self.add(&format!("{path}.undo"), format!("`{undo}` is not declared beside it"));
        }
    }

    fn who(&mut self, path: &str, target: &Target) {
        self.name(&format!("{path}.name"), &target.name);
        match &target.database {
            Some(database) => {
                self.text(&format!("{path}.database"), database);
                if !target.service.is_empty() || target.instance.is_some() {
                    let message = "a target is a database or a service, not both";
                    self.add(&format!("{path}.database"), message);
                }
            }
            None => self.text(&format!("{path}.service"), &target.service),
        }
        self.text(&format!("{path}.environment"), &target.environment);
        if let Some(instance) = &target.instance {
            self.text(&format!("{path}.instance"), instance);
        }
    }

    pub(super) fn name(&mut self, path: &str, name: &str) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            self.add(path, "write 1 to 64 letters, digits, `-`, `_` or `.`");
        }
    }

    pub(super) fn text(&mut self, path: &str, text: &str) {
        if text.is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
            self.add(path, "write 1 to 255 bytes without control characters");
        }
    }

    pub(super) fn full(&mut self, path: &str, file: &Path) {
        if !file.is_absolute() || file.as_os_str().as_encoded_bytes().contains(&0) {
            self.add(path, format!("`{}` is not a full path; begin with `/`", file.display()));
        }
    }

    pub(super) fn command(&mut self, path: &str, line: &[String], directory: &Option<PathBuf>) {
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

    pub(super) fn variables(&mut self, path: &str, variables: &BTreeMap<String, String>) {
        for (name, value) in variables {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                self.add(path, format!("`{}` cannot be a variable", name.escape_default()));
            }
        }
    }

    pub(super) fn wait(&mut self, path: &str, wait: HumanDuration) {
        if wait.0.is_zero() || wait.0 > WAIT_MAX {
            self.add(path, format!("`{wait}` is not within 1ms to {}", HumanDuration(WAIT_MAX)));
        }
    }
}
