//! `shop release`: deploys a version of a part the way operators do, or goes back.
//!
//! A deployment file tells of the part's instances. One after the other is stopped with SIGTERM,
//! started anew in a process group of its own, and waited for until it is healthy; one that says
//! that it is of the version already is left alone, so a release that was cut short can be
//! repeated. The version before is kept beside the release file. An instance that does not become
//! healthy ends the deployment there, for its operators to look at.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::Deserialize;

use crate::transport::{Transport, Upstream};

/// How long what runs may take to end; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// How long the new one may take to be healthy.
const HEALTHY_TIMEOUT: Duration = Duration::from_secs(15);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Largest deployment file.
const DEPLOYMENT_BYTES_MAX: u64 = 256 << 10;

/// `shop release`
#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    /// What is deployed, a JSON file
    #[arg(value_name = "DEPLOYMENT")]
    deployment: PathBuf,
    /// Version to deploy
    #[arg(long, value_name = "VERSION", required_unless_present_any = ["back", "is"])]
    to: Option<String>,
    /// Go back to the version before
    #[arg(long, conflicts_with = "to")]
    back: bool,
    /// End with 0 where an instance says that it is of this version, with 1 where none does
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["to", "back"])]
    is: Option<String>,
}

/// A part, as its operators deploy it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deployment {
    /// File that names the version to run.
    release_file: PathBuf,
    instances: Vec<Instance>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Instance {
    /// Where it is, to ask for its health.
    url: String,
    pid_file: PathBuf,
    /// Where its output goes.
    log: PathBuf,
    command: Vec<String>,
    /// Beside what `shop release` has itself.
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

/// Deploys.
pub async fn run(args: ReleaseArgs) -> anyhow::Result<()> {
    let deployment = Deployment::read(&args.deployment)?;
    if let Some(version) = &args.is {
        return deployment.is(version).await;
    }
    let file = &deployment.release_file;
    let before = version(file)?;
    let kept = file.with_extension("before");
    let to = match &args.to {
        Some(to) => to.clone(),
        None => version(&kept).context("there is no version before to go back to")?,
    };
    if to != before {
        crate::serve::write_whole(&kept, &before)?;
        crate::serve::write_whole(file, &to)?;
    }
    let mut replaced = 0;
    for instance in &deployment.instances {
        if instance.version().await.as_deref() == Some(to.as_str()) {
            continue;
        }
        let replacing = instance.replace().await;
        replacing.with_context(|| format!("deploy {to} at {}", instance.url))?;
        replaced += 1;
    }
    match replaced {
        0 => println!("{to} is what is deployed; nothing is done"),
        _ => println!("{to} is deployed, {before} was before"),
    }
    Ok(())
}

impl Deployment {
    fn read(path: &Path) -> anyhow::Result<Deployment> {
        let open = std::fs::File::open(path);
        let file = open.with_context(|| format!("open {}", path.display()))?;
        let deployment = serde_json::from_reader(file.take(DEPLOYMENT_BYTES_MAX));
        deployment.with_context(|| format!("read {}", path.display()))
    }

    async fn is(&self, version: &str) -> anyhow::Result<()> {
        let mut of_it = 0;
        for instance in &self.instances {
            of_it += usize::from(instance.version().await.as_deref() == Some(version));
        }
        let all = self.instances.len();
        if of_it == 0 {
            bail!("none of {all} instances is of version {version}");
        }
        println!("{of_it} of {all} instances are of version {version}");
        Ok(())
    }
}

impl Instance {
    async fn replace(&self) -> anyhow::Result<()> {
        stop(&self.pid_file).await?;
        self.start()?;
        self.healthy().await
    }

    /// What it says itself; nothing where it says nothing.
    async fn version(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Told {
            version: String,
        }
        let answer = self.ask("/admin/build").await?;
        Some(serde_json::from_slice::<Told>(answer.body()).ok()?.version)
    }

    async fn healthy(&self) -> anyhow::Result<()> {
        let asking = async {
            while self.ask("/healthz").await.is_none() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let waited = tokio::time::timeout(HEALTHY_TIMEOUT, asking).await;
        waited.map_err(|_| anyhow::anyhow!("it is not healthy after {HEALTHY_TIMEOUT:?}"))
    }

    /// A good answer, if there is one.
    async fn ask(&self, path: &str) -> Option<Response<Bytes>> {
        let url: Upstream = self.url.parse().ok()?;
        let request = Request::get(url.url(path).ok()?).body(Full::<Bytes>::default()).ok()?;
        let answer = Transport::new().exchange(request, Duration::from_secs(1)).await.ok()?;
        answer.status().is_success().then_some(answer)
    }

    fn start(&self) -> anyhow::Result<()> {
        let Some((program, arguments)) = self.command.split_first() else {
            bail!("its command is empty")
        };
        let open = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = open.with_context(|| format!("open {}", self.log.display()))?;
        let errors = log.try_clone().context("open the log twice")?;
        let mut command = Command::new(program);
        command.args(arguments).envs(&self.environment).process_group(0);
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        command.spawn().with_context(|| format!("start {program}"))?;
        Ok(())
    }
}

fn version(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(text.trim().to_owned())
}

async fn stop(pid_file: &Path) -> anyhow::Result<()> {
    let Ok(text) = std::fs::read_to_string(pid_file) else { return Ok(()) };
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { bail!("{} holds no process id", pid_file.display()) };
    // The file of a part that was killed stays, and its number may be somebody else's by now.
    if !is_of(pid, pid_file) {
        return Ok(());
    }
    for signal in [Signal::TERM, Signal::KILL] {
        if kill_process(pid, signal).is_err() {
            return Ok(());
        }
        let gone = async {
            while test_kill_process(pid).is_ok() && !is_zombie(pid) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        if tokio::time::timeout(STOP_TIMEOUT, gone).await.is_ok() {
            return Ok(());
        }
    }
    bail!("process {} does not end", pid.as_raw_nonzero())
}

/// Whether the process was told to write this pid file.
fn is_of(pid: Pid, pid_file: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
    let told = pid_file.as_os_str().as_encoded_bytes();
    line.is_ok_and(|line| line.split(|byte| *byte == 0).any(|argument| argument == told))
}

/// It has ended, and whoever started it has not looked yet.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_does_not_name_the_pid_file_is_left_alone() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let file = folder.path().join("catalog.pid");
        let mut other = Command::new("/bin/sleep").arg("60").spawn().expect("start sleep");
        std::fs::write(&file, other.id().to_string()).expect("write");
        stop(&file).await.expect("nothing to stop");
        assert_eq!(other.try_wait().expect("look"), None, "it was ended");
        other.kill().expect("kill");
        other.wait().expect("reap");
    }
}
