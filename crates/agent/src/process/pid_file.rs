//! Pid files: whom one names, and whether it may be believed.
//!
//! A pid file is an order about somebody else's process when the wrong one can write it: with it,
//! a service's user could have the agent stop any process. So it counts only when everyone who can
//! decide what it says could stop that process anyway: root, the agent's user, the process's user.
//! Invariants: a process that began after the file was written is not the one it names, whatever
//! the clocks were set to meanwhile; whatever lies at the path, reading it neither blocks nor
//! takes much memory.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use model::Timestamp;
use model::tick::ProcessIdentity;
use model::time::SECOND;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::identity::{self, Host, Owner};
use crate::clock::Moment;

/// A pid file may be this much older than its process: clocks are set, start times rounded.
const SLACK: Duration = Duration::from_secs(5);
/// The number comes first; what else is in the file is not read.
const READ_MAX: u64 = 64;
const GROUP_WRITES: u32 = 0o020;
const OTHERS_WRITE: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// Who owns a file or folder, and who may write it.
#[derive(Clone, Copy, Debug)]
struct Rights {
    uid: u32,
    gid: u32,
    mode: u32,
}

impl From<&Metadata> for Rights {
    fn from(metadata: &Metadata) -> Self {
        Rights { uid: metadata.uid(), gid: metadata.gid(), mode: metadata.mode() }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Named {
    Process(ProcessIdentity),
    Nothing,
    /// It names a process and may not be believed: why, and what to do.
    Untrusted(String),
}

/// Whom the file names at this moment.
pub fn read(host: &Host, path: &Path, moment: Moment) -> io::Result<Named> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Named::Nothing),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            let advice = "it is a symbolic link; configure the path of the file itself";
            return Ok(Named::Untrusted(advice.to_owned()));
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Named::Untrusted("it is no plain file".to_owned()));
    }
    let mut text = Vec::new();
    file.take(READ_MAX).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let Some(pid) = text.split_ascii_whitespace().next().and_then(|pid| pid.parse().ok()) else {
        // Being written, or emptied at a stop.
        return Ok(Named::Nothing);
    };
    let (Some(identity), Some(owner)) = (host.identity(pid), identity::owner(pid)) else {
        return Ok(Named::Nothing);
    };
    // Gone meanwhile, or began after the file was written and has inherited the number only.
    if !host.runs(&identity) || is_younger(&identity, &metadata, moment) {
        return Ok(Named::Nothing);
    }
    let folder = fs::metadata(path.parent().unwrap_or(Path::new("/")))?;
    let agent = rustix::process::geteuid().as_raw();
    Ok(match distrust((&metadata).into(), (&folder).into(), owner, agent) {
        Some(why) => Named::Untrusted(why),
        None => Named::Process(identity),
    })
}

/// Did the process begin after the file was written? Their ages are compared, as the clocks run
/// now: a date kept from before the wall clock was set would be wrong by as much.
fn is_younger(identity: &ProcessIdentity, file: &Metadata, moment: Moment) -> bool {
    let written = Timestamp(u64::try_from(file.mtime()).unwrap_or(0).saturating_mul(SECOND));
    let age_of_process = moment.since_boot.saturating_sub(identity::started_since_boot(identity));
    moment.wall.since(written) > age_of_process + SLACK
}

/// Why the file may not be believed about a process of this owner; `None` when it may.
fn distrust(file: Rights, folder: Rights, process: Owner, agent: u32) -> Option<String> {
    let Owner { uid, gid } = process;
    let user_may = |writer: u32| writer == 0 || writer == agent || writer == uid;
    let group_may = |writers: u32| writers == 0 || writers == gid;
    // In a sticky folder others can put files of their own only.
    let sticky = folder.mode & STICKY != 0;
    let folder = Rights { mode: if sticky { 0 } else { folder.mode }, ..folder };
    [("it", file), ("its folder", folder)].into_iter().find_map(|(what, rights)| {
        let Rights { uid: owner, gid: group, mode } = rights;
        if !user_may(owner) {
            return Some(format!(
                "{what} belongs to user {owner} and the process to user {uid}; give {what} to \
                 root or to user {uid} (chown)"
            ));
        }
        if mode & OTHERS_WRITE != 0 {
            return Some(format!("every user may write {what}; take that away (chmod o-w)"));
        }
        if mode & GROUP_WRITES != 0 && !group_may(group) {
            return Some(format!("group {group} may write {what}; take that away (chmod g-w)"));
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::UNIX_EPOCH;

    use crate::clock;

    /// A folder that only this user may write, with a pid file that names this process.
    fn own_file() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        (dir, path)
    }

    fn date(path: &Path, at: Timestamp) {
        let file = File::options().write(true).open(path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_nanos(at.as_nanos())).unwrap();
    }

    #[test]
    fn a_clock_that_was_set_back_or_forth_hides_no_process_that_was_started_since() {
        let host = Host::this().unwrap();
        let (_dir, path) = own_file();
        let real = clock::moment();
        let hour = Duration::from_secs(3_600);
        let back = Timestamp(real.wall.0 - hour.as_nanos() as u64);
        for wall in [back, real.wall, real.wall + hour] {
            date(&path, wall);
            let named = read(&host, &path, Moment { wall, ..real }).unwrap();
            assert_eq!(named, Named::Process(host.identity(std::process::id()).unwrap()));
            let later = Moment { wall: wall + hour, since_boot: real.since_boot };
            assert_eq!(read(&host, &path, later).unwrap(), Named::Nothing);
            // The same hour for the process too: then it is an hour old like the file.
            let later = Moment { since_boot: real.since_boot + hour, ..later };
            assert_ne!(read(&host, &path, later).unwrap(), Named::Nothing);
        }
    }

    #[test]
    fn a_file_that_a_stranger_may_decide_on_is_not_believed() {
        let (agent, user, stranger) = (0, 1_000, 1_001);
        let process = Owner { uid: user, gid: user };
        let rights = |owner, mode| Rights { uid: owner, gid: owner, mode };
        let (of_root, own) = (rights(0, 0o755), rights(user, 0o755));
        let tmp = rights(0, 0o1777);
        let believed = [
            (rights(0, 0o644), of_root),
            (rights(user, 0o644), of_root),
            (rights(0, 0o644), own),
            (rights(user, 0o664), rights(user, 0o2775)),
            (rights(user, 0o600), tmp),
        ];
        for (file, folder) in believed {
            assert_eq!(distrust(file, folder, process, agent), None, "{file:?} {folder:?}");
        }
        let mixed = |gid, mode| Rights { uid: 0, gid, mode };
        let not = [
            (rights(stranger, 0o644), of_root, "it belongs to user 1001"),
            (rights(stranger, 0o600), tmp, "it belongs to user 1001"),
            (rights(0, 0o644), rights(stranger, 0o755), "its folder belongs to user 1001"),
            (rights(user, 0o666), of_root, "every user may write it"),
            (rights(user, 0o644), rights(0, 0o777), "every user may write its folder"),
            (mixed(stranger, 0o664), of_root, "group 1001 may write it"),
            (rights(0, 0o644), mixed(stranger, 0o775), "group 1001 may write its folder"),
        ];
        for (file, folder, why) in not {
            let said = distrust(file, folder, process, agent).unwrap();
            assert!(said.starts_with(why), "{said}");
        }
        // The user of a service names a process of root.
        let of_root = Owner { uid: 0, gid: 0 };
        assert!(distrust(rights(user, 0o644), tmp, of_root, agent).is_some());
    }

    #[test]
    fn what_is_no_plain_file_neither_blocks_nor_is_believed() {
        let host = Host::this().unwrap();
        let (dir, path) = own_file();
        let read = |name: &str| read(&host, &dir.path().join(name), clock::moment()).unwrap();
        std::os::unix::fs::symlink(&path, dir.path().join("link")).unwrap();
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("/usr/bin/mkfifo").arg(&fifo).status().unwrap();
        assert!(made.success());
        fs::write(dir.path().join("large"), "7".repeat(1 << 20)).unwrap();
        assert!(matches!(read("pid"), Named::Process(_)));
        assert!(matches!(read("link"), Named::Untrusted(_)));
        assert!(matches!(read("fifo"), Named::Untrusted(_)));
        assert_eq!(read("large"), Named::Nothing);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(read("pid"), Named::Untrusted(_)));
    }
}
