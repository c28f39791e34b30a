//! `bandwidth`: bytes pass at `rate` kB/s (1,000 bytes). At a rate of zero or less nothing passes.
//!
//! Chunks that take more than 100 ms come out in pieces of 100 ms. A timer that fired late is made
//! good with the next chunk.

use std::time::Duration;

use super::{Effect, Item, LONGEST, Moment, Step};
use crate::toxic::{self, Kind};

const PIECE: Duration = Duration::from_millis(100);
/// Lateness beyond this is not the timer's, and not made good.
const LATENESS_MAX: Duration = Duration::from_millis(10);

pub(super) struct Bandwidth {
    rate: i64,
    due: Option<Moment>,
    /// The timer was late by this much.
    late: Duration,
}

impl Bandwidth {
    pub(super) fn new(attributes: &toxic::Bandwidth) -> Bandwidth {
        Bandwidth { rate: attributes.rate, due: None, late: Duration::ZERO }
    }

    /// Bytes that pass in a piece, at least one; `None` where nothing passes.
    fn piece_bytes(&self) -> Option<usize> {
        let rate = u64::try_from(self.rate).ok().filter(|rate| *rate > 0)?;
        Some(usize::try_from(rate.saturating_mul(100)).unwrap_or(usize::MAX))
    }

    /// How long so many bytes take.
    fn takes(&self, bytes: usize) -> Duration {
        let rate = u64::try_from(self.rate).unwrap_or(0).max(1);
        let nanoseconds = (bytes as u128 * 1_000_000 / u128::from(rate)).min(LONGEST.as_nanos());
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }
}

impl Effect for Bandwidth {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        while at.output.has_room() {
            let length = match at.input.front()? {
                Item::End(_) => {
                    at.pass();
                    continue;
                }
                Item::Data(chunk) => chunk.data.len(),
            };
            let piece = self.piece_bytes()?.min(length);
            let due = match self.due {
                Some(due) => due,
                None => {
                    let takes = if piece < length { PIECE } else { self.takes(piece) };
                    let late = std::mem::take(&mut self.late);
                    (at.now + takes).saturating_sub(late)
                }
            };
            self.due = Some(due);
            if due > at.now {
                return Some(due);
            }
            self.due = None;
            self.late = (at.now - due).min(LATENESS_MAX);
            if let Some(chunk) = at.input.split(piece) {
                at.output.push(Item::Data(chunk));
            }
        }
        None
    }

    fn changed(&mut self, at: &mut Step<'_>, kind: &Kind) {
        if self.due.take().is_some() {
            at.pass();
        }
        if let Kind::Bandwidth(attributes) = kind {
            *self = Bandwidth::new(attributes);
        }
    }
}
