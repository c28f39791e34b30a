//! Rows of the tables as telemetry again: the inverse of `columns`.
//!
//! Readers of one column use [`Texts`], [`Times`] and the like; who wants whole items uses
//! [`spans`], [`logs`] and [`series`]. What was appended comes back, but for the order of
//! attributes: those with a column of their own come first.
//!
//! Invariant: columns that a batch does not have (an older file, a projection) read as absent. A
//! column of the wrong type is an error, never a panic.

mod column;
mod json;
mod logs;
mod origin;
mod samples;
mod spans;

use std::sync::Arc;

use model::Timestamp;
use model::signal::{InstrumentationScope, LogRecord, Metric, Resource, Span};

pub use column::{Attributes, Ids, Integers, Lists, Texts, Times};
pub use json::{attributes_of, value_of};
pub use logs::logs;
pub(crate) use samples::SampleColumns;
pub use samples::series;
pub use spans::spans;

/// A span with where and when it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSpan {
    pub resource: Arc<Resource>,
    pub scope: Arc<InstrumentationScope>,
    pub span: Span,
    pub arrival: Timestamp,
}

#[derive(Clone, Debug, PartialEq)]
pub struct StoredLog {
    pub resource: Arc<Resource>,
    pub scope: Arc<InstrumentationScope>,
    pub record: LogRecord,
    pub arrival: Timestamp,
}

/// The points of one series in one row. All have the same attributes: those of the first.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSeries {
    pub series: [u8; 16],
    pub resource: Arc<Resource>,
    pub scope: Arc<InstrumentationScope>,
    pub metric: Metric,
    pub arrival: Timestamp,
}
