//! `timeout`: nothing passes, and the connection is closed once nothing arrived for `timeout`
//! milliseconds; with 0 it is never closed. Bytes that arrive are lost. Removing the toxic closes
//! the connection, because its stream has a hole.

use super::{Effect, End, Item, Moment, Step, milliseconds};
use crate::toxic::{self, Kind};

pub(super) struct Timeout {
    attributes: toxic::Timeout,
    since: Moment,
}

impl Timeout {
    pub(super) fn new(now: Moment, attributes: &toxic::Timeout) -> Timeout {
        Timeout { attributes: *attributes, since: now }
    }
}

impl Effect for Timeout {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        while let Some(item) = at.input.pop() {
            if let Item::Data(_) = item {
                self.since = at.now;
            }
        }
        if self.attributes.timeout <= 0 {
            return None;
        }
        let due = self.since + milliseconds(self.attributes.timeout);
        if due > at.now {
            return Some(due);
        }
        at.output.push(Item::End(End::Close));
        None
    }

    fn changed(&mut self, at: &mut Step<'_>, kind: &Kind) {
        if let Kind::Timeout(attributes) = kind {
            *self = Timeout::new(at.now, attributes);
        }
    }

    fn removed(&mut self, at: &mut Step<'_>) {
        at.output.push(Item::End(End::Close));
    }
}
