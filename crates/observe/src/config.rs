//! What can be set about observing, with defaults that suit telemetry of stock SDKs.
//!
//! Invariant: `Config` serialises in binary formats too, because it is part of the observer's
//! snapshot.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::trees::TreeLimits;

/// How telemetry becomes figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Environment of telemetry that names none in `deployment.environment.name`.
    pub default_environment: String,
    /// Call services `namespace/name` where `service.namespace` is set, instead of `name`.
    pub qualify_by_namespace: bool,
    /// Call databases `system/namespace@host:port` instead of `system/namespace`; for
    /// installations where several database servers of one environment hold databases of the same
    /// name.
    pub qualify_databases_by_address: bool,
    /// Routes and paths of health checks; requests to them are left out of users' figures.
    pub health_routes: Vec<String>,
    /// What counts as an error, for every service that does not say otherwise.
    pub errors: ErrorRules,
    /// Rules of single services, by name.
    pub services: BTreeMap<String, ServiceRules>,
    /// Spans that ended longer ago than this when they arrive are counted as late and not judged.
    pub late_after: HumanDuration,
    /// Names of services, operations, edges not heard of for this long are forgotten.
    pub forget_after: HumanDuration,
    pub limits: Limits,
    pub trees: TreeLimits,
}

/// What counts as an error. A rule that is absent falls back: service, then global, then built in.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorRules {
    /// HTTP status codes: `503`, `5xx`, `500-504`. Built in: `5xx`.
    pub http_statuses: Option<Vec<StatusRange>>,
    /// gRPC status codes by name. Built in: UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE,
    /// DATA_LOSS.
    pub grpc_statuses: Option<Vec<String>>,
    /// Does span status ERROR of a server or consumer span count where no status code decides?
    /// Built in: yes.
    pub span_status: Option<bool>,
}

/// Rules of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceRules {
    pub errors: ErrorRules,
    /// Operations (`GET /metrics`) left out of the service's figures.
    pub ignore_operations: Vec<String>,
}

/// Bounds on what is remembered. What does not fit is counted in `over_limit`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub environments: usize,
    /// Services, instances, databases, queues, peers and operations of all environments together.
    /// Operations take at most half of it, so that they never crowd out what they belong to.
    pub entities: usize,
    pub services: usize,
    /// Of all services together.
    pub instances: usize,
    /// Of one service; further ones, also those beyond half of `entities`, are counted under the
    /// operation `other`.
    pub operations_per_service: usize,
    /// Databases, queues and peers together.
    pub callees: usize,
    pub edges: usize,
    /// Cumulative metric streams whose last point is kept.
    pub metric_streams: usize,
    /// Recent client spans kept to find who answered them, and server spans that wait for their
    /// caller.
    pub recent_spans: usize,
    /// Calls kept until the end of the tick; beyond it they are counted at once.
    pub pending_calls: usize,
}

impl Default for Config {
    fn default() -> Self {
        let health_routes = ["/healthz", "/livez", "/readyz", "/health", "/ready", "/ping"];
        Config {
            default_environment: "default".to_owned(),
            qualify_by_namespace: false,
            qualify_databases_by_address: false,
            health_routes: health_routes.map(str::to_owned).to_vec(),
            errors: ErrorRules::default(),
            services: BTreeMap::new(),
            late_after: HumanDuration(Duration::from_secs(300)),
            forget_after: HumanDuration(Duration::from_secs(86_400)),
            limits: Limits::default(),
            trees: TreeLimits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            environments: 100,
            entities: 50_000,
            services: 10_000,
            instances: 10_000,
            operations_per_service: 2_000,
            callees: 10_000,
            edges: 10_000,
            metric_streams: 20_000,
            recent_spans: 65_536,
            pending_calls: 65_536,
        }
    }
}

/// Codes of one HTTP status rule, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    pub first: u16,
    pub last: u16,
}

impl StatusRange {
    pub const fn new(first: u16, last: u16) -> Self {
        StatusRange { first, last }
    }

    pub fn contains(self, status: u16) -> bool {
        (self.first..=self.last).contains(&status)
    }

    /// Reads `503`, `5xx` or `500-504`; the error says what was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is not an HTTP status; write for example 503, 5xx or 500-504");
        let code = |text: &str| match text.trim().parse::<u16>() {
            Ok(code) if (100..=599).contains(&code) => Ok(code),
            _ => Err(bad()),
        };
        if let Some(class) = text.strip_suffix("xx") {
            let first = code(&format!("{class}00"))?;
            return Ok(StatusRange::new(first, first + 99));
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = StatusRange::new(code(first)?, code(last)?);
        if range.first > range.last { Err(bad()) } else { Ok(range) }
    }
}

impl fmt::Display for StatusRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for StatusRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StatusRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // People write bare numbers; binary formats cannot say what comes next and hold the text.
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(StatusVisitor)
        } else {
            deserializer.deserialize_str(StatusVisitor)
        }
    }
}

struct StatusVisitor;

impl serde::de::Visitor<'_> for StatusVisitor {
    type Value = StatusRange;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP status such as 503, 5xx or 500-504")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<StatusRange, E> {
        StatusRange::parse(text).map_err(E::custom)
    }

    fn visit_u64<E: serde::de::Error>(self, code: u64) -> Result<StatusRange, E> {
        self.visit_str(&code.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, code: i64) -> Result<StatusRange, E> {
        self.visit_str(&code.to_string())
    }
}

impl JsonSchema for StatusRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HttpStatus".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "integer"],
            "examples": [503, "5xx", "500-504"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_status_rules_as_people_write_them() {
        assert_eq!(StatusRange::parse("5xx"), Ok(StatusRange::new(500, 599)));
        assert_eq!(StatusRange::parse("503"), Ok(StatusRange::new(503, 503)));
        assert_eq!(StatusRange::parse("500-504"), Ok(StatusRange::new(500, 504)));
        for text in ["", "xx", "9xx", "504-500", "five", "5x", "0", "é"] {
            assert!(StatusRange::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn survives_a_binary_snapshot() {
        let mut config = Config::default();
        let rules = ServiceRules {
            errors: ErrorRules {
                http_statuses: Some(vec![StatusRange::new(429, 429), StatusRange::new(500, 599)]),
                ..ErrorRules::default()
            },
            ignore_operations: vec!["GET /metrics".to_owned()],
        };
        config.services.insert("cart".to_owned(), rules);
        let bytes = postcard::to_stdvec(&config).unwrap();
        assert_eq!(postcard::from_bytes::<Config>(&bytes).unwrap(), config);
    }
}
