//! The nouns that cross a border: everything that one part of Immune hands to another.
//!
//! Plain data only. No crate here does I/O, reads a clock, or draws a random number, so the pure
//! crates that know only `model` cannot either. Words are those of the glossary in
//! `ARCHITECTURE.md`: one word per thing, from YAML to Rust to JSON.
//!
//! Reading order: `time`, `entity`, `text` and `signal` (what arrives), `histogram`, `traces`,
//! `condition`, `alert`, `level` and `tick` (what the engine is fed with), `symptom`, `incident`,
//! `plan`, `experiment` and `fault` (what it says, does and proves).

pub mod time;

pub mod entity;

pub mod text;

pub mod signal;

pub mod histogram;

pub mod change;

pub mod traces;

pub mod condition;

pub mod alert;

pub mod level;

pub mod tick;

pub mod symptom;

pub mod incident;

pub mod plan;

pub mod experiment;

pub mod fault;

pub mod byte_size;

pub mod human;

pub use alert::{AlertReport, AlertState};
pub use byte_size::ByteSize;
pub use change::{Change, ChangeKind};
pub use condition::{Condition, ConditionReport};
pub use entity::{Entity, EntityFields, EntityKind, Scope};
pub use histogram::Histogram;
pub use incident::{Cause, CauseKind, Evidence, EvidenceKind, Incident, IncidentId, IncidentState};
pub use plan::{
    Action, ActionId, ActionKind, ContainerOperation, Mode, Outcome, Plan, PlanId, PlanState,
    Safety, SignalName, UnitOperation, Verdict,
};
pub use symptom::{Severity, Symptom, SymptomKind};
pub use text::Text;
pub use tick::Tick;
pub use time::Timestamp;
