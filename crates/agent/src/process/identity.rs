//! Who a process is: `/proc/PID/stat` read with care, and the host and boot it belongs to.

use std::fs;
use std::io;

use model::tick::ProcessIdentity;

/// This host, this boot. Read once: neither changes while the agent runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    pub name: String,
    pub boot_id: String,
    /// Seconds since the epoch at which the kernel started, by today's wall clock.
    boot_seconds: u64,
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
        let stat = fs::read_to_string("/proc/stat")?;
        let boot_seconds = stat
            .lines()
            .find_map(|line| line.strip_prefix("btime "))
            .and_then(|seconds| seconds.trim().parse().ok())
            .ok_or_else(|| io::Error::other("/proc/stat does not tell the boot time"))?;
        Ok(Host { name, boot_id, boot_seconds })
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

    /// When a process started, in seconds since the epoch.
    pub fn started_seconds(&self, identity: &ProcessIdentity) -> u64 {
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        self.boot_seconds + identity.start_ticks / ticks_per_second
    }
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
