//! Pause a process: SIGSTOP; undone by SIGCONT to the same process, which does nothing to one that
//! runs.

use std::time::Duration;

use model::experiment::Fault;
use model::tick::ProcessIdentity;
use rustix::process::Signal;

use super::{Aim, Effect, Means, Spec, handle_on, hit, process_of, watch_for};
use crate::bench::Bench;
use crate::clock;
use crate::config::Target;
use crate::ledger::FaultRecord;
use crate::process::identity;

const EFFECT_WITHIN: Duration = Duration::from_secs(5);
const RUNS_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(5);

pub const SPEC: Spec = Spec {
    id: "pause_process",
    title: "Pause the process",
    documentation: "Sends SIGSTOP to the target's process: it keeps its connections and answers \
                    nobody. Its effect is seen when /proc shows the process as stopped.",
    undone_by: "SIGCONT to the same process, if it still runs",
    example: "fault: pause_process\n",
    applies: |target| target.process.is_some(),
    aim,
    means: Means::Kept { inject, undo },
    effect,
};

fn aim(bench: &Bench, target: &Target, _: &Fault) -> Result<Aim, String> {
    let identity = process_of(bench, target)?;
    if is_stopped(identity.pid) {
        return Err(format!("pid {} is stopped already", identity.pid));
    }
    let exactly = format!("stops pid {} and continues it", identity.pid);
    Ok(Aim { identity: Some(identity), prior: None, exactly })
}

fn is_stopped(pid: u32) -> bool {
    identity::stat(pid).is_some_and(|stat| stat.state == b'T')
}

fn inject(bench: &Bench, record: &FaultRecord) -> Result<(), String> {
    let hit = hit(record)?;
    match signal(bench, hit, Signal::STOP)? {
        true => Ok(()),
        false => Err(format!("pid {} had ended by itself", hit.pid)),
    }
}

fn signal(bench: &Bench, hit: &ProcessIdentity, signal: Signal) -> Result<bool, String> {
    let Some(handle) = handle_on(bench, hit)? else { return Ok(false) };
    handle.signal(signal).map_err(|error| format!("cannot signal pid {}: {error}", hit.pid))
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        let hit = hit(record)?;
        match bench.host.runs(hit) && is_stopped(hit.pid) {
            true => Ok(format!("pid {} is stopped", hit.pid)),
            false => Err(format!("pid {} is not stopped", hit.pid)),
        }
    })
}

fn undo(bench: &Bench, record: &FaultRecord) -> Result<String, String> {
    let hit = hit(record)?;
    let until = clock::monotonic() + RUNS_WITHIN;
    loop {
        if !signal(bench, hit, Signal::CONT)? {
            return Ok(format!("pid {} has ended, nothing is paused any more", hit.pid));
        }
        if !is_stopped(hit.pid) {
            return Ok(format!("pid {} runs on", hit.pid));
        }
        if clock::monotonic() >= until {
            return Err(format!("pid {} stays stopped; somebody else stops it too", hit.pid));
        }
        clock::pause(LOOK_EVERY);
    }
}
