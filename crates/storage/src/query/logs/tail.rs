//! Live tail: which log records of a batch match a query, on their arrival.
//!
//! Invariant: it takes exactly the records that a search would find once they are stored.

use model::Timestamp;
use model::signal::{Batch, InstrumentationScope, LogRecord, Resource};

use super::LogEntry;
use super::arrived::ArrivedRow;
use crate::query::language::Query;

/// Whether a record matches.
pub fn matches(
    query: &Query,
    resource: &Resource,
    scope: &InstrumentationScope,
    record: &LogRecord,
) -> bool {
    query.matches(&ArrivedRow { resource, scope, record })
}

/// The records of a batch that match, at most `limit`, and how many more would.
pub fn tail(
    query: &Query,
    batch: &Batch,
    arrival: Timestamp,
    limit: usize,
) -> (Vec<LogEntry>, usize) {
    let Batch::Logs(groups) = batch else { return (Vec::new(), 0) };
    let (mut entries, mut more) = (Vec::new(), 0);
    for group in groups {
        for record in &group.items {
            if !matches(query, &group.resource, &group.scope, record) {
                continue;
            }
            if entries.len() < limit {
                entries.push(LogEntry::of(&group.resource, &group.scope, record, arrival));
            } else {
                more += 1;
            }
        }
    }
    (entries, more)
}
