//! Memory that requests may hold: pools from which each request reserves as it grows.
//!
//! Two pools bound the receivers: bytes of bodies, and bytes of what is decoded from them. Wire
//! bytes say little about the latter, so it is reserved while it is built, and held until whoever
//! took the batch drops its [`MemoryGuard`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Why memory was not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    /// Others hold it at the moment.
    Pool,
    /// The request asks for more than any may.
    Share { limit: usize },
}

/// Bytes that may be held at a time.
pub(crate) struct Pool {
    limit: usize,
    used: AtomicUsize,
    peak: AtomicUsize,
}

impl Pool {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Pool { limit, used: AtomicUsize::new(0), peak: AtomicUsize::new(0) })
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// The most that was ever held at a time.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Relaxed)
    }

    /// An empty reservation of a request that may hold `share` bytes at most.
    pub(crate) fn reserve(self: &Arc<Self>, share: usize) -> Reservation {
        Reservation { pool: Arc::clone(self), share, bytes: 0 }
    }
}

/// Bytes that one request holds of a pool; given back when dropped.
pub(crate) struct Reservation {
    pool: Arc<Pool>,
    share: usize,
    bytes: usize,
}

impl Reservation {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Shortage> {
        let all = self.bytes.checked_add(bytes).filter(|all| *all <= self.share);
        let all = all.ok_or(Shortage::Share { limit: self.share })?;
        let within = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.pool.limit);
        let before = self.pool.used.fetch_update(Relaxed, Relaxed, within);
        let before = before.map_err(|_| Shortage::Pool)?;
        self.pool.peak.fetch_max(before + bytes, Relaxed);
        self.bytes = all;
        Ok(())
    }

    /// Gives back what is over `bytes`.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let over = self.bytes.saturating_sub(bytes);
        self.pool.used.fetch_sub(over, Relaxed);
        self.bytes -= over;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.pool.used.fetch_sub(self.bytes, Relaxed);
    }
}

/// The memory that a decoded batch takes counts as held until this and all its clones are dropped:
/// keep it as long as the batch.
#[derive(Clone)]
pub struct MemoryGuard(Arc<Reservation>);

impl MemoryGuard {
    pub(crate) fn new(reservation: Reservation) -> Self {
        MemoryGuard(Arc::new(reservation))
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl std::fmt::Debug for MemoryGuard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "MemoryGuard({} bytes)", self.bytes())
    }
}
