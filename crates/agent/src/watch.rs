//! What runs: a look at every target each second, and the memory of who was seen last.
//!
//! The last process seen outlives the agent (in `processes.json`), so that one which dies while the
//! agent restarts is reported gone, not unknown. Invariants: a process once recognised is running
//! until it is gone, even while it listens no more; a target of which nothing can be told is left
//! out, never reported gone; a report tells nothing of faults.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::Timestamp;
use model::tick::{ProcessIdentity, ProcessReport, ProcessState};
use serde::{Deserialize, Serialize};

use crate::config::{ProcessMatch, Target};
use crate::process::{Found, Holder, Host, Listeners, find_among, usage};
use crate::store;

const VERSION: u32 = 1;
/// `last_seen` on disk is at most this old while nothing changes.
const SAVE_EVERY: Duration = Duration::from_secs(10);

/// What is remembered of one target.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sighting {
    process: ProcessMatch,
    last: Option<ProcessIdentity>,
    last_seen: Timestamp,
    /// The process that an action of ours was about to stop.
    stop_requested: Option<ProcessIdentity>,
    /// How `last` was recognised; spares the search.
    #[serde(skip)]
    holder: Option<Holder>,
    /// Why nothing can be told at present.
    #[serde(skip)]
    unknown: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    targets: BTreeMap<String, Sighting>,
}

#[derive(Debug)]
pub struct Watch {
    host: Host,
    path: PathBuf,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    sightings: BTreeMap<String, Sighting>,
    changed: bool,
    saved: Timestamp,
}

/// Reports, and what people should know.
pub struct Look {
    pub reports: Vec<ProcessReport>,
    pub messages: Vec<String>,
}

impl Watch {
    /// Memory that cannot be read is begun anew, with a message.
    pub fn open(host: Host, path: &Path) -> (Watch, Option<String>) {
        let read = match fs::read(path) {
            Ok(json) => serde_json::from_slice::<Saved>(&json).map_err(|error| error.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Saved { version: VERSION, targets: BTreeMap::new() })
            }
            Err(error) => Err(error.to_string()),
        };
        let (sightings, message) = match read {
            Ok(saved) if saved.version == VERSION => (saved.targets, None),
            Ok(saved) => (BTreeMap::new(), Some(format!("version {} is unknown", saved.version))),
            Err(error) => (BTreeMap::new(), Some(error)),
        };
        let message = message.map(|why| format!("{}: begun anew: {why}", path.display()));
        let memory = Mutex::new(Memory { sightings, ..Memory::default() });
        (Watch { host, path: path.to_owned(), memory }, message)
    }

    /// The process of the target that was seen last, running or not.
    pub fn last(&self, target: &Target) -> Option<ProcessIdentity> {
        let memory = self.memory();
        let sighting = memory.sightings.get(&target.name)?;
        (target.process.as_ref() == Some(&sighting.process))
            .then(|| sighting.last.clone())
            .flatten()
    }

    /// Somebody else recognised the target's process: an order may hit it before the next look.
    pub fn saw(&self, target: &Target, identity: &ProcessIdentity, now: Timestamp) {
        let Some(process) = &target.process else { return };
        let mut memory = self.memory();
        let sighting = memory.of(target, process);
        if sighting.last.as_ref() == Some(identity) {
            return;
        }
        sighting.last = Some(identity.clone());
        sighting.last_seen = now;
        self.save(&mut memory, now);
    }

    /// Said before an action stops the process, so that its end is no crash.
    pub fn stop_requested(&self, target: &Target, identity: &ProcessIdentity, now: Timestamp) {
        let Some(process) = &target.process else { return };
        let mut memory = self.memory();
        memory.of(target, process).stop_requested = Some(identity.clone());
        self.save(&mut memory, now);
    }

    /// Looks at all targets. Slow searches hold no lock.
    pub fn look<'a>(&self, targets: impl Iterator<Item = &'a Target>, now: Timestamp) -> Look {
        let mut look = Look { reports: Vec::new(), messages: Vec::new() };
        let mut names = Vec::new();
        let listeners = Listeners::read();
        for target in targets {
            // Of one without a process of its own there is nothing to see.
            let Some(process) = &target.process else { continue };
            names.push(target.name.clone());
            let holder = {
                let memory = self.memory();
                memory.sightings.get(&target.name).and_then(|sighting| sighting.holder.clone())
            };
            let found = match holder.filter(|holder| holder.still_holds(&self.host)) {
                Some(holder) => Ok(Found::Process(holder)),
                None => match &listeners {
                    Ok(listeners) => find_among(&self.host, process, listeners),
                    Err(error) => Err(std::io::Error::new(error.kind(), error.to_string())),
                },
            };
            let mut memory = self.memory();
            let sighting = memory.of(target, process);
            let identity = sighting.last.clone();
            let (state, message) = sighting.take(&self.host, found, now);
            let changed = sighting.last != identity;
            memory.changed |= changed;
            look.messages.extend(message.map(|text| format!("target {}: {text}", target.name)));
            look.reports.extend(state.map(|state| {
                let (target, entity) = (target.name.clone(), target.entity());
                let memory_bytes = match &state {
                    ProcessState::Running(process) => usage::memory_bytes(process.pid),
                    _ => None,
                };
                ProcessReport { at: now, target, entity, state, memory_bytes }
            }));
        }
        let mut memory = self.memory();
        memory.sightings.retain(|name, _| names.contains(name));
        if memory.changed || now.since(memory.saved) >= SAVE_EVERY {
            self.save(&mut memory, now);
        }
        look
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Synced, though after a power cut the processes are gone too: a file of which only the name
    /// is there would be told as damage. While nothing changes that is one fsync of a few hundred
    /// bytes, and one of the folder, every ten seconds.
    fn save(&self, memory: &mut Memory, now: Timestamp) {
        let saved = Saved { version: VERSION, targets: memory.sightings.clone() };
        let written = serde_json::to_vec(&saved)
            .map_err(std::io::Error::from)
            .and_then(|json| store::replace(&self.path, &json));
        if let Err(error) = written {
            tracing::warn!(%error, path = %self.path.display(), "cannot save who was seen last");
        }
        memory.changed = false;
        memory.saved = now;
    }
}

impl Memory {
    /// What is remembered of the target; nothing when its process is described otherwise now.
    fn of(&mut self, target: &Target, process: &ProcessMatch) -> &mut Sighting {
        let sighting =
            self.sightings.entry(target.name.clone()).or_insert_with(|| Sighting::new(process));
        if sighting.process != *process {
            *sighting = Sighting::new(process);
        }
        sighting
    }
}

impl Sighting {
    fn new(process: &ProcessMatch) -> Self {
        Sighting {
            process: process.clone(),
            last: None,
            last_seen: Timestamp::ZERO,
            stop_requested: None,
            holder: None,
            unknown: None,
        }
    }

    /// Takes in what a look found. A reason why nothing can be told is said once.
    fn take(
        &mut self,
        host: &Host,
        found: std::io::Result<Found>,
        now: Timestamp,
    ) -> (Option<ProcessState>, Option<String>) {
        let unknown = match found {
            Ok(Found::Process(holder)) => {
                self.last = Some(holder.identity.clone());
                self.holder = Some(holder);
                None
            }
            Ok(Found::Nothing) => None,
            Ok(Found::Hidden(why)) => Some(why),
            Err(error) => Some(format!("cannot look for what {}: {error}", self.process)),
        };
        let runs = self.last.as_ref().filter(|last| host.runs(last)).cloned();
        let message = unknown.clone().filter(|_| runs.is_none() && self.unknown.is_none());
        let state = match (runs, &self.last) {
            (Some(identity), _) => {
                self.last_seen = now;
                Some(ProcessState::Running(identity))
            }
            (None, _) if unknown.is_some() => None,
            (None, Some(last)) => Some(ProcessState::Gone {
                last: last.clone(),
                last_seen: self.last_seen,
                stop_requested: self.stop_requested.as_ref() == Some(last),
            }),
            (None, None) => Some(ProcessState::NeverSeen),
        };
        self.unknown = unknown;
        (state, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn target(process: ProcessMatch) -> Target {
        Target {
            name: "t".into(),
            service: "t".into(),
            instance: None,
            environment: "default".into(),
            process: Some(process),
            ..Target::default()
        }
    }

    fn state(watch: &Watch, target: &Target, second: u64) -> ProcessState {
        let look = watch.look([target].into_iter(), Timestamp::from_secs(second));
        look.reports[0].state.clone()
    }

    #[test]
    fn remembers_the_last_process_across_its_own_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("processes.json");
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let pid_file = dir.path().join("pid");
        fs::write(&pid_file, child.id().to_string()).unwrap();
        let target = target(ProcessMatch::PidFile(pid_file));
        let open = || Watch::open(Host::this().unwrap(), &path).0;
        let watch = open();
        let ProcessState::Running(identity) = state(&watch, &target, 100) else { panic!() };
        assert_eq!(identity.pid, child.id());
        drop(watch);
        child.kill().unwrap();
        // Not reaped yet: a zombie is gone all the same.
        rustix::process::waitid(
            rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child)),
            rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT,
        )
        .unwrap();
        let gone = state(&open(), &target, 200);
        let last_seen = Timestamp::from_secs(100);
        let expected = ProcessState::Gone { last: identity, last_seen, stop_requested: false };
        assert_eq!(gone, expected);
        child.wait().unwrap();
    }

    #[test]
    fn a_process_that_stopped_listening_still_runs() {
        let dir = tempfile::tempdir().unwrap();
        let (watch, _) = Watch::open(Host::this().unwrap(), &dir.path().join("p.json"));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = target(ProcessMatch::ListensOn(listener.local_addr().unwrap()));
        let running = state(&watch, &target, 1);
        assert!(matches!(&running, ProcessState::Running(_)), "{running:?}");
        drop(listener);
        assert_eq!(state(&watch, &target, 2), running);
    }

    #[test]
    fn a_pid_file_that_everyone_may_write_is_left_out_with_advice_said_once() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (watch, _) = Watch::open(Host::this().unwrap(), &dir.path().join("p.json"));
        let pid_file = dir.path().join("pid");
        fs::write(&pid_file, std::process::id().to_string()).unwrap();
        let mode = |mode| fs::set_permissions(&pid_file, fs::Permissions::from_mode(mode)).unwrap();
        let target = target(ProcessMatch::PidFile(pid_file.clone()));
        mode(0o666);
        let look = watch.look([&target].into_iter(), Timestamp::from_secs(1));
        assert_eq!(look.reports, []);
        let [message] = &look.messages[..] else { panic!("{:?}", look.messages) };
        assert!(message.contains("every user may write it") && message.contains("chmod o-w"));
        assert!(watch.look([&target].into_iter(), Timestamp::from_secs(2)).messages.is_empty());
        mode(0o644);
        assert!(matches!(state(&watch, &target, 3), ProcessState::Running(_)));
    }

    #[test]
    fn damaged_memory_is_begun_anew_with_a_message() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("processes.json");
        fs::write(&path, "{\"version\":1,").unwrap();
        let (watch, message) = Watch::open(Host::this().unwrap(), &path);
        assert!(message.unwrap().contains("begun anew"));
        let target = target(ProcessMatch::PidFile(dir.path().join("none")));
        assert_eq!(state(&watch, &target, 1), ProcessState::NeverSeen);
    }
}
