//! Who a process is: `/proc/PID/stat` read with care, and the host and boot it belongs to.

use std::fs;
use std::io;
use std::time::Duration;

use model::tick::ProcessIdentity;

/// This host, this boot. Read once: neither changes while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub boot_id: String,
}

/// The fields of `/proc/PID/stat` that are needed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    pub state: u8,
    pub parent: u32,
    pub start_ticks: u64,
}

impl Stat {
    /// A zombie runs no more: it only waits for its parent to take notice.
    pub fn runs(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

impl Host {
    pub fn this() -> io::Result<Host> {
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
        Ok(Host { name, boot_id })
    }

    /// The process that has this pid now, if it runs.
    pub fn identity(&self, pid: u32) -> Option<ProcessIdentity> {
        let stat = stat(pid).filter(Stat::runs)?;
        Some(ProcessIdentity {
            host: self.name.clone(),
            boot_id: self.boot_id.clone(),
            pid,
            start_ticks: stat.start_ticks,
        })
    }

    /// Does this very process still run?
    pub fn runs(&self, identity: &ProcessIdentity) -> bool {
        self.identity(identity.pid).as_ref() == Some(identity)
    }
}

/// When a process started, counted from the kernel's start: no setting of a clock moves it.
pub fn started_since_boot(identity: &ProcessIdentity) -> Duration {
    let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
    let millis = u128::from(identity.start_ticks) * 1_000 / u128::from(ticks_per_second);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Who a process runs as: its real user and group, whatever rights it has taken on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// `None` when there is no such process.
pub fn owner(pid: u32) -> Option<Owner> {
    parse_owner(&fs::read(format!("/proc/{pid}/status")).ok()?)
}

/// The name may be any bytes, but the kernel escapes line feeds in it here.
fn parse_owner(text: &[u8]) -> Option<Owner> {
    let first_of = |name: &str| {
        let mut lines = text.split(|byte| *byte == b'\n');
        let rest = lines.find_map(|line| line.strip_prefix(name.as_bytes()))?;
        std::str::from_utf8(rest).ok()?.split_ascii_whitespace().next()?.parse().ok()
    };
    Some(Owner { uid: first_of("Uid:")?, gid: first_of("Gid:")? })
}

/// `None` when there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The name, in parentheses, may hold anything, parentheses and line feeds too: fields are counted
/// from the last `)`.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end_of_name = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&text[end_of_name + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22 of the line; the state was field 3, the parent field 4.
    let start_ticks = fields.nth(22 - 5)?.parse().ok()?;
    Some(Stat { state, parent, start_ticks })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = b"7 (a) Z 9 (x)) S 3 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 8812 0 0\n";
        assert_eq!(parse_stat(line), Some(Stat { state: b'S', parent: 3, start_ticks: 8812 }));
        assert_eq!(parse_stat(b"7 (a S 3"), None);
        assert_eq!(parse_stat(b""), None);
    }

    #[test]
    fn the_owner_is_the_real_user_and_group() {
        let status = b"Name:\ta\\nUid:\t9\xff\nUmask:\t0022\nUid:\t7\t0\t0\t0\nGid:\t8\t8\t8\t8\n";
        assert_eq!(parse_owner(status), Some(Owner { uid: 7, gid: 8 }));
        assert_eq!(parse_owner(b"Uid:\t7\n"), None);
    }

    #[test]
    fn a_zombie_does_not_run_and_another_start_time_is_another_process() {
        let host = Host::this().unwrap();
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let identity = host.identity(child.id()).unwrap();
        assert!(host.runs(&identity));
        let other = ProcessIdentity { start_ticks: identity.start_ticks + 1, ..identity.clone() };
        assert!(!host.runs(&other));
        let handle = crate::process::ProcessHandle::open(&host, &identity).unwrap().unwrap();
        child.kill().unwrap();
        assert!(handle.wait_gone(std::time::Duration::from_secs(5)).unwrap());
        assert_eq!(stat(child.id()).map(|stat| stat.state), Some(b'Z'));
        assert!(!host.runs(&identity));
        child.wait().unwrap();
    }
}
