//! The proving ground: a seeded fleet in virtual time, with the real loop in it.
//!
//! `simulate` plays healthy hours of fleets of 5 to 200 services, a harmful twin of each hour, and
//! faults, through `engine`, and scores what the loop said against what the simulator knows. What
//! the model is, and what it leaves out, is told in `docs/simulation.md`.
//!
//! Reading order: `random`, `fleet` and `draw` (who there is), `traffic`, `effect`, `life` and
//! `fault` (what happens), `world`, `processes`, `flow`, `messages` and `answers` (one second),
//! `telemetry`, `tell` and `looks` (what is seen of it, as points), `spans` (the same, as spans),
//! `truth` (what users met), `session` and `permit` (with the loop), `episode`, `pairs`, `score`,
//! `simulate`;
//!
//! Invariants: no clock, no I/O; the same seed gives the same bytes; truth is counted where
//! requests are made and never read from the engine; the engine is never told of a fault.

pub mod random;

pub mod fleet;

pub mod draw;

pub mod traffic;

pub mod effect;

pub mod life;

pub mod fault;

pub mod world;

mod processes;

mod flow;

mod messages;

mod answers;

pub mod telemetry;

mod tell;

mod spans;

mod looks;

pub mod truth;

pub mod session;

mod permit;

pub mod episode;

pub mod pairs;

pub mod score;

mod simulate;

pub mod system;

mod what_if;

pub use episode::Episode;
pub use pairs::Pair;
pub use score::{Bounds, FamilyScore, PairScore, Report, Tally};
pub use simulate::{Fidelity, Note, Plan, simulate};
pub use system::System;
pub use what_if::{Case, WhatIf, what_if};
