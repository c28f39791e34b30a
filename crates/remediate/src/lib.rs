//! Incidents, policies, guardrails and outcomes in; plans and orders out.
//!
//! The healer proposes; a separate executor re-checks the target and acts. A plan is made when a
//! policy names the first cause of an incident, or a further one whose process is seen gone. Before
//! each order every guardrail is asked, any one may deny, and all their verdicts stay with the
//! plan. After the order only users' figures decide whether it helped.
//!
//! Invariants
//! - An order is made with all verdicts passed, by construction: see `guardrails::Passed`.
//! - An action id is used once. A final plan never changes its state.
//! - All of `Healer` is plain state: the same inputs give the same plans, and a snapshot can be
//!   taken between any two inputs.
//!
//! What this crate does not do: read a clock, act, decide what the cause is, or judge users'
//! figures itself.

mod config;

mod autonomy;

mod target;

mod validate;

mod matching;

pub mod guardrails;

mod pause;

mod record;

mod surroundings;

mod recovery;

mod proposals;

mod healer;

#[cfg(test)]
mod fixtures;

pub use autonomy::{Deed, Proof, Track, Trial};
pub use config::{Causes, Config, Limits, Policy, Promote, Remedy, Step};
pub use healer::{Healer, Outlook};
pub use pause::{PAUSES_MAX, Pause, PauseError, Paused};
pub use proposals::{HealError, Proposals, StepInput};
pub use record::Freeze;
pub use target::Target;
pub use validate::Invalid;
