//! The record of what has to be rolled back, beside the journal while a strict run goes on.
//!
//! Written and synced before the method starts, so that a run that was killed can be rolled back
//! later: `immune drill recover JOURNAL`, or the next run with the same journal. It names the
//! process that holds it, and those that its actions started, by what no other process has: number,
//! start and boot. Secrets are not in it; they are taken from the environment again. Only its owner
//! may read it.

use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal};

use crate::durable;
use crate::experiment::{ROLLBACKS, activities};
use crate::value::{Map, Value};

const FORMAT: i32 = 1;
const RECORD_BYTES_MAX: u64 = 64 << 20;

#[derive(Clone, Debug)]
pub struct Record {
    pub experiment: Value,
    pub configuration: Map,
    /// Where the run was started: relative paths are meant from here.
    pub folder: PathBuf,
    pub python: String,
    pub environment: Vec<(String, String)>,
    holder: Value,
    rolled_back: Vec<usize>,
    /// Leaders of groups that actions started.
    started: Vec<Value>,
}

impl Record {
    pub fn new(experiment: Value, configuration: Map, python: String) -> io::Result<Record> {
        Ok(Record {
            experiment,
            configuration,
            folder: std::env::current_dir()?,
            python,
            environment: Vec::new(),
            holder: identity(std::process::id())?,
            rolled_back: Vec::new(),
            started: Vec::new(),
        })
    }

    /// The record's file for a journal.
    pub fn path(journal: &Path) -> PathBuf {
        durable::with_suffix(journal, ".undo")
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        let added = |(name, value): &(String, String)| (name.clone(), Value::text(value));
        let head: Value = [
            ("format", FORMAT.into()),
            ("holder", self.holder.clone()),
            ("folder", self.folder.to_string_lossy().into_owned().into()),
            ("python", self.python.clone().into()),
            ("environment", Value::Map(self.environment.iter().map(added).collect())),
            ("configuration", Value::Map(self.configuration.clone())),
            ("experiment", self.experiment.clone()),
        ]
        .into();
        let mut lines = serde_json::to_string(&head)?;
        lines.push('\n');
        for index in &self.rolled_back {
            lines.push_str(&rolled_back_line(*index));
            lines.push('\n');
        }
        durable::write(path, lines.as_bytes(), true)
    }

    /// The record at this path, if there is one.
    pub fn read(path: &Path) -> Result<Option<Record>, String> {
        let wrong = |problem: &str| format!("{}: {problem}", path.display());
        match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong(&error.to_string())),
            Ok(found) if found.len() > RECORD_BYTES_MAX => return Err(wrong("too large")),
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
        Record::parse(&text).map(Some).map_err(|problem| wrong(&problem))
    }

    fn parse(text: &str) -> Result<Record, String> {
        let mut lines = text.lines();
        let head: Value = serde_json::from_str(lines.next().unwrap_or_default())
            .map_err(|error| format!("not a record of rollbacks: {error}"))?;
        if head.get("format") != Some(&Value::from(FORMAT)) {
            return Err("written by another version of Immune".to_owned());
        }
        let map = |key: &str| head.get(key).and_then(Value::as_map).cloned().unwrap_or_default();
        let mut record = Record {
            experiment: head.get("experiment").cloned().ok_or("there is no experiment in it")?,
            configuration: map("configuration"),
            folder: PathBuf::from(head.get_str("folder").unwrap_or(".")),
            python: head.get_str("python").unwrap_or("python3").to_owned(),
            environment: map("environment")
                .into_iter()
                .map(|(name, value)| (name, value.to_string()))
                .collect(),
            holder: head.get("holder").cloned().unwrap_or_default(),
            rolled_back: Vec::new(),
            started: Vec::new(),
        };
        // A last line that a crash cut short is as good as not written.
        for line in lines {
            let Ok(line) = serde_json::from_str::<Value>(line) else { break };
            if let Some(Value::Int(index)) = line.get("rolled_back") {
                record.rolled_back.extend(usize::try_from(*index).ok());
            }
            record.started.extend(line.get("started").cloned());
        }
        Ok(record)
    }

    /// Notes that this rollback succeeded.
    pub fn note(path: &Path, index: usize) -> io::Result<()> {
        durable::append(path, &rolled_back_line(index))
    }

    /// Notes that an action started this process, which leads a group. One that has ended already
    /// is not worth a note.
    pub fn note_started(path: &Path, pid: u32) -> io::Result<()> {
        let Ok(started) = identity(pid) else { return Ok(()) };
        let line: Value = [("started", started)].into();
        durable::append(path, &serde_json::to_string(&line)?)
    }

    /// Kills the groups that the run's actions started and that still live; says how many.
    pub fn end_started(&self) -> usize {
        let lives = |started: &&Value| pid_of(started).is_some_and(|pid| is_it(pid, started));
        let leaders = self.started.iter().filter(lives).filter_map(pid_of);
        leaders
            .filter_map(|pid| Pid::from_raw(pid as i32))
            .filter(|pid| rustix::process::kill_process_group(*pid, Signal::KILL).is_ok())
            .count()
    }

    /// The rollbacks that are still to be done, by their index.
    pub fn pending(&self) -> Vec<usize> {
        let count = activities(&self.experiment, ROLLBACKS).len();
        (0..count).filter(|index| !self.rolled_back.contains(index)).collect()
    }

    /// Whether the run that wrote it still goes on.
    pub fn is_held(&self) -> bool {
        pid_of(&self.holder).is_some_and(|pid| is_it(pid, &self.holder))
    }

    /// Makes it this process's own.
    pub fn take_over(&mut self) -> io::Result<()> {
        self.holder = identity(std::process::id())?;
        Ok(())
    }
}

fn rolled_back_line(index: usize) -> String {
    format!("{{\"rolled_back\":{index}}}")
}

fn pid_of(identity: &Value) -> Option<u32> {
    match identity.get("pid") {
        Some(Value::Int(pid)) => u32::try_from(*pid).ok(),
        _ => None,
    }
}

/// Whether the process of this number is the one meant, and lives.
fn is_it(pid: u32, meant: &Value) -> bool {
    identity(pid).is_ok_and(|living| living == *meant)
}

/// What tells a process from all others, before and after it.
fn identity(pid: u32) -> io::Result<Value> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // After the name, which may hold anything: the 22nd field of all is the start.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let mut fields = fields.split_whitespace();
    if fields.next() == Some("Z") {
        return Err(io::Error::other("the process is dead"));
    }
    let start = fields.nth(18).unwrap_or_default();
    let pid = Value::Int(i128::from(pid));
    Ok([("pid", pid), ("start", start.into()), ("boot", boot.trim().into())].into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let experiment = r#"{"rollbacks": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}"#;
        let experiment = serde_json::from_str(experiment).unwrap();
        Record::new(experiment, Map::new(), "python3".to_owned()).unwrap()
    }

    #[test]
    fn what_was_rolled_back_is_not_pending_even_after_a_cut_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = Record::path(&folder.path().join("journal.json"));
        assert!(Record::read(&path).unwrap().is_none());
        record().write(&path).unwrap();
        Record::note(&path, 1).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{whole}{{\"rolled_ba")).unwrap();
        let read = Record::read(&path).unwrap().unwrap();
        assert_eq!(read.pending(), [0, 2]);
        assert!(read.is_held());
    }

    #[test]
    fn a_record_of_another_process_is_not_held() {
        let mut read = record();
        if let Value::Map(holder) = &mut read.holder {
            holder.insert("start".to_owned(), Value::text("1"));
        }
        assert!(!read.is_held());
        read.take_over().unwrap();
        assert!(read.is_held());
    }

    #[test]
    fn processes_that_actions_started_are_ended_with_their_group_if_it_is_still_them() {
        use std::os::unix::process::CommandExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        record().write(&path).unwrap();
        let mut command = std::process::Command::new("sleep");
        let mut child = command.arg("60").process_group(0).spawn().unwrap();
        Record::note_started(&path, child.id()).unwrap();
        let other = r#"{"started":{"pid":1,"start":"1","boot":"x"}}"#;
        durable::append(&path, other).unwrap();
        assert_eq!(Record::read(&path).unwrap().unwrap().end_started(), 1);
        assert!(!child.wait().unwrap().success());
        assert_eq!(Record::read(&path).unwrap().unwrap().end_started(), 0);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        for text in ["", "x", "{}", r#"{"format": 2}"#, r#"{"format": 1}"#] {
            assert!(Record::parse(text).is_err(), "{text}");
        }
    }
}
