//! What users may set: objectives, how sure to be before paging, probes.
//!
//! Plain data with defaults; `Config::validate` (in `validate`) checks what types cannot. The
//! probes are described here because their judgement lives here; the server carries them out.

use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::inspections::Spec;

/// Something in the configuration that cannot be meant so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, from the top of this part: `slos[2].objective`.
    pub path: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

/// Detection: when users count as hurt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Objectives that were agreed on. One of a kind on a service replaces the default of that
    /// kind.
    pub slos: Vec<Slo>,
    /// Objectives for every service with traffic that has none of its own.
    pub default_slo: DefaultSlo,
    /// The fast tier: sudden harm.
    pub fast: Fast,
    /// The burn-rate tier: slow harm.
    pub burn: Burn,
    /// Probes that Immune carries out itself.
    pub probes: Vec<Probe>,
    /// Completions that cease while requests are still begun.
    pub stalled: Stalled,
    /// Traffic that vanishes while the service is still heard of.
    pub absent_traffic: AbsentTraffic,
    /// Users' figures must be well for this long, with real traffic, before a symptom ends.
    pub clear_after: HumanDuration,
    /// A service without requests for this long has "no traffic".
    pub no_traffic_after: HumanDuration,
    /// A service of which nothing was heard for this long has "no data".
    pub no_data_after: HumanDuration,
    /// The inspection that is left out, by its id: no setting, see `engine::parts`.
    #[serde(skip)]
    pub without: Option<&'static str>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            slos: Vec::new(),
            default_slo: DefaultSlo::default(),
            fast: Fast::default(),
            burn: Burn::default(),
            probes: Vec::new(),
            stalled: Stalled::default(),
            absent_traffic: AbsentTraffic::default(),
            clear_after: HumanDuration::from_secs(60),
            no_traffic_after: HumanDuration::from_secs(60),
            no_data_after: HumanDuration::from_secs(120),
            without: None,
        }
    }
}

impl Config {
    pub(crate) fn inspects(&self, inspection: &Spec) -> bool {
        self.without != Some(inspection.id)
    }
}

/// One service level objective. Exactly one of `availability` and `latency` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    pub name: String,
    pub service: String,
    /// Absent: every environment, each judged on its own.
    #[serde(default)]
    pub environment: Option<String>,
    /// Absent: all operations of the service together.
    #[serde(default)]
    pub operation: Option<String>,
    /// Percent of requests that must be good, 93.06 to below 100.
    pub objective: f64,
    #[serde(default)]
    pub availability: Option<Availability>,
    #[serde(default)]
    pub latency: Option<Latency>,
    /// Period over which the error budget is counted.
    #[serde(default = "default_window")]
    pub window: HumanDuration,
}

pub(crate) fn default_window() -> HumanDuration {
    HumanDuration::from_secs(28 * 86_400)
}

/// A request is good when it did not fail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Availability {}

/// A request that did not fail is good when it took at most `threshold`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    pub threshold: HumanDuration,
}

/// Objectives for services that nobody wrote one for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DefaultSlo {
    pub enabled: bool,
    /// Percent of requests that must not fail.
    pub objective: f64,
    pub latency: DefaultLatency,
}

impl Default for DefaultSlo {
    fn default() -> Self {
        DefaultSlo { enabled: true, objective: 99.0, latency: DefaultLatency::default() }
    }
}

/// A latency objective whose threshold is learned from quiet traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DefaultLatency {
    pub enabled: bool,
    /// Traffic without incident that must have been seen first.
    pub learn_for: HumanDuration,
    /// Requests without incident that must have been seen first.
    pub learn_requests: u64,
    /// Percent of requests that must be within the learned threshold.
    pub objective: f64,
}

impl Default for DefaultLatency {
    fn default() -> Self {
        DefaultLatency {
            enabled: true,
            learn_for: HumanDuration::from_secs(30 * 60),
            learn_requests: 1_000,
            objective: 99.0,
        }
    }
}

/// The fast tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Fast {
    /// How many false pages one objective may cause in a year while it is just kept.
    pub false_pages_per_year: f64,
    /// Bad requests that must have been seen, however unlikely they are.
    pub bad_requests_min: u64,
}

impl Default for Fast {
    fn default() -> Self {
        Fast { false_pages_per_year: 0.1, bad_requests_min: 5 }
    }
}

/// The burn-rate tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Burn {
    pub enabled: bool,
    /// Bad requests that the long window must hold.
    pub bad_requests_min: u64,
}

impl Default for Burn {
    fn default() -> Self {
        Burn { enabled: true, bad_requests_min: 10 }
    }
}

/// A probe. Exactly one of `http` and `tcp` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    pub name: String,
    /// The service whose users are hurt when it fails.
    pub service: String,
    #[serde(default = "default_environment")]
    pub environment: String,
    #[serde(default)]
    pub http: Option<HttpProbe>,
    #[serde(default)]
    pub tcp: Option<TcpProbe>,
    #[serde(default = "default_interval")]
    pub interval: HumanDuration,
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// Failures in a row that make a symptom.
    #[serde(default = "default_failures")]
    pub failures: u32,
}

fn default_environment() -> String {
    "default".to_owned()
}

fn default_interval() -> HumanDuration {
    HumanDuration::from_secs(5)
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(2)
}

fn default_failures() -> u32 {
    3
}

/// Succeeds when the answer has the status (and, where given, the text).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    pub url: String,
    #[serde(default = "default_status")]
    pub status: u16,
    /// Text that the first 64 KiB of the body must contain.
    #[serde(default)]
    pub body_contains: Option<String>,
}

fn default_status() -> u16 {
    200
}

/// Succeeds when a connection is accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TcpProbe {
    /// `host:port`.
    pub address: String,
}

/// Completions that cease.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stalled {
    pub enabled: bool,
    /// Requests in flight, beyond those that always are, that must be waiting.
    pub in_flight_min: u64,
    /// How long a service must have completed nothing while requests wait.
    pub silent_for: HumanDuration,
    /// How long an operation or call must have completed nothing while the others go on.
    pub share_silent_for: HumanDuration,
    /// How long an operation or call must have been known before its silence means anything.
    pub learn_for: HumanDuration,
    /// Completions that must have been seen before its silence means anything.
    pub learn_completions: u64,
}

impl Default for Stalled {
    fn default() -> Self {
        Stalled {
            enabled: true,
            in_flight_min: 3,
            silent_for: HumanDuration::from_secs(10),
            share_silent_for: HumanDuration::from_secs(15),
            learn_for: HumanDuration::from_secs(300),
            learn_completions: 200,
        }
    }
}

/// Traffic that vanishes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AbsentTraffic {
    pub enabled: bool,
    /// How long traffic must have been seen before its absence means anything.
    pub learn_for: HumanDuration,
    /// How long it must be gone.
    pub absent_for: HumanDuration,
    /// Requests that were to be expected in that time.
    pub expected_requests_min: u64,
}

impl Default for AbsentTraffic {
    fn default() -> Self {
        AbsentTraffic {
            enabled: true,
            learn_for: HumanDuration::from_secs(600),
            absent_for: HumanDuration::from_secs(60),
            expected_requests_min: 100,
        }
    }
}
