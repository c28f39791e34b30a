//! `latency`: every chunk comes out a while after it was read, `latency` ± `jitter` milliseconds.
//!
//! The queue before it bears timestamps, so it delays without holding up: what is read one after
//! the other comes out one after the other, however long the delay.

use rand::RngExt;

use super::{Dice, Effect, Item, Moment, Step, milliseconds};
use crate::toxic::{self, Kind};

pub(super) struct Latency {
    attributes: toxic::Latency,
    /// When the foremost chunk comes out, once that was drawn.
    due: Option<Moment>,
    /// When the last one came out: jitter changes no order.
    last: Moment,
}

impl Latency {
    pub(super) fn new(attributes: &toxic::Latency) -> Latency {
        Latency { attributes: *attributes, due: None, last: Moment::ZERO }
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
            chunk.since = self.last;
            at.output.push(Item::Data(chunk));
        }
    }
}

impl Effect for Latency {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        while at.output.has_room() {
            let since = match at.input.front()? {
                Item::End(_) => {
                    at.pass();
                    continue;
                }
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
            self.release(at, due);
        }
        None
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
