//! Tick to symptoms: notices that users are being hurt, and stays quiet otherwise.
//!
//! `Detectors::step` takes one tick and says which symptoms fire, which ended, and how every
//! objective fares. Symptoms come only from what users feel: objectives (failed or slow requests),
//! probes, completions that cease, traffic that vanishes, and what other systems call an alert. An
//! unusual series never becomes one.
//!
//! Reading order: `config`, `detectors` (the one screen that composes all), `objective` (one SLO of
//! one entity), `inspections` (each way of noticing: one file, one `Spec`, one line in
//! `inspections::ALL`).
//!
//! Invariants:
//! - D-1 absence of data never ends a symptom: every recovery counts good requests (an alert that
//!   is not repeated ends, as its sender's protocol says);
//! - D-2 every collection is bounded by a constant, and what is refused is counted;
//! - D-3 the same ticks give the same answer: no clock, no randomness, ordered collections.
//!
//! What it does not do: say why (that is `diagnose`), know of experiments, look at single spans.

pub mod config;
mod validate;

mod detectors;

mod objective;

pub mod inspections;

mod service;

mod standing;

mod rings;

mod rate;

mod wording;

mod trend;

pub mod series;

pub use config::{Config, Probe, Problem};
pub use detectors::Detectors;
pub use inspections::Spec;
pub use inspections::alert;

#[cfg(test)]
mod tests;
