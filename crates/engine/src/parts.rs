//! The parts of which the loop is made, and the loop without one of them.
//!
//! A part that nobody would miss is a part that nobody tests. `cargo xtask mutate-detectors` runs
//! the scenarios without each of these in turn; each has to be missed by some scenario. Nothing of
//! this can be set from configuration, and a whole loop pays a comparison for it.
//!
//! Not among them: what reads telemetry, what remembers, and "unknown", which is what remains.

use std::fmt;

use diagnose::Piece;
use remediate::guardrails;

use crate::Config;

/// Something that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// By the id of its `Spec`.
    Inspection(&'static str),
    Diagnosis(Piece),
    /// By its number, `G-7`.
    Guardrail(&'static str),
    /// Calm after Immune itself was away.
    CatchUp,
}

impl Part {
    /// Every part, from the lists by which the loop itself goes.
    pub fn all() -> Vec<Part> {
        let inspections = detect::inspections::ALL.iter().map(|spec| Part::Inspection(spec.id));
        let pieces = Piece::all().into_iter().map(Part::Diagnosis);
        let guardrails = guardrails::ALL.iter().map(|rule| Part::Guardrail(rule.spec.id));
        inspections.chain(pieces).chain(guardrails).chain([Part::CatchUp]).collect()
    }

    /// Makes it a configuration of the loop without this part.
    pub fn leave_out(self, config: &mut Config) {
        match self {
            Part::Inspection(id) => config.detect.without = Some(id),
            Part::Diagnosis(piece) => config.diagnose.without = Some(piece),
            Part::Guardrail(id) => config.remediate.guardrails.without = Some(id),
            Part::CatchUp => config.catch_up.calm.0 = std::time::Duration::ZERO,
        }
    }
}

/// `inspection fast_burn`, `cause crash`, `evidence no_answer`, `rule reopen`, `guardrail G-7`.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::Inspection(id) => write!(f, "inspection {id}"),
            Part::Diagnosis(Piece::Cause(kind)) => write!(f, "cause {}", kind.as_str()),
            Part::Diagnosis(Piece::Evidence(part)) => {
                write!(f, "evidence {}", words(&format!("{part:?}")))
            }
            Part::Diagnosis(Piece::Rule(rule)) => write!(f, "rule {}", words(&format!("{rule:?}"))),
            Part::Guardrail(id) => write!(f, "guardrail {id}"),
            Part::CatchUp => f.write_str("rule catch_up"),
        }
    }
}

/// `NoAnswer` as `no_answer`.
fn words(name: &str) -> String {
    let mut text = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.push(letter.to_ascii_lowercase());
    }
    text
}
