//! Symptoms: user-visible trouble of one entity. Only these open incidents.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::tick::Exemplar;
use crate::time::Timestamp;

/// User-visible trouble, with what was measured and against which limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Symptom {
    pub entity: Entity,
    pub kind: SymptomKind,
    /// Name of the SLO, probe or alert that tells of it.
    pub source: String,
    pub severity: Severity,
    /// When the harm began, as far as telemetry tells: end of the first failed request of this
    /// trouble.
    pub onset: Timestamp,
    /// When Immune was sure.
    pub detected: Timestamp,
    /// When users' figures were well again for the first time since (not yet held).
    pub recovering_since: Option<Timestamp>,
    /// Share of bad requests, seconds, or requests per second: see `unit`. Last measured while it
    /// lasted.
    pub measured: f64,
    pub threshold: f64,
    /// `ratio`, `seconds`, `per_second`, `failures`, `alerts`.
    pub unit: String,
    /// Bad and all requests since onset.
    pub bad: f64,
    pub total: f64,
    pub error_kinds: Vec<(String, f64)>,
    pub exemplar: Option<Exemplar>,
    /// What to do about it, where an alert says so; else empty.
    #[serde(default)]
    pub runbook_url: String,
    /// One sentence: `21 % of requests to storefront failed in 10 s, objective 99 %`.
    pub summary: String,
}

/// What identifies a symptom while it lasts.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct SymptomKey {
    pub entity: Entity,
    pub kind: SymptomKind,
    pub source: String,
}

impl Symptom {
    pub fn key(&self) -> SymptomKey {
        SymptomKey { entity: self.entity.clone(), kind: self.kind, source: self.source.clone() }
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SymptomKind {
    /// Requests fail faster than the availability objective allows.
    AvailabilityBurn,
    /// Requests are slower than the latency objective allows.
    LatencyBurn,
    /// A probe fails.
    ProbeFailing,
    /// Requests are begun and do not end.
    Stalled,
    /// Traffic that was steady is gone although the service is still heard of.
    AbsentTraffic,
    /// An alert of another system fires.
    Alert,
    /// It serves its callers, but its telemetry does not arrive any more.
    Blind,
    /// Something of which there is only so much is used up before long.
    Exhaustion,
    /// A certificate is about to expire.
    Certificate,
}

impl SymptomKind {
    pub const ALL: &[SymptomKind] = &[
        SymptomKind::AvailabilityBurn,
        SymptomKind::LatencyBurn,
        SymptomKind::ProbeFailing,
        SymptomKind::Stalled,
        SymptomKind::AbsentTraffic,
        SymptomKind::Alert,
        SymptomKind::Blind,
        SymptomKind::Exhaustion,
        SymptomKind::Certificate,
    ];

    /// Did Immune itself measure that users are hurt?
    pub fn is_measured(self) -> bool {
        use SymptomKind::{Alert, Blind, Certificate, Exhaustion};
        !matches!(self, Alert | Blind | Exhaustion | Certificate)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            SymptomKind::AvailabilityBurn => "availability_burn",
            SymptomKind::LatencyBurn => "latency_burn",
            SymptomKind::ProbeFailing => "probe_failing",
            SymptomKind::Stalled => "stalled",
            SymptomKind::AbsentTraffic => "absent_traffic",
            SymptomKind::Alert => "alert",
            SymptomKind::Blind => "blind",
            SymptomKind::Exhaustion => "exhaustion",
            SymptomKind::Certificate => "certificate",
        }
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Work for the day.
    Ticket,
    /// Users are hurt now.
    Page,
}

/// What the detectors say of one tick.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Every symptom that is firing after this tick, sorted by key.
    pub firing: Vec<Symptom>,
    /// Symptoms that ended in this tick, with the time at which their recovery was held long
    /// enough.
    pub cleared: Vec<(SymptomKey, Timestamp)>,
    /// How each objective's entity fares by users' figures right now, sorted by source then entity.
    pub objectives: Vec<ObjectiveState>,
}

/// One objective (configured or default) as of one tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectiveState {
    pub source: String,
    pub entity: Entity,
    pub kind: SymptomKind,
    /// 0–1.
    pub objective: f64,
    /// For latency objectives, the limit in seconds.
    pub threshold_seconds: Option<f64>,
    pub health: Health,
    /// Share of good requests in the last minute, where there were any.
    pub good_ratio_1m: Option<f64>,
    /// Requests in the last minute.
    pub requests_1m: f64,
    /// Burn rates of the budget over (5 min, 1 h, 6 h, 3 d).
    pub burn: [Option<f64>; 4],
    /// Share of the error budget of three days that is left, below zero when overdrawn. What was
    /// not yet seen of the three days counts as well served at the same rate.
    pub budget_left: Option<f64>,
    /// Last time that the figures were bad.
    pub last_bad: Option<Timestamp>,
}

/// "No traffic" and "no data" are neither health nor trouble.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, PartialOrd, Ord,
)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Too little was seen to judge.
    Learning,
    Well,
    Burning,
    /// Nothing was asked of it, and it is heard of.
    NoTraffic,
    /// Nothing is heard of it.
    NoData,
}
