//! Every way of noticing that users are hurt: one file, one `Spec`, one line below.
//!
//! A new inspection is a file with its `SPEC`, a line in `ALL`, and a scenario. Documentation and
//! the catalogue in the UI are made from the specs.

pub mod fast_burn;

pub mod burn_rate;

pub mod latency;

pub mod probe;

pub mod stalled;

pub mod absent_traffic;

pub mod alert;

pub mod blind;

pub mod exhaustion;

pub mod certificate;

use serde::Serialize;

/// What people are told of an inspection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spec {
    pub id: &'static str,
    pub title: &'static str,
    /// Unit of the measured value.
    pub unit: &'static str,
    /// Default threshold, in words.
    pub default: &'static str,
    pub documentation: &'static str,
}

pub const ALL: &[Spec] = &[
    fast_burn::SPEC,
    burn_rate::SPEC,
    latency::SPEC,
    probe::SPEC,
    stalled::SPEC,
    absent_traffic::SPEC,
    alert::SPEC,
    blind::SPEC,
    exhaustion::SPEC,
    certificate::SPEC,
];
