//! The polyglot system, driven by its own script. Dropping a `System` takes it down.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

/// What `system.json` says, as far as it is needed here.
#[derive(Clone, Debug, Deserialize)]
pub struct Description {
    pub front_url: String,
    pub environment: String,
    /// The system's folder.
    pub dir: String,
    pub ports: BTreeMap<String, u16>,
    /// How the script is called: program and first arguments.
    pub command: Vec<String>,
    pub pids: BTreeMap<String, Option<u32>>,
    pub services: Vec<Service>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Service {
    pub name: String,
    pub service: String,
    pub port: u16,
    pub start: Vec<String>,
}

#[derive(Debug)]
pub struct System {
    folder: PathBuf,
    is_up: bool,
}

/// Folder of the system's sources.
pub fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/polyglot"))
}

/// Installs what the system runs on, where it is not there yet.
pub async fn prepare() -> Result<()> {
    control(&["prepare"], None).await.map(drop)
}

impl Description {
    pub fn port_of_orders(&self) -> Result<u16> {
        let orders = self.services.iter().find(|service| service.service == "orders");
        orders.map(|service| service.port).context("the system has no orders")
    }
}

/// Can file systems be mounted here? Else why not.
pub fn has_small_disks() -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(folder.path());
    let output = mount.output().map_err(|error| format!("mount: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("no file system can be mounted here: {}", complaint.trim()));
    }
    let status = std::process::Command::new("umount").arg(folder.path()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        other => Err(format!("{} stays mounted: {other:?}", folder.path().display())),
    }
}

/// May connections of this host be led elsewhere? Else why not.
pub fn has_network_faults() -> Result<(), String> {
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => Err("network faults need the right CAP_NET_ADMIN: run as root".to_owned()),
    }
}

impl System {
    /// `small_disk`: PostgreSQL's data is on a small file system of its own.
    pub async fn up(
        folder: &Path,
        otlp: [u16; 2],
        instances: usize,
        small_disk: bool,
    ) -> Result<System> {
        let system = System { folder: folder.to_owned(), is_up: true };
        let (http, grpc) = (url(otlp[0]), url(otlp[1]));
        let count = instances.to_string();
        let mut line = vec!["up", "--otlp-http", &http, "--otlp-grpc", &grpc, "--orders", &count];
        if small_disk {
            line.push("--small-disk");
        }
        control(&line, Some(folder)).await?;
        Ok(system)
    }

    pub fn description(&self) -> Result<Description> {
        let path = self.folder.join("system.json");
        let text = std::fs::read(&path).with_context(|| format!("{}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{}", path.display()))
    }

    /// One of the script's commands.
    pub async fn control(&self, line: &[&str]) -> Result<()> {
        let output = control(line, Some(&self.folder)).await?;
        for told in String::from_utf8_lossy(&output.stdout).lines() {
            eprintln!("  {told}");
        }
        Ok(())
    }

    pub async fn down(mut self) -> Result<()> {
        control(&["down"], Some(&self.folder)).await?;
        self.is_up = false;
        Ok(())
    }
}

impl Drop for System {
    fn drop(&mut self) {
        if !self.is_up || !self.folder.join("layout.json").exists() {
            return;
        }
        let mut down = std::process::Command::new(sources().join("system"));
        let down = down.args(["down", "--dir"]).arg(&self.folder).stdout(Stdio::null());
        match down.status() {
            Ok(status) if status.success() => {}
            other => eprintln!("bench: the system in {} is left: {other:?}", self.folder.display()),
        }
    }
}

async fn control(line: &[&str], folder: Option<&Path>) -> Result<Output> {
    let mut command = Command::new(sources().join("system"));
    command.args(line).stdin(Stdio::null()).kill_on_drop(true);
    if let Some(folder) = folder {
        command.arg("--dir").arg(folder);
    }
    let output = command.output().await.context("the system's script cannot be started")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "system {}: {}", line.join(" "), complaint.trim());
    Ok(output)
}

fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}
