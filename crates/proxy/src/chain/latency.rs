//! `latency`: every chunk comes out a while after it was read, `latency` ± `jitter` milliseconds.
//!
//! The queue before it bears timestamps, so it delays without holding up: what is read one after
//! the other comes out one after the other, however long the delay.
//!
//! How much it holds follows from how much the other side takes: all that it may while nothing
//! waits for the other side, else four times what was taken in the time of a delay. So a fast
//! stream is not slowed down, and a slow reader does not fill memory.

use std::time::Duration;

use rand::RngExt;

use super::{Dice, Effect, Item, LATENCY_BYTES_MAX, Moment, Step, milliseconds};
use crate::toxic::{self, Kind};

/// Held for a reader that takes nothing.
const BYTES_MIN: usize = 4 << 20;
/// So long it is looked whether the other side takes everything; a whole delay, or this, how much.
const PERIOD_MIN: Duration = Duration::from_millis(10);
/// A chunk that waits longer waits for the other side.
const WAIT_MAX: Duration = Duration::from_millis(1);

pub(super) struct Latency {
    attributes: toxic::Latency,
    /// When the foremost chunk comes out, once that was drawn.
    due: Option<Moment>,
    /// When the last one came out: jitter changes no order.
    last: Moment,
    period: Period,
}

/// What became of chunks that were due, lately.
#[derive(Default)]
struct Period {
    /// When the first of them was due.
    began: Option<Moment>,
    released_bytes: usize,
    /// Since when a chunk that is due has had to wait.
    waiting: Option<Moment>,
    /// One had to wait for longer than it takes to write the one before.
    held_up: bool,
}

impl Latency {
    pub(super) fn new(attributes: &toxic::Latency) -> Latency {
        let period = Period::default();
        Latency { attributes: *attributes, due: None, last: Moment::ZERO, period }
    }

    fn delay(&self, dice: &mut Dice) -> Moment {
        // A draw beyond these is beyond the longest delay anyway.
        let jitter = self.attributes.jitter.min(i64::MAX / 4);
        let drawn = if jitter > 0 { dice.random_range(-jitter..jitter) } else { 0 };
        milliseconds(self.attributes.latency.saturating_add(drawn))
    }

    fn release(&mut self, at: &mut Step<'_>, when: Moment) {
        self.due = None;
        self.last = self.last.max(when);
        if let Some(Item::Data(mut chunk)) = at.input.pop() {
            self.period.released_bytes += chunk.data.len();
            chunk.since = self.last;
            at.output.push(Item::Data(chunk));
        }
    }

    /// Sets what may be held by what the other side took since something was due.
    fn adapt(&mut self, at: &mut Step<'_>) {
        let Some(began) = self.period.began else { return };
        let passed = at.now.saturating_sub(began);
        let length = milliseconds(self.attributes.latency).max(PERIOD_MIN);
        if !self.period.held_up {
            if passed >= PERIOD_MIN {
                at.input.set_limit(LATENCY_BYTES_MAX);
                self.period = Period::default();
            }
            return;
        }
        if passed >= length {
            let share = length.as_secs_f64() / passed.as_secs_f64();
            let taken = (self.period.released_bytes as f64 * share) as usize;
            at.input.set_limit((4 * taken + BYTES_MIN).min(LATENCY_BYTES_MAX));
            self.period = Period::default();
        }
    }
}

impl Effect for Latency {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        self.adapt(at);
        loop {
            let since = match at.input.front()? {
                Item::End(_) if at.output.has_room() => {
                    at.pass();
                    continue;
                }
                Item::End(_) => return None,
                Item::Data(chunk) => chunk.since,
            };
            let due = match self.due {
                Some(due) => due,
                None => since + self.delay(at.dice),
            };
            self.due = Some(due);
            if due > at.now {
                return Some(due);
            }
            self.period.began.get_or_insert(at.now);
            if !at.output.has_room() {
                let waiting = *self.period.waiting.get_or_insert(at.now);
                self.period.held_up |= at.now - waiting > WAIT_MAX;
                return None;
            }
            self.period.waiting = None;
            self.release(at, due);
        }
    }

    fn changed(&mut self, at: &mut Step<'_>, kind: &Kind) {
        if self.due.is_some() {
            self.release(at, at.now);
        }
        if let Kind::Latency(attributes) = kind {
            self.attributes = *attributes;
        }
    }
}
