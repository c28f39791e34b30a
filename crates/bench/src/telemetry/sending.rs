//! Sends prepared requests: as fast as a server answers (closed loop), or at a rate of its own
//! whatever the server does (open loop).
//!
//! In the open loop each request has its moment, and its latency counts from that moment, not from
//! when a connection was free for it: a slow answer shows in all that had to wait for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::folder::Protocol;
use super::line::{Line, Prepared, Verdict};
use crate::serving::Listening;

/// More failures than this end the sending: something is wrong.
const FAILURES_MAX: usize = 100;
/// A server that asks for more patience is asked again all the same.
const PATIENCE: Duration = Duration::from_secs(2);
const RECONNECT_WITHIN: Duration = Duration::from_secs(60);
const RECONNECT_EVERY: Duration = Duration::from_millis(100);

/// How requests follow each other.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// The next when the last is answered, until all are sent or the time is over.
    Closed { lasts: Duration },
    /// So many requests a second.
    Open { per_s: f64 },
    /// The same, again and again for some time, and whatever fails.
    Flood { per_s: f64, lasts: Duration },
}

/// How many requests can be on their way at a time.
#[derive(Clone, Copy, Debug)]
pub struct Width {
    /// Of each protocol that the requests need.
    pub connections: usize,
    /// Requests at a time on each connection of gRPC; over HTTP/1.1 it is one.
    pub streams: usize,
}

impl Width {
    /// One request at a time on each connection.
    pub fn of(connections: usize) -> Width {
        Width { connections, streams: 1 }
    }
}

/// What became of all requests.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    pub requests: usize,
    pub items: usize,
    pub samples: usize,
    pub raw_bytes: usize,
    pub rejected: u64,
    pub refused: usize,
    /// By status: of HTTP 429 or 503, of gRPC 8 or 14.
    pub refused_with: BTreeMap<u16, usize>,
    /// Refused without a word of when to come again.
    pub refused_rudely: usize,
    pub failed: usize,
    /// Why the first of them failed.
    pub failures: Vec<String>,
    pub took: Duration,
    /// Of the requests that were taken.
    pub latencies_ms: Vec<f64>,
}

impl Sent {
    pub fn add(&mut self, other: Sent) {
        self.requests += other.requests;
        self.items += other.items;
        self.samples += other.samples;
        self.raw_bytes += other.raw_bytes;
        self.rejected += other.rejected;
        self.refused += other.refused;
        for (status, count) in other.refused_with {
            *self.refused_with.entry(status).or_default() += count;
        }
        self.refused_rudely += other.refused_rudely;
        self.failed += other.failed;
        let room = FAILURES_MAX.saturating_sub(self.failures.len());
        self.failures.extend(other.failures.into_iter().take(room));
        self.latencies_ms.extend(other.latencies_ms);
    }

    /// Requests that were answered, or that failed.
    pub fn tried(&self) -> usize {
        self.requests + self.refused + self.failed
    }

    pub fn per_s(&self, count: usize) -> f64 {
        count as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Requests of one protocol, taken by its connections one after the other.
struct Queue {
    all: Arc<Vec<Prepared>>,
    /// Places of the protocol's requests among all.
    places: Vec<usize>,
    next: AtomicUsize,
}

/// Sends all requests, each over the next line that is free.
pub async fn send(
    at: Listening,
    all: Arc<Vec<Prepared>>,
    width: Width,
    pace: Pace,
) -> Result<Sent> {
    let mut lines = Vec::new();
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let is_of = |place: &usize| all[*place].protocol == protocol;
        let places: Vec<usize> = (0..all.len()).filter(is_of).collect();
        if places.is_empty() {
            continue;
        }
        let queue = Arc::new(Queue { all: all.clone(), places, next: AtomicUsize::new(0) });
        for _ in 0..width.connections {
            let line = Line::open(at, protocol).await?;
            let beside = (1..width.streams).map_while(|_| line.beside()).collect::<Vec<_>>();
            let each = std::iter::once(line).chain(beside);
            lines.extend(each.map(|line| (line, protocol, queue.clone())));
        }
    }
    let begin = Instant::now();
    let mut senders = JoinSet::new();
    for (line, protocol, queue) in lines {
        senders.spawn(one(line, at, protocol, queue, begin, pace));
    }
    let mut sent = Sent::default();
    while let Some(ended) = senders.join_next().await {
        sent.add(ended.context("a sender panicked")??);
    }
    sent.took = begin.elapsed();
    Ok(sent)
}

async fn one(
    mut line: Line,
    at: Listening,
    protocol: Protocol,
    queue: Arc<Queue>,
    begin: Instant,
    pace: Pace,
) -> Result<Sent> {
    let mut sent = Sent::default();
    while let Some((prepared, due)) = queue.take(begin, pace) {
        sleep_until(due).await;
        match line.send(prepared).await {
            Verdict::Taken { rejected } => {
                sent.requests += 1;
                sent.items += prepared.items;
                sent.samples += prepared.samples;
                sent.raw_bytes += prepared.raw_bytes;
                sent.rejected += rejected;
                sent.latencies_ms.push(due.elapsed().as_secs_f64() * 1_000.0);
            }
            Verdict::Refused { status, retry_after } => {
                sent.refused += 1;
                *sent.refused_with.entry(status).or_default() += 1;
                sent.refused_rudely += usize::from(retry_after.is_none());
                if matches!(pace, Pace::Closed { .. }) {
                    sleep(retry_after.unwrap_or(PATIENCE).min(PATIENCE)).await;
                }
            }
            Verdict::Failed(why) => {
                sent.failed += 1;
                if sent.failures.len() < FAILURES_MAX {
                    sent.failures.push(why);
                }
                let flooding = matches!(pace, Pace::Flood { .. });
                let too_often = sent.failed >= FAILURES_MAX && !flooding;
                ensure!(!too_often, "sending fails: {:?}", sent.failures.last());
                if !line.is_open() {
                    line = reopened(at, protocol, flooding).await?;
                }
            }
        }
    }
    Ok(sent)
}

/// A flooded server may take no connections for a while.
async fn reopened(at: Listening, protocol: Protocol, patiently: bool) -> Result<Line> {
    let deadline = Instant::now() + RECONNECT_WITHIN;
    loop {
        match Line::open(at, protocol).await {
            Ok(line) => return Ok(line),
            Err(error) if !patiently || Instant::now() > deadline => return Err(error),
            Err(_) => sleep(RECONNECT_EVERY).await,
        }
    }
}

impl Queue {
    /// The next request and its moment; `None` when the sending is over.
    fn take(&self, begin: Instant, pace: Pace) -> Option<(&Prepared, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match pace {
            Pace::Closed { lasts } if begin.elapsed() >= lasts => return None,
            Pace::Closed { .. } => Instant::now(),
            Pace::Open { per_s } => {
                begin + Duration::from_secs_f64(*self.places.get(number)? as f64 / per_s)
            }
            Pace::Flood { per_s, lasts } => {
                // This protocol's share of the rate.
                let share = self.places.len() as f64 / self.all.len() as f64;
                let due = Duration::from_secs_f64(number as f64 / (per_s * share));
                if due >= lasts || begin.elapsed() >= lasts {
                    return None;
                }
                let place = self.places[number % self.places.len()];
                return Some((&self.all[place], begin + due));
            }
        };
        let place = *self.places.get(number)?;
        Some((&self.all[place], due))
    }
}
