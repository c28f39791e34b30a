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

impl System {
    pub async fn up(folder: &Path, otlp: [u16; 2], instances: usize) -> Result<System> {
        let system = System { folder: folder.to_owned(), is_up: true };
        let (http, grpc) = (url(otlp[0]), url(otlp[1]));
        let count = instances.to_string();
        let line = ["up", "--otlp-http", &http, "--otlp-grpc", &grpc, "--orders", &count];
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
