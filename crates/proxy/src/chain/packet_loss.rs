//! `packet_loss`: a chunk is lost with probability `loss_rate`, and with `loss_rate` +
//! `correlation` if the one before it was lost. Both lie between 0 and 1. What is lost is missing:
//! unlike on a real network nobody sends it again.

use rand::RngExt;

use super::{Effect, Item, Moment, Step};
use crate::toxic::{self, Kind};

pub(super) struct PacketLoss {
    attributes: toxic::PacketLoss,
    lost_before: bool,
}

impl PacketLoss {
    pub(super) fn new(attributes: &toxic::PacketLoss) -> PacketLoss {
        PacketLoss { attributes: *attributes, lost_before: false }
    }

    fn probability(&self) -> f64 {
        let loss_rate = self.attributes.loss_rate.clamp(0.0, 1.0);
        let correlation = self.attributes.correlation.clamp(0.0, 1.0);
        if self.lost_before { loss_rate + correlation } else { loss_rate }
    }
}

impl Effect for PacketLoss {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        while at.output.has_room() {
            if let Item::Data(_) = at.input.front()? {
                self.lost_before = at.dice.random::<f64>() < self.probability();
                if self.lost_before {
                    at.input.pop();
                    continue;
                }
            }
            at.pass();
        }
        None
    }

    fn changed(&mut self, _: &mut Step<'_>, kind: &Kind) {
        if let Kind::PacketLoss(attributes) = kind {
            self.attributes = *attributes;
        }
    }
}
