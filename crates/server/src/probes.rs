//! Probes: asks what users would ask, on a fixed beat, and logs the answers as inputs of the loop.
//!
//! Each probe runs in its own task, at most one question at a time; it only judges whether the
//! answer is as configured. Whether that hurts users is `detect`'s business.

use std::time::Duration;

use detect::Probe;
use engine::Entry;
use model::tick::ProbeResult;
use model::{Entity, Scope};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::clock;
use crate::driver::Handle;

/// Only this much of an answer is read.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Starts all probes; they end when the set is dropped.
pub fn spawn(probes: &[Probe], client: &reqwest::Client, handle: &Handle) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for probe in probes {
        tasks.spawn(run(probe.clone(), client.clone(), handle.clone()));
    }
    tasks
}

async fn run(probe: Probe, client: reqwest::Client, handle: Handle) {
    let scope = Scope { environment: probe.environment.clone(), ..Scope::default() };
    let entity = Entity::service(&scope, &probe.service);
    let mut beat = interval(probe.interval.0.max(Duration::from_millis(100)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        beat.tick().await;
        let asked = Instant::now();
        let answer = timeout(probe.timeout.0, ask(&probe, &client)).await;
        let error = match answer {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => Some(format!("timed out after {}", probe.timeout)),
        };
        let result = ProbeResult {
            at: clock::now(),
            probe: probe.name.clone(),
            entity: entity.clone(),
            error,
            duration_nanos: u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX),
        };
        if let Err(error) = handle.submit(Entry::Probe(result)) {
            tracing::debug!(probe = %probe.name, %error, "probe result was not taken");
        }
    }
}

/// Asks once. The error is one line without secrets of the address.
async fn ask(probe: &Probe, client: &reqwest::Client) -> Result<(), String> {
    if let Some(tcp) = &probe.tcp {
        return TcpStream::connect(tcp.address.as_str())
            .await
            .map(drop)
            .map_err(|error| format!("connect to {}: {error}", tcp.address));
    }
    let Some(http) = &probe.http else {
        return Err("the probe has nothing to ask".to_owned());
    };
    let mut response = client.get(&http.url).send().await.map_err(reason)?;
    let status = response.status().as_u16();
    if status != http.status {
        return Err(format!("answered {status}, expected {}", http.status));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reason)? {
        body.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES_MAX - body.len())]);
        if body.len() >= BODY_BYTES_MAX {
            break;
        }
    }
    match &http.body_contains {
        Some(text) if !String::from_utf8_lossy(&body).contains(text) => {
            Err(format!("the answer does not contain `{text}`"))
        }
        _ => Ok(()),
    }
}

/// The innermost cause, without the address, which may hold secrets: `connection refused` says more
/// than `error sending request`.
pub(crate) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
