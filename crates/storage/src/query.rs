//! Questions to what is stored: each kind in a file of its own.
//!
//! A query reads a consistent view (hot rows and files), under [`Limits`], and answers with plain
//! structs that serialize.

pub mod limits;

pub mod language;

pub mod logs;

pub mod reading;

pub mod attributes;

pub mod matchers;

pub mod grid;

pub mod tree;

pub mod spans;

pub mod traces;

pub mod series;

#[cfg(test)]
mod testing;

pub use limits::{Gauge, Limits, Now, Scanned, Stopped};
