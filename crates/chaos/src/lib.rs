//! Chaos experiments and drills: the file, the steps of a run, and what it proved.
//!
//! `experiment` reads and checks a file, `faults` its fault, `reach` refuses what goes too far.
//! `drill` is the run as a state machine without I/O, `client` reads what users felt from a load
//! generator's own log, `scorecard` compares what happened with what should have. `matrix` sums up
//! what was proven, `suggest` says what to try next, `schedule` when experiments run by themselves.
//!
//! Invariants: a drill only looks at what Immune said and did, it never tells Immune anything;
//! every fault has a deadline; whatever goes wrong, the undo is ordered.

pub mod client;

pub mod drill;

pub mod experiment;

pub mod faults;

pub mod reach;

pub mod scorecard;

pub mod matrix;

pub mod suggest;

pub mod schedule;

pub use client::ClientLog;
pub use drill::{Drill, FaultView, Order, Phase, View};
pub use experiment::{Problem, parse};
pub use matrix::{Matrix, Past};
pub use schedule::Scheduled;
pub use suggest::Suggestion;
