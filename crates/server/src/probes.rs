//! Probes: asks what users would ask, on a fixed beat, and logs the answers as inputs of the loop.
//!
//! Each probe runs in its own task, at most one question at a time; it only judges whether the
//! answer is as configured. Whether that hurts users is `detect`'s business.

use std::time::Duration;

use detect::Probe;
use engine::Entry;
use model::tick::ProbeResult;
use model::{Entity, Scope, Timestamp};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::driver::Handle;
use crate::{certificate, clock};

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
        let (error, certificate_until) = match look(&probe, &client).await {
            Ok(until) => (None, until),
            Err(error) => (Some(error), None),
        };
        let result = ProbeResult {
            at: clock::now(),
            probe: probe.name.clone(),
            entity: entity.clone(),
            error,
            duration_nanos: u64::try_from(asked.elapsed().as_nanos()).unwrap_or(u64::MAX),
            certificate_until,
        };
        if let Err(error) = handle.submit(Entry::Probe(result)) {
            tracing::debug!(probe = %probe.name, %error, "probe result was not taken");
        }
    }
}

/// Asks once, and waits no longer than the probe's timeout: what hangs must not hang the probe.
async fn look(probe: &Probe, client: &reqwest::Client) -> Result<Option<Timestamp>, String> {
    match timeout(probe.timeout.0, ask(probe, client)).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("timed out after {}", probe.timeout)),
    }
}

/// Asks once; says until when the certificate is valid that was shown. The error is one line
/// without secrets of the address.
async fn ask(probe: &Probe, client: &reqwest::Client) -> Result<Option<Timestamp>, String> {
    if let Some(tcp) = &probe.tcp {
        return TcpStream::connect(tcp.address.as_str())
            .await
            .map(|_| None)
            .map_err(|error| format!("connect to {}: {error}", tcp.address));
    }
    let Some(http) = &probe.http else {
        return Err("the probe has nothing to ask".to_owned());
    };
    let mut response = client.get(&http.url).send().await.map_err(reason)?;
    let shown = response.extensions().get::<reqwest::tls::TlsInfo>();
    let shown = shown.and_then(reqwest::tls::TlsInfo::peer_certificate);
    let until = shown.and_then(certificate::valid_until);
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
        _ => Ok(until),
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A server that takes every connection and gives this answer, or none.
    async fn server(answer: Option<&'static str>) -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut held = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                if let Some(answer) = answer {
                    let _ = stream.read(&mut [0; 1024]).await;
                    let _ = stream.write_all(answer.as_bytes()).await;
                } else {
                    held.push(stream);
                }
            }
        });
        address
    }

    async fn outcome(
        answer: Option<&'static str>,
        wanted: &str,
    ) -> Result<Option<Timestamp>, String> {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = server(answer).await;
        let probe: Probe = serde_saphyr::from_str(&format!(
            "{{name: p, service: s, timeout: 200ms, http: {{url: 'http://{address}/'{wanted}}}}}"
        ))
        .unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        look(&probe, &client).await
    }

    const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

    #[tokio::test]
    async fn a_server_that_hangs_fails_its_probe_at_the_probes_own_timeout() {
        assert_eq!(outcome(None, "").await, Err("timed out after 200ms".to_owned()));
        let half = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhello";
        assert!(outcome(Some(half), "").await.is_err(), "an answer that never ends is none");
    }

    #[tokio::test]
    async fn an_answer_is_judged_by_status_and_words() {
        assert_eq!(outcome(Some(GOOD), "").await, Ok(None));
        assert_eq!(outcome(Some(GOOD), ", body_contains: hell").await, Ok(None));
        assert!(outcome(Some(GOOD), ", body_contains: heaven").await.is_err());
        let wrong = outcome(Some(GOOD), ", status: 204").await;
        assert_eq!(wrong, Err("answered 200, expected 204".to_owned()));
    }
}
