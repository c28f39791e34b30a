//! What `immune status` and `immune top` ask a server for, and how it is judged in words.
//!
//! The answers are kept as they came beside what is read of them, so that JSON tells everything.
//! Reading order: `answers` (what is asked), `service` (one row of the fleet), `headline` (is
//! anything wrong), `bottom` (Immune itself).

mod answers;

mod service;

mod headline;

mod bottom;

pub(super) use answers::{Asked, Overview};
pub(super) use bottom::{STALE_AFTER, bottom};
pub(super) use headline::{Tone, headline};
pub(super) use service::{Service, State};
