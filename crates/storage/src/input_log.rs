//! The input log: the write-ahead log that every input of Immune goes through.
//!
//! `segment` is the format on disk, `log` appends and recovers, `reader` reads in order,
//! `committer` is the thread that makes many appends durable with one fsync before anything is
//! acknowledged.
//!
//! Invariants: a record that was acknowledged is on disk and in order; a torn tail is cut with a
//! report, never silently and never with a crash; damage in the middle never hides the records
//! after it, and never makes a record of what is inside another. The log does not know what its
//! records mean.

pub mod segment;

pub mod log;

pub mod reader;

pub mod committer;
