//! Kill a process: SIGKILL to exactly one process; undone by starting the target as configured,
//! unless it runs already.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::Signal;

use super::{Effect, Spec};
use crate::bench::{Bench, Step};
use crate::clock;
use crate::config::{ProcessMatch, Target};
use crate::ledger::FaultRecord;
use crate::lifecycle;
use crate::process::{Found, ProcessHandle, find};

/// How long the effect is looked for.
const EFFECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a process may take to vanish before it is taken for one that was not hit.
const HIT_GONE_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(2);
const CONNECT_WITHIN: Duration = Duration::from_millis(200);

pub const SPEC: Spec = Spec {
    id: "kill_process",
    title: "Kill the process",
    documentation: "Sends SIGKILL to the target's process. Its effect is seen when the process is \
                    gone from /proc and, for a target that listens, connections are refused.",
    undone_by: "starting the target as configured, when no process of it runs",
    example: "fault: kill_process\n",
    allowed: |target: &Target| lifecycle::restart_of(target).map(|_| ()),
    inject,
    effect,
    undo,
};

fn inject(_: &Bench, _: &FaultRecord, process: &ProcessHandle) -> Result<(), String> {
    match process.signal(Signal::KILL) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!("pid {} had ended by itself", process.identity.pid)),
        Err(error) => Err(format!("cannot signal pid {}: {error}", process.identity.pid)),
    }
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    let until = clock::monotonic() + EFFECT_WITHIN;
    let pid = record.identity.pid;
    loop {
        let gone = !bench.host.runs(&record.identity);
        let refused = gone && refuses(record.target.process.as_ref());
        let at = clock::now();
        if gone && refused {
            return Effect { at: Some(at), detail: format!("pid {pid} is gone") };
        }
        if clock::monotonic() >= until {
            let what = if gone { "is gone, but connections are taken" } else { "still runs" };
            return Effect { at: None, detail: format!("pid {pid} {what}") };
        }
        clock::pause(LOOK_EVERY);
    }
}

/// True when nobody answers; a target that is known by its pid file alone is not asked.
fn refuses(process: Option<&ProcessMatch>) -> bool {
    let Some(ProcessMatch::ListensOn(address)) = process else { return true };
    let ip = match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let answer = TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), CONNECT_WITHIN);
    matches!(answer, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

fn undo(bench: &Bench, record: &FaultRecord) -> Result<String, String> {
    bench.reached(Step::UndoBegun);
    // A process that was hit a moment ago may not be gone yet.
    if let Ok(Some(hit)) = ProcessHandle::open(&bench.host, &record.identity) {
        let _ = hit.wait_gone(HIT_GONE_WITHIN);
    }
    if let Some(runs) = running(bench, record)? {
        return Ok(runs);
    }
    lifecycle::start(bench, &record.target).or_else(|failed| {
        // Somebody else may have been quicker.
        running(bench, record)?.ok_or(failed)
    })
}

/// What of the target runs already, in words.
fn running(bench: &Bench, record: &FaultRecord) -> Result<Option<String>, String> {
    let target = &record.target;
    let found = find(&bench.host, &target.process).map_err(|error| error.to_string())?;
    let identity = match found {
        Found::Process(holder) => holder.identity,
        Found::Hidden(why) => {
            return match &target.process {
                Some(process @ ProcessMatch::ListensOn(_)) => {
                    Ok(Some(format!("something {process} already")))
                }
                // A file that is not believed shows nothing that runs.
                Some(ProcessMatch::PidFile(_)) | None => Err(why),
            };
        }
        Found::Nothing => {
            let last = bench.watch.last(target).filter(|last| bench.host.runs(last));
            let hit = Some(&record.identity).filter(|hit| bench.host.runs(hit)).cloned();
            match last.or(hit) {
                Some(identity) => identity,
                None => return Ok(None),
            }
        }
    };
    Ok(Some(match identity == record.identity {
        true => format!("pid {} was not hit and still runs", identity.pid),
        false => format!("already running as pid {}", identity.pid),
    }))
}
