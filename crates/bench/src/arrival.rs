//! When the first sign of harm reached the server, by the server's own input log.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use engine::Entry;
use model::Timestamp;
use model::signal::{Batch, SpanKind, SpanStatus};
use storage::Reader;

/// Arrival of the first telemetry that holds a server span which ended after `fault` and failed, or
/// took longer than `limit`, which is what is promised; or of the first answer to a probe since
/// then that is wrong.
pub fn first_sign(data: &Path, fault: Timestamp, limit: Duration) -> Result<Option<Timestamp>> {
    for record in Reader::open(&data.join("log"), 1)? {
        let record = record?;
        let at = match server::entry::decode(record.kind, &record.payload)? {
            Entry::Telemetry { arrival, batch } if holds_bad_span(&batch, fault, limit) => arrival,
            Entry::Probe(result) if result.error.is_some() => result.at,
            _ => continue,
        };
        if at >= fault {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn holds_bad_span(batch: &Batch, fault: Timestamp, limit: Duration) -> bool {
    let Batch::Traces(groups) = batch else { return false };
    groups.iter().flat_map(|group| &group.items).any(|span| {
        let took = Timestamp(span.end_unix_nanos).since(Timestamp(span.start_unix_nanos));
        span.kind == SpanKind::Server
            && span.end_unix_nanos >= fault.0
            && (span.status == SpanStatus::Error || took > limit)
    })
}
