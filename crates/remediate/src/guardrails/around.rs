//! Facts about what is around a target, as guardrails judge them.

use std::time::Duration;

use model::Timestamp;

/// All that is known around one target at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Around {
    pub copies: Copies,
    pub fates: Vec<Fate>,
    /// Present while much is in trouble at once, and a while after.
    pub storm: Option<Storm>,
    /// The objective with the smallest budget left, and the share.
    pub budget: Option<(String, f64)>,
    /// Last sign of a deploy of the target's service that is under way.
    pub deploy: Option<Timestamp>,
    /// When the agent's latest look at the target came.
    pub looked: Option<Timestamp>,
    /// The services that are hurt.
    pub hearing: Vec<Hearing>,
}

/// Instances of the target's service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copies {
    pub known: usize,
    /// Known to be well, without the target itself.
    pub well_beside: usize,
}

/// Targets that share a host, a service or a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// `host h1`.
    pub what: String,
    pub targets: usize,
    /// Other targets of which a running process is being acted upon.
    pub touched: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storm {
    /// Time since the storm was last seen; zero while it lasts.
    pub calm_for: Duration,
    pub troubled: usize,
    pub all: usize,
    /// Time since the last order, of whatever plan.
    pub last_order: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hearing {
    pub service: String,
    /// `None`: never heard.
    pub ago: Option<Duration>,
}
