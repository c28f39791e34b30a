//! Captured telemetry, and how it is sent again: as new telemetry of now.
//!
//! `folder` is what a capture looks like on disk. `templates` makes requests of it as the same
//! SDKs would send them at a higher rate; `rewrite` gives each pass over them new ids and times of
//! now; `metrics` lets captured exports go on, for as many instances as wanted. `stock` prepares
//! requests ahead, compressed; `line` is one connection that sends them, `sending` many.

pub mod folder;

pub mod line;

pub mod metrics;

pub mod rewrite;

pub mod sending;

pub mod stock;

pub mod templates;

mod wire;
