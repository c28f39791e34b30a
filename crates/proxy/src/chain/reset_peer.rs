//! `reset_peer`: `timeout` milliseconds after the first bytes, or the end, both sides get a RST.
//! What arrived is lost.

use super::{Effect, End, Item, Moment, Step, milliseconds};
use crate::toxic::{self, Kind};

pub(super) struct ResetPeer {
    attributes: toxic::ResetPeer,
    due: Option<Moment>,
}

impl ResetPeer {
    pub(super) fn new(attributes: &toxic::ResetPeer) -> ResetPeer {
        ResetPeer { attributes: *attributes, due: None }
    }
}

impl Effect for ResetPeer {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        while at.input.pop().is_some() {
            self.due.get_or_insert(at.now + milliseconds(self.attributes.timeout));
        }
        let due = self.due?;
        if due > at.now {
            return Some(due);
        }
        at.output.push(Item::End(End::Reset));
        None
    }

    fn changed(&mut self, _: &mut Step<'_>, kind: &Kind) {
        // A reset that is under way stays so.
        if let Kind::ResetPeer(attributes) = kind {
            self.attributes = *attributes;
        }
    }

    fn removed(&mut self, at: &mut Step<'_>) {
        if self.due.is_some() {
            at.output.push(Item::End(End::Reset));
        }
    }
}
