//! Latency objectives: the threshold of a configured one is given, that of a default one is
//! learned.
//!
//! Learned from traffic without incident only: twice the 99th percentile, at least 50 ms above it,
//! on a bucket bound, so that requests within it are counted exactly. It is learned once, shown,
//! and changes only when somebody asks for it: a threshold that follows a slow decline would never
//! notice it. What is unusual hurts nobody by itself, so slower than a learned limit is a ticket;
//! it is a page where users take requests for hanging: beyond four times the 99th percentile and
//! half a second, for the share that breaks the objective.
//!
//! Judged by the same two tiers as availability. Only requests that did not fail count, so that an
//! outage is told of once; a request is good when the observer counted it within the threshold.
//! Slow requests of one pause all end together, so bad ones must also span `SPREAD_MIN` (and where
//! they are few, twice that) before the fast tier fires.

use std::time::Duration;

use model::tick::RequestPoint;
use model::{Histogram, Timestamp};
use serde::{Deserialize, Serialize};

use super::Spec;
use super::fast_burn::Increment;
use crate::config::DefaultLatency;

pub const SPEC: Spec = Spec {
    id: "latency",
    title: "Slow requests",
    unit: "ratio",
    default: "configured, or twice the 99th percentile of 30 min and 1,000 quiet requests",
    documentation: "Requests that did not fail but took longer than the threshold, against an \
        objective of 99 % within it. Without a configured threshold it is learned per service \
        from traffic without incident (`default_slo.latency`), shown with the objective, and \
        learned again only on request. A learned one makes a ticket; a page only of requests \
        slower than four times the 99th percentile and 500 ms.",
};

/// Slow requests within less time than this are a pause, not harm.
pub const SPREAD_MIN: Duration = Duration::from_secs(10);

/// Traffic is continuous, for counting the time that was learned from, with gaps up to this.
const GAP_MAX: Duration = Duration::from_secs(60);

/// A threshold in the making.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Learner {
    durations: Histogram,
    requests: f64,
    traffic: Duration,
    last_traffic: Option<Timestamp>,
}

impl Learner {
    pub fn take(&mut self, point: &RequestPoint, now: Timestamp) {
        self.durations.merge(&point.durations);
        self.requests += point.total_raw as f64;
        if let Some(last) = self.last_traffic {
            let gap = now.since(last);
            if gap <= GAP_MAX {
                self.traffic += gap;
            }
        }
        self.last_traffic = Some(now);
    }

    /// Time that must not be learned from passes.
    pub fn pause(&mut self) {
        self.last_traffic = None;
    }

    /// The limits, once enough was seen.
    pub fn limits(&self, config: &DefaultLatency) -> Option<Limits> {
        let enough =
            self.traffic >= config.learn_for.0 && self.requests >= config.learn_requests as f64;
        let p99 = self.durations.quantile(0.99).filter(|_| enough)?;
        Some(Limits {
            slow: Histogram::bound_at_least((2.0 * p99).max(p99 + 0.05)),
            hanging: Histogram::bound_at_least((4.0 * p99).max(0.5)),
        })
    }
}

/// Learned limits in seconds, on bucket bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub slow: f64,
    /// Of a page.
    pub hanging: f64,
}

/// Requests of a point by a latency threshold; `None` when the observer does not count it (yet).
pub fn increment(point: &RequestPoint, threshold: f64, base: Increment) -> Option<Increment> {
    let same = |limit: f64| (limit - threshold).abs() <= 1e-9 * threshold;
    let (_, within) = point.within.iter().find(|(limit, _)| same(*limit))?;
    let total = (base.total - base.bad).max(0.0);
    let bad = (total - within.max(0.0)).clamp(0.0, total);
    let total_raw = (base.total_raw - base.bad_raw).max(0.0);
    let bad_share = if total > 0.0 { bad / total } else { 0.0 };
    Some(Increment {
        bad_at: base.bucket,
        bad,
        total,
        bad_raw: (bad_share * total_raw).round(),
        total_raw,
        ..base
    })
}
