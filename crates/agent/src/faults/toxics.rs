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
    let sent = match toxics {
        Toxics { limit_data: Some(limit), .. } => limit.0 + 1,
        Toxics { slicer: Some(slicer), .. } => slicer.average_size.0 * SLICES,
        Toxics { bandwidth: Some(bandwidth), .. } => bandwidth.0 / BANDWIDTH_PART,
        _ => SENT,
    };
    let sent = sent.clamp(SENT, SENT_MAX);
    let mut late = Duration::ZERO;
    if let Some(HumanDuration(latency)) = toxics.latency {
        let jitter = toxics.jitter.map_or(Duration::ZERO, |jitter| jitter.0);
        late = late.max(latency.saturating_sub(jitter)).max(latency / 2);
    }
    if let Some(bandwidth) = toxics.bandwidth {
        late = late.max(Duration::from_secs_f64(sent as f64 / bandwidth.0 as f64 / 2.0));
    }
    if let Some(slicer) = &toxics.slicer {
        late = late.max(slicer.delay.0);
    }
    let sent = sent as usize;
    let sight = match toxics {
        Toxics { reset_peer: Some(_), .. } => Sight::Reset,
        Toxics { timeout: Some(_), .. } => Sight::Silence,
        Toxics { limit_data: Some(limit), .. } => Sight::EndsAfter(limit.as_usize()),
        _ => Sight::Late(late),
    };
    Expected { sent, sight }
}

#[cfg(test)]
mod tests {
    use model::ByteSize;
    use model::fault::{Slicer, Stream};

    use super::*;

    fn some(millis: u64) -> Option<HumanDuration> {
        Some(HumanDuration::from_millis(millis))
    }

    #[test]
    fn toxics_are_written_with_toxiproxys_names_and_units() {
        let toxics = Toxics {
            latency: some(2_000),
            jitter: some(100),
            bandwidth: Some(ByteSize(64_000)),
            slicer: Some(Slicer {
                average_size: ByteSize(64),
                size_variation: ByteSize(8),
                delay: HumanDuration::from_millis(10),
            }),
            limit_data: Some(ByteSize(9)),
            timeout: some(0),
            reset_peer: some(5),
            stream: Stream::Upstream,
            toxicity: Some(0.5),
            down: false,
        };
        let all = json(&toxics, "immune-");
        let told: Vec<String> = all
            .iter()
            .map(|toxic| {
                assert_eq!(
                    (&toxic["stream"], &toxic["toxicity"]),
                    (&json!("upstream"), &json!(0.5))
                );
                format!("{} {}", toxic["name"], toxic["attributes"])
            })
            .collect();
        assert_eq!(
            told,
            [
                r#""immune-latency" {"jitter":100,"latency":2000}"#,
                r#""immune-bandwidth" {"rate":64}"#,
                r#""immune-slicer" {"average_size":64,"delay":10000,"size_variation":8}"#,
                r#""immune-limit_data" {"bytes":9}"#,
                r#""immune-timeout" {"timeout":0}"#,
                r#""immune-reset_peer" {"timeout":5}"#,
            ]
        );
    }

    #[test]
    fn what_is_expected_is_less_than_what_a_toxic_does() {
        let none = Toxics::default;
        let late = |millis| Sight::Late(Duration::from_millis(millis));
        for (toxics, sent, sight) in [
            (Toxics { latency: some(200), ..none() }, 64, late(200)),
            (Toxics { latency: some(200), jitter: some(50), ..none() }, 64, late(150)),
            (Toxics { latency: some(200), jitter: some(900), ..none() }, 64, late(100)),
            (Toxics { bandwidth: Some(ByteSize(8_000)), ..none() }, 2_000, late(125)),
            (Toxics { limit_data: Some(ByteSize(100)), ..none() }, 101, Sight::EndsAfter(100)),
            (Toxics { latency: some(9), timeout: some(0), ..none() }, 64, Sight::Silence),
            (Toxics { reset_peer: some(1), ..none() }, 64, Sight::Reset),
        ] {
            assert_eq!(expected(&toxics), Expected { sent, sight }, "{toxics}");
        }
    }
}
