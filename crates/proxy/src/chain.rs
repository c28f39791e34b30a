//! What the toxics of one direction of one connection do to the bytes that pass: a state machine
//! over chunks, with time and randomness as inputs and no I/O.
//!
//! ```text
//! push ─► [queue] toxic 1 ─► [queue] toxic 2 ─► … ─► [ready] ─► taken by who writes
//! ```
//!
//! Invariants: order is never changed. A queue that is full makes the toxic before it wait, and in
//! the end the reader: nothing is dropped but by toxics whose purpose it is. After an end nothing
//! follows.

mod bandwidth;

mod latency;

mod limit_data;

mod packet_loss;

mod queue;

mod reset_peer;

mod slicer;

mod slow_close;

mod timeout;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub use queue::{Chunk, End, Item, Queue};

use crate::toxic::{Kind, Toxic};

/// Time since the link began.
pub type Moment = Duration;

/// What a latency toxic of one direction of a connection may hold, bookkeeping included: at
/// 2.5 GB/s that is 100 ms of data.
pub const LATENCY_BYTES_MAX: usize = 256 << 20;
/// What it may hold before it is known how fast the other side takes it.
const LATENCY_BYTES_AT_FIRST: usize = 64 << 20;
/// What it may hold while all connections together hold too much.
const LATENCY_BYTES_TIGHT: usize = 256 << 10;
/// What waits before any other toxic, and what is ready to be written; one chunk more may be.
const QUEUE_BYTES_MAX: usize = 64 << 10;
const READY_BYTES_MAX: usize = 256 << 10;
/// The longest that anything is delayed, however large a number was given.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3_600);

/// Randomness of one link.
pub type Dice = StdRng;

/// What one toxic does to one direction of one connection.
trait Effect: Send {
    /// Moves what may move from `input` to `output` while that has room, and tells when to be
    /// asked again; `None`: when something arrives or there is room.
    fn step(&mut self, at: &mut Step<'_>) -> Option<Moment>;

    /// The toxic has other attributes. What it holds in hand goes on at once, as with Toxiproxy.
    fn changed(&mut self, at: &mut Step<'_>, kind: &Kind);

    /// The toxic is gone. What waits before it goes on by itself.
    fn removed(&mut self, _: &mut Step<'_>) {}
}

/// Where a toxic stands: between two queues, at a moment.
struct Step<'a> {
    now: Moment,
    input: &'a mut Queue,
    output: &'a mut Queue,
    dice: &'a mut Dice,
}

impl Step<'_> {
    /// Passes the foremost item on as it is.
    fn pass(&mut self) {
        if let Some(item) = self.input.pop() {
            self.output.push(item);
        }
    }
}

struct Stage {
    toxic: Arc<Toxic>,
    /// Where this connection lies between 0 and 1: toxics with a higher toxicity act upon it.
    lot: f32,
    input: Queue,
    /// `None` where the toxic does not act upon this connection.
    effect: Option<Box<dyn Effect>>,
}

/// The toxics of one direction of one connection.
pub struct Chain {
    stages: Vec<Stage>,
    ready: Queue,
    dice: Dice,
    wake: Option<Moment>,
}

impl Chain {
    pub fn new(seed: u64) -> Chain {
        Chain {
            stages: Vec::new(),
            ready: Queue::new(READY_BYTES_MAX),
            dice: StdRng::seed_from_u64(seed),
            wake: None,
        }
    }

    /// Whether no toxic acts and nothing waits: bytes may pass by the chain.
    pub fn is_idle(&self) -> bool {
        let idle = |stage: &Stage| stage.effect.is_none() && stage.input.is_empty();
        self.ready.is_empty() && !self.ready.has_ended() && self.stages.iter().all(idle)
    }

    /// Whether more may be pushed.
    pub fn has_room(&self) -> bool {
        self.first().has_room()
    }

    /// Bytes held, bookkeeping included.
    pub fn held_bytes(&self) -> usize {
        self.ready.bytes() + self.stages.iter().map(|stage| stage.input.bytes()).sum::<usize>()
    }

    /// Lets latency toxics hold little while memory is short, else as much as they may.
    pub fn tighten(&mut self, tight: bool) {
        let cap = if tight { LATENCY_BYTES_TIGHT } else { LATENCY_BYTES_MAX };
        for stage in &mut self.stages {
            if matches!(stage.toxic.kind, Kind::Latency(_)) {
                stage.input.set_cap(cap);
            }
        }
    }

    /// Takes what was read at `now`.
    pub fn push(&mut self, now: Moment, data: Bytes) {
        if !data.is_empty() {
            self.first_mut().push(Item::Data(Chunk { data, since: now }));
        }
    }

    /// Takes the end of what is read.
    pub fn end(&mut self, end: End) {
        self.first_mut().push(Item::End(end));
    }

    /// Puts bytes behind the toxics: they had passed when toxics were still others.
    pub fn push_ready(&mut self, now: Moment, data: Bytes) {
        if !data.is_empty() {
            self.ready.push(Item::Data(Chunk { data, since: now }));
        }
    }

    /// Moves everything that may move by `now`.
    pub fn advance(&mut self, now: Moment) {
        loop {
            let before = self.moved();
            self.wake = None;
            for index in 0..self.stages.len() {
                let wake = self.step(now, index, |effect, at| effect.step(at));
                self.wake = [self.wake, wake.flatten()].into_iter().flatten().min();
            }
            if self.moved() == before {
                return;
            }
        }
    }

    /// When to advance again, if nothing happens before.
    pub fn wake(&self) -> Option<Moment> {
        self.wake
    }

    /// What is to be written next; [`Self::written`] takes it away.
    pub fn ready(&self) -> Option<&Item> {
        self.ready.front()
    }

    /// The first `count` bytes of what is ready were written.
    pub fn written(&mut self, count: usize) {
        self.ready.take_bytes(count);
    }

    /// Other toxics from `now` on. Those that stay are known by their id.
    pub fn update(&mut self, now: Moment, toxics: &[Arc<Toxic>]) {
        let mut index = 0;
        while index < self.stages.len() {
            let id = self.stages[index].toxic.id;
            match toxics.iter().find(|toxic| toxic.id == id) {
                None => self.remove(now, index),
                Some(toxic) => {
                    let toxic = Arc::clone(toxic);
                    self.replace(now, index, toxic);
                    index += 1;
                }
            }
        }
        for toxic in toxics {
            if !self.stages.iter().any(|stage| stage.toxic.id == toxic.id) {
                self.add(now, Arc::clone(toxic));
            }
        }
    }

    fn add(&mut self, now: Moment, toxic: Arc<Toxic>) {
        let lot = self.dice.random::<f32>();
        let effect = (lot < toxic.toxicity).then(|| effect(now, &toxic.kind)).flatten();
        let is_latency = matches!(toxic.kind, Kind::Latency(_));
        let limit = if is_latency { LATENCY_BYTES_AT_FIRST } else { QUEUE_BYTES_MAX };
        let mut input = Queue::new(limit);
        if self.ready.has_ended() {
            input.close();
        }
        self.stages.push(Stage { toxic, lot, input, effect });
    }

    fn replace(&mut self, now: Moment, index: usize, toxic: Arc<Toxic>) {
        let stage = &mut self.stages[index];
        if Arc::ptr_eq(&stage.toxic, &toxic) {
            return;
        }
        let acts = stage.lot < toxic.toxicity;
        match (stage.effect.is_some(), acts) {
            (true, true) => {
                self.step(now, index, |effect, at| effect.changed(at, &toxic.kind));
            }
            (false, true) => stage.effect = effect(now, &toxic.kind),
            (true, false) => stage.effect = None,
            (false, false) => {}
        }
        self.stages[index].toxic = toxic;
    }

    fn remove(&mut self, now: Moment, index: usize) {
        self.step(now, index, |effect, at| effect.removed(at));
        let mut stage = self.stages.remove(index);
        let next = match self.stages.get_mut(index) {
            Some(next) => &mut next.input,
            None => &mut self.ready,
        };
        next.append(&mut stage.input);
    }

    /// Asks the effect of one stage; a toxic that does not act lets everything pass.
    fn step<T>(
        &mut self,
        now: Moment,
        index: usize,
        ask: impl FnOnce(&mut dyn Effect, &mut Step<'_>) -> T,
    ) -> Option<T> {
        let (before, behind) = self.stages.split_at_mut(index + 1);
        let stage = &mut before[index];
        let output = match behind.first_mut() {
            Some(next) => &mut next.input,
            None => &mut self.ready,
        };
        let mut at = Step { now, input: &mut stage.input, output, dice: &mut self.dice };
        let Some(effect) = &mut stage.effect else {
            while at.output.has_room() && !at.input.is_empty() {
                at.pass();
            }
            return None;
        };
        Some(ask(effect.as_mut(), &mut at))
    }

    /// Grows with whatever moves.
    fn moved(&self) -> u64 {
        self.ready.moved() + self.stages.iter().map(|stage| stage.input.moved()).sum::<u64>()
    }

    fn first(&self) -> &Queue {
        self.stages.first().map_or(&self.ready, |stage| &stage.input)
    }

    fn first_mut(&mut self) -> &mut Queue {
        self.stages.first_mut().map_or(&mut self.ready, |stage| &mut stage.input)
    }
}

fn effect(now: Moment, kind: &Kind) -> Option<Box<dyn Effect>> {
    Some(match kind {
        Kind::Noop => return None,
        Kind::Latency(attributes) => Box::new(latency::Latency::new(attributes)),
        Kind::Bandwidth(attributes) => Box::new(bandwidth::Bandwidth::new(attributes)),
        Kind::SlowClose(attributes) => Box::new(slow_close::SlowClose::new(attributes)),
        Kind::Timeout(attributes) => Box::new(timeout::Timeout::new(now, attributes)),
        Kind::ResetPeer(attributes) => Box::new(reset_peer::ResetPeer::new(attributes)),
        Kind::Slicer(attributes) => Box::new(slicer::Slicer::new(attributes)),
        Kind::LimitData(attributes) => Box::new(limit_data::LimitData::new(attributes)),
        Kind::PacketLoss(attributes) => Box::new(packet_loss::PacketLoss::new(attributes)),
    })
}

/// Milliseconds as users give them; what is negative is nothing.
fn milliseconds(given: i64) -> Duration {
    Duration::from_millis(u64::try_from(given).unwrap_or(0)).min(LONGEST)
}

fn microseconds(given: i64) -> Duration {
    Duration::from_micros(u64::try_from(given).unwrap_or(0)).min(LONGEST)
}
