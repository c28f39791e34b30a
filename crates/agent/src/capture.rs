//! Keeps what a process can tell before an action ends it: a few facts of `/proc` and the end of
//! the target's log, in one file of the agent's folder.
//!
//! It never stands in the way: what cannot be read is said in the file, and a file that cannot be
//! written in the outcome. Invariant: one file is at most `FILE_MAX` bytes and at most `FILES_MAX`
//! are kept, the oldest go first. Environments are left out: they hold secrets.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use model::Action;

use crate::bench::Bench;
use crate::clock;
use crate::config::Target;
use crate::process::ProcessHandle;
use crate::store;

/// Files kept.
pub const FILES_MAX: usize = 100;
/// Bytes of one part of a file.
const PART_MAX: u64 = 8 * 1024;
/// Bytes of the log's end.
const LOG_MAX: u64 = 16 * 1024;
/// Threads whose place in the kernel is told.
const THREADS_MAX: usize = 64;
/// Descriptors that are counted.
const DESCRIPTORS_MAX: usize = 100_000;

const FACTS: &[&str] = &["cmdline", "status", "stat", "wchan", "stack", "limits", "io", "cgroup"];

/// Says where it is kept.
pub fn keep(bench: &Bench, target: &Target, action: &Action, process: &ProcessHandle) -> String {
    let log = target.restart.as_ref().and_then(|restart| restart.start.log.as_deref());
    let mut text = format!("action {} on {} at {}\n", action.id, target.name, clock::now());
    text.push_str(&facts(process.identity.pid));
    if let Some(log) = log {
        part(&mut text, &format!("end of {}", log.display()), end_of(log));
    }
    let folder = bench.dir.join("captures");
    let path = folder.join(file_name(&action.id.0));
    match write(&folder, &path, text.as_bytes()) {
        Ok(()) => format!("its last state is in {}", path.display()),
        Err(error) => format!("its last state could not be kept: {error}"),
    }
}

/// The process is held by a handle: as long as it runs, its pid is its own.
fn facts(pid: u32) -> String {
    let mut text = String::new();
    for fact in FACTS {
        let read =
            File::open(format!("/proc/{pid}/{fact}")).and_then(|file| text_of(file, PART_MAX));
        part(&mut text, fact, read);
    }
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd"));
    let count = descriptors.map(|all| all.take(DESCRIPTORS_MAX).count().to_string());
    part(&mut text, "open descriptors", count);
    part(&mut text, "threads: state and wait channel", threads(pid));
    text
}

fn threads(pid: u32) -> io::Result<String> {
    let mut text = String::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))?.take(THREADS_MAX) {
        let path = entry?.path();
        let read = |name: &str| {
            File::open(path.join(name)).and_then(|file| text_of(file, PART_MAX)).unwrap_or_default()
        };
        let stat = read("stat");
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?');
        let id = path.file_name().unwrap_or_default().to_string_lossy();
        text.push_str(&format!("{id} {} {state} {}\n", read("comm").trim(), read("wchan")));
    }
    text.truncate(text.floor_char_boundary(PART_MAX as usize));
    Ok(text)
}

fn part(text: &mut String, title: &str, content: io::Result<String>) {
    let content = content.unwrap_or_else(|error| format!("(cannot be read: {error})"));
    text.push_str(&format!("\n== {title}\n{}\n", content.trim_end()));
}

fn text_of(file: impl Read, bytes_max: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

fn end_of(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("no ordinary file"));
    }
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(LOG_MAX)))?;
    text_of(file, LOG_MAX)
}

/// An id is the server's own; still, nothing in it may name another folder.
fn file_name(id: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    format!("{}.txt", id.chars().take(100).map(safe).collect::<String>())
}

fn write(folder: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    store::private_folder(folder)?;
    make_room(folder)?;
    store::replace_durably(path, content)
}

/// Leaves room for one more.
fn make_room(folder: &Path) -> io::Result<()> {
    let mut files: Vec<(std::time::SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let surplus = (files.len() + 1).saturating_sub(FILES_MAX);
    files.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_newest_files_and_no_more_than_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("captures");
        for index in 0..FILES_MAX + 3 {
            let path = folder.join(file_name(&format!("x-{index}")));
            write(&folder, &path, b"state").unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(index as u64);
            file.set_modified(time).unwrap();
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), FILES_MAX);
        assert!(!folder.join("x-2.txt").exists() && folder.join("x-102.txt").exists());
    }

    #[test]
    fn an_id_names_no_other_folder() {
        assert_eq!(file_name("../../etc/passwd"), "______etc_passwd.txt");
        assert_eq!(file_name(&"a".repeat(300)).len(), 104);
    }

    #[test]
    fn tells_of_a_process_in_bounded_space() {
        let text = facts(std::process::id());
        assert!(text.contains("== status\nName:") && text.contains("== limits\nLimit"), "{text}");
        assert!(text.len() < 12 * PART_MAX as usize, "{}", text.len());
        assert!(facts(u32::MAX).contains("(cannot be read"));
    }
}
