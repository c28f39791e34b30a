//! `immune run` as a real process: started on free ports, killed, stopped, measured.
//!
//! Dropping a `Server` kills it. The agent that a server starts outlives it on purpose:
//! `Leftovers`,
//! held for as long as a data folder is used, ends it.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::programs::Programs;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// Where a running server listens, as it says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Listening {
    pub api: SocketAddr,
    pub otlp_grpc: SocketAddr,
    pub otlp_http: SocketAddr,
    pub pid: u32,
}

#[derive(Debug)]
pub struct Server {
    child: Child,
    data: PathBuf,
    log: PathBuf,
    spawned: Instant,
}

impl Server {
    /// Starts it on `data`; what it says is appended to `log`.
    pub fn spawn(programs: &Programs, config: &Path, data: &Path, log: &Path) -> Result<Server> {
        Server::spawn_on(programs, config, data, log, None)
    }

    /// The same, on one core only.
    pub fn spawn_on(
        programs: &Programs,
        config: &Path,
        data: &Path,
        log: &Path,
        core: Option<usize>,
    ) -> Result<Server> {
        let file = File::options().create(true).append(true).open(log)?;
        let program = programs.immune()?;
        let mut command = match core {
            Some(core) => {
                // It becomes the program: the process is the same.
                let mut command = Command::new("taskset");
                command.args(["--cpu-list", &core.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        let child = command
            .arg("run")
            .arg("--config")
            .arg(config)
            .arg("--data")
            .arg(data)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .context("immune cannot be started")?;
        let (data, log) = (data.to_owned(), log.to_owned());
        Ok(Server { child, data, log, spawned: Instant::now() })
    }

    pub fn spawned(&self) -> Instant {
        self.spawned
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits until it takes telemetry.
    pub async fn ready(&mut self) -> Result<Listening> {
        let path = self.data.join("listening.json");
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            // The file of the run before may still be there, or half of the new one.
            let told = std::fs::read(&path).ok().and_then(|t| serde_json::from_slice(&t).ok());
            if let Some(listening) = told.filter(|l: &Listening| Some(l.pid) == self.child.id()) {
                return Ok(listening);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("immune ended with {status}; see {}", self.log.display());
            }
            sleep(Duration::from_millis(5)).await;
        }
        bail!("immune was not ready within 60 s; see {}", self.log.display());
    }

    /// SIGKILL, and waits until it is gone.
    pub async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("immune cannot be killed")
    }

    /// SIGTERM, and waits until it has ended in order.
    pub async fn stop(mut self) -> Result<()> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid as i32));
        kill_process(pid.context("immune has ended already")?, Signal::TERM)?;
        let status = timeout(STOP_WITHIN, self.child.wait()).await.context("immune hangs")??;
        if !status.success() {
            bail!("immune ended with {status}; see {}", self.log.display());
        }
        Ok(())
    }
}

/// Ends the agent of a data folder when dropped.
#[derive(Debug)]
pub struct Leftovers {
    agent: PathBuf,
}

impl Leftovers {
    pub fn of(data: &Path) -> Leftovers {
        Leftovers { agent: data.join("agent") }
    }

    /// The agent's process, recognised by its whole command line.
    pub fn agent(&self) -> Option<Pid> {
        let processes = std::fs::read_dir("/proc").ok()?;
        processes.flatten().find_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            let folder = self.agent.as_os_str().as_encoded_bytes();
            let ours = words.get(1) == Some(&&b"agent"[..])
                && words.windows(2).any(|pair| pair[0] == b"--dir" && pair[1] == folder);
            if ours { Pid::from_raw(pid) } else { None }
        })
    }
}

impl Drop for Leftovers {
    fn drop(&mut self) {
        if let Some(pid) = self.agent()
            && let Err(error) = kill_process(pid, Signal::KILL)
        {
            eprintln!("bench: agent {} is left over: {error}", pid.as_raw_nonzero());
        }
    }
}

/// `immune replay`: does the log of inputs give the journal again, byte for byte?
pub async fn replay(programs: &Programs, data: &Path) -> Result<(bool, serde_json::Value)> {
    let output = Command::new(programs.immune()?)
        .arg("replay")
        .arg(data)
        .arg("--json")
        .kill_on_drop(true)
        .output()
        .await
        .context("immune replay cannot be started")?;
    let report = serde_json::from_slice(&output.stdout).with_context(|| {
        format!("immune replay: {}", String::from_utf8_lossy(&output.stderr).trim())
    })?;
    Ok((output.status.success(), report))
}
