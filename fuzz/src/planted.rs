//! Panics planted on purpose, to prove that fuzzing finds such things: `fuzz/prove-planted` builds
//! with the feature `planted`. They stand behind conditions as real ones do: several things, each
//! usual, that come together only in an unusual input. Without the feature there is nothing here.

use model::signal::Batch;
use server::config::Config;

/// A message of a queue that is part of somebody else's trace, with something to tell.
#[cfg(feature = "planted")]
pub fn in_batch(batch: &Batch) {
    use model::signal::SpanKind;
    let Batch::Traces(groups) = batch else { return };
    for span in groups.iter().flat_map(|group| &group.items) {
        if span.kind == SpanKind::Consumer
            && !span.links.is_empty()
            && let Some(event) = span.events.first()
            && event.name.is_empty()
            && event.attributes.0.len() >= 2
        {
            panic!("planted: an event without a name on a consumer span with links");
        }
    }
}

#[cfg(not(feature = "planted"))]
pub fn in_batch(_: &Batch) {}

/// IPv6, and a limit for the latency of one operation.
#[cfg(feature = "planted")]
pub fn in_configuration(config: &Config) {
    if config.api.listen.is_ipv6()
        && config.detect.slos.iter().any(|slo| slo.operation.is_some() && slo.latency.is_some())
    {
        panic!("planted: IPv6 and a limit for an operation's latency");
    }
}

#[cfg(not(feature = "planted"))]
pub fn in_configuration(_: &Config) {}

/// Numbers lost between two records that are there, of which the later one is empty.
#[cfg(feature = "planted")]
pub fn in_records(found: &[(u64, usize)]) {
    for pair in found.windows(2) {
        let [(before, _), (after, bytes)] = pair else { continue };
        if after - before > 2 && *bytes == 0 {
            panic!("planted: records {before} and {after}");
        }
    }
}

#[cfg(not(feature = "planted"))]
pub fn in_records(_: &[(u64, usize)]) {}
