//! Diagnosis: which symptoms belong together, and what state change caused them, with evidence that
//! a person can check, or "unknown".
//!
//! Reading order: `known` (facts from ticks: `topology`, `figures`, `processes`, `conditions`),
//! `record` and `group` (incidents), `comparison` (what is worse), `leads` and `walk` (following
//! the trouble), `turns` (since when), `versions` (who runs what), `causes` (one file per kind),
//! `score`, `assess` (ranking that stays put), `wording`, `diagnoser` (the step).
//!
//! Invariants: no clock, randomness or I/O; the same ticks give the same incidents, byte for byte.
//! Nothing here knows of experiments. Scopes never mix. Absence of data never ends an incident.

mod config;

pub mod pieces;

mod topology;

mod figures;

mod processes;

mod conditions;

mod known;

mod record;

mod group;

mod comparison;

mod leads;

mod walk;

mod turns;

mod versions;

mod failure;

pub mod score;

pub mod causes;

mod assess;

mod wording;

mod diagnoser;

mod view;

pub use config::{Config, ConfigError};
pub use diagnoser::{Diagnoser, Diagnosis};
pub use pieces::{Piece, Rule};
pub use view::InstanceSeen;
