//! Run a command that the target declares: its argument list, as configured, with nothing added.

use std::io::{self, PipeReader, Read};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use model::ActionKind;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::Spec;
use crate::bench::Bench;
use crate::clock;
use crate::config::{Command, Target};
use crate::process::ProcessHandle;
use crate::{launch, lifecycle};

/// The end of the output that is kept.
const OUTPUT_KEPT: usize = 4 * 1024;

pub const SPEC: Spec = Spec {
    id: "run_command",
    title: "Run a command",
    documentation: "Runs a command that the target declares by name, without a shell, and waits \
                    for its end. Exit status 0 is done, anything else has failed. After `timeout` \
                    the command and what it started are killed.",
    example: "commands:\n  flush: {command: [/usr/bin/redis-cli, flushall], timeout: 30s}\n",
    allowed,
    perform,
};

fn allowed(target: &Target, kind: &ActionKind) -> Result<(), String> {
    command_of(target, kind).map(|_| ())
}

fn command_of<'a>(target: &'a Target, kind: &ActionKind) -> Result<&'a Command, String> {
    let ActionKind::RunCommand { command } = kind else {
        return Err("not a command".to_owned());
    };
    target
        .commands
        .get(command)
        .ok_or_else(|| format!("target {} declares no command of that name", target.name))
}

fn perform(
    _: &Bench,
    target: &Target,
    kind: &ActionKind,
    _: Option<ProcessHandle>,
) -> Result<String, String> {
    run(command_of(target, kind)?, false)
}

/// Runs a declared command to its end. `Ok` when that was 0, with what it said last. A bound one
/// ends with the agent.
pub fn run(command: &Command, bound: bool) -> Result<String, String> {
    let (mut child, output) = spawn(command, bound)
        .map_err(|error| format!("cannot run {}: {error}", command.command[0]))?;
    let (status, tail) = wait(&mut child, output, command.timeout.0)
        .map_err(|error| format!("lost sight of pid {}: {error}", child.id()))?;
    let said = match lifecycle::quote(&tail) {
        Some(line) => format!(": {line}"),
        None => String::new(),
    };
    match status {
        Some(status) if status.success() => Ok(format!("ended with 0{said}")),
        Some(status) => Err(format!("ended with {status}{said}")),
        None => Err(format!("killed after {}{said}", command.timeout)),
    }
}

fn spawn(command: &Command, bound: bool) -> io::Result<(Child, PipeReader)> {
    let directory = command.directory.as_deref();
    let mut process = launch::command(&command.command, directory, &command.environment)?;
    let (reader, writer) = io::pipe()?;
    process.stdout(writer.try_clone()?).stderr(writer);
    launch::in_own_session(&mut process);
    if bound {
        launch::ends_with_parent(&mut process);
    }
    let child = process.spawn()?;
    Ok((child, reader))
}

/// Reads output until the command ends (not until its output does: something that it left running
/// may hold that open). `None` when it had to be killed.
fn wait(
    child: &mut Child,
    mut output: PipeReader,
    timeout: Duration,
) -> io::Result<(Option<ExitStatus>, Vec<u8>)> {
    let until = clock::monotonic() + timeout;
    let pid = Pid::from_child(child);
    let ended = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let mut tail = Vec::new();
    let mut open = true;
    loop {
        let left = until.saturating_duration_since(clock::monotonic());
        let wanted = if open { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = [PollFd::new(&ended, PollFlags::IN), PollFd::new(&output, wanted)];
        let ready = rustix::event::poll(&mut fds, Some(&clock::timespec(left)));
        let [ended_now, output_now] = fds.map(|fd| !fd.revents().is_empty());
        match ready {
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
            Ok(_) if output_now && open => {
                let mut bytes = [0; 4096];
                let length = output.read(&mut bytes)?;
                open = length > 0;
                tail.extend_from_slice(&bytes[..length]);
                tail.drain(..tail.len().saturating_sub(OUTPUT_KEPT));
            }
            Ok(_) if ended_now => return Ok((Some(child.wait()?), tail)),
            Ok(_) => {}
        }
        if left.is_zero() {
            // The child is not reaped, so the group that it leads is still its own.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
            child.wait()?;
            return Ok((None, tail));
        }
    }
}
