//! Signal: ask the target's process for what it does on a signal, such as reading its
//! configuration anew.
//!
//! By pidfd, so that it reaches the very process that was verified or none. One that would be ended
//! by a signal that is meant to ask something (it does not handle SIGHUP, SIGUSR1, SIGUSR2) is not
//! sent it.

use std::fs;
use std::time::Duration;

use model::{ActionKind, SignalName};
use rustix::process::Signal;

use super::{Offer, Spec, Task, Trouble};
use crate::clock;
use crate::config::Target;

/// The signal itself is sent at once; what it brings about is not waited for.
const TIMEOUT: Duration = Duration::from_secs(1);

pub const SPEC: Spec = Spec {
    id: "signal",
    title: "Send a signal",
    documentation: "Sends a signal that the target declares to its process: SIGHUP, SIGUSR1 or \
                    SIGUSR2, unless the process would be ended by it because it does not handle \
                    it; SIGTERM or SIGQUIT, where a supervisor starts it again.",
    example: "signals: [hup, usr1]\n",
    offers,
    ends_process: |kind| matches!(kind, ActionKind::Signal { signal } if ends(*signal)),
    perform,
};

fn offers(target: &Target) -> Vec<Offer> {
    let offer = |signal: &SignalName| Offer {
        kind: ActionKind::Signal { signal: *signal },
        undo: None,
        timeout: TIMEOUT,
    };
    target.signals.iter().map(offer).collect()
}

fn ends(signal: SignalName) -> bool {
    matches!(signal, SignalName::Term | SignalName::Quit)
}

fn number(signal: SignalName) -> Signal {
    match signal {
        SignalName::Hup => Signal::HUP,
        SignalName::Quit => Signal::QUIT,
        SignalName::Term => Signal::TERM,
        SignalName::Usr1 => Signal::USR1,
        SignalName::Usr2 => Signal::USR2,
    }
}

fn perform(task: &Task<'_>) -> Result<String, Trouble> {
    let ActionKind::Signal { signal } = task.action.kind else {
        return Err("not a signal".to_owned().into());
    };
    let Some(process) = &task.process else {
        return Err(Trouble::Refused("no process of the target runs".to_owned()));
    };
    let pid = process.identity.pid;
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    let status = status.map_err(|error| format!("cannot look at pid {pid}: {error}"))?;
    if ends(signal) {
        task.bench.watch.stop_requested(task.target, &process.identity, clock::now());
    } else if !survives(&status, number(signal)) {
        let why = format!("pid {pid} does not handle {signal} and would be ended by it");
        return Err(Trouble::Refused(why));
    }
    match process.signal(number(signal)) {
        Ok(true) => Ok(format!("sent {signal} to pid {pid}")),
        Ok(false) => Err(Trouble::Refused(format!("pid {pid} has just ended"))),
        Err(error) => Err(format!("cannot signal pid {pid}: {error}").into()),
    }
}

/// Does the process catch or ignore the signal? From `/proc/PID/status`, whose masks have the bit
/// of signal 1 last.
fn survives(status: &str, signal: Signal) -> bool {
    let bit = 1_u64 << (signal.as_raw() - 1);
    status.lines().any(|line| {
        let mask = line.strip_prefix("SigCgt:").or_else(|| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask & bit != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_survives_what_it_catches_or_ignores() {
        let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n\
                      SigCgt:\t0000000000000200\n";
        assert!(survives(status, Signal::USR1), "caught");
        assert!(!survives(status, Signal::HUP), "blocked is only for later");
        assert!(!survives("SigCgt: zz\n", Signal::USR1));
        assert!(!survives(status, Signal::USR2));
    }
}
