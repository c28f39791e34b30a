//! Chaos Toolkit's experiments, run unchanged.
//!
//! A file with a `method` is one of theirs: JSON or YAML, whose probes and actions are HTTP
//! requests, processes and Python functions. It is run here, on this machine, with or without a
//! server. Two verdicts: `strict` is what a drill should be (a failed action fails the run,
//! rollbacks are always played, after a crash too), `compat` is what chaostoolkit-lib 1.44 does, to
//! the letter; its own code is the judge of that (`tests/chaostoolkit`).
//!
//! Without I/O: the experiment and its rules, configuration, substitution, tolerances, strategies,
//! the journal and the verdict. With I/O: the providers, the Python worker, the run itself.
//!
//! Architecture invariant: this crate knows neither server nor agent. Nothing of an experiment is
//! ever evaluated as code: Python modules are imported by name, out of process; a shell is used
//! only where an experiment gives a process's arguments as text, as the format says.

mod value;

mod read;

pub mod experiment;

mod variables;

pub mod substitute;

pub mod tolerance;

mod jsonpath;

mod pattern;

mod strategy;

mod journal;

mod verdict;

mod raise;

mod clock;

mod durable;

mod undo;

mod signals;

mod worker;

mod providers;

mod run;

#[cfg(test)]
mod properties;

pub use read::{Format, is_experiment, parse};
pub use run::{Options, Outcome, Recovery, Tell, named_controls, read_value};
pub use run::{recover, run, validate};
pub use strategy::{Dry, Hypothesis, Rollbacks, Schedule, Verdict, by_name};
pub use value::{Map, Value};
pub use variables::Given;
