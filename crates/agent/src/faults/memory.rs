//! Take memory: the keeper fills pages, a piece at a time, and never takes the last that the host
//! can give.

use std::time::Duration;

use model::ByteSize;
use model::experiment::Fault;

use super::{Aim, Effect, Means, Spec, mismatch, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::keeper::Grip;
use crate::keepers;
use crate::ledger::FaultRecord;
use crate::process::usage;

const EFFECT_WITHIN: Duration = Duration::from_secs(45);
const PIECE: u64 = 32 << 20;
/// What stays available is at least this, and at least this part of all memory.
const FLOOR: u64 = 256 << 20;
const FLOOR_PART: u64 = 32;
/// Not zero: pages of zeros may be one page.
static FILLING: [u8; 64 << 10] = [0xa5; 64 << 10];
const GROW_EVERY: Duration = Duration::from_millis(1);
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub const SPEC: Spec = Spec {
    id: "memory",
    title: "Take memory",
    documentation: "A process beside the agent takes `bytes` of memory and fills them. Refused \
                    when less than 256 MiB, or a 32nd of all memory, would stay available; given \
                    back when others need so much that less than half of that is left. It is the \
                    first that the kernel ends when memory runs out. Its effect is seen when the \
                    kernel counts 95 % of `bytes` as that process's.",
    undone_by: "ending that process; it also ends with the agent and at the deadline",
    example: "fault: {memory: {bytes: 512MiB}}\n",
    applies: |_| true,
    aim,
    means: Means::Held(hold),
    effect,
};

fn aim(_: &Bench, _: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::Memory(memory) = fault else { return mismatch() };
    let room = room()?;
    if memory.bytes.0 > room {
        return Err(format!(
            "bytes: {} asked for, {} MiB can be taken without harm to the whole host",
            memory.bytes,
            room >> 20
        ));
    }
    let exactly = format!("takes {} of memory of this host", memory.bytes);
    Ok(Aim { exactly, ..Aim::default() })
}

/// Bytes that may be taken.
pub(super) fn room() -> Result<u64, String> {
    let (available, total) = usage::host_memory().ok_or("/proc/meminfo cannot be read")?;
    Ok(available.saturating_sub(FLOOR.max(total / FLOOR_PART)))
}

struct Taken {
    wanted: u64,
    pieces: Vec<Vec<u8>>,
    bytes: u64,
}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    let Fault::Memory(memory) = &record.fault else { return mismatch() };
    // Not allowed everywhere; then the kernel chooses among all.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
    Ok(Box::new(Taken { wanted: memory.bytes.0, pieces: Vec::new(), bytes: 0 }))
}

impl Grip for Taken {
    fn tick(&mut self) -> Result<Duration, String> {
        let room = room()?;
        let piece = PIECE.min(self.wanted - self.bytes);
        if piece > 0 && room >= piece {
            let length = usize::try_from(piece).map_err(|error| error.to_string())?;
            let mut bytes = Vec::new();
            bytes.try_reserve_exact(length).map_err(|error| error.to_string())?;
            while bytes.len() < length {
                bytes.extend_from_slice(&FILLING[..FILLING.len().min(length - bytes.len())]);
            }
            self.pieces.push(bytes);
            self.bytes += piece;
            return Ok(GROW_EVERY);
        }
        let (available, total) = usage::host_memory().ok_or("/proc/meminfo cannot be read")?;
        if available < FLOOR.max(total / FLOOR_PART) / 2 {
            return Err(format!("{} of memory given back, others need it", ByteSize(self.bytes)));
        }
        Ok(LOOK_EVERY)
    }
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    let wanted = match &record.fault {
        Fault::Memory(memory) => memory.bytes.0,
        _ => 0,
    };
    watch_for(EFFECT_WITHIN, || {
        let holders = keepers::find(&bench.host, &bench.dir, record).map_err(|e| e.to_string())?;
        let pid = holders.first().ok_or("its holder is gone")?.pid;
        let taken = usage::memory_bytes(pid).ok_or("its memory cannot be read")?;
        match taken >= wanted - wanted / 20 {
            true => Ok(format!("pid {pid} has {} MiB", taken >> 20)),
            false => Err(format!("pid {pid} has only {} MiB", taken >> 20)),
        }
    })
}
