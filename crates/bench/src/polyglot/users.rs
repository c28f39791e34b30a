//! The users: `shop users` with the polyglot system's journeys, their rate, and their own log.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use model::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::system;
use crate::programs::Programs;

#[derive(Debug)]
pub struct Users {
    child: Child,
    rate: PathBuf,
    log: PathBuf,
}

/// What users felt in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Felt {
    pub requests: u64,
    pub harmed: u64,
}

#[derive(Deserialize)]
struct Line {
    end_unix_ns: u64,
    ok: bool,
}

impl Users {
    pub fn start(
        programs: &Programs,
        folder: &Path,
        front_url: &str,
        rate: f64,
        seed: u64,
    ) -> Result<Users> {
        let (rate_file, log) = (folder.join("rate"), folder.join("users.jsonl"));
        std::fs::write(&rate_file, format!("{rate}\n"))?;
        let said = File::create(folder.join("users.log"))?;
        let child = Command::new(programs.shop()?)
            .arg("users")
            .args(["--url", front_url])
            .arg("--journeys")
            .arg(system::sources().join("journeys.yaml"))
            .args(["--rate", &rate.to_string(), "--seed", &seed.to_string()])
            .arg("--rate-file")
            .arg(&rate_file)
            .arg("--log")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .kill_on_drop(true)
            .spawn()
            .context("users cannot be started")?;
        Ok(Users { child, rate: rate_file, log })
    }

    /// Sessions per second from now on.
    pub fn set_rate(&self, rate: f64) -> Result<()> {
        std::fs::write(&self.rate, format!("{rate}\n")).context("cannot write the rate file")
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Requests that ended in `from..to`.
    pub fn felt(&self, from: Timestamp, to: Timestamp) -> Result<Felt> {
        let text = std::fs::read_to_string(&self.log)?;
        let mut felt = Felt::default();
        // The header and a half-written last line are no requests.
        for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            if (from..to).contains(&Timestamp(line.end_unix_ns)) {
                felt.requests += 1;
                felt.harmed += u64::from(!line.ok);
            }
        }
        Ok(felt)
    }

    pub async fn stop(mut self) -> Result<()> {
        if let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid as i32)) {
            kill_process(pid, Signal::TERM)?;
        }
        timeout(Duration::from_secs(20), self.child.wait()).await.context("users hang")??;
        Ok(())
    }
}
