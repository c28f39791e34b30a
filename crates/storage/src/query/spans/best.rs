//! The best rows met so far, in bounded memory.

use std::collections::BTreeSet;
use std::time::Duration;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::{Span, SpanId, TraceId};

use super::Order;
use crate::Error;
use crate::rows::{Ids, Integers, Times};

/// What spans are ordered by: the larger, the earlier it comes in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// Start, or duration.
    pub first: u64,
    /// Duration, or start.
    pub second: u64,
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub order: Order,
}

impl Rank {
    pub fn time(&self) -> Timestamp {
        Timestamp(if self.order == Order::Newest { self.first } else { self.second })
    }

    pub fn duration_nanos(&self) -> u64 {
        if self.order == Order::Newest { self.second } else { self.first }
    }

    pub fn is_of(&self, span: &Span) -> bool {
        self.span_id == span.span_id
            && self.trace_id == span.trace_id
            && self.time().as_nanos() == span.start_unix_nanos
            && self.duration_nanos() == span.end_unix_nanos.saturating_sub(span.start_unix_nanos)
    }
}

/// The ranks of a batch's rows.
pub fn ranks(
    order: Order,
    batch: &RecordBatch,
) -> Result<impl Iterator<Item = (usize, Rank)>, Error> {
    let times = Times::of(batch, "time")?;
    let durations = Integers::of(batch, "duration_nanos")?;
    let (traces, spans) = (Ids::of(batch, "trace_id")?, Ids::of(batch, "span_id")?);
    Ok((0..batch.num_rows()).map(move |row| {
        let time = times.get(row).unwrap_or_default().as_nanos();
        // A negative one is that of a span that ended before it started.
        let duration = durations.get(row).unwrap_or(0).max(0) as u64;
        let (first, second) = match order {
            Order::Newest => (time, duration),
            Order::Slowest => (duration, time),
        };
        let trace_id = traces.get(row).unwrap_or_default();
        (row, Rank { first, second, trace_id, span_id: spans.get(row).unwrap_or_default(), order })
    }))
}

/// Keeps as many as it may, each with where it was found.
pub struct Best<T> {
    order: Order,
    capacity: usize,
    /// The worst first. The number makes rows that are the same in all differ.
    kept: BTreeSet<(Rank, u64, T)>,
    offered: u64,
}

impl<T: Ord> Best<T> {
    pub fn new(order: Order, capacity: usize) -> Best<T> {
        Best { order, capacity, kept: BTreeSet::new(), offered: 0 }
    }

    pub fn offer(&mut self, rank: Rank, place: T) {
        let is_full = self.kept.len() >= self.capacity;
        if is_full && self.kept.first().is_some_and(|(worst, ..)| rank <= *worst) {
            return;
        }
        self.offered += 1;
        self.kept.insert((rank, self.offered, place));
        if is_full {
            self.kept.pop_first();
        }
    }

    fn worst(&self) -> Option<&Rank> {
        self.kept.first().map(|(rank, ..)| rank).filter(|_| self.kept.len() >= self.capacity)
    }

    /// Whether a span that started at `time` or earlier could still be among the best.
    pub fn may_take_before(&self, time: Timestamp) -> bool {
        self.order == Order::Slowest || self.worst().is_none_or(|worst| worst.time() <= time)
    }

    /// No earlier span can still be among the best.
    pub fn time_min(&self, asked: Timestamp) -> Timestamp {
        let worst = self.worst().filter(|_| self.order == Order::Newest);
        worst.map_or(asked, |worst| asked.max(worst.time()))
    }

    /// No shorter span can still be among the best.
    pub fn duration_min(&self, asked: Option<Duration>) -> Option<Duration> {
        let worst = self.worst().filter(|_| self.order == Order::Slowest);
        let needed = worst.map(|worst| Duration::from_nanos(worst.duration_nanos()));
        needed.max(asked)
    }

    /// The best first.
    pub fn into_sorted(self) -> Vec<(Rank, T)> {
        self.kept.into_iter().rev().map(|(rank, _, place)| (rank, place)).collect()
    }
}
