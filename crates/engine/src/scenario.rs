//! Scenarios: a small system, what happens to it, and what Immune should say and do. The language
//! is in `docs/scenarios.md`; our own tests and `immune test` use the same.
//!
//! `parse` reads a file, `world` plays the system and turns it into real telemetry for the real
//! loop, `run` drives both and compares. Virtual time: an hour takes well under a second.

mod parse;

mod run;

mod telemetry;

mod world;

pub use parse::{ParseError, Scenario};
pub use run::{Happening, Report, run, run_without};

/// Reads and runs one scenario file's text.
pub fn check(text: &str) -> Result<Report, ParseError> {
    Scenario::parse(text).map(|scenario| run(&scenario))
}
