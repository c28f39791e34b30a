//! `rotel`, a collector in Rust, from PyPI: takes the same requests and throws them away. No peer
//! in what it does, since it stores nothing; it says what taking OTLP costs on this machine.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use model::signal::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::figures::rounded;
use crate::process::{cpu_s, rss_peak_mb};
use crate::pypi;
use crate::serving::Listening;
use crate::telemetry::line::Prepared;
use crate::telemetry::sending::{Pace, Width, send};

const READY_WITHIN: Duration = Duration::from_secs(20);
/// What it took last is worked off before its time is read.
const SETTLED_AFTER: Duration = Duration::from_secs(3);

/// Sends it the requests in a closed loop.
pub async fn rotel(stream: Arc<Vec<Prepared>>, connections: usize, seconds: u64) -> Result<Value> {
    let program = pypi::program("rotel", "rotel/rotel-agent").await?;
    let (child, listening) = start(&program).await?;
    let pid = child.id().context("rotel has ended")?;
    let before_s = cpu_s(pid)?;
    let lasts = Duration::from_secs(seconds);
    let signal = stream.first().map_or(Signal::Traces, |one| one.signal);
    let sent = send(listening, stream, Width::of(connections), Pace::Closed { lasts }).await?;
    sleep(SETTLED_AFTER).await;
    let cpu = cpu_s(pid)? - before_s;
    let per_core = |count: usize| (count as f64 / cpu.max(1e-9)).round();
    let key = match signal {
        Signal::Traces => "spans_per_s_core",
        Signal::Metrics => "samples_per_s_core",
        Signal::Logs => "log_records_per_s_core",
    };
    Ok(json!({
        key: per_core(sent.samples),
        "wall_items_per_s": sent.per_s(sent.items).round(),
        "cpu_s": rounded(cpu),
        "refused": sent.refused,
        "failed": sent.failed,
        "rss_peak_mb": rss_peak_mb(pid)?,
        "note": "batches and drops (exporter blackhole); stores nothing",
    }))
}

async fn start(program: &Path) -> Result<(Child, Listening)> {
    let [grpc, http] = free_ports()?;
    let child = Command::new(program)
        .args(["start", "--exporter", "blackhole"])
        .args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")])
        .args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .context("rotel cannot be started")?;
    let loopback = |port: u16| std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let (otlp_grpc, otlp_http) = (loopback(grpc), loopback(http));
    let deadline = Instant::now() + READY_WITHIN;
    while TcpStream::connect(otlp_http).await.is_err()
        || TcpStream::connect(otlp_grpc).await.is_err()
    {
        if Instant::now() > deadline {
            bail!("rotel does not listen within 20 s");
        }
        sleep(Duration::from_millis(20)).await;
    }
    let pid = child.id().unwrap_or_default();
    Ok((child, Listening { api: otlp_http, otlp_grpc, otlp_http, pid }))
}

fn free_ports() -> Result<[u16; 2]> {
    let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}
