//! Toxics of faults as Toxiproxy takes them, and what a connection through them shows.

use std::time::Duration;

use model::fault::Toxics;
use model::human::HumanDuration;
use serde_json::{Value, json};

/// Bytes that are sent to see what becomes of them, where no toxic asks for more.
const SENT: u64 = 64;
const SENT_MAX: u64 = 17 << 20;
/// A part of a second of what passes in one.
const BANDWIDTH_PART: u64 = 4;
const SLICES: u64 = 4;

/// What is to be seen of a connection that sends so many bytes to somebody who sends them back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    pub sent: usize,
    pub sight: Sight,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    Reset,
    Silence,
    /// It ends when so many bytes have come back, or fewer.
    EndsAfter(usize),
    /// They all come back, and no sooner.
    Late(Duration),
}

/// The toxics, named so that they are known again.
pub fn json(toxics: &Toxics, prefix: &str) -> Vec<Value> {
    let ms = |time: HumanDuration| u64::try_from(time.0.as_millis()).unwrap_or(u64::MAX);
    let mut all = Vec::new();
    let mut add = |kind: &str, attributes: Value| {
        all.push(json!({
            "name": format!("{prefix}{kind}"),
            "type": kind,
            "stream": toxics.stream.as_str(),
            "toxicity": toxics.toxicity.unwrap_or(1.0),
            "attributes": attributes,
        }));
    };
    if let Some(latency) = toxics.latency {
        let jitter = toxics.jitter.map_or(0, ms);
        add("latency", json!({ "latency": ms(latency), "jitter": jitter }));
    }
    if let Some(bandwidth) = toxics.bandwidth {
        add("bandwidth", json!({ "rate": (bandwidth.0 / 1_000).max(1) }));
    }
    if let Some(slicer) = &toxics.slicer {
        add(
            "slicer",
            json!({
                "average_size": slicer.average_size.0,
                "size_variation": slicer.size_variation.0,
                "delay": ms(slicer.delay) * 1_000,
            }),
        );
    }
    if let Some(limit) = toxics.limit_data {
        add("limit_data", json!({ "bytes": limit.0 }));
    }
    if let Some(timeout) = toxics.timeout {
        add("timeout", json!({ "timeout": ms(timeout) }));
    }
    if let Some(timeout) = toxics.reset_peer {
        add("reset_peer", json!({ "timeout": ms(timeout) }));
    }
    all
}

pub fn expected(toxics: &Toxics) -> Expected {
    let mut sent = SENT;
    let mut late = Duration::ZERO;
    if let Some(HumanDuration(latency)) = toxics.latency {
        let jitter = toxics.jitter.map_or(Duration::ZERO, |jitter| jitter.0);
        late = late.max(latency.saturating_sub(jitter)).max(latency / 2);
    }
    if let Some(bandwidth) = toxics.bandwidth {
        sent = sent.max(bandwidth.0 / BANDWIDTH_PART);
        late = late.max(Duration::from_secs_f64(sent as f64 / bandwidth.0 as f64 / 2.0));
    }
    if let Some(slicer) = &toxics.slicer {
        sent = sent.max(slicer.average_size.0 * SLICES);
        late = late.max(slicer.delay.0);
    }
    if let Some(limit) = toxics.limit_data {
        sent = sent.max(limit.0 + 1);
    }
    let sent = sent.min(SENT_MAX) as usize;
    let sight = match toxics {
        Toxics { reset_peer: Some(_), .. } => Sight::Reset,
        Toxics { timeout: Some(_), .. } => Sight::Silence,
        Toxics { limit_data: Some(limit), .. } => Sight::EndsAfter(limit.as_usize()),
        _ => Sight::Late(late),
    };
    Expected { sent, sight }
}
