//! Exhaust file descriptors: the limit of the target's process is lowered to what it has open;
//! undone by the limit that it had.

use std::time::Duration;

use model::experiment::Fault;
use rustix::process::{Pid, Resource, Rlimit};

use super::{Aim, Effect, Means, Prior, Spec, handle_on, hit, mismatch, process_of, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::ledger::FaultRecord;
use crate::process::{identity, usage};

const EFFECT_WITHIN: Duration = Duration::from_secs(5);
/// Processes that started while the limit was low have it too; so many are looked through.
const DESCENDANTS_MAX: usize = 10_000;

pub const SPEC: Spec = Spec {
    id: "file_descriptors",
    title: "Exhaust file descriptors",
    documentation: "Lowers the soft limit of open files (RLIMIT_NOFILE) of the target's process so \
                    that it can open `spare` more files or connections (0 by default) and then \
                    gets EMFILE. What is open stays open. Its effect is seen in /proc: the limit, \
                    and how many numbers below it are free.",
    undone_by: "the limit that the process had, also for processes that it started meanwhile",
    example: "fault: {file_descriptors: {spare: 0}}\n",
    applies: |target| target.process.is_some(),
    aim,
    means: Means::Kept { inject, undo },
    effect,
};

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::FileDescriptors(files) = fault else { return mismatch() };
    let identity = process_of(bench, target)?;
    let pid = identity.pid;
    let unreadable =
        || format!("the open files of pid {pid} cannot be seen; run the agent as its user");
    let (before, hard) = usage::open_files_limit(pid).ok_or_else(unreadable)?;
    let lowered = limit_for(&usage::open_files(pid).ok_or_else(unreadable)?, files.spare);
    if before.is_some_and(|before| before <= lowered) {
        return Err(format!("pid {pid} may open no more than {lowered} files already"));
    }
    // Tries the right to do it, by the limit that is there.
    set_limit(pid, before, hard)?;
    let open = format!("pid {pid} can open {} more files", files.spare);
    let exactly = format!("{open}: its limit is lowered from {} to {lowered}", words(before));
    let prior = Some(Prior::OpenFiles { before, lowered });
    Ok(Aim { identity: Some(identity), prior, exactly })
}

/// The lowest limit below which `spare` numbers are free. The kernel gives the lowest free number.
fn limit_for(open: &[u64], spare: u32) -> u64 {
    let mut free = 0;
    let mut limit = 0;
    let mut open = open.iter().copied().peekable();
    loop {
        match open.next_if_eq(&limit) {
            Some(_) => {}
            None if free == spare => return limit,
            None => free += 1,
        }
        limit += 1;
    }
}

fn words(limit: Option<u64>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}

fn set_limit(pid: u32, soft: Option<u64>, hard: Option<u64>) -> Result<(), String> {
    let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Err(format!("{pid} is no pid"));
    };
    let limit = Rlimit { current: soft, maximum: hard };
    rustix::process::prlimit(Some(raw), Resource::Nofile, limit)
        .map(|_| ())
        .map_err(|error| format!("cannot set the limit of pid {pid}: {error}"))
}

fn prior(record: &FaultRecord) -> Result<(Option<u64>, u64), String> {
    match record.prior {
        Some(Prior::OpenFiles { before, lowered }) => Ok((before, lowered)),
        _ => Err("the record names no limit".to_owned()),
    }
}

fn inject(bench: &Bench, record: &FaultRecord) -> Result<(), String> {
    let (hit, (_, lowered)) = (hit(record)?, prior(record)?);
    let handle = handle_on(bench, hit)?.ok_or_else(|| format!("pid {} has ended", hit.pid))?;
    let (before, hard) =
        usage::open_files_limit(hit.pid).ok_or_else(|| format!("pid {} has ended", hit.pid))?;
    set_limit(hit.pid, Some(lowered), hard)?;
    // The limit is set by pid. That it is still the same process afterwards shows that it was hit.
    if handle.wait_gone(Duration::ZERO).map_err(|error| error.to_string())? {
        if bench.host.identity(hit.pid).is_some() {
            set_limit(hit.pid, before, hard)?;
        }
        return Err(format!("pid {} ended at that moment", hit.pid));
    }
    Ok(())
}

fn effect(bench: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        let (hit, (_, lowered)) = (hit(record)?, prior(record)?);
        let pid = hit.pid;
        if !bench.host.runs(hit) {
            return Err(format!("pid {pid} has ended"));
        }
        let (limit, _) = usage::open_files_limit(pid).ok_or("its limits cannot be read")?;
        let open = usage::open_files(pid).ok_or("its open files cannot be seen")?;
        let below = open.iter().filter(|number| **number < lowered).count() as u64;
        match limit == Some(lowered) {
            true => Ok(format!("pid {pid} has {below} of {lowered} files open")),
            false => Err(format!("pid {pid} may open {} files", words(limit))),
        }
    })
}

fn undo(bench: &Bench, record: &FaultRecord) -> Result<String, String> {
    let (hit, (before, lowered)) = (hit(record)?, prior(record)?);
    let runs = bench.host.runs(hit);
    let mut raised = 0;
    // Descendants of one that has ended cannot be told from others any more, and are not touched.
    let family = if runs { family(hit.pid) } else { Vec::new() };
    for pid in family {
        let Some((soft, hard)) = usage::open_files_limit(pid) else { continue };
        if soft == Some(lowered) {
            set_limit(pid, before, hard)?;
            raised += 1;
        }
    }
    if !bench.host.runs(hit) {
        return Ok(format!("pid {} has ended, and its limit with it", hit.pid));
    }
    match usage::open_files_limit(hit.pid) {
        Some((Some(soft), _)) if soft == lowered => {
            Err(format!("pid {} still may open only {lowered} files", hit.pid))
        }
        Some((soft, _)) if raised == 0 => {
            Ok(format!("pid {} may open {} files", hit.pid, words(soft)))
        }
        _ => Ok(format!("{raised} processes may open {} files again", words(before))),
    }
}

/// The process and all that descend from it.
fn family(pid: u32) -> Vec<u32> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        parents.extend(identity::stat(child).map(|stat| (child, stat.parent)));
    }
    let mut family = vec![pid];
    let mut looked_at = 0;
    while let Some(parent) = family.get(looked_at).copied() {
        let children = parents.iter().filter(|(child, of)| *of == parent && *child != parent);
        family.extend(children.map(|(child, _)| *child));
        looked_at += 1;
        if family.len() > DESCENDANTS_MAX {
            break;
        }
    }
    family
}

#[cfg(test)]
mod tests {
    use super::limit_for;

    #[test]
    fn numbers_that_are_free_between_open_ones_are_counted() {
        assert_eq!(limit_for(&[0, 1, 2, 3], 0), 4);
        assert_eq!(limit_for(&[0, 1, 2, 50], 0), 3);
        assert_eq!(limit_for(&[0, 1, 3, 4, 9], 1), 5);
        assert_eq!(limit_for(&[0, 1, 3, 4, 9], 2), 6);
        assert_eq!(limit_for(&[], 3), 3);
    }
}
