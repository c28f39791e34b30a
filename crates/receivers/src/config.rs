//! Where OTLP is received, from whom, and how much of it at a time.

use std::net::SocketAddr;

use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use model::ByteSize;

/// Configuration of the receivers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// OpenTelemetry's own protocol, traces, metrics and logs.
    pub otlp: Otlp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// Address of OTLP/gRPC.
    pub grpc: SocketAddr,
    /// Address of OTLP/HTTP (protobuf and JSON).
    pub http: SocketAddr,
    pub limits: Limits,
    /// Origins of web pages that may send telemetry (`https://shop.example`, or `*` for any),
    /// besides those on this machine.
    pub cors_origins: Vec<String>,
    /// Names under which clients may address a receiver that listens on loopback, besides loopback
    /// names and addresses: those of a proxy before it, for example.
    pub hosts: Vec<String>,
}

/// Bounds on what is taken at a time. What is over them is refused so that clients retry, and
/// counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest request body as sent.
    pub compressed: ByteSize,
    /// Largest request body once decompressed, up to 127MiB.
    pub decompressed: ByteSize,
    /// Bytes of all request bodies held at a time, both as sent and decompressed.
    pub in_flight_bytes: ByteSize,
    /// Memory of all decoded requests held at a time; one may hold a quarter of it.
    pub decoded_bytes: ByteSize,
    /// Requests worked on at a time.
    pub in_flight_requests: u32,
    /// Open connections of each of the two receivers.
    pub connections: u32,
    /// Time a client has to send the whole body.
    pub body_timeout: HumanDuration,
    /// Time after which a connection on which nothing arrives is closed.
    pub idle_timeout: HumanDuration,
}

impl Default for Otlp {
    fn default() -> Self {
        Otlp {
            grpc: SocketAddr::from(([127, 0, 0, 1], 4317)),
            http: SocketAddr::from(([127, 0, 0, 1], 4318)),
            limits: Limits::default(),
            cors_origins: Vec::new(),
            hosts: Vec::new(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            compressed: ByteSize::mib(20),
            decompressed: ByteSize::mib(64),
            in_flight_bytes: ByteSize::mib(192),
            decoded_bytes: ByteSize::mib(256),
            in_flight_requests: 256,
            connections: 512,
            body_timeout: HumanDuration::from_secs(30),
            idle_timeout: HumanDuration::from_secs(300),
        }
    }
}

/// Part of the memory for decoded requests that one may hold.
const DECODED_SHARE: usize = 4;

/// Least memory for decoded requests: a quarter of less would refuse requests of everyday size.
const DECODED_BYTES_MIN: ByteSize = ByteSize::mib(16);

/// Largest body once decompressed: above it the input log cannot take one.
const DECOMPRESSED_MAX: ByteSize = ByteSize::mib(127);

/// Least memory that receivers get along with.
pub const BUDGET_MIN: ByteSize = ByteSize::mib(32);

/// What one idle or slow connection holds in buffers, about.
const CONNECTION_BYTES: u64 = 64 << 10;

impl Limits {
    /// Bounds for receivers that may hold `budget` bytes in all, at least [`BUDGET_MIN`]: half for
    /// decoded requests, three eighths for bodies under way, the rest for connections. Never more
    /// than the default bounds: what is over can be of use elsewhere.
    pub fn within(budget: ByteSize) -> Self {
        let most = Limits::default();
        let budget = budget.max(BUDGET_MIN);
        let part = |eighths: u64| ByteSize(budget.0 / 8 * eighths);
        let in_flight_bytes = most.in_flight_bytes.min(part(3));
        let decompressed = most.decompressed.min(ByteSize(in_flight_bytes.0 / 2));
        let connections = part(1).0 / CONNECTION_BYTES / Self::LISTENERS;
        Limits {
            compressed: most.compressed.min(decompressed),
            decompressed,
            in_flight_bytes,
            decoded_bytes: most.decoded_bytes.min(part(4)),
            connections: most.connections.min(connections as u32),
            ..most
        }
    }

    /// The lower of both bounds, each.
    pub fn at_most(&self, other: &Limits) -> Limits {
        Limits {
            compressed: self.compressed.min(other.compressed),
            decompressed: self.decompressed.min(other.decompressed),
            in_flight_bytes: self.in_flight_bytes.min(other.in_flight_bytes),
            decoded_bytes: self.decoded_bytes.min(other.decoded_bytes),
            in_flight_requests: self.in_flight_requests.min(other.in_flight_requests),
            connections: self.connections.min(other.connections),
            ..self.clone()
        }
    }

    /// The most memory that receivers within these bounds hold, about.
    pub fn memory(&self) -> ByteSize {
        let connections = u64::from(self.connections) * Self::LISTENERS * CONNECTION_BYTES;
        ByteSize(
            self.in_flight_bytes.0.saturating_add(self.decoded_bytes.0).saturating_add(connections),
        )
    }

    /// OTLP/gRPC and OTLP/HTTP.
    const LISTENERS: u64 = 2;

    /// Memory that one decoded request may hold.
    pub(crate) fn decoded_share(&self) -> usize {
        self.decoded_bytes.as_usize() / DECODED_SHARE
    }
}

/// Most requests or connections that may be configured: each costs memory.
const COUNT_MAX: u32 = 100_000;

impl Config {
    /// What is wrong with the values taken together; each message begins with the place.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let limits = &self.otlp.limits;
        let largest = limits.compressed.0.saturating_add(limits.decompressed.0);
        if limits.in_flight_bytes.0 < largest {
            problems.push(format!(
                "otlp.limits.in_flight_bytes: {} is less than one request may need ({}, compressed \
                 and decompressed together); raise it",
                limits.in_flight_bytes,
                ByteSize(largest)
            ));
        }
        if limits.decoded_bytes.0 < DECODED_BYTES_MIN.0 {
            problems.push(format!(
                "otlp.limits.decoded_bytes: {} is less than {DECODED_BYTES_MIN}; raise it",
                limits.decoded_bytes
            ));
        }
        // gRPC and HTTP/2 carry lengths of 32 bits.
        let largest = ByteSize(u64::from(u32::MAX));
        for (name, size, max) in [
            ("compressed", limits.compressed, largest),
            ("decompressed", limits.decompressed, DECOMPRESSED_MAX),
        ] {
            if size.0 == 0 || size.0 > max.0 {
                problems.push(format!("otlp.limits.{name}: {size} is not between 1B and {max}"));
            }
        }
        for (name, count) in
            [("in_flight_requests", limits.in_flight_requests), ("connections", limits.connections)]
        {
            if !(1..=COUNT_MAX).contains(&count) {
                problems.push(format!("otlp.limits.{name}: {count} is not in 1–{COUNT_MAX}"));
            }
        }
        for (name, time) in
            [("body_timeout", limits.body_timeout), ("idle_timeout", limits.idle_timeout)]
        {
            if time.0.is_zero() {
                problems.push(format!("otlp.limits.{name}: zero would close every connection"));
            }
        }
        for origin in &self.otlp.cors_origins {
            let bare = origin.split_once("://").is_some_and(|(_, host)| !host.contains('/'));
            if origin != "*" && !bare {
                problems.push(format!(
                    "otlp.cors_origins: `{origin}` is not an origin; write for example \
                     https://shop.example, without a path"
                ));
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_has_no_problems_and_reads_back() {
        let config = Config::default();
        assert_eq!(config.problems(), Vec::<String>::new());
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
        assert!(text.contains("\"decompressed\":\"64MiB\""), "{text}");
    }

    #[test]
    fn limits_keep_within_any_budget_and_never_contradict_themselves() {
        for mebibytes in [0, 1, 31, 32, 33, 48, 100, 128, 256, 512, 513, 4096, 1 << 20] {
            let budget = ByteSize::mib(mebibytes);
            let limits = Limits::within(budget);
            assert!(limits.memory() <= budget.max(BUDGET_MIN), "{budget}: {limits:?}");
            let config = Config { otlp: Otlp { limits, ..Otlp::default() } };
            assert_eq!(config.problems(), Vec::<String>::new(), "{budget}");
        }
        assert_eq!(Limits::within(ByteSize::mib(4096)), Limits::default());
        assert!(Limits::within(ByteSize::mib(128)).decompressed >= ByteSize::mib(20));
    }

    #[test]
    fn contradictions_are_named_with_their_place() {
        let text = r#"{"otlp": {"limits": {"in_flight_bytes": "1MiB", "connections": 0,
            "decoded_bytes": "1MiB", "decompressed": "128MiB", "body_timeout": "0s"},
            "cors_origins": ["shop.example"]}}"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let problems = config.problems();
        let wrong = ["in_flight_bytes", "connections", "body_timeout", "cors_origins"];
        for place in wrong.into_iter().chain(["decoded_bytes", "decompressed: 128MiB"]) {
            assert!(
                problems.iter().any(|problem| problem.contains(place)),
                "{place}: {problems:?}"
            );
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_str::<Config>(r#"{"otlp": {"grcp": "[::1]:1"}}"#).is_err());
    }
}
