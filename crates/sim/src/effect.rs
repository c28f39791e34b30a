//! What faults and ordinary life do to a fleet: how copies conduct themselves, how calls fare.
//!
//! Effects are values with an end; what is in force is worked out anew each second, so an effect
//! that ends leaves nothing behind but what it did to queues.

use std::sync::Arc;

use crate::telemetry::Failure;
use crate::world::World;

/// Whom an effect is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    pub node: usize,
    /// One copy by its index, or all.
    pub copy: Option<usize>,
    /// Only while it runs this version.
    pub version: Option<u32>,
}

impl Who {
    pub fn all(node: usize) -> Who {
        Who { node, copy: None, version: None }
    }

    pub fn copy(node: usize, copy: usize) -> Who {
        Who { node, copy: Some(copy), version: None }
    }

    pub fn version(node: usize, version: u32) -> Who {
        Who { node, copy: None, version: Some(version) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect {
    /// Its own part of a request takes so many times as long, and so many seconds more.
    Slow { who: Who, times: f64, plus_seconds: f64 },
    /// This share of its requests fails.
    Errors { who: Who, share: f64 },
    /// It takes requests and never answers.
    Hang { who: Who },
    /// It works on so many times as many requests at once.
    Slots { who: Who, times: f64 },
    /// Its memory grows, and each MiB makes its part of a request a millisecond slower.
    Leak { who: Who, bytes_per_second: f64 },
    /// This share of what is asked of a node gets no answer of its own.
    Refuse { node: usize, share: f64, failure: Failure },
    /// Answers take so many seconds longer on their way.
    Delay { from: usize, to: usize, seconds: f64 },
    /// This share of calls is lost on the way.
    Loss { from: usize, to: usize, share: f64, failure: Failure },
    /// Users ask so many times as often.
    Surge { node: usize, times: f64 },
    /// Requests call so many times as often.
    Repeat { from: usize, to: usize, times: f64 },
}

/// An effect that is in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Active {
    pub effect: Effect,
    /// Second at which it ends.
    pub until: u64,
    /// It lives in a process and ends with it.
    pub in_process: bool,
}

impl Effect {
    pub fn who(&self) -> Option<Who> {
        match self {
            Effect::Slow { who, .. }
            | Effect::Errors { who, .. }
            | Effect::Hang { who }
            | Effect::Slots { who, .. }
            | Effect::Leak { who, .. } => Some(*who),
            _ => None,
        }
    }

    /// The same on somebody else.
    pub(crate) fn on(self, who: Who) -> Effect {
        match self {
            Effect::Slow { times, plus_seconds, .. } => Effect::Slow { who, times, plus_seconds },
            Effect::Errors { share, .. } => Effect::Errors { who, share },
            Effect::Hang { .. } => Effect::Hang { who },
            Effect::Slots { times, .. } => Effect::Slots { who, times },
            Effect::Leak { bytes_per_second, .. } => Effect::Leak { who, bytes_per_second },
            other => other,
        }
    }
}

/// How one copy does its work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Conduct {
    pub slow_times: f64,
    pub slow_plus: f64,
    pub errors: f64,
    pub hangs: bool,
    pub slots_times: f64,
    pub leak: f64,
}

impl Default for Conduct {
    fn default() -> Self {
        Conduct {
            slow_times: 1.0,
            slow_plus: 0.0,
            errors: 0.0,
            hangs: false,
            slots_times: 1.0,
            leak: 0.0,
        }
    }
}

impl Conduct {
    pub(crate) fn take(&mut self, effect: &Effect) {
        match effect {
            Effect::Slow { times, plus_seconds, .. } => {
                self.slow_times *= times;
                self.slow_plus += plus_seconds;
            }
            Effect::Errors { share, .. } => {
                self.errors = 1.0 - (1.0 - self.errors) * (1.0 - share);
            }
            Effect::Hang { .. } => self.hangs = true,
            Effect::Slots { times, .. } => self.slots_times *= times,
            Effect::Leak { bytes_per_second, .. } => self.leak += bytes_per_second,
            _ => {}
        }
    }
}

impl World {
    /// What is in force in this second.
    pub(crate) fn conduct(&mut self) {
        let second = self.second;
        self.effects.retain(|active| active.until > second);
        for replica in &mut self.copies {
            replica.conduct = Conduct::default();
        }
        for state in &mut self.nodes {
            state.refuse = None;
            state.surge = 1.0;
            for call in &mut state.calls {
                (call.times, call.delay, call.loss) = (1.0, 0.0, None);
            }
        }
        let effects = std::mem::take(&mut self.effects);
        for active in &effects {
            self.take_effect(&active.effect);
        }
        self.effects = effects;
    }

    fn take_effect(&mut self, effect: &Effect) {
        if let Some(who) = effect.who() {
            for copy in &self.nodes[who.node].copies {
                let replica = &mut self.copies[*copy];
                let is_meant = who.copy.is_none_or(|only| only == *copy)
                    && who.version.is_none_or(|version| version == replica.version);
                if is_meant {
                    replica.conduct.take(effect);
                }
            }
        }
        let fleet = Arc::clone(&self.fleet);
        let call_of =
            |from: usize, to: usize| fleet.nodes[from].calls.iter().position(|call| call.to == to);
        match *effect {
            Effect::Refuse { node, share, failure } => {
                self.nodes[node].refuse = Some((share, failure));
            }
            Effect::Surge { node, times } => self.nodes[node].surge *= times,
            Effect::Delay { from, to, seconds } => {
                if let Some(at) = call_of(from, to) {
                    self.nodes[from].calls[at].delay += seconds;
                }
            }
            Effect::Loss { from, to, share, failure } => {
                if let Some(at) = call_of(from, to) {
                    self.nodes[from].calls[at].loss = Some((share, failure));
                }
            }
            Effect::Repeat { from, to, times } => {
                if let Some(at) = call_of(from, to) {
                    self.nodes[from].calls[at].times *= times;
                }
            }
            _ => {}
        }
    }
}
