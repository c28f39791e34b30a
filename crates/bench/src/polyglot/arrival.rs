//! When the first sign of harm reached the server, by the server's own input log.

use std::path::Path;

use anyhow::Result;
use engine::Entry;
use model::Timestamp;
use model::signal::{Batch, SpanKind, SpanStatus};
use storage::Reader;

/// Arrival of the first telemetry that holds a server span which failed and ended after `fault`, or
/// of the first answer to a probe since then that is wrong.
pub fn first_sign(data: &Path, fault: Timestamp) -> Result<Option<Timestamp>> {
    for record in Reader::open(&data.join("log"), 1)? {
        let record = record?;
        let at = match server::entry::decode(record.kind, &record.payload)? {
            Entry::Telemetry { arrival, batch } if holds_failed_span(&batch, fault) => arrival,
            Entry::Probe(result) if result.error.is_some() => result.at,
            _ => continue,
        };
        if at >= fault {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn holds_failed_span(batch: &Batch, fault: Timestamp) -> bool {
    let Batch::Traces(groups) = batch else { return false };
    groups.iter().flat_map(|group| &group.items).any(|span| {
        span.kind == SpanKind::Server
            && span.status == SpanStatus::Error
            && span.end_unix_nanos >= fault.0
    })
}
