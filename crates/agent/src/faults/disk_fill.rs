//! Fill a file system: one file without a name, which the keeper holds open. The kernel frees its
//! blocks when the keeper is gone, however it went.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use model::experiment::Fault;
use model::fault::DiskFill;
use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, StatVfs};

use super::{Aim, Effect, Means, Prior, Spec, memory, mismatch, watch_for};
use crate::bench::Bench;
use crate::config::Target;
use crate::keeper::Grip;
use crate::ledger::FaultRecord;

const EFFECT_WITHIN: Duration = Duration::from_secs(10);
/// What stays free where the agent keeps its own records.
const OWN_FREE_MIN: u64 = 256 << 20;
/// Others may take blocks while they are counted.
const TRIES: u32 = 5;
/// Kind of file systems that are memory.
const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;

pub const SPEC: Spec = Spec {
    id: "disk_fill",
    title: "Fill a file system",
    documentation: "Takes all free bytes but `leave_free` of the file system on which the folder \
                    `path` lies, as one file without a name. Refused on the file system of `/` and \
                    of Immune's own data, unless the target's `disks` name the folder or one above \
                    it. Its effect is seen by the free bytes that the file system tells of.",
    undone_by: "ending the process that holds the file; it also ends with the agent and at the \
                deadline",
    example: "fault: {disk_fill: {path: /var/lib/orders, leave_free: 10MiB}}\n",
    applies: |_| true,
    aim,
    means: Means::Held(hold),
    effect,
};

fn aim(bench: &Bench, target: &Target, fault: &Fault) -> Result<Aim, String> {
    let Fault::DiskFill(fill) = fault else { return mismatch() };
    let path = fill.path.display();
    let unreadable = |error: std::io::Error| format!("{path}: {error}");
    let real = fs::canonicalize(&fill.path).map_err(unreadable)?;
    let device = fs::metadata(&real).map_err(unreadable)?.dev();
    let declared = target.disks.iter().any(|disk| real.starts_with(real_path(disk)));
    let own = fs::metadata(&bench.dir).map(|folder| folder.dev()).ok() == Some(device);
    let root = fs::metadata("/").map(|folder| folder.dev()).ok() == Some(device);
    if (own || root) && !declared {
        let whose = if root { "`/`" } else { "Immune's own data" };
        return Err(format!(
            "{path} is on the file system of {whose}; name it in `disks` of target {} if it may \
             be filled all the same",
            target.name
        ));
    }
    if own && fill.leave_free.0 < OWN_FREE_MIN {
        return Err(format!(
            "Immune's own data is on the file system of {path}: leave at least 256MiB free"
        ));
    }
    // Whether it can be done at all.
    nameless_file(&real)?;
    let free = free_bytes(&real)?;
    let taken = free.saturating_sub(fill.leave_free.0);
    if taken == 0 {
        return Err(format!("{path} has only {} MiB free already", free >> 20));
    }
    if is_memory(&real) && taken > memory::room()? {
        return Err(format!(
            "{path} is memory: {} MiB more cannot be taken without harm to the whole host",
            taken >> 20
        ));
    }
    let exactly = format!("takes {} MiB of the file system of {}", taken >> 20, real.display());
    Ok(Aim { identity: None, prior: Some(Prior::Disk { device, free }), exactly })
}

fn real_path(path: &Path) -> std::path::PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

fn nameless_file(folder: &Path) -> Result<File, String> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR).map(File::from).map_err(
        |error| format!("cannot make a file without a name in {}: {error}", folder.display()),
    )
}

fn is_memory(folder: &Path) -> bool {
    let kind = rustix::fs::statfs(folder).map(|stat| stat.f_type);
    kind.is_ok_and(|kind| kind == TMPFS || kind == RAMFS)
}

/// What everybody but root can still take.
fn free_bytes(folder: &Path) -> Result<u64, String> {
    let StatVfs { f_bavail, f_frsize, .. } =
        rustix::fs::statvfs(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(f_bavail.saturating_mul(f_frsize))
}

struct Held {
    _file: File,
}

impl Grip for Held {}

fn hold(record: &FaultRecord) -> Result<Box<dyn Grip>, String> {
    let Fault::DiskFill(DiskFill { path, leave_free }) = &record.fault else { return mismatch() };
    let file = nameless_file(path)?;
    let device = file.metadata().map_err(|error| error.to_string())?.dev();
    if !matches!(record.prior, Some(Prior::Disk { device: aimed, .. }) if aimed == device) {
        return Err(format!("{} is on another file system than before", path.display()));
    }
    let mut failure = String::new();
    for _ in 0..TRIES {
        let taken = free_bytes(path)?.saturating_sub(leave_free.0);
        if taken == 0 {
            return Err(format!("{} has only {leave_free} free already", path.display()));
        }
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, taken) {
            Ok(()) => return Ok(Box::new(Held { _file: file })),
            Err(error) => failure = format!("cannot take {taken} bytes: {error}"),
        }
        // A part may have been taken.
        let _ = rustix::fs::ftruncate(&file, 0);
    }
    Err(failure)
}

fn effect(_: &Bench, record: &FaultRecord) -> Effect {
    watch_for(EFFECT_WITHIN, || {
        let Fault::DiskFill(DiskFill { path, leave_free }) = &record.fault else {
            return mismatch();
        };
        let free = free_bytes(path)?;
        // What others gave back meanwhile is no failure of the fault.
        let most = leave_free.0.saturating_add(leave_free.0 / 4).saturating_add(4 << 20);
        match free <= most {
            true => Ok(format!("{} MiB are free", free >> 20)),
            false => Err(format!("{} MiB are free still", free >> 20)),
        }
    })
}
