//! `slicer`: chunks come out in slices of about `average_size` bytes ± `size_variation`, each
//! followed by a pause of `delay` microseconds.
//!
//! A chunk is halved, about, until its parts are small enough, as Toxiproxy does it. The parts are
//! found one at a time, so nothing is held but the halves still to be cut. Whatever numbers are
//! given, a slice has at least one byte.

use rand::RngExt;

use super::{Dice, Effect, Item, Moment, Step, microseconds};
use crate::toxic::{self, Kind};

pub(super) struct Slicer {
    attributes: toxic::Slicer,
    /// Sizes of the parts of the foremost chunk that are still to be cut, the first one last.
    parts: Vec<usize>,
    /// When the next slice may come out.
    due: Moment,
}

impl Slicer {
    pub(super) fn new(attributes: &toxic::Slicer) -> Slicer {
        Slicer { attributes: *attributes, parts: Vec::new(), due: Moment::ZERO }
    }

    /// The size of the next slice of a chunk of which `left` bytes are still there.
    fn slice(&mut self, left: usize, dice: &mut Dice) -> usize {
        let average = usize::try_from(self.attributes.average_size).unwrap_or(0).max(1);
        let variation = usize::try_from(self.attributes.size_variation).unwrap_or(0);
        let mut part = self.parts.pop().unwrap_or(left);
        while part > 1 && part.saturating_sub(average) > variation {
            let spread = i64::try_from(variation.min(part)).unwrap_or(0);
            let drawn = if spread > 0 { dice.random_range(-spread..spread) } else { 0 };
            let middle = i64::try_from(part / 2).unwrap_or(i64::MAX).saturating_add(drawn);
            let first = usize::try_from(middle).unwrap_or(0).clamp(1, part - 1);
            self.parts.push(part - first);
            part = first;
        }
        part
    }
}

impl Effect for Slicer {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        while at.output.has_room() {
            if self.due > at.now {
                return Some(self.due);
            }
            let left = match at.input.front()? {
                Item::End(_) => {
                    at.pass();
                    continue;
                }
                Item::Data(chunk) => chunk.data.len(),
            };
            let is_new = self.parts.is_empty();
            let size = self.slice(left, at.dice);
            if let Some(chunk) = at.input.split(size) {
                at.output.push(Item::Data(chunk));
            }
            // Within a chunk the pauses follow each other exactly, however late a timer fires.
            let from = if is_new { at.now } else { self.due };
            self.due = from + microseconds(self.attributes.delay);
        }
        None
    }

    fn changed(&mut self, at: &mut Step<'_>, kind: &Kind) {
        if !self.parts.is_empty() {
            at.pass();
        }
        if let Kind::Slicer(attributes) = kind {
            *self = Slicer::new(attributes);
        }
    }
}
