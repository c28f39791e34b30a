//! Settings of the diagnosis, as they stand in configuration under `diagnose`.
//!
//! Few on purpose: what a person may want to change per installation. Weights of the score are not
//! among them (see `score`): a result must mean the same everywhere.

use model::human::HumanDuration;
use serde::{Deserialize, Serialize};

use crate::pieces::Piece;

/// How symptoms are grouped and causes named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// A symptom joins an open incident when at most this lies between its onset and the incident's
    /// last activity.
    pub join_within: HumanDuration,
    /// And when at most this many calls lie between its entity and one of the incident's.
    pub join_hops: u32,
    /// An incident whose users were well for less than this is opened again when trouble returns.
    pub reopen_within: HumanDuration,
    /// A cause is named first only from this confidence on (0–1); below it, "unknown" is.
    pub cause_confidence_min: f64,
    /// Evidence that arrives later than this after the last symptom began changes no cause any
    /// more.
    pub late_evidence: HumanDuration,
    /// Ended incidents that are kept for reading.
    pub ended_kept: usize,
    /// What diagnosis is run without: no setting, see `pieces`.
    #[serde(skip)]
    pub without: Option<Piece>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            join_within: HumanDuration::from_secs(600),
            join_hops: 2,
            reopen_within: HumanDuration::from_secs(300),
            cause_confidence_min: 0.5,
            late_evidence: HumanDuration::from_secs(1200),
            ended_kept: 200,
            without: None,
        }
    }
}

/// Figures are remembered for 30 min and compared with the 10 min before onset, so evidence can be
/// weighed for 20 min at most.
const LATE_EVIDENCE_MAX: HumanDuration = HumanDuration::from_secs(1200);
const JOIN_HOPS_MAX: u32 = 5;
const ENDED_KEPT_MAX: usize = 900;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    #[error("diagnose.{field}: {value} is out of range; use {allowed}")]
    OutOfRange { field: &'static str, value: String, allowed: String },
}

impl Config {
    /// Says which value is out of range and what would be allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let refuse = |field, value: String, allowed: String| {
            Err(ConfigError::OutOfRange { field, value, allowed })
        };
        if !(0.3..=0.9).contains(&self.cause_confidence_min) {
            let value = self.cause_confidence_min.to_string();
            return refuse("cause_confidence_min", value, "0.3 to 0.9".into());
        }
        if self.join_hops > JOIN_HOPS_MAX {
            let allowed = format!("0 to {JOIN_HOPS_MAX}");
            return refuse("join_hops", self.join_hops.to_string(), allowed);
        }
        if self.late_evidence > LATE_EVIDENCE_MAX {
            let allowed = format!("at most {LATE_EVIDENCE_MAX}");
            return refuse("late_evidence", self.late_evidence.to_string(), allowed);
        }
        if self.ended_kept > ENDED_KEPT_MAX {
            let allowed = format!("at most {ENDED_KEPT_MAX}");
            return refuse("ended_kept", self.ended_kept.to_string(), allowed);
        }
        Ok(())
    }
}
