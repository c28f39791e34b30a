//! One span as a tree keeps it: ids, times, who it is of, and what it is to the tree; no text but
//! the kind of an error.

use model::Timestamp;
use model::signal::{Span, SpanKind};
use serde::{Deserialize, Serialize};

use crate::normalise::{Facts, Field};
use crate::registry::Id;

/// What a span says beyond its ids and times, as counting it found out.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// Of a request its operation, absent where it is not the users' (a health check); of a call
    /// what is called, absent where that is not known.
    pub subject: Option<Id>,
    /// Calls that ask the same of the same callee have the same number.
    pub ask: u32,
    /// Kind of error.
    pub error: Option<String>,
    /// Neither a request nor a call, whatever the span's kind.
    pub is_inner: bool,
}

impl Told {
    pub(crate) fn inner() -> Told {
        Told { is_inner: true, ..Told::default() }
    }
}

/// What a call asks for, as a number: method, path, procedure, statement.
pub(crate) fn ask(span_name: &str, facts: &Facts<'_>) -> u32 {
    /// Of each text; statements may be long.
    const TEXT_MAX: usize = 256;
    let texts = [
        Some(span_name),
        facts.path(),
        facts.text(Field::RpcMethod),
        facts.text(Field::DbOperation),
        facts.text(Field::HttpMethod),
    ];
    let mut hash = 0_u64;
    for text in texts {
        let bytes = text.unwrap_or_default().as_bytes();
        for part in bytes[..bytes.len().min(TEXT_MAX)].chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            hash = mix(hash, u64::from_le_bytes(word));
        }
        hash = mix(hash, bytes.len() as u64);
    }
    (hash >> 32) as u32
}

/// Not one of the library's hashes: those may change with the compiler, and snapshots hold this.
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(29) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Role {
    /// A request served.
    Server,
    /// A message taken from a queue.
    Consumer,
    Client,
    Producer,
    /// Work within a service.
    Inner,
}

impl Role {
    pub(super) fn is_request(self) -> bool {
        matches!(self, Role::Server | Role::Consumer)
    }
    pub(super) fn is_call(self) -> bool {
        matches!(self, Role::Client | Role::Producer)
    }
}

/// Absent `subject`.
pub(super) const UNKNOWN: u32 = 0;

/// Ordered by span, and by all else after that, so that a tree is the same whatever came first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Node {
    pub span: u64,
    pub role: Role,
    /// Zero for a root.
    pub parent: u64,
    pub start: u64,
    /// Never before `start`.
    pub end: u64,
    pub service: u32,
    pub subject: u32,
    pub ask: u32,
    pub error: Option<Box<str>>,
}

impl Node {
    /// `None` without ids, which cannot be part of a tree.
    pub(super) fn new(span: &Span, service: Id, told: Told, arrival: Timestamp) -> Option<Node> {
        let id = u64::from_be_bytes(span.span_id);
        if id == 0 || span.trace_id == [0; 16] {
            return None;
        }
        let end = if span.end_unix_nanos == 0 { arrival.as_nanos() } else { span.end_unix_nanos };
        let start = if span.start_unix_nanos == 0 { end } else { span.start_unix_nanos.min(end) };
        let role = match span.kind {
            _ if told.is_inner => Role::Inner,
            SpanKind::Server => Role::Server,
            SpanKind::Consumer => Role::Consumer,
            SpanKind::Client => Role::Client,
            SpanKind::Producer => Role::Producer,
            SpanKind::Internal | SpanKind::Unspecified => Role::Inner,
        };
        let subject = told.subject.and_then(|id| u32::try_from(id).ok()).unwrap_or(UNKNOWN);
        Some(Node {
            span: id,
            role,
            parent: u64::from_be_bytes(span.parent_span_id),
            start,
            end,
            service: u32::try_from(service).ok()?,
            subject,
            ask: told.ask,
            error: told.error.map(String::into_boxed_str),
        })
    }

    pub(super) fn nanos(&self) -> u64 {
        self.end - self.start
    }

    pub(super) fn failed(&self) -> bool {
        self.error.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_takes_no_more_than_64_bytes() {
        assert!(size_of::<Node>() <= 64, "{}", size_of::<Node>());
    }
}
