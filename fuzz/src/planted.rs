//! Panics planted on purpose, to prove that fuzzing finds such things: `fuzz/prove-planted` builds
//! with the feature `planted`. They stand behind conditions as real ones do: several things, each
//! usual, that come together only in an unusual input. Without the feature there is nothing here.

use model::signal::Batch;
use server::config::Config;

/// A message taken from a queue that ends before it begins, with an event that was before both.
#[cfg(feature = "planted")]
pub fn in_batch(batch: &Batch) {
    use model::signal::SpanKind;
    let Batch::Traces(groups) = batch else { return };
    for span in groups.iter().flat_map(|group| &group.items) {
        if span.kind == SpanKind::Consumer
            && !span.links.is_empty()
            && span.end_unix_nanos < span.start_unix_nanos
            && span.events.iter().any(|event| event.time_unix_nanos < span.start_unix_nanos)
        {
            panic!("planted: an event before its message");
        }
    }
}

#[cfg(not(feature = "planted"))]
pub fn in_batch(_: &Batch) {}

/// Tokens, and a limit for the latency of an operation that nothing probes.
#[cfg(feature = "planted")]
pub fn in_configuration(config: &Config) {
    let of_operation = config.detect.slos.iter().filter(|slo| slo.operation.is_some());
    if config.api.tokens.any()
        && config.detect.probes.is_empty()
        && of_operation.into_iter().any(|slo| slo.latency.is_some())
    {
        panic!("planted: tokens, and an operation without a probe");
    }
}

#[cfg(not(feature = "planted"))]
pub fn in_configuration(_: &Config) {}

/// Numbers lost between two records that are there, both of them empty.
#[cfg(feature = "planted")]
pub fn in_records(found: &[(u64, usize)]) {
    for pair in found.windows(2) {
        let [(before, bytes_before), (after, bytes_after)] = pair else { continue };
        if after - before > 3 && *bytes_before == 0 && *bytes_after == 0 {
            panic!("planted: records lost between {before} and {after}, both empty");
        }
    }
}

#[cfg(not(feature = "planted"))]
pub fn in_records(_: &[(u64, usize)]) {}
