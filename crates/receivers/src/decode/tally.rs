//! What decoding one request costs and rejects, counted while it is read.
//!
//! Wire bytes can be much smaller than what they stand for: two bytes are an empty log record of
//! 200. Each element pushed into a list is therefore charged against a budget that follows from
//! the length of the body alone. Real telemetry needs three to eight times its size; the budget
//! allows [`EXPANSION_MAX`] times. At receipt, what the lists take is also reserved from the memory
//! that all requests share, before it is allocated and by capacity, not length. Texts share the
//! body, which lives as long as the batch: it is reserved first.

use bytes::Bytes;
use model::signal::{Batch, Signal};
use model::text::Body;

use super::check::Fault;
use super::{DecodeError, Decoded, Result};
use crate::memory::{Reservation, Shortage};

/// Decoded elements may take this many times the bytes of the body, and [`EXPANSION_BASE`] on top.
pub const EXPANSION_MAX: usize = 12;
const EXPANSION_BASE: usize = 1 << 20;

/// Lists of elements larger than this begin with one, others with four.
const LARGE_BYTES: usize = 64;

/// Shared memory is reserved in steps of this; what is over is given back at the end.
const RESERVE_BYTES: usize = 64 << 10;

/// Longest reason handed back to the sender, in characters: reasons quote what was sent.
const REASON_MAX: usize = 200;

pub(super) struct Tally<'a> {
    signal: Signal,
    body: Body,
    /// Where decoded memory is reserved; at replay it is not.
    memory: Option<&'a mut Reservation>,
    memory_bytes: usize,
    budget_bytes: usize,
    rejected: u64,
    reason: Option<String>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(signal: Signal, body: Bytes, memory: Option<&'a mut Reservation>) -> Self {
        let body_bytes = body.len();
        let budget_bytes = body_bytes.saturating_mul(EXPANSION_MAX).saturating_add(EXPANSION_BASE);
        let body = Body::new(body);
        let (rejected, reason) = (0, None);
        Tally { signal, body, memory, memory_bytes: 0, budget_bytes, rejected, reason }
    }

    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    /// What is being read.
    pub(super) fn body(&self) -> &Body {
        &self.body
    }

    /// Reserves what the texts of the batch keep.
    pub(super) fn reserve_body(&mut self) -> Result<()> {
        self.reserve(self.body.bytes().len())
    }

    /// Adds `element` to `list` if the budget allows.
    #[inline]
    pub(super) fn push<T>(&mut self, list: &mut Vec<T>, element: T) -> Result<()> {
        let size = size_of::<T>();
        if size > self.budget_bytes {
            return Err(DecodeError::TooDense { bytes: self.body.bytes().len() });
        }
        self.budget_bytes -= size;
        if list.len() == list.capacity() {
            self.grow(list)?;
        }
        list.push(element);
        Ok(())
    }

    /// As a list grows by itself: to twice its size. The old one lives until it is copied.
    #[inline(never)]
    fn grow<T>(&mut self, list: &mut Vec<T>) -> Result<()> {
        let size = size_of::<T>();
        let more = list.capacity().max(if size > LARGE_BYTES { 1 } else { 4 });
        self.reserve(more.saturating_mul(size))?;
        list.reserve_exact(more);
        Ok(())
    }

    /// Makes room in an empty `list` for `elements` that are known to stand in the body, as far as
    /// the budget allows: a list that grows step by step is copied as often.
    pub(super) fn make_room<T>(&mut self, list: &mut Vec<T>, elements: usize) -> Result<()> {
        let elements = elements.min(self.budget_bytes / size_of::<T>().max(1));
        self.reserve(elements.saturating_mul(size_of::<T>()))?;
        list.reserve_exact(elements);
        Ok(())
    }

    fn reserve(&mut self, bytes: usize) -> Result<()> {
        self.memory_bytes = self.memory_bytes.saturating_add(bytes);
        let Some(memory) = &mut self.memory else { return Ok(()) };
        if self.memory_bytes <= memory.bytes() {
            return Ok(());
        }
        let needed = self.memory_bytes - memory.bytes();
        memory.grow(needed.next_multiple_of(RESERVE_BYTES)).map_err(|shortage| match shortage {
            Shortage::Pool => DecodeError::NoMemory,
            Shortage::Share { limit } => DecodeError::TooMuchMemory { limit },
        })
    }

    /// Adds a valid item to `items`, leaves out and counts an invalid one.
    pub(super) fn settle<T>(&mut self, items: &mut Vec<T>, item: T, fault: Fault) -> Result<()> {
        match fault.into_reason() {
            None => self.push(items, item),
            Some(reason) => {
                self.reject(1, &reason);
                Ok(())
            }
        }
    }

    pub(super) fn reject(&mut self, items: usize, reason: &str) {
        self.rejected += items as u64;
        self.warn(reason);
    }

    /// Tells the sender of something that was dropped without losing a whole item.
    pub(super) fn warn(&mut self, reason: &str) {
        if self.reason.is_none() {
            self.reason = Some(reason.chars().take(REASON_MAX).collect());
        }
    }

    pub(super) fn finish(self, batch: Batch) -> Decoded {
        if let Some(memory) = self.memory {
            memory.shrink_to(self.memory_bytes);
        }
        let items = match self.signal {
            Signal::Traces => "spans",
            Signal::Metrics => "data points",
            Signal::Logs => "log records",
        };
        let message = match self.reason {
            None => String::new(),
            Some(reason) if self.rejected == 0 => reason,
            Some(reason) => {
                let total = batch.len() as u64 + self.rejected;
                format!("{} of {total} {items} rejected; the first: {reason}", self.rejected)
            }
        };
        Decoded { batch, rejected: self.rejected, message }
    }
}
