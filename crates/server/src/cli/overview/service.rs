//! A service, database, queue or peer as one row: how it fares, and in which state it is.

use model::{Entity, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Service {
    pub(crate) entity: Entity,
    pub(crate) state: State,
    /// Since when it is in this state, where that is known.
    pub(crate) since: Option<Timestamp>,
    pub(crate) instances: u64,
    pub(crate) requests_per_s: Option<f64>,
    /// 0–1.
    pub(crate) error_ratio: Option<f64>,
    pub(crate) p50_seconds: Option<f64>,
    pub(crate) p95_seconds: Option<f64>,
    /// When its newest telemetry came.
    pub(crate) last_seen: Option<Timestamp>,
}

/// Each has a sign of its own, so that nothing is told by colour alone. Worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Hurt,
    AtRisk,
    /// Acted upon by Immune, and watched.
    Healing,
    /// Nothing is heard of it: neither health nor trouble.
    NoData,
    Learning,
    /// It is heard of, and nothing was asked of it.
    NoTraffic,
    Well,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Hurt => "hurt",
            State::AtRisk => "at risk",
            State::Healing => "healing",
            State::NoData => "no data",
            State::Learning => "learning",
            State::NoTraffic => "no traffic",
            State::Well => "well",
        }
    }

    pub(crate) fn sign(self) -> &'static str {
        match self {
            State::Hurt => "!",
            State::AtRisk => "▲",
            State::Healing => "↻",
            State::NoData => "?",
            State::Learning => "…",
            State::NoTraffic => "·",
            State::Well => " ",
        }
    }
}
