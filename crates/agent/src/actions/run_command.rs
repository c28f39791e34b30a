//! Run a command that the target declares: its argument list, as configured, with nothing added.

use std::io::{self, PipeReader, Read};
use std::process::{Child, ExitStatus};
use std::time::Duration;

use model::ActionKind;
use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal};

use super::{Offer, Spec, Task, Trouble};
use crate::clock;
use crate::config::{Command, Target};
use crate::{launch, lifecycle};

/// The end of the output that is kept.
const OUTPUT_KEPT: usize = 4 * 1024;

pub const SPEC: Spec = Spec {
    id: "run_command",
    title: "Run a command",
    documentation: "Runs a command that the target declares by name, without a shell, and waits \
                    for its end. Exit status 0 is done, anything else has failed. After `timeout` \
                    the command and what it started are killed. `undo` names the command of the \
                    target that takes it back.",
    example: "commands:\n  shed: {command: [/srv/shed, \"on\"], timeout: 30s, undo: unshed}\n  \
              unshed: {command: [/srv/shed, \"off\"]}\n",
    offers,
    ends_process: |_| false,
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let offer = |(name, command): (&String, &Command)| Offer {
        kind: ActionKind::RunCommand { command: name.clone() },
        undo: undo(command),
        timeout: command.timeout.0,
    };
    target.commands.iter().map(offer).collect()
}

pub(super) fn undo(command: &Command) -> Option<ActionKind> {
    let undo = command.undo.clone();
    undo.map(|command| ActionKind::RunCommand { command })
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let ActionKind::RunCommand { command } = &task.action.kind else {
        return Err("not a command".to_owned().into());
    };
    match task.target.commands.get(command) {
        Some(command) => Ok(run(command, false)?),
        None => Err(Trouble::Refused("no command of that name is declared".to_owned())),
    }
}

/// Runs a declared command to its end. `Ok` when that was 0, with what it said last. A bound one
/// ends with the agent.
pub(crate) fn run(command: &Command, bound: bool) -> Result<String, String> {
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
