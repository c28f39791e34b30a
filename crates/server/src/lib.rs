//! The server: everything with I/O around the loop, and the `immune` command line.
//!
//! Data flows one way: receivers → input log (`ingest`, `storage`) → `driver` (owns the loop) →
//! journal → hands and notifications. The API asks the driver, and gives it commands through the
//! same input log.
//!
//! Invariants: nothing is acknowledged before it is durable; effects are journalled before they are
//! done; only `clock` reads the time; only `driver` touches the loop.

pub mod allocator;

pub mod clock;

pub mod config;

pub mod entry;

pub mod journal;

pub mod retention;

pub mod state;

pub mod samples;

pub mod tail;

pub mod driver;

pub mod ingest;

pub mod probes;

mod certificate;

pub mod hands;

pub mod notify;

pub mod drills;

pub mod api;

pub mod run;

pub mod replay;

pub mod cli;

#[cfg(test)]
mod testing;
