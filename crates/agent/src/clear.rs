//! Clears a declared folder or file down to its bound.
//!
//! Invariants: nothing outside the declared path is ever touched, whatever is moved or linked while
//! this runs: every step is taken from an open folder, beneath it, without following a symbolic
//! link and without crossing into another file system (openat2). Only plain files with one name
//! go, the oldest first, and none that changed a moment ago. A mount point is refused: what is
//! mounted there may be anything.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;

use crate::clock;
use crate::config::ClearPath;
use crate::trouble::Trouble;

/// Files that one action looks at; the rest waits for the next.
const FILES_MAX: usize = 200_000;
/// Folders within folders.
const DEPTH_MAX: usize = 32;
const FOLDERS_MAX: usize = 50_000;

/// A file that may go.
struct Old {
    modified: (i64, u64),
    bytes: u64,
    inode: u64,
    folder: PathBuf,
    name: CString,
}

/// What lies there.
#[derive(Default)]
struct Found {
    files: Vec<Old>,
    bytes: u64,
    /// Not all was looked at.
    is_cut: bool,
}

pub fn clear(declared: &ClearPath) -> Result<String, Trouble> {
    let path = &declared.path;
    let refused = |why: String| Trouble::Refused(format!("{}: {why}", path.display()));
    let root = open(CWD, path, OFlags::PATH, ResolveFlags::empty())
        .map_err(|error| refused(reason(error)))?;
    let stat = rustix::fs::fstat(&root).map_err(|error| refused(error.to_string()))?;
    if is_mount_point(&root).map_err(|error| refused(error.to_string()))? {
        return Err(refused("is a mount point".to_owned()));
    }
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => clear_folder(declared, &root),
        FileType::RegularFile => empty_file(declared, &stat),
        _ => Err(refused("is neither a folder nor a plain file".to_owned())),
    }
}

fn clear_folder(declared: &ClearPath, root: &OwnedFd) -> Result<String, Trouble> {
    let until = clock::monotonic() + declared.timeout.0;
    let path = declared.path.display();
    let found = search(root, &declared.patterns, until)
        .map_err(|error| Trouble::Refused(format!("{path}: {error}")))?;
    let bound = declared.size_max.0;
    if found.bytes <= bound {
        let why = format!("{path} holds {}, no more than {}", size(found.bytes), size(bound));
        return Err(Trouble::Refused(why));
    }
    let (count, mut files, mut left) = (found.files.len(), found.files, found.bytes);
    files.sort_by_key(|file| file.modified);
    let young = clock::now().0.saturating_sub(nanos(declared.older_than.0));
    let (mut removed, mut freed, mut why) = (0_u64, 0_u64, "nothing more may go");
    for file in &files {
        if left <= bound {
            break;
        }
        if clock::monotonic() >= until {
            why = "the time is up";
            break;
        }
        if modified_nanos(file) > young {
            why = "the rest changed a moment ago";
            break;
        }
        match remove(root, file) {
            Ok(true) => {
                removed += 1;
                freed += file.bytes;
                left -= file.bytes;
            }
            Ok(false) => left -= file.bytes,
            Err(error) => {
                let done = format!("removed {removed} files ({})", size(freed));
                let name = file.folder.join(OsStr::from_bytes(file.name.as_bytes()));
                let name = name.display();
                return Err(Trouble::Failed(format!("{done}, then {path}/{name}: {error}")));
            }
        }
    }
    let more = if found.is_cut { ", more was not looked at" } else { "" };
    let done = format!("removed {removed} of {count} files in {path}, {} freed", size(freed));
    match left <= bound {
        true => Ok(format!("{done}, {} left{more}", size(left))),
        false => Err(Trouble::Failed(format!("{done}, {} left: {why}{more}", size(left)))),
    }
}

/// One file, such as a log, is emptied: who appends to it goes on.
fn empty_file(declared: &ClearPath, seen: &Stat) -> Result<String, Trouble> {
    let path = declared.path.display();
    let refused = |why: String| Trouble::Refused(format!("{path}: {why}"));
    let file = open(CWD, &declared.path, OFlags::WRONLY, ResolveFlags::empty())
        .map_err(|error| refused(reason(error)))?;
    let stat = rustix::fs::fstat(&file).map_err(|error| refused(error.to_string()))?;
    if (stat.st_dev, stat.st_ino) != (seen.st_dev, seen.st_ino) || stat.st_nlink != 1 {
        return Err(refused("has several names, or was replaced just now".to_owned()));
    }
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    if bytes <= declared.size_max.0 {
        let bound = size(declared.size_max.0);
        return Err(refused(format!("holds {}, no more than {bound}", size(bytes))));
    }
    rustix::fs::ftruncate(&file, 0)
        .map_err(|error| Trouble::Failed(format!("{path}: cannot be emptied: {error}")))?;
    Ok(format!("emptied {path}, {} freed", size(bytes)))
}

/// All files beneath that match.
fn search(root: &OwnedFd, patterns: &[String], until: Instant) -> Result<Found, Errno> {
    let mut found = Found::default();
    let mut folders = vec![(PathBuf::from("."), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let fd = match beneath(root, &folder, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => fd,
            Err(error) if depth == 0 => return Err(error),
            // Gone meanwhile, another file system, or made a link just now.
            Err(_) => continue,
        };
        for entry in Dir::read_from(&fd)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Ok(stat) = rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            let full = found.files.len() >= FILES_MAX || folders.len() >= FOLDERS_MAX;
            if full || clock::monotonic() >= until {
                found.is_cut = true;
                return Ok(found);
            }
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if depth < DEPTH_MAX => {
                    folders.push((folder.join(OsStr::from_bytes(name.to_bytes())), depth + 1));
                }
                FileType::RegularFile
                    if stat.st_nlink == 1 && matches(patterns, name.to_bytes()) =>
                {
                    let bytes = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
                    found.bytes = found.bytes.saturating_add(bytes);
                    found.files.push(Old {
                        modified: (stat.st_mtime, stat.st_mtime_nsec),
                        bytes,
                        inode: stat.st_ino,
                        folder: folder.clone(),
                        name: name.to_owned(),
                    });
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// False when it has gone already, or something else bears its name now.
fn remove(root: &OwnedFd, file: &Old) -> Result<bool, Errno> {
    let folder = match beneath(root, &file.folder, OFlags::PATH | OFlags::DIRECTORY) {
        Ok(folder) => folder,
        Err(Errno::NOENT | Errno::LOOP | Errno::XDEV | Errno::NOTDIR) => return Ok(false),
        Err(error) => return Err(error),
    };
    match rustix::fs::statat(&folder, &*file.name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if stat.st_ino == file.inode => {}
        Ok(_) | Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error),
    }
    match rustix::fs::unlinkat(&folder, &*file.name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

fn beneath(root: &OwnedFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    open(root, path, flags, ResolveFlags::BENEATH | ResolveFlags::NO_XDEV)
}

/// Without any symbolic link on the way.
fn open(
    from: impl AsFd,
    path: &Path,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = resolve | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(from, path, flags, Mode::empty(), resolve)
}

fn reason(error: Errno) -> String {
    match error {
        Errno::LOOP => "a symbolic link is on the way; write the path that it leads to".to_owned(),
        _ => error.to_string(),
    }
}

/// Is something mounted exactly there?
fn is_mount_point(root: &OwnedFd) -> Result<bool, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let statx = rustix::fs::statx(root, "", flags, StatxFlags::BASIC_STATS)?;
    // Kernels before 5.8 do not tell; then it counts as one.
    Ok(!statx.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
        || statx.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn modified_nanos(file: &Old) -> u64 {
    let (seconds, rest) = file.modified;
    u64::try_from(seconds).unwrap_or(0).saturating_mul(1_000_000_000).saturating_add(rest)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

fn matches(patterns: &[String], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| is_like(pattern.as_bytes(), name))
}

/// `*` is any bytes, `?` is one. Goes back to the last `*` only, so the time is bounded.
fn is_like(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut pos, mut star) = (0, 0, None);
    while pos < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, pos));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[pos] => (at, pos) = (at + 1, pos + 1),
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    (at, pos) = (after, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
