//! Keep processors busy: threads of the keeper that do nothing but count.

use std::hint::black_box;
use std::time::Duration;

use model::experiment::Fault;

use super::{Aim, Effect, Means, Spec, mismatch, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::keeper::Grip;
use crate::ledger::FaultRecord;
use crate::process::usage;
use crate::{clock, keepers};

const EFFECT_WITHIN: Duration = Duration::from_secs(20);
/// Over what time processor time is measured.
const MEASURED_OVER: Duration = Duration::from_millis(500);
/// Share of idle time below which the host counts as busy.
const IDLE_MAX: f64 = 0.05;

pub const SPEC: Spec = Spec {
    id: "cpu",
    title: "Keep processors busy",
    documentation: "A process beside the agent counts in as many threads as `cores` says, at most \
                    as many as the host has. Its effect is seen when the kernel has given it at \
                    least half of that processor time, or has next to none left to give.",
    undone_by: "ending that process; it also ends with the agent and at the deadline",
    example: "fault: {cpu: {cores: 2}}\n",
    applies: |_| true,
    aim,
    means: Means::Held(hold),
    effect,
};

fn aim(_: &Bench, _: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::Cpu(cpu) = fault else { return mismatch() };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if usize::try_from(cpu.cores).map_or(true, |asked| asked == 0 || asked > cores) {
        return Err(format!("cores: {} asked for, this agent may use {cores}", cpu.cores));
    }
    let exactly = format!("keeps {} of {cores} processors of this host busy", cpu.cores);
    Ok(Aim { exactly, ..Aim::default() })
}

struct Busy;

impl Grip for Busy {}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    let Fault::Cpu(cpu) = &record.fault else { return mismatch() };
    for number in 0..cpu.cores {
        // Ends with the process.
        let spin = || {
            let mut count = 0_u64;
            loop {
                count = black_box(count.wrapping_add(1));
            }
        };
        std::thread::Builder::new()
            .name(format!("busy-{number}"))
            .spawn(spin)
            .map_err(|error| format!("cannot start a thread: {error}"))?;
    }
    Ok(Box::new(Busy))
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    let Fault::Cpu(cpu) = &record.fault else {
        return Effect { at: None, detail: "not this kind of fault".to_owned() };
    };
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    watch_for(EFFECT_WITHIN, || {
        let holders = keepers::find(&bench.host, &bench.dir, record).map_err(|e| e.to_string())?;
        let pid = holders.first().ok_or("its holder is gone")?.pid;
        let look = || {
            let (idle, all) = usage::host_ticks()?;
            Some((usage::cpu_ticks(pid)?, idle, all))
        };
        let (begun, before) = (clock::monotonic(), look());
        clock::pause(MEASURED_OVER);
        let (Some(before), Some(after)) = (before, look()) else {
            return Err("its processor time cannot be read".to_owned());
        };
        let seconds = clock::monotonic().saturating_duration_since(begun).as_secs_f64();
        let used = (after.0.saturating_sub(before.0)) as f64 / per_second / seconds;
        let all = after.2.saturating_sub(before.2).max(1);
        let idle = after.1.saturating_sub(before.1) as f64 / all as f64;
        let told = format!("{used:.1} processors are used by pid {pid}");
        match used >= f64::from(cpu.cores) / 2.0 || (used > 0.1 && idle < IDLE_MAX) {
            true => Ok(told),
            false => Err(format!("only {told}, the host is idle for {:.0} %", idle * 100.0)),
        }
    })
}
