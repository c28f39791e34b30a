//! Incidents: symptoms that belong together, with impact, ranked causes, evidence and timeline.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entity::{Entity, Scope};
use crate::plan::PlanId;
use crate::symptom::Symptom;
use crate::tick::ProcessIdentity;
use crate::time::Timestamp;

/// Number of an incident, counted from 1 in the order of opening.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Incident {
    pub id: IncidentId,
    pub scope: Scope,
    pub state: IncidentState,
    /// One sentence: who is hurt and, once known, why.
    pub title: String,
    /// When the harm began.
    pub onset: Timestamp,
    pub opened: Timestamp,
    /// When users' figures were well again (start of the held recovery).
    pub mitigated: Option<Timestamp>,
    pub resolved: Option<Timestamp>,
    /// All that were ever part of it; those still firing are named in `firing`.
    pub symptoms: Vec<Symptom>,
    /// Indexes into `symptoms`.
    pub firing: Vec<u32>,
    /// Best first. Never empty: "unknown" is a cause kind.
    pub causes: Vec<Cause>,
    pub impact: Impact,
    pub plans: Vec<PlanId>,
    /// A person has to look: why. Empty when not.
    pub needs_human: String,
    /// Acknowledged by, if so.
    pub acknowledged_by: String,
    pub timeline: Vec<TimelineEntry>,
}

impl Incident {
    /// Symptoms that fire and say how users fare: those that were measured, or all of an incident
    /// in which nothing was. An alert of another system comes late and stays long, so beside
    /// figures it is no word on when users are well.
    pub fn telling(&self) -> impl Iterator<Item = &Symptom> {
        let is_measured = self.symptoms.iter().any(|symptom| symptom.kind.is_measured());
        let firing = self.firing.iter().filter_map(|at| self.symptoms.get(*at as usize));
        firing.filter(move |symptom| symptom.kind.is_measured() || !is_measured)
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum IncidentState {
    /// Users are hurt.
    Open,
    /// Users' figures are well again, not yet for long enough.
    Mitigated,
    /// Recovery held.
    Resolved,
}

impl IncidentState {
    pub fn as_str(self) -> &'static str {
        match self {
            IncidentState::Open => "open",
            IncidentState::Mitigated => "mitigated",
            IncidentState::Resolved => "resolved",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Impact {
    /// Requests that went wrong since onset, at the entity where most did.
    pub bad_requests: f64,
    pub requests: f64,
    /// Services with a symptom.
    pub services: Vec<Entity>,
}

/// One candidate cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    pub kind: CauseKind,
    pub entity: Entity,
    /// 0–1.
    pub confidence: f64,
    pub onset: Timestamp,
    /// One sentence: `payment-1 crashed: its process 4121 is gone and calls to it are refused`.
    pub summary: String,
    pub evidence: Vec<Evidence>,
    /// The process that the cause speaks of, for a remedy to be checked against.
    pub process: Option<ProcessIdentity>,
}

/// Fixed vocabulary that remedies refer to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A process that should run is gone.
    Crash,
    /// An instance is no longer heard of and does not answer; why is not known.
    Silent,
    /// The memory of a process only grows, and requests to it suffer.
    Leak,
    /// One instance is much slower than its siblings, or fails far more often.
    Outlier,
    /// Something called that we cannot look into does not answer.
    DependencyDown,
    /// Answers take long between a caller and a callee that works as fast as ever.
    Network,
    /// A deploy, configuration or other change just before onset.
    Change,
    /// A transaction holds locks in a database that others have waited for too long.
    Lock,
    /// A file system has no room left.
    Disk,
    /// Users ask for more than can be served.
    Surge,
    /// Requests pile up in it and are refused while nothing that it calls got worse, or something
    /// that it has only so much of is used up.
    Saturation,
    /// The certificate that is shown is refused, most often because it has expired.
    Certificate,
    Unknown,
}

impl CauseKind {
    pub const ALL: &[CauseKind] = &[
        CauseKind::Crash,
        CauseKind::Silent,
        CauseKind::Leak,
        CauseKind::Outlier,
        CauseKind::DependencyDown,
        CauseKind::Network,
        CauseKind::Change,
        CauseKind::Lock,
        CauseKind::Disk,
        CauseKind::Surge,
        CauseKind::Saturation,
        CauseKind::Certificate,
        CauseKind::Unknown,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            CauseKind::Crash => "crash",
            CauseKind::Silent => "silent",
            CauseKind::Leak => "leak",
            CauseKind::Outlier => "outlier",
            CauseKind::DependencyDown => "dependency_down",
            CauseKind::Network => "network",
            CauseKind::Change => "change",
            CauseKind::Lock => "lock",
            CauseKind::Disk => "disk",
            CauseKind::Surge => "surge",
            CauseKind::Saturation => "saturation",
            CauseKind::Certificate => "certificate",
            CauseKind::Unknown => "unknown",
        }
    }
}

/// Something that a person can check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    pub kind: EvidenceKind,
    pub entity: Entity,
    pub at: Timestamp,
    /// One line with figures:
    /// `calls storefront -> orders: 118 of 118 refused (ECONNREFUSED), before 0 of 1,204`.
    pub summary: String,
    /// Does it speak for the cause, or against it?
    pub supports: bool,
    /// Hex trace id of an example, or empty.
    pub trace_id: String,
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// An agent's look at a process.
    Process,
    /// Failed or missing calls on an edge.
    Calls,
    /// An instance's telemetry.
    Instance,
    Change,
    Probe,
    /// An agent's look at a database or a disk.
    Condition,
    Topology,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TimelineEntry {
    pub at: Timestamp,
    pub text: String,
}
