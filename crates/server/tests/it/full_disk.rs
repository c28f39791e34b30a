//! A disk that takes nothing more: said once, seen from outside, and over when there is room again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::http;
use crate::lab::Lab;
use crate::telemetry::{bodies, export, files, logs};
use crate::wait::{unix_nanos, until};

/// A small file system of its own; gone when dropped.
struct SmallDisk {
    at: tempfile::TempDir,
}

impl SmallDisk {
    /// None where nothing may be mounted, which is said.
    fn mount(size: &str) -> Option<SmallDisk> {
        let at = tempfile::Builder::new().prefix("immune-disk-").tempdir().unwrap();
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at.path());
        let output = command.output().unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let _ = writeln!(std::io::stderr(), "skipped: no small disk can be mounted: {why}");
            return None;
        }
        Some(SmallDisk { at })
    }

    fn path(&self) -> &Path {
        self.at.path()
    }

    fn filler(&self) -> PathBuf {
        self.path().join("filler")
    }

    /// Writes a file until nothing more fits.
    fn fill(&self) {
        let mut filler = File::options().create(true).append(true).open(self.filler()).unwrap();
        for chunk in [vec![7_u8; 1 << 16], vec![7_u8; 1 << 10]] {
            while filler.write_all(&chunk).is_ok() {}
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: an agent that was just killed may still be on its way out.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// Log lines that are each sent once.
struct Lines {
    sent: usize,
    acknowledged: Vec<String>,
}

impl Lines {
    fn send(&mut self, lab: &Lab) -> http::Response {
        let line = format!("line {} of many", self.sent);
        self.sent += 1;
        let response = export(lab, "logs", &logs(unix_nanos(), &[&line]));
        if response.status == 200 {
            self.acknowledged.push(line);
        }
        response
    }

    /// Whatever was acknowledged is in answers once, and nothing is there twice.
    fn are_there(&self, lab: &Lab) {
        let page = lab.get("logs?limit=10000");
        let mut times = BTreeMap::new();
        bodies(&page).into_iter().for_each(|body| *times.entry(body).or_insert(0) += 1);
        let lost: Vec<&String> =
            self.acknowledged.iter().filter(|line| !times.contains_key(line.as_str())).collect();
        assert!(lost.is_empty(), "lost: {lost:?} of {}\n{}", self.acknowledged.len(), lab.log());
        assert!(times.values().all(|times| *times == 1), "{times:?}");
    }
}

/// Nothing is left on the disk: what must go on goes on, everything else says so.
fn lives_on_a_full_disk(lab: &Lab, lines: &mut Lines) {
    let ready = || http::request(lab.api(), "GET", "/readyz", &[], None).unwrap();
    until("it is not ready", || (ready().status == 503).then_some(()));
    until("it says why", || ready().body.contains("disk is full").then_some(()));
    assert!(lab.said(&["status"]).contains("the disk is full"), "{}", lab.said(&["status"]));
    let refused = lines.send(lab);
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    lines.are_there(lab);
    lab.said(&["freeze", "the disk is full"]);
    assert_eq!(lab.get("status")["frozen"]["reason"], "the disk is full");
    lab.said(&["thaw"]);
    assert_eq!(lab.get("status")["frozen"], Value::Null);
    let commands = lab.story().iter().filter(|line| *line == "command").count();
    assert!(commands > 0, "the journal was written: {:?}", lab.story());
}

#[test]
fn a_log_that_cannot_be_written_makes_the_server_not_ready_until_it_can() {
    let mut lab = Lab::new();
    lab.start();
    let ready = || http::request(lab.api(), "GET", "/readyz", &[], None).unwrap();
    let metric = |name: &str| {
        let all = http::request(lab.api(), "GET", "/metrics", &[], None).unwrap().body;
        let value = all.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_else(|| panic!("no {name} in {all}")).trim().parse::<f64>().unwrap()
    };
    until("it is ready", || (ready().status == 200).then_some(()));
    assert_eq!(metric("immune_log_failed_commits_total"), 0.0);
    lab.limit_files(Some(0));
    until("it is not ready", || (ready().status == 503).then_some(()));
    assert!(ready().body.contains("the input log cannot be written: "), "{}", ready().body);
    let failed = || metric("immune_log_failed_commits_total");
    until("steps go on failing", || (failed() >= 3.0).then_some(()));
    lab.limit_files(None);
    until("it is ready again", || (ready().status == 200).then_some(()));
    // The first line of the two met the same fate as the log's.
    let log = lab.log();
    assert_eq!(log.matches("the input log can be written again").count(), 1, "{log}");
}

#[test]
fn a_disk_that_another_file_fills_costs_nothing_that_was_acknowledged() {
    let Some(disk) = SmallDisk::mount("64m") else { return };
    let mut lab = Lab::new();
    std::os::unix::fs::symlink(disk.path(), lab.data()).unwrap();
    lab.config["storage"]["disk"] = json!({ "reserve": "8MiB", "free_min": "16MiB" });
    lab.start_with_agent();
    let mut lines = Lines { sent: 0, acknowledged: Vec::new() };
    (0..20).for_each(|_| assert_eq!(lines.send(&lab).status, 200));
    until("some are in files", || (files(&lab) > 0).then_some(()));
    (0..20).for_each(|_| assert_eq!(lines.send(&lab).status, 200));

    disk.fill();
    // Until the server has looked, the log itself finds out.
    until("telemetry is refused", || (lines.send(&lab).status == 503).then_some(()));
    lives_on_a_full_disk(&lab, &mut lines);

    // A start from what is there, with nothing but the reserve to write to.
    lab.kill_server();
    lab.start_with_agent();
    lives_on_a_full_disk(&lab, &mut lines);

    std::fs::remove_file(disk.filler()).unwrap();
    until("telemetry is taken again", || (lines.send(&lab).status == 200).then_some(()));
    let ready = || http::request(lab.api(), "GET", "/readyz", &[], None).unwrap();
    until("it is ready", || (ready().status == 200).then_some(()));
    lines.are_there(&lab);
    let hot = || lab.get("storage")["hot_rows"].as_u64().unwrap();
    until("it is in files", || (hot() < 20).then_some(()));
    lines.are_there(&lab);
    lab.kill_server();
    lab.start();
    lines.are_there(&lab);
    assert!(lines.acknowledged.len() > 40, "{}", lines.acknowledged.len());
}
