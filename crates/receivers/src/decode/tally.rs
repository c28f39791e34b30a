//! What decoding one request costs and rejects, counted while it is read.
//!
//! Wire bytes can be much smaller than what they stand for: two bytes are an empty log record of
//! 200. Each element pushed into a list is therefore charged against a budget that follows from
//! the length of the body alone. Real telemetry needs three to eight times its size; the budget
//! allows [`EXPANSION_MAX`] times. Text is not charged: it is never longer than the input.

use model::signal::{Batch, Signal};

use super::check::Fault;
use super::{DecodeError, Decoded, Result};

/// Decoded elements may take this many times the bytes of the body, and [`EXPANSION_BASE`] on top.
pub const EXPANSION_MAX: usize = 12;
const EXPANSION_BASE: usize = 1 << 20;

/// Longest reason handed back to the sender, in characters: reasons quote what was sent.
const REASON_MAX: usize = 200;

pub(super) struct Tally {
    signal: Signal,
    body_bytes: usize,
    budget_bytes: usize,
    rejected: u64,
    reason: Option<String>,
}

impl Tally {
    pub(super) fn new(signal: Signal, body_bytes: usize) -> Self {
        let budget_bytes = body_bytes.saturating_mul(EXPANSION_MAX).saturating_add(EXPANSION_BASE);
        Tally { signal, body_bytes, budget_bytes, rejected: 0, reason: None }
    }

    /// Adds `element` to `list` if the budget allows.
    pub(super) fn push<T>(&mut self, list: &mut Vec<T>, element: T) -> Result<()> {
        let size = size_of::<T>();
        if size > self.budget_bytes {
            return Err(DecodeError::TooDense { bytes: self.body_bytes });
        }
        self.budget_bytes -= size;
        list.push(element);
        Ok(())
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
