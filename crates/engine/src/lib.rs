//! The loop: ordered inputs in, effects out.
//!
//! `Core` takes the entries of the input log one by one; the server, a replay, `immune test` and a
//! simulator all drive the very same one. Inside, `Engine::step` is the whole immune response on
//! one screen.
//!
//! Invariants: no clock, no randomness, no I/O; the same entries give the same events, byte for
//! byte; state is a value that can be saved and taken up again (`snapshot`).

pub mod config;

pub mod entry;

pub mod event;

pub mod step;

pub mod samples;

pub mod figures;

pub mod nodes;

pub mod core;

pub mod snapshot;

pub mod parts;

pub mod scenario;

pub use config::Config;
pub use core::Core;
pub use entry::{Command, Entry};
pub use event::{Event, EventKind, IncidentReason};
pub use figures::{Figures, Red};
pub use nodes::{NodeState, Standing};
pub use samples::{Sample, SampleKind};
pub use step::{Effects, Engine, Input};

/// Bumped when the meaning of saved state or of entries changes.
pub const VERSION: u32 = 5;
