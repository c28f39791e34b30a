//! A wrong clock for the target's process: it is started anew with libfaketime loaded before its
//! own libraries; undone by starting it as configured.
//!
//! The kernel has one wall clock for all (time namespaces shift only the monotonic and the boot
//! clock), so it is the C library's answers that are changed, of programs that ask it.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::experiment::Fault;
use model::fault::Clock;
use model::tick::ProcessIdentity;

use super::{Aim, Effect, Means, Prior, Spec, handle_on, mismatch, process_of, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::ledger::FaultRecord;
use crate::lifecycle;
use crate::process::{Found, find};

const EFFECT_WITHIN: Duration = Duration::from_secs(5);
/// Where distributions have it; the one for programs with threads.
const LIBRARIES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
    "/usr/lib/faketime/libfaketimeMT.so.1",
    "/usr/local/lib/faketime/libfaketimeMT.so.1",
];
/// Bytes of a program in which its table of segments is looked for.
const ELF_HEAD_MAX: u64 = 64 << 10;
const MAPS_MAX: u64 = 16 << 20;

pub const SPEC: Spec = Spec {
    id: "clock",
    title: "Skew the clock",
    documentation: "Restarts the target with libfaketime loaded (Debian's package `faketime`, or \
                    `libfaketime` of the target): the wall clock that it reads through the C \
                    library is `offset` ahead, or with `behind` behind. Its other clocks go as \
                    before. Refused without the library, without `restart`, and for programs that \
                    are linked statically. Its effect is seen when the new process has the \
                    library in its memory, which does not show that it asks it.",
    undone_by: "starting the target as configured, unless it runs without the library",
    example: "fault: {clock: {offset: 1h, behind: true}}\n",
    applies: |target| target.process.is_some() && target.restart.is_some(),
    aim,
    means: Means::Kept { inject, undo },
    effect,
};

fn of(fault: &Fault) -> Result<&Clock, String> {
    match fault {
        Fault::Clock(clock) => Ok(clock),
        _ => mismatch(),
    }
}

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let clock = of(fault)?;
    lifecycle::restart_of(target)?;
    let library = library(target)?;
    let identity = process_of(bench, target)?;
    let pid = identity.pid;
    if has_loaded(pid, &library)? {
        return Err(format!("pid {pid} has {} loaded already", library.display()));
    }
    if !is_dynamic(pid)? {
        return Err(format!(
            "the program of pid {pid} is linked statically: nothing can be loaded"
        ));
    }
    let way = if clock.behind { "behind" } else { "ahead" };
    let exactly = format!(
        "restarts pid {pid} with {}: its clock is {} {way}",
        library.display(),
        clock.offset
    );
    Ok(Aim { identity: Some(identity), prior: Some(Prior::Library(library)), exactly })
}

fn library(target: &Target) -> Result<PathBuf, String> {
    if let Some(library) = &target.libfaketime {
        let there = library.is_file();
        return there.then(|| library.clone()).ok_or_else(|| {
            format!("`libfaketime` of the target, {}, is no file", library.display())
        });
    }
    let found = LIBRARIES.iter().map(Path::new).find(|library| library.is_file());
    found.map(Path::to_owned).ok_or_else(|| {
        "libfaketime is not installed (Debian: `faketime`), nor named by the target".to_owned()
    })
}

/// Does the program ask for a loader of libraries (PT_INTERP)?
fn is_dynamic(pid: u32) -> Result<bool, String> {
    let mut head = Vec::new();
    File::open(format!("/proc/{pid}/exe"))
        .and_then(|file| file.take(ELF_HEAD_MAX).read_to_end(&mut head))
        .map_err(|error| format!("the program of pid {pid} cannot be read: {error}"))?;
    Ok(asks_for_a_loader(&head))
}

fn asks_for_a_loader(elf: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let word = |at: usize| Some(u16::from_ne_bytes(*elf.get(at..)?.first_chunk()?));
    let (offset, size, count) = match elf.get(..5) {
        // 64 bits.
        Some(b"\x7fELF\x02") => {
            let offset = elf.get(32..).and_then(|rest| rest.first_chunk()).copied();
            (offset.map(u64::from_ne_bytes), word(54), word(56))
        }
        // 32 bits.
        Some(b"\x7fELF\x01") => {
            let offset = elf.get(28..).and_then(|rest| rest.first_chunk()).copied();
            (offset.map(|offset| u64::from(u32::from_ne_bytes(offset))), word(42), word(44))
        }
        _ => return false,
    };
    let (Some(offset), Some(size), Some(count)) = (offset, size, count) else { return false };
    let kinds = (0..u64::from(count)).map_while(|index| {
        let at = usize::try_from(offset.checked_add(index * u64::from(size))?).ok()?;
        Some(u32::from_ne_bytes(*elf.get(at..)?.first_chunk()?))
    });
    kinds.into_iter().any(|kind| kind == INTERPRETER)
}

fn has_loaded(pid: u32, library: &Path) -> Result<bool, String> {
    let mut maps = String::new();
    File::open(format!("/proc/{pid}/maps"))
        .and_then(|file| file.take(MAPS_MAX).read_to_string(&mut maps))
        .map_err(|error| format!("the memory of pid {pid} cannot be seen: {error}"))?;
    // The kernel shows where links lead.
    let real = fs::canonicalize(library).unwrap_or_else(|_| library.to_owned());
    let path = real.to_string_lossy();
    Ok(maps.lines().any(|line| line.ends_with(&*path)))
}

fn prior(record: &FaultRecord) -> Result<&Path, String> {
    match &record.prior {
        Some(Prior::Library(library)) => Ok(library),
        _ => Err("the record names no library".to_owned()),
    }
}

/// The target, with another environment.
fn skewed(record: &FaultRecord) -> Result<Target, String> {
    let (clock, library) = (of(&record.fault)?, prior(record)?);
    let mut target = record.target.clone();
    let environment =
        &mut target.restart.as_mut().ok_or("the target has no `restart`")?.start.environment;
    let library = library.display();
    let preload = match environment.get("LD_PRELOAD") {
        Some(others) => format!("{library}:{others}"),
        None => library.to_string(),
    };
    let sign = if clock.behind { '-' } else { '+' };
    let variables = [
        ("LD_PRELOAD", preload),
        ("FAKETIME", format!("{sign}{}", clock.offset.0.as_secs())),
        // The name before version 0.9.9, and since.
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    environment.extend(variables.map(|(name, value)| (name.to_owned(), value)));
    Ok(target)
}

fn inject(bench: &Bench, record: &FaultRecord) -> Result<(), String> {
    let skewed = skewed(record)?;
    let hit = super::hit(record)?;
    let handle = handle_on(bench, hit)?.ok_or_else(|| format!("pid {} has ended", hit.pid))?;
    lifecycle::stop(bench, &record.target, &handle)?;
    lifecycle::start(bench, &skewed).map(|_| ())
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        let library = prior(record)?;
        let pid = process_of(bench, &record.target)?.pid;
        match has_loaded(pid, library)? {
            true => Ok(format!("pid {pid} has {} loaded", library.display())),
            false => Err(format!("pid {pid} has not loaded {}", library.display())),
        }
    })
}

fn undo(bench: &Bench, record: &FaultRecord) -> Result<String, String> {
    let target = &record.target;
    let mut stopped = String::new();
    if let Some(identity) = running(bench, target)? {
        if !has_loaded(identity.pid, prior(record)?)? {
            return Ok(format!("pid {} runs by the clock of the host", identity.pid));
        }
        if let Some(handle) = handle_on(bench, &identity)? {
            stopped = format!("{}, ", lifecycle::stop(bench, target, &handle)?);
        }
    }
    lifecycle::start(bench, target).map(|started| format!("{stopped}{started}"))
}

fn running(bench: &Bench, target: &Target) -> Result<Option<ProcessIdentity>, String> {
    match find(&bench.host, &target.process).map_err(|error| error.to_string())? {
        Found::Process(holder) => Ok(Some(holder.identity)),
        Found::Nothing => Ok(None),
        Found::Hidden(why) => Err(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_asks_for_a_loader_is_told_from_one_that_does_not() {
        assert!(is_dynamic(std::process::id()).unwrap());
        let mut elf = vec![0; 64 + 2 * 56];
        elf[..5].copy_from_slice(b"\x7fELF\x02");
        elf[32] = 64;
        elf[54] = 56;
        elf[56] = 2;
        elf[64] = 1;
        assert!(!asks_for_a_loader(&elf));
        elf[64 + 56] = 3;
        assert!(asks_for_a_loader(&elf));
        for length in 0..elf.len() {
            asks_for_a_loader(&elf[..length]);
        }
        assert!(!asks_for_a_loader(b"#!/bin/sh"));
    }
}
