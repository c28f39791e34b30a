//! Counters of a proxy.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::toxic::Stream;

#[derive(Debug, Default)]
pub struct Traffic {
    upstream: Bytes,
    downstream: Bytes,
    /// Connections taken, and those closed at once because there were too many.
    pub accepted: AtomicU64,
    pub refused: AtomicU64,
}

/// Bytes of one direction.
#[derive(Debug, Default)]
pub struct Bytes {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Traffic {
    pub fn of(&self, stream: Stream) -> &Bytes {
        match stream {
            Stream::Upstream => &self.upstream,
            Stream::Downstream => &self.downstream,
        }
    }
}

impl Bytes {
    /// Counts bytes read from the one side.
    pub fn received(&self, count: usize) {
        self.received.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts bytes written to the other.
    pub fn sent(&self, count: usize) {
        self.sent.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub fn totals(&self) -> (u64, u64) {
        (self.received.load(Ordering::Relaxed), self.sent.load(Ordering::Relaxed))
    }
}
