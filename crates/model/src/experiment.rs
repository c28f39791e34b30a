//! Chaos experiments, drills, and the scorecard of a drill.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::fault::Fault;
use crate::human::HumanDuration;
use crate::incident::{CauseKind, IncidentId};
use crate::time::Timestamp;

/// An experiment file. A drill is an experiment that declares what Immune should have done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What is being shown, one line.
    pub title: String,
    /// Objectives that must be well before, and are watched during, the experiment.
    pub steady_state: SteadyState,
    /// Name of the target in configuration.
    pub target: String,
    /// What is done to it. Absent: a placebo, everything but the fault.
    #[serde(default)]
    pub fault: Option<Fault>,
    pub blast_radius: BlastRadius,
    /// After this the fault is undone, whatever happened.
    pub deadline: HumanDuration,
    /// Watching goes on this long after the fault took effect (or the placebo began).
    pub observe: HumanDuration,
    #[serde(default)]
    pub abort: Abort,
    /// What is right to do.
    pub expect: Expect,
    /// Log of the client whose requests tell what users felt (JSON lines).
    #[serde(default)]
    pub client_log: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SteadyState {
    /// Names of services whose objectives must be well (`service` or SLO names).
    pub slos: Vec<String>,
    /// How long they must have been well before the fault.
    #[serde(default = "default_steady_for")]
    pub held_for: HumanDuration,
}

fn default_steady_for() -> HumanDuration {
    HumanDuration::from_secs(10)
}

/// What the experiment may touch; it is refused when it would touch more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlastRadius {
    /// The target must lie in this environment.
    pub environment: String,
    /// Services that may be hurt; a symptom elsewhere aborts.
    pub services: Vec<String>,
    /// Refused when a larger share of the running instances of the target's service would be hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_max: Option<f64>,
}

/// Ends the experiment early; the fault is undone at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Abort {
    /// When this many of the client's requests in a row went wrong.
    #[serde(default)]
    pub harmed_requests: Option<u64>,
    /// When a service outside the blast radius has a symptom.
    #[serde(default = "yes")]
    pub outside_blast_radius: bool,
    /// When an objective of the steady state has not been well for this long without a break. Of
    /// an objective that tells nothing nobody knows that it is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_well_for: Option<HumanDuration>,
}

impl Default for Abort {
    fn default() -> Self {
        Abort { harmed_requests: None, outside_blast_radius: true, not_well_for: None }
    }
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub decision: Decision,
    /// The cause that should come first. Absent: no incident is expected at all.
    #[serde(default)]
    pub cause: Option<ExpectedCause>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedCause {
    pub kind: CauseKind,
    /// As `Display` of the entity: `orders`, `payment-1`.
    pub entity: String,
}

/// The right thing to do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Act, and users recover by it.
    Heal,
    /// Call a person, touch nothing.
    Escalate,
    /// Nothing is wrong that needs anybody.
    LeaveAlone,
}

impl Decision {
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::Heal => "heal",
            Decision::Escalate => "escalate",
            Decision::LeaveAlone => "leave_alone",
        }
    }
}

/// How a drill went. Times are absolute; `None` means it did not happen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Scorecard {
    pub title: String,
    pub fault: String,
    pub target: String,
    /// The drill ran to its end; else why not.
    pub aborted: Option<String>,
    /// Did the fault take effect, checked by something other than the injector?
    pub took_effect: Option<bool>,
    pub injected_at: Option<Timestamp>,
    pub effective_at: Option<Timestamp>,
    /// End of the first harmed request in the client's own log after the fault.
    pub first_harm_at: Option<Timestamp>,
    pub harmed_requests: u64,
    /// End of the last harmed request.
    pub last_harm_at: Option<Timestamp>,
    pub incident: Option<IncidentId>,
    pub detected_at: Option<Timestamp>,
    pub cause_first: Option<bool>,
    /// The first cause as it was named.
    pub cause: Option<String>,
    pub decision_expected: Option<Decision>,
    pub decision: Option<Decision>,
    pub decision_right: Option<bool>,
    pub acted_at: Option<Timestamp>,
    pub verified_at: Option<Timestamp>,
    /// Users recovered, by the client's log, before the fault was undone by the drill itself.
    pub healed: Option<Healed>,
    pub undone_at: Option<Timestamp>,
    /// Incidents in the drill's time that are not about its fault.
    pub false_pages: u64,
    /// All that was expected came true.
    pub passed: bool,
    /// What did not, one line each.
    pub failures: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Healed {
    /// By an action, before the fault's end.
    ByAction,
    /// Only because the fault ended.
    OnlyBecauseItEnded,
    /// Users never recovered while it was watched.
    NotHealed,
    /// Nobody was hurt.
    NoHarm,
}
