//! Starts programs: targets, commands, and the agent itself.
//!
//! Invariants: no shell; a started program gets a short list of the agent's variables and what is
//! configured, never the server's secrets; a child of the agent is always reaped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::config::Start;

/// Variables that a started program inherits; all others must be configured.
pub const PASSED_ON: &[&str] =
    &["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"];

/// A command that runs `line` and nothing else, without input and output.
pub fn command(
    line: &[String],
    directory: Option<&Path>,
    environment: &BTreeMap<String, String>,
) -> io::Result<Command> {
    let (program, arguments) = line
        .split_first()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
    let mut command = Command::new(program);
    command.args(arguments).env_clear();
    for name in PASSED_ON {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command.envs(environment);
    if let Some(directory) = directory {
        command.current_dir(directory);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

/// Starts a target.
pub fn start(start: &Start) -> io::Result<Child> {
    let mut command = command(&start.command, start.directory.as_deref(), &start.environment)?;
    if let Some(log) = &start.log {
        let file = append(log)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", log.display())))?;
        command.stdout(file.try_clone()?).stderr(file);
    }
    if start.detached {
        in_own_session(&mut command);
    }
    command.spawn()
}

pub fn append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).mode(0o640).open(path)
}

/// The child leads a session of its own: signals to the terminal or the process group of the agent
/// do not reach it, and its process group has its pid.
#[allow(unsafe_code, reason = "a session of its own needs code between fork and exec")]
pub fn in_own_session(command: &mut Command) {
    // SAFETY: after fork the closure makes one system call, setsid, which is async-signal-safe; it
    // allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            Ok(())
        });
    }
}

/// The child may have huge pages though this process renounced them for itself: that is inherited.
#[allow(unsafe_code, reason = "an inherited setting is undone between fork and exec")]
pub fn with_huge_pages(command: &mut Command) {
    // SAFETY: after fork the closure makes one system call, prctl, which is async-signal-safe; it
    // allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| {
            rustix::thread::disable_transparent_huge_pages(false)?;
            Ok(())
        });
    }
}

/// The kernel kills the child when the thread that starts it ends, with the process or before it.
#[allow(unsafe_code, reason = "the wish to die with the parent needs code between fork and exec")]
pub fn ends_with_parent(command: &mut Command) {
    // SAFETY: after fork the closure makes one system call, prctl, which is async-signal-safe; it
    // allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| {
            let kill = Some(rustix::process::Signal::KILL);
            rustix::process::set_parent_process_death_signal(kill)?;
            Ok(())
        });
    }
}

/// Children that were started and left running. They are looked at often, so that none stays a
/// zombie; a zombie counts as gone in any case.
#[derive(Debug, Default)]
pub struct Children(Mutex<Vec<Child>>);

impl Children {
    pub fn adopt(&self, child: Child) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(child);
    }

    /// Takes notice of those that ended.
    pub fn reap(&self) {
        let mut children = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        children.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }
}
