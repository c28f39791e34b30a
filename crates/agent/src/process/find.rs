//! Finds the process of a target.
//!
//! Invariant: `Nothing` is said only when nothing answers the description; a process that the agent
//! may not look into is `Hidden`, never absent.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use model::tick::ProcessIdentity;

use super::identity::{self, Host};
use super::listener::Listeners;
use super::pid_file::{self, Named};
use crate::clock;
use crate::config::ProcessMatch;
use crate::systemd::Managers;

/// While a unit's process runs, its manager is asked again this often.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// File descriptors looked at in one process.
const DESCRIPTORS_MAX: usize = 100_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Process(Holder),
    Nothing,
    /// Something answers the description, and who it is cannot be seen or not be believed: why,
    /// and what to do.
    Hidden(String),
}

/// A process, and how it was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub identity: ProcessIdentity,
    by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// Descriptor and inode of the listening socket.
    Socket(u32, u64),
    PidFile,
    /// A manager said so at this moment.
    Unit(Instant),
}

impl Holder {
    /// Cheap: is it the same process, recognised in the same way? Then no search is needed.
    pub fn still_holds(&self, host: &Host) -> bool {
        let pid = self.identity.pid;
        match self.by {
            By::Socket(descriptor, inode) => {
                host.runs(&self.identity) && descriptor_inode(pid, descriptor) == Some(inode)
            }
            By::PidFile => false,
            By::Unit(asked) => {
                let since = clock::monotonic().saturating_duration_since(asked);
                since < ASK_AGAIN && host.runs(&self.identity)
            }
        }
    }
}

/// Searches afresh. Of a target without a process of its own nothing can be told.
pub fn find<'a>(host: &Host, process: impl Into<Option<&'a ProcessMatch>>) -> io::Result<Found> {
    match process.into() {
        Some(process) => find_among(host, process, &Listeners::read()?, &mut Managers::default()),
        None => Ok(Found::Hidden("the target declares no process".to_owned())),
    }
}

/// Searches among sockets that were read a moment ago: one reading serves many targets, as does one
/// connection to a manager.
pub fn find_among(
    host: &Host,
    process: &ProcessMatch,
    listeners: &Listeners,
    managers: &mut Managers,
) -> io::Result<Found> {
    match process {
        ProcessMatch::ListensOn(address) => {
            let inodes = listeners.inodes(*address);
            if inodes.is_empty() {
                return Ok(Found::Nothing);
            }
            let holders = socket_holders(host, &inodes)?;
            // The sockets may have been closed while processes were searched.
            if holders.is_empty() && Listeners::read()?.inodes(*address).is_empty() {
                return Ok(Found::Nothing);
            }
            Ok(match eldest(holders) {
                Some(holder) => Found::Process(holder),
                None => Found::Hidden(format!(
                    "something {process} that this agent may not look into; run it as the same user"
                )),
            })
        }
        ProcessMatch::PidFile(path) => Ok(match pid_file::read(host, path, clock::moment())? {
            Named::Process(identity) => Found::Process(Holder { identity, by: By::PidFile }),
            Named::Nothing => Found::Nothing,
            Named::Untrusted(why) => {
                let path = path.display();
                Found::Hidden(format!("pid file {path} is not believed: {why}"))
            }
        }),
        ProcessMatch::Systemd(unit) => Ok(match managers.main_pid(unit) {
            Err(why) => Found::Hidden(why),
            Ok(pid) => match pid.and_then(|pid| host.identity(pid)) {
                Some(identity) => {
                    Found::Process(Holder { identity, by: By::Unit(clock::monotonic()) })
                }
                None => Found::Nothing,
            },
        }),
    }
}

/// All processes that share the target's socket (a parent and its workers), or the one of its file.
pub fn holders<'a>(
    host: &Host,
    process: impl Into<Option<&'a ProcessMatch>>,
) -> io::Result<Vec<ProcessIdentity>> {
    match process.into() {
        None => Ok(Vec::new()),
        Some(ProcessMatch::ListensOn(address)) => {
            let holders = socket_holders(host, &Listeners::read()?.inodes(*address))?;
            Ok(holders.into_iter().map(|(holder, _)| holder.identity).collect())
        }
        Some(ProcessMatch::PidFile(path)) => match pid_file::read(host, path, clock::moment())? {
            Named::Process(identity) => Ok(vec![identity]),
            Named::Nothing | Named::Untrusted(_) => Ok(Vec::new()),
        },
        process @ Some(ProcessMatch::Systemd(_)) => Ok(match find(host, process)? {
            Found::Process(holder) => vec![holder.identity],
            Found::Nothing | Found::Hidden(_) => Vec::new(),
        }),
    }
}

/// The processes whose parent this one is.
pub fn children(host: &Host, parent: u32) -> io::Result<Vec<ProcessIdentity>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        if identity::stat(pid).is_some_and(|stat| stat.parent == parent) {
            found.extend(host.identity(pid));
        }
    }
    Ok(found)
}

/// Every process with one of these sockets, with its parent's pid.
fn socket_holders(host: &Host, inodes: &[u64]) -> io::Result<Vec<(Holder, u32)>> {
    let mut holders = Vec::new();
    if inodes.is_empty() {
        return Ok(holders);
    }
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some((descriptor, inode)) = held_socket(pid, inodes) else { continue };
        let (Some(identity), Some(stat)) = (host.identity(pid), identity::stat(pid)) else {
            continue;
        };
        holders.push((Holder { identity, by: By::Socket(descriptor, inode) }, stat.parent));
    }
    Ok(holders)
}

/// Descriptor and inode of the first of these sockets that the process has open.
fn held_socket(pid: u32, inodes: &[u64]) -> Option<(u32, u64)> {
    // Gone meanwhile, or another user's.
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    for entry in descriptors.take(DESCRIPTORS_MAX) {
        let name = entry.ok()?.file_name();
        let Some(descriptor) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match descriptor_inode(pid, descriptor) {
            Some(inode) if inodes.contains(&inode) => return Some((descriptor, inode)),
            _ => {}
        }
    }
    None
}

fn descriptor_inode(pid: u32, descriptor: u32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The one whose parent is not among them; of several such the one that started first.
fn eldest(holders: Vec<(Holder, u32)>) -> Option<Holder> {
    let pids: BTreeSet<u32> = holders.iter().map(|(holder, _)| holder.identity.pid).collect();
    holders
        .into_iter()
        .min_by_key(|(holder, parent)| {
            let Holder { identity, .. } = holder;
            (pids.contains(parent), identity.start_ticks, identity.pid)
        })
        .map(|(holder, _)| holder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pid(found: Found) -> Option<u32> {
        match found {
            Found::Process(holder) => Some(holder.identity.pid),
            Found::Nothing | Found::Hidden(_) => None,
        }
    }

    #[test]
    fn finds_the_process_that_listens_and_verifies_it_cheaply() {
        let host = Host::this().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let process = ProcessMatch::ListensOn(listener.local_addr().unwrap());
        let Found::Process(holder) = find(&host, &process).unwrap() else { panic!("not found") };
        assert_eq!(holder.identity.pid, std::process::id());
        assert!(holder.still_holds(&host));
        drop(listener);
        assert!(!holder.still_holds(&host));
        assert_eq!(find(&host, &process).unwrap(), Found::Nothing);
    }

    #[test]
    fn a_pid_file_older_than_the_process_names_another() {
        let host = Host::this().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pid");
        let process = ProcessMatch::PidFile(path.clone());
        assert_eq!(find(&host, &process).unwrap(), Found::Nothing);
        fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(pid(find(&host, &process).unwrap()), Some(std::process::id()));
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1)).unwrap();
        assert_eq!(find(&host, &process).unwrap(), Found::Nothing);
        fs::write(&path, "soon").unwrap();
        assert_eq!(find(&host, &process).unwrap(), Found::Nothing);
    }
}
