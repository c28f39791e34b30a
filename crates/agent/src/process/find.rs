//! Finds the process of a target.
//!
//! Invariant: `Nothing` is said only when nothing answers the description; a process that the agent
//! may not look into is `Hidden`, never absent.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use model::tick::ProcessIdentity;

use super::identity::{self, Host};
use super::listener::Listeners;
use super::pid_file::{self, Named};
use crate::clock;
use crate::config::ProcessMatch;

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

/// A process, and the listening socket by which it was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pub identity: ProcessIdentity,
    /// Descriptor and inode; `None` for a process found by its pid file.
    socket: Option<(u32, u64)>,
}

impl Holder {
    /// Cheap: is it the same process with the same socket? Then no search is needed.
    pub fn still_holds(&self, host: &Host) -> bool {
        let Some((descriptor, inode)) = self.socket else { return false };
        host.runs(&self.identity) && descriptor_inode(self.identity.pid, descriptor) == Some(inode)
    }
}

/// Searches afresh. Of a target without a process of its own nothing can be told.
pub fn find<'a>(host: &Host, process: impl Into<Option<&'a ProcessMatch>>) -> io::Result<Found> {
    match process.into() {
        Some(process) => find_among(host, process, &Listeners::read()?),
        None => Ok(Found::Hidden("the target declares no process".to_owned())),
    }
}

/// Searches among sockets that were read a moment ago: one reading serves many targets.
pub fn find_among(host: &Host, process: &ProcessMatch, listeners: &Listeners) -> io::Result<Found> {
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
            Named::Process(identity) => Found::Process(Holder { identity, socket: None }),
            Named::Nothing => Found::Nothing,
            Named::Untrusted(why) => {
                let path = path.display();
                Found::Hidden(format!("pid file {path} is not believed: {why}"))
            }
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
        let Some(socket) = held_socket(pid, inodes) else { continue };
        let (Some(identity), Some(stat)) = (host.identity(pid), identity::stat(pid)) else {
            continue;
        };
        holders.push((Holder { identity, socket: Some(socket) }, stat.parent));
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
