//! Signals in, ticks out: what users asked for, what they got, who called whom, which copies of a
//! service are alive.
//!
//! `Observer` is fed with decoded telemetry, probe results, agents' reports and changes, each
//! with the time at which it arrived, and gives one `Tick` a second. Counts are made on arrival
//! and forgotten with the tick; what stays is bounded state (names, aliases, recent span ids,
//! metric streams, instances, trees of traces that go on), all of it in a snapshot.
//!
//! Architecture invariants: no clock, no I/O, no randomness; the same inputs in the same order
//! give the same ticks, byte for byte; every table has a limit, and what a limit leaves out is
//! counted in `Quality::over_limit`; a request is counted once although spans and metrics both
//! tell of it. Nothing here judges: that is `detect`.
//!
//! Reading order: `observer` (the whole on one screen), `origin` (whose telemetry), `normalise`
//! (old names), `operation`, `callee`, `outcome`, `error_kind`, `sampling` (what one span says),
//! `calls` (edges and aliases), `trees` (traces as a whole), `metrics` (requests told by SDK
//! metrics), `instances`, `points`, `registry`, `recent`.

mod observer;

mod config;

mod origin;

mod normalise;

mod operation;

mod callee;

mod outcome;

mod error_kind;

mod sampling;

mod spans;

mod calls;

mod metrics;

mod levels;

mod metric_points;

mod streams;

mod instances;

mod trees;

mod points;

mod registry;

mod recent;

#[cfg(test)]
mod testing;

pub use config::{Config, ErrorRules, Limits, ServiceRules, StatusRange};
pub use observer::Observer;
pub use trees::TreeLimits;
