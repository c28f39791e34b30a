//! nginx by a file of `server` lines that its configuration includes: the target's line is marked
//! `down` or not, the configuration tested, and the master told to read it anew.
//!
//! Invariants: nothing but the word `down` on the target's one line is ever changed; the file is
//! replaced whole; when nginx does not accept it, or no new worker appears, the file is put back as
//! it was. A file that holds anything else than such lines is not touched.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use model::tick::ProcessIdentity;
use rustix::process::Signal;

use super::{Standing, Until};
use crate::actions::run_declared;
use crate::bench::Bench;
use crate::clock;
use crate::config::{Command, Nginx, ProcessMatch};
use crate::ledger::sync_parent;
use crate::process::{Found, ProcessHandle, children, find};

const FILE_MAX: u64 = 1024 * 1024;
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub fn standing(nginx: &Nginx, server: &str) -> Result<Standing, String> {
    let text = read(&nginx.upstream_file)?;
    let servers = servers(&text)?;
    let of = |is_it: bool| servers.iter().filter(move |line| (line.address == server) == is_it);
    let [it] = of(true).collect::<Vec<_>>()[..] else {
        let path = nginx.upstream_file.display();
        return Err(format!("{path} does not name {server} exactly once"));
    };
    let others = of(false).filter(|other| !other.is_down && !other.is_backup).count();
    Ok(Standing { is_ejected: it.is_down, others: u32::try_from(others).unwrap_or(u32::MAX) })
}

pub fn set(
    bench: &Bench,
    nginx: &Nginx,
    server: &str,
    eject: bool,
    until: Until,
) -> Result<String, String> {
    let path = &nginx.upstream_file;
    let master = master(bench, nginx)?;
    let before = read(path)?;
    let after = with_mark(&before, server, eject);
    write(path, &after)?;
    let changed = accepted(nginx, until).and_then(|()| reload(bench, &master, until));
    match changed {
        Ok(()) => {
            Ok(format!("changed {} and reloaded pid {}", path.display(), master.identity.pid))
        }
        Err(reason) => Err(match write(path, &before) {
            Ok(()) => format!("{reason}; {} is as before", path.display()),
            Err(error) => format!("{reason}; and it could not be put back: {error}"),
        }),
    }
}

struct Server<'a> {
    address: &'a str,
    is_down: bool,
    is_backup: bool,
}

/// The servers of the file; an error when it holds anything else.
fn servers(text: &str) -> Result<Vec<Server<'_>>, String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let words = line.strip_suffix(';').filter(|rest| !rest.contains([';', '{', '}', '#']));
        let words: Vec<&str> = words.unwrap_or_default().split_whitespace().collect();
        let ["server", address, parameters @ ..] = &words[..] else {
            return Err(format!(
                "line {} is not `server ADDRESS …;`, so it is not touched",
                index + 1
            ));
        };
        let has = |word| parameters.contains(&word);
        found.push(Server { address, is_down: has("down"), is_backup: has("backup") });
    }
    Ok(found)
}

/// The same text, with the server's line marked `down` or not.
fn with_mark(text: &str, server: &str, down: bool) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.trim().trim_end_matches(';').split_whitespace().collect();
        match &words[..] {
            ["server", address, parameters @ ..] if *address == server => {
                let kept = parameters.iter().filter(|word| **word != "down");
                let mark = down.then_some(&"down");
                let indent = &line[..line.len() - line.trim_start().len()];
                out.push_str(&format!("{indent}server {address}"));
                for word in kept.chain(mark) {
                    out.push_str(&format!(" {word}"));
                }
                out.push_str(";\n");
            }
            _ => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

fn read(path: &Path) -> Result<String, String> {
    let refuse = |why: String| format!("{}: {why}", path.display());
    let metadata = fs::symlink_metadata(path).map_err(|error| refuse(error.to_string()))?;
    if !metadata.is_file() {
        return Err(refuse("is no plain file".to_owned()));
    }
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(FILE_MAX).read_to_string(&mut text))
        .map_err(|error| refuse(error.to_string()))?;
    match metadata.len() < FILE_MAX {
        true => Ok(text),
        false => Err(refuse("is too large".to_owned())),
    }
}

/// Replaces the file whole, with the rights that it has.
fn write(path: &Path, text: &str) -> Result<(), String> {
    let replace = || -> io::Result<()> {
        let metadata = fs::metadata(path)?;
        let mut name = std::ffi::OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(".immune");
        let fresh = path.with_file_name(name);
        let mut file =
            File::options().create(true).write(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
        file.sync_all()?;
        fs::rename(&fresh, path)?;
        sync_parent(path)
    };
    replace().map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn accepted(nginx: &Nginx, until: Until) -> Result<(), String> {
    let mut test: Command = nginx.test.clone();
    test.timeout.0 = test.timeout.0.min(until.left());
    run_declared(&test, false)
        .map(|_| ())
        .map_err(|reason| format!("nginx does not accept it: {reason}"))
}

fn master(bench: &Bench, nginx: &Nginx) -> Result<ProcessHandle, String> {
    let process = ProcessMatch::PidFile(nginx.pid_file.clone());
    let identity = match find(&bench.host, &process).map_err(|error| error.to_string())? {
        Found::Process(holder) => holder.identity,
        Found::Nothing => return Err(format!("no nginx runs that {process}")),
        Found::Hidden(why) => return Err(why),
    };
    ProcessHandle::open(&bench.host, &identity)
        .map_err(|error| format!("cannot take hold of nginx: {error}"))?
        .ok_or_else(|| "nginx has just ended".to_owned())
}

/// Until new workers show that the configuration was taken, and those before take no more users.
fn reload(bench: &Bench, master: &ProcessHandle, until: Until) -> Result<(), String> {
    let pid = master.identity.pid;
    let workers = || children(&bench.host, pid).map_err(|error| error.to_string());
    let before = workers()?;
    match master.signal(Signal::HUP) {
        Ok(true) => {}
        Ok(false) => return Err("nginx has just ended".to_owned()),
        Err(error) => return Err(format!("cannot signal nginx: {error}")),
    }
    loop {
        let now = workers()?;
        let has_new = now.iter().any(|worker| !before.contains(worker));
        if has_new && now.iter().filter(|worker| before.contains(worker)).all(is_leaving) {
            return Ok(());
        }
        if until.left().is_zero() {
            return Err(match has_new {
                true => "nginx's workers before go on".to_owned(),
                false => "nginx started no new worker".to_owned(),
            });
        }
        clock::pause(LOOK_EVERY);
    }
}

/// A worker that only finishes what it has names itself so.
fn is_leaving(worker: &ProcessIdentity) -> bool {
    let title = fs::read(format!("/proc/{}/cmdline", worker.pid)).unwrap_or_default();
    String::from_utf8_lossy(&title).contains("shutting down")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# payment
server 127.0.0.1:7811 weight=2;
    server 127.0.0.1:7812;
server 127.0.0.1:7813 down;
server 127.0.0.1:7814 backup;
";

    #[test]
    fn marks_one_line_and_leaves_all_else() {
        let down = with_mark(TEXT, "127.0.0.1:7812", true);
        assert_eq!(down, TEXT.replace("7812;", "7812 down;"));
        assert_eq!(with_mark(&down, "127.0.0.1:7812", true), down);
        assert_eq!(with_mark(&down, "127.0.0.1:7812", false), TEXT);
        let weighted = with_mark(TEXT, "127.0.0.1:7811", true);
        assert!(weighted.contains("server 127.0.0.1:7811 weight=2 down;"), "{weighted}");
    }

    #[test]
    fn counts_what_is_neither_down_nor_kept_for_need() {
        let counted = servers(TEXT).unwrap();
        let in_rotation = counted.iter().filter(|line| !line.is_down && !line.is_backup);
        assert_eq!(in_rotation.count(), 2);
    }

    #[test]
    fn a_file_with_anything_else_is_not_touched() {
        for text in ["upstream x {\n", "server a:1; server b:2;\n", "server a:1\n", "include x;\n"]
        {
            assert!(servers(text).is_err(), "{text}");
        }
    }
}
