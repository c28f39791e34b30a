//! Kill a process: SIGKILL to exactly one process; undone by starting the target as configured,
//! unless it runs already.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use model::experiment::Fault;
use rustix::process::Signal;

use super::{Aim, Effect, Means, Spec, handle_on, hit, process_of, watch_for};
use crate::bench::Bench;
use crate::config::{ProcessMatch, Target};
use crate::ledger::FaultRecord;
use crate::lifecycle;
use crate::process::{Found, find};

/// How long the effect is looked for.
const EFFECT_WITHIN: Duration = Duration::from_secs(5);
/// How long a process may take to vanish before it is taken for one that was not hit.
const HIT_GONE_WITHIN: Duration = Duration::from_secs(2);
const CONNECT_WITHIN: Duration = Duration::from_millis(200);

pub const SPEC: Spec = Spec {
    id: "kill_process",
    title: "Kill the process",
    documentation: "Sends SIGKILL to the target's process. Its effect is seen when the process is \
                    gone from /proc and, for a target that listens, connections are refused.",
    undone_by: "starting the target as configured, when no process of it runs",
    example: "fault: kill_process\n",
    applies: |target| target.process.is_some() && target.restart.is_some(),
    aim,
    means: Means::Kept { inject, undo },
    effect,
};

fn aim(bench: &Bench, target: &Target, _: &Fault) -> Result<Aim, String> {
    let start = &lifecycle::restart_of(target)?.start.command[0];
    let identity = process_of(bench, target)?;
    let exactly = format!("kills pid {}; {start} is started afterwards", identity.pid);
    Ok(Aim { identity: Some(identity), prior: None, exactly })
}

fn inject(bench: &Bench, record: &FaultRecord) -> Result<(), String> {
    let pid = hit(record)?.pid;
    let process = handle_on(bench, hit(record)?)?.map(|process| process.signal(Signal::KILL));
    match process {
        Some(Ok(true)) => Ok(()),
        Some(Ok(false)) | None => Err(format!("pid {pid} had ended by itself")),
        Some(Err(error)) => Err(format!("cannot signal pid {pid}: {error}")),
    }
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        let hit = hit(record)?;
        let pid = hit.pid;
        match bench.host.runs(hit) {
            true => Err(format!("pid {pid} still runs")),
            false if refuses(record.target.process.as_ref()) => Ok(format!("pid {pid} is gone")),
            false => Err(format!("pid {pid} is gone, but connections are taken")),
        }
    })
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
    // A process that was hit a moment ago may not be gone yet.
    if let Ok(Some(hit)) = handle_on(bench, hit(record)?) {
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
    let was_hit = hit(record)?;
    let found = find(&bench.host, &target.process).map_err(|error| error.to_string())?;
    let identity = match found {
        Found::Process(holder) => holder.identity,
        Found::Hidden(why) => {
            return match &target.process {
                Some(process @ ProcessMatch::ListensOn(_)) => {
                    Ok(Some(format!("something {process} already")))
                }
                // A file that is not believed shows nothing that runs.
                Some(ProcessMatch::PidFile(_) | ProcessMatch::Systemd(_)) | None => Err(why),
            };
        }
        Found::Nothing => {
            let last = bench.watch.last(target).filter(|last| bench.host.runs(last));
            let unhurt = bench.host.runs(was_hit).then(|| was_hit.clone());
            match last.or(unhurt) {
                Some(identity) => identity,
                None => return Ok(None),
            }
        }
    };
    Ok(Some(match identity == *was_hit {
        true => format!("pid {} was not hit and still runs", identity.pid),
        false => format!("already running as pid {}", identity.pid),
    }))
}
