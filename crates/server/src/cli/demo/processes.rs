//! The demo's processes: started apart from the terminal, and all stopped at the end, those too
//! that Immune's agent started later or that a killed demo left behind.
//!
//! Invariants: a process is ours only when its program is `immune` or `shop` and its command line
//! names our work folder; signals go through a pidfd, so that they reach that very process or
//! none; what could start others is stopped before what it could start.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use agent::process::{Host, ProcessHandle};
use anyhow::{Context, Result};
use model::tick::ProcessIdentity;
use rustix::process::Signal;

/// How long a process may take to vanish after SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// Looks for more of the same kind before giving up: the agent may just have started one.
const ROUNDS_MAX: usize = 5;

/// What a process is to the demo, in the order in which they are stopped: first nobody asks any
/// more, then nobody restarts any more, then the shop closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Users,
    Server,
    Agent,
    Shop,
}

impl Role {
    const ALL: &[Role] = &[Role::Users, Role::Server, Role::Agent, Role::Shop];

    /// Time between SIGTERM and SIGKILL.
    fn patience(self) -> Duration {
        Duration::from_secs(match self {
            Role::Users => 3,
            // Its receivers get 15 s to finish.
            Role::Server => 20,
            // It undoes faults first, which may mean to start a target.
            Role::Agent => 30,
            // 5 s for requests, 3 s for telemetry that nobody takes any more.
            Role::Shop => 10,
        })
    }
}

/// A running process of the demo.
struct Ours {
    role: Role,
    name: String,
    identity: ProcessIdentity,
}

/// All that runs for the demo. Dropping it stops them.
pub(super) struct Processes {
    host: Host,
    dir: PathBuf,
    children: Vec<(String, Child)>,
}

impl Processes {
    pub(super) fn new(dir: &Path) -> Result<Processes> {
        let host = Host::this().context("cannot read who this host is")?;
        Ok(Processes { host, dir: dir.to_owned(), children: Vec::new() })
    }

    /// Starts a program in a process group of its own, so that Ctrl-C in the terminal reaches the
    /// demo alone, which then stops the others in order. `environment` is all it gets; `None`
    /// inherits.
    pub(super) fn start(
        &mut self,
        name: &str,
        line: &[String],
        environment: Option<&BTreeMap<String, String>>,
        log: &Path,
    ) -> Result<()> {
        let (program, arguments) = line.split_first().context("the command is empty")?;
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(program);
        command.args(arguments).process_group(0).stdin(Stdio::null());
        command.stdout(output.try_clone()?).stderr(output);
        if let Some(environment) = environment {
            command.env_clear().envs(environment);
        }
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// How a process that was started here ended, if it did. Takes notice of all that ended.
    pub(super) fn ended(&mut self, name: &str) -> Option<ExitStatus> {
        let mut found = None;
        for (child_name, child) in &mut self.children {
            if let Ok(Some(status)) = child.try_wait()
                && child_name == name
            {
                found = Some(status);
            }
        }
        found
    }

    /// Stops everything. Returns what could not be stopped, one line each.
    pub(super) fn stop(&mut self) -> Vec<String> {
        for role in Role::ALL {
            for _ in 0..ROUNDS_MAX {
                let running: Vec<Ours> =
                    self.running().into_iter().filter(|ours| ours.role == *role).collect();
                if running.is_empty() {
                    break;
                }
                self.stop_these(&running, role.patience());
            }
        }
        for (_, child) in &mut self.children {
            let _ = child.try_wait();
        }
        let left = self.running().into_iter();
        left.map(|ours| format!("{} (pid {})", ours.name, ours.identity.pid)).collect()
    }

    /// Names of all that run, for a word about what an earlier demo left behind.
    pub(super) fn names(&self) -> Vec<String> {
        self.running().into_iter().map(|ours| ours.name).collect()
    }

    fn stop_these(&self, these: &[Ours], patience: Duration) {
        let handles: Vec<ProcessHandle> = these
            .iter()
            .filter_map(|ours| ProcessHandle::open(&self.host, &ours.identity).ok().flatten())
            .collect();
        for handle in &handles {
            let _ = handle.signal(Signal::TERM);
        }
        for handle in &handles {
            if !matches!(handle.wait_gone(patience), Ok(true)) {
                let _ = handle.signal(Signal::KILL);
                let _ = handle.wait_gone(KILL_WAIT);
            }
        }
    }

    /// Reads every process's command line: the truth, whoever started it and whatever was noted
    /// down.
    fn running(&self) -> Vec<Ours> {
        let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
        let own = std::process::id();
        let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let others = pids.filter(|pid| *pid != own);
        let mut running: Vec<Ours> = others.filter_map(|pid| self.ours(pid)).collect();
        running.sort_by_key(|ours| (ours.role, ours.identity.pid));
        running
    }

    fn ours(&self, pid: u32) -> Option<Ours> {
        // The identity first: should the pid be another's by the time of the signal, it is not hit.
        let identity = self.host.identity(pid)?;
        let line = command_line(pid).ok()?;
        let (role, name) = recognise(&line, &self.dir)?;
        Some(Ours { role, name, identity })
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.stop();
    }
}

fn command_line(pid: u32) -> io::Result<Vec<String>> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline"))?;
    let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    Ok(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
}

/// What a command line is to the demo in `dir`; `None` when it is not of it.
fn recognise(line: &[String], dir: &Path) -> Option<(Role, String)> {
    let [program, part, arguments @ ..] = line else { return None };
    let names_folder = arguments.iter().any(|argument| Path::new(argument).starts_with(dir));
    if !names_folder {
        return None;
    }
    let program = Path::new(program).file_name()?.to_str()?;
    let role = match (program, part.as_str()) {
        ("immune", "run") => Role::Server,
        ("immune", "agent") => Role::Agent,
        ("shop", "users") => Role::Users,
        ("shop", _) => Role::Shop,
        _ => return None,
    };
    let instance = arguments.iter().skip_while(|argument| *argument != "--instance").nth(1);
    Some((role, instance.cloned().unwrap_or_else(|| format!("{program} {part}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(line: &str) -> Option<Role> {
        let line: Vec<String> = line.split(' ').map(str::to_owned).collect();
        recognise(&line, Path::new("/srv/a/.demo")).map(|(role, _)| role)
    }

    #[test]
    fn only_programs_of_the_demo_that_name_its_folder_are_ours() {
        assert_eq!(role("/x/immune run -c /srv/a/.demo/immune.yaml"), Some(Role::Server));
        assert_eq!(role("immune agent --dir /srv/a/.demo/immune/agent"), Some(Role::Agent));
        assert_eq!(role("/x/shop users --log /srv/a/.demo/users.jsonl"), Some(Role::Users));
        assert_eq!(role("/x/shop payment --data /srv/a/.demo/data"), Some(Role::Shop));
        assert_eq!(role("/x/shop payment --data /srv/a/.demo2/data"), None);
        assert_eq!(role("tail -f /srv/a/.demo/logs/gateway.log"), None);
        assert_eq!(role("immune demo --dir /srv/a/.demo"), None);
        assert_eq!(role("immune replay /srv/a/.demo/immune"), None);
        assert_eq!(role("shop"), None);
    }

    #[test]
    fn what_was_started_is_seen_and_stopped_even_when_it_ignores_sigterm() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().canonicalize().unwrap();
        // A shell that is called `shop`, and that never forks: a fork would be seen as well.
        let shell = dir.join("shop");
        std::os::unix::fs::symlink("/bin/sh", &shell).unwrap();
        let script = dir.join("part");
        fs::write(&script, "trap '' TERM\necho up\nwhile :; do :; done\n").unwrap();
        let mut processes = Processes::new(&dir).unwrap();
        let log = dir.join("log");
        let line = [shell, script, dir.clone()].map(|path| path.to_string_lossy().into_owned());
        processes.start("part", &line, None, &log).unwrap();
        while !fs::read_to_string(&log).unwrap_or_default().contains("up") {
            std::thread::yield_now();
        }
        let running = processes.running();
        assert_eq!(running.len(), 1);
        assert!(processes.ended("part").is_none());
        processes.stop_these(&running, Duration::from_millis(10));
        assert!(processes.running().is_empty());
        assert!(processes.ended("part").is_some());
    }
}
