//! `shop release`: deploys a version of a part the way operators do, or goes back.
//!
//! The version before is kept beside the release file. Writes the version, stops what runs with
//! SIGTERM, starts the part anew in a process group of its own, and waits until it is healthy. One
//! that does not become healthy is left for its operators to look at.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::os::unix::process::CommandExt as _;

use crate::transport::{Transport, Upstream};

/// How long what runs may take to end; then it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(8);
/// How long the new one may take to be healthy.
const HEALTHY_TIMEOUT: Duration = Duration::from_secs(15);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// `shop release`
#[derive(Debug, clap::Args)]
pub struct ReleaseArgs {
    /// File that names the version to run
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Version to deploy
    #[arg(long, value_name = "VERSION", required_unless_present = "back")]
    to: Option<String>,
    /// Go back to the version before
    #[arg(long, conflicts_with = "to")]
    back: bool,
    /// The part's pid file
    #[arg(long, value_name = "FILE")]
    pid_file: PathBuf,
    /// Where its output goes
    #[arg(long, value_name = "FILE")]
    log: PathBuf,
    /// Where the part is, to ask for its health
    #[arg(long, value_name = "URL")]
    url: Upstream,
    /// The part's command line, after --
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Deploys.
pub async fn run(args: ReleaseArgs) -> anyhow::Result<()> {
    let before = version(&args.file)?;
    let kept = args.file.with_extension("before");
    let to = match &args.to {
        Some(to) => to.clone(),
        None => version(&kept).context("there is no version before to go back to")?,
    };
    if to == before {
        println!("{to} is what is deployed; nothing is done");
        return Ok(());
    }
    crate::serve::write_whole(&kept, &before)?;
    crate::serve::write_whole(&args.file, &to)?;
    stop(&args.pid_file).await?;
    start(&args)?;
    healthy(&args.url).await?;
    println!("{to} is deployed, {before} was before");
    Ok(())
}

fn version(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    Ok(text.trim().to_owned())
}

async fn stop(pid_file: &Path) -> anyhow::Result<()> {
    let Ok(text) = std::fs::read_to_string(pid_file) else { return Ok(()) };
    let pid = text.trim().parse().ok().and_then(Pid::from_raw);
    let Some(pid) = pid else { bail!("{} holds no process id", pid_file.display()) };
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

/// It has ended, and whoever started it has not looked yet.
fn is_zombie(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}

fn start(args: &ReleaseArgs) -> anyhow::Result<()> {
    let Some((program, arguments)) = args.command.split_first() else {
        bail!("give the part's command line after --")
    };
    let open = OpenOptions::new().create(true).append(true).open(&args.log);
    let log = open.with_context(|| format!("open {}", args.log.display()))?;
    let errors = log.try_clone().context("open the log twice")?;
    let mut command = Command::new(program);
    command.args(arguments).process_group(0);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command.spawn().with_context(|| format!("start {program}"))?;
    Ok(())
}

async fn healthy(url: &Upstream) -> anyhow::Result<()> {
    let (transport, uri) = (Transport::new(), url.url("/healthz").context("write the URL")?);
    let asking = async {
        loop {
            let request = Request::get(uri.clone()).body(Full::<Bytes>::default());
            if let Ok(request) = request
                && let Ok(answer) = transport.exchange(request, Duration::from_secs(1)).await
                && answer.status().is_success()
            {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(HEALTHY_TIMEOUT, asking).await;
    waited.map_err(|_| anyhow::anyhow!("it is not healthy after {HEALTHY_TIMEOUT:?}"))
}
