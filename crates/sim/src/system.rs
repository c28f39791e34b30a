//! A system that somebody describes: what it consists of, what that can bear, who calls whom.
//!
//! The shape of the file that `immune simulate --topology` reads and `immune topology` writes. What
//! is left out has a default that fits what is usually asked, so a few lines are a system.
//!
//! Invariant: a `System` without `problems` makes a fleet that the simulator can play.

mod build;

mod check;

pub mod learn;

mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A system, and those who use it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Where users come in: services, and how often each is asked.
    pub users: BTreeMap<String, Users>,
    /// Services by name. What tells nothing itself is best named by its address, as it is called.
    pub services: BTreeMap<String, Service>,
    /// Databases by name: `postgresql/shop`, or `system@host:port`.
    #[serde(default)]
    pub databases: BTreeMap<String, Store>,
    /// Caches by name: `redis@cache:6379`.
    #[serde(default)]
    pub caches: BTreeMap<String, Store>,
    /// Queues and topics by name: `kafka/orders`.
    #[serde(default)]
    pub queues: BTreeMap<String, Store>,
    #[serde(default)]
    pub traffic: Traffic,
    /// Balancers send nothing to a dead copy after this time; without it, they never notice.
    #[serde(default)]
    pub dead_copies_leave_after: Option<HumanDuration>,
    /// Share of traces that samplers keep, 0–1.
    #[serde(default = "whole")]
    pub sampling: f64,
}

/// Users of one service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// The mean of a day.
    pub requests_per_s: f64,
}

/// How traffic goes up and down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Traffic {
    /// Half the difference between day and night, as a share of the mean, 0–0.9.
    pub daily_swing: f64,
    /// What comes on weekends, as a share of other days, 0.05–3.
    pub weekend: f64,
    /// Hour of the day (UTC) at which most users come, 0–24.
    pub peak_hour: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    #[serde(default = "one")]
    pub copies: usize,
    /// Mean milliseconds of its own part of a request, without what it calls.
    #[serde(default = "some_ms")]
    pub takes_ms: f64,
    /// Spread of the logarithm of durations: 0.3 is even, 1 is wild.
    #[serde(default = "some_spread")]
    pub spread: f64,
    /// Requests that one copy works on at the same time; without it, five times what is usual.
    #[serde(default)]
    pub concurrency: Option<f64>,
    /// Requests that may wait beside, for each copy; without it, four times its concurrency.
    #[serde(default)]
    pub queue: Option<f64>,
    /// Share of requests that always fail, 0–1.
    #[serde(default)]
    pub errors: f64,
    /// Does it tell telemetry itself?
    #[serde(default = "yes")]
    pub telemetry: bool,
    /// What an agent may do to its processes; without anything, no agent looks after them.
    #[serde(default)]
    pub allow: Vec<Act>,
    #[serde(default)]
    pub calls: Vec<Call>,
}

/// What may be done to a process.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    Restart,
    Rollback,
    /// Out of the balancer and back.
    Eject,
}

/// What each request to a service asks of somebody else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// A service, database, cache or queue of this file.
    pub to: String,
    /// Mean number of calls for each request.
    #[serde(default = "once")]
    pub per_request: f64,
    /// The request goes well without it.
    #[serde(default)]
    pub optional: bool,
    /// Without it, twelve times what the call usually takes, 1 s to 10 s.
    #[serde(default)]
    pub timeout: Option<HumanDuration>,
    /// Further attempts after one that failed.
    #[serde(default)]
    pub retries: u32,
    /// Connections that each copy of the caller holds at most; without it, as many as it wants.
    #[serde(default)]
    pub pool: Option<f64>,
}

/// A database, cache or queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// Mean milliseconds of a query.
    #[serde(default = "few_ms")]
    pub takes_ms: f64,
    #[serde(default = "some_spread")]
    pub spread: f64,
    #[serde(default)]
    pub concurrency: Option<f64>,
    #[serde(default)]
    pub queue: Option<f64>,
}

/// Something wrong with a value, by its path in the file: `services.web.calls[0].to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub path: String,
    pub message: String,
}

impl Default for Traffic {
    fn default() -> Self {
        Traffic { daily_swing: 0.3, weekend: 1.0, peak_hour: 14.0 }
    }
}

impl Default for Service {
    fn default() -> Self {
        Service {
            copies: one(),
            takes_ms: some_ms(),
            spread: some_spread(),
            concurrency: None,
            queue: None,
            errors: 0.0,
            telemetry: true,
            allow: Vec::new(),
            calls: Vec::new(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Store { takes_ms: few_ms(), spread: some_spread(), concurrency: None, queue: None }
    }
}

fn whole() -> f64 {
    1.0
}

fn one() -> usize {
    1
}

fn once() -> f64 {
    1.0
}

fn yes() -> bool {
    true
}

fn some_ms() -> f64 {
    10.0
}

fn few_ms() -> f64 {
    2.0
}

fn some_spread() -> f64 {
    0.5
}
