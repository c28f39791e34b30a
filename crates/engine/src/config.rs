//! What the loop needs to know, composed of what each part owns.

use std::time::Duration;

use model::human::HumanDuration;
use serde::{Deserialize, Serialize};

/// Everything in here is an input of the loop and recorded with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub observe: observe::Config,
    pub detect: detect::Config,
    pub diagnose: diagnose::Config,
    pub remediate: remediate::Config,
    /// What may be acted upon.
    pub targets: Vec<remediate::Target>,
    pub catch_up: CatchUp,
}

/// What counts as an outage of Immune itself, and how long it stays calm afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CatchUp {
    /// A step later than this after the one before means that Immune was away or the clock jumped.
    pub gap: HumanDuration,
    /// For this long after a gap no new incident is opened and nothing is healed.
    pub calm: HumanDuration,
}

impl Default for CatchUp {
    fn default() -> Self {
        CatchUp { gap: HumanDuration::from_secs(15), calm: HumanDuration::from_secs(30) }
    }
}

impl CatchUp {
    pub(crate) fn is_gap(&self, passed: Duration) -> bool {
        passed > self.gap.0
    }
}
