//! Chunks and ends in order, bounded by the bytes that they take.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};

use super::Moment;

/// What the bookkeeping of an item is charged with, so that many tiny ones are bounded too.
const ITEM_BYTES: usize = size_of::<Item>();

/// Bytes that one read brought, or a part of them.
#[derive(Debug)]
pub struct Chunk {
    pub data: Bytes,
    /// When they were read, or let go by a latency toxic.
    pub since: Moment,
}

/// How a direction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// No more is sent this way; the other way goes on.
    Eof,
    /// The connection is closed.
    Close,
    /// The connection is reset: both sides get a RST.
    Reset,
}

#[derive(Debug)]
pub enum Item {
    Data(Chunk),
    End(End),
}

/// A queue of one link. Nothing follows an end.
#[derive(Debug)]
pub struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    bytes_max: usize,
    /// Whatever the bound: no more than this while memory is short.
    bytes_cap: usize,
    moved: u64,
    ended: bool,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Queue {
        let bytes_cap = usize::MAX;
        Queue { items: VecDeque::new(), bytes: 0, bytes_max, bytes_cap, moved: 0, ended: false }
    }

    pub(super) fn set_cap(&mut self, bytes_cap: usize) {
        self.bytes_cap = bytes_cap;
    }

    pub(super) fn set_limit(&mut self, bytes_max: usize) {
        self.bytes_max = bytes_max;
    }

    /// Whether one more item is welcome; it may be larger than what is left.
    pub(super) fn has_room(&self) -> bool {
        self.ended || self.bytes < self.bytes_max.min(self.bytes_cap)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether an end was pushed: what comes after it is let fall.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Takes nothing more, as after an end.
    pub(super) fn close(&mut self) {
        self.ended = true;
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    pub(super) fn front(&self) -> Option<&Item> {
        self.items.front()
    }

    pub(super) fn push(&mut self, item: Item) {
        if self.ended {
            return;
        }
        self.ended = matches!(item, Item::End(_));
        self.bytes += size(&item);
        self.moved += 1;
        self.items.push_back(item);
    }

    pub(super) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        self.bytes -= size(&item);
        self.moved += 1;
        Some(item)
    }

    /// Cuts bytes off the foremost chunk.
    pub(super) fn split(&mut self, count: usize) -> Option<Chunk> {
        let Some(Item::Data(chunk)) = self.items.front_mut() else { return None };
        if count >= chunk.data.len() {
            let Some(Item::Data(whole)) = self.pop() else { return None };
            return Some(whole);
        }
        let data = chunk.data.split_to(count);
        self.bytes -= count;
        self.moved += 1;
        Some(Chunk { data, since: chunk.since })
    }

    /// Lets bytes at the front fall, over several chunks.
    pub(super) fn take_bytes(&mut self, count: usize) {
        let mut left = count;
        while let Some(Item::Data(chunk)) = self.items.front_mut() {
            if chunk.data.len() > left {
                chunk.data.advance(left);
                self.bytes -= left;
                self.moved += u64::from(left > 0);
                return;
            }
            left -= chunk.data.len();
            self.pop();
        }
    }

    /// Takes over everything of another, whatever the bound: it was held before, too.
    pub(super) fn append(&mut self, other: &mut Queue) {
        while let Some(item) = other.pop() {
            self.push(item);
        }
    }
}

fn size(item: &Item) -> usize {
    match item {
        Item::Data(chunk) => chunk.data.len() + ITEM_BYTES,
        Item::End(_) => ITEM_BYTES,
    }
}
