//! `slow_close`: the end of the connection comes `delay` milliseconds late; bytes pass.

use super::{Effect, Item, Moment, Step, milliseconds};
use crate::toxic::{self, Kind};

pub(super) struct SlowClose {
    attributes: toxic::SlowClose,
    due: Option<Moment>,
}

impl SlowClose {
    pub(super) fn new(attributes: &toxic::SlowClose) -> SlowClose {
        SlowClose { attributes: *attributes, due: None }
    }
}

impl Effect for SlowClose {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        while at.output.has_room() {
            if let Item::End(_) = at.input.front()? {
                let delay = milliseconds(self.attributes.delay);
                let due = *self.due.get_or_insert(at.now + delay);
                if due > at.now {
                    return Some(due);
                }
            }
            at.pass();
        }
        None
    }

    fn changed(&mut self, at: &mut Step<'_>, kind: &Kind) {
        if self.due.take().is_some() {
            at.pass();
        }
        if let Kind::SlowClose(attributes) = kind {
            self.attributes = *attributes;
        }
    }
}
