//! `limit_data`: the connection is closed once `bytes` bytes have passed. What had passed before a
//! change of the limit counts on.

use super::{Effect, End, Item, Moment, Step};
use crate::toxic::{self, Kind};

pub(super) struct LimitData {
    bytes_max: i64,
    passed: u64,
}

impl LimitData {
    pub(super) fn new(attributes: &toxic::LimitData) -> LimitData {
        LimitData { bytes_max: attributes.bytes, passed: 0 }
    }

    fn left(&self) -> usize {
        let bytes_max = u64::try_from(self.bytes_max).unwrap_or(0);
        usize::try_from(bytes_max.saturating_sub(self.passed)).unwrap_or(usize::MAX)
    }
}

impl Effect for LimitData {
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment> {
        while at.output.has_room() {
            if let Item::End(_) = at.input.front()? {
                at.pass();
                continue;
            }
            let left = self.left();
            if left > 0
                && let Some(chunk) = at.input.split(left)
            {
                self.passed += chunk.data.len() as u64;
                at.output.push(Item::Data(chunk));
            }
            if self.left() == 0 {
                at.output.push(Item::End(End::Close));
                while at.input.pop().is_some() {}
            }
        }
        None
    }

    fn changed(&mut self, _: &mut Step<'_>, kind: &Kind) {
        if let Kind::LimitData(attributes) = kind {
            self.bytes_max = attributes.bytes;
        }
    }
}
