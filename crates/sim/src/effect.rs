//! What faults and ordinary life do to a fleet: how copies conduct themselves, how calls fare.
//!
//! Effects are values with a beginning and an end; what is in force is worked out anew each second,
//! so an effect that ends leaves nothing behind but what it did to queues.

use crate::telemetry::Failure;
use crate::world::{CallState, World};

/// Whom an effect is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    pub node: usize,
    /// One copy by its index, or all.
    pub copy: Option<usize>,
    /// Only while it runs this version.
    pub version: Option<u32>,
    /// Only while it runs with this configuration.
    pub configuration: Option<u32>,
}

impl Who {
    pub fn all(node: usize) -> Who {
        Who { node, copy: None, version: None, configuration: None }
    }

    pub fn copy(node: usize, copy: usize) -> Who {
        Who { copy: Some(copy), ..Who::all(node) }
    }

    pub fn version(node: usize, version: u32) -> Who {
        Who { version: Some(version), ..Who::all(node) }
    }

    pub fn configuration(node: usize, configuration: u32) -> Who {
        Who { configuration: Some(configuration), ..Who::all(node) }
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
    /// Of its connections to databases only this share can be had.
    Pool { who: Who, share: f64 },
    /// While its queue is filled, it works on so many times as few requests at once: work for those
    /// who are gone, collections of garbage, contention.
    Collapse { who: Who, times: f64 },
    /// Its clock is ahead by so many seconds.
    Skew { who: Who, seconds: f64 },
    /// Its process is gone as soon as this is in force.
    Crash { who: Who },
    /// This share of what is asked of a node gets no answer of its own.
    Refuse { node: usize, share: f64, failure: Failure },
    /// A transaction holds a lock that this share of what is asked of a database waits for, longer
    /// than anybody does.
    Lock { node: usize, share: f64 },
    /// A disk has no room left: this share of what is asked wants to write.
    DiskFull { node: usize, share: f64 },
    /// This share of answers is of the past, and whoever relies on one fails.
    Stale { node: usize, share: f64 },
    /// Answers take so many seconds longer on their way.
    Delay { from: usize, to: usize, seconds: f64 },
    /// This share of calls is lost on the way.
    Loss { from: usize, to: usize, share: f64, failure: Failure },
    /// Users ask so many times as often.
    Surge { node: usize, times: f64 },
    /// Requests call so many times as often.
    Repeat { from: usize, to: usize, times: f64 },
    /// Calls that fail are tried so many times more.
    Retry { from: usize, to: usize, more: i32 },
}

/// An effect that is in force.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Active {
    pub effect: Effect,
    /// Second from which on it is in force, and at which it ends.
    pub from: u64,
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
            | Effect::Leak { who, .. }
            | Effect::Pool { who, .. }
            | Effect::Collapse { who, .. }
            | Effect::Skew { who, .. }
            | Effect::Crash { who } => Some(*who),
            _ => None,
        }
    }

    /// The same on somebody else.
    pub(crate) fn on(mut self, other: Who) -> Effect {
        match &mut self {
            Effect::Slow { who, .. }
            | Effect::Errors { who, .. }
            | Effect::Hang { who }
            | Effect::Slots { who, .. }
            | Effect::Leak { who, .. }
            | Effect::Pool { who, .. }
            | Effect::Collapse { who, .. }
            | Effect::Skew { who, .. }
            | Effect::Crash { who } => *who = other,
            _ => {}
        }
        self
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
    pub pool_share: f64,
    pub collapse: f64,
    pub skew: f64,
    pub crashes: bool,
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
            pool_share: 1.0,
            collapse: 1.0,
            skew: 0.0,
            crashes: false,
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
            Effect::Pool { share, .. } => self.pool_share *= share,
            Effect::Collapse { times, .. } => self.collapse *= times,
            Effect::Skew { seconds, .. } => self.skew += seconds,
            Effect::Crash { .. } => self.crashes = true,
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
            (state.refuse, state.stale, state.surge) = (None, 0.0, 1.0);
            (state.is_locked, state.is_full) = (false, false);
            for call in &mut state.calls {
                (call.times, call.delay, call.loss, call.more) = (1.0, 0.0, None, 0);
            }
        }
        let effects = std::mem::take(&mut self.effects);
        for active in effects.iter().filter(|active| active.from <= second) {
            self.take_effect(&active.effect);
        }
        self.effects = effects;
        for copy in 0..self.copies.len() {
            if self.copies[copy].conduct.crashes {
                self.crash(copy);
            }
        }
    }

    fn take_effect(&mut self, effect: &Effect) {
        if let Some(who) = effect.who() {
            for copy in &self.nodes[who.node].copies {
                let replica = &mut self.copies[*copy];
                let is_meant = who.copy.is_none_or(|only| only == *copy)
                    && who.version.is_none_or(|version| version == replica.version)
                    && who.configuration.is_none_or(|it| it == replica.configuration);
                if is_meant {
                    replica.conduct.take(effect);
                }
            }
            return;
        }
        match *effect {
            Effect::Refuse { node, share, failure } => {
                self.nodes[node].refuse = Some((share, failure));
            }
            Effect::Lock { node, share } => {
                self.nodes[node].refuse = Some((share, Failure::Timeout));
                self.nodes[node].is_locked = true;
            }
            Effect::DiskFull { node, share } => {
                self.nodes[node].refuse = Some((share, Failure::Full));
                self.nodes[node].is_full = true;
            }
            Effect::Stale { node, share } => self.nodes[node].stale = share,
            Effect::Surge { node, times } => self.nodes[node].surge *= times,
            Effect::Delay { from, to, seconds } => {
                if let Some(call) = self.call(from, to) {
                    call.delay += seconds;
                }
            }
            Effect::Loss { from, to, share, failure } => {
                if let Some(call) = self.call(from, to) {
                    call.loss = Some((share, failure));
                }
            }
            Effect::Repeat { from, to, times } => {
                if let Some(call) = self.call(from, to) {
                    call.times *= times;
                }
            }
            Effect::Retry { from, to, more } => {
                if let Some(call) = self.call(from, to) {
                    call.more += more;
                }
            }
            _ => {}
        }
    }

    fn call(&mut self, from: usize, to: usize) -> Option<&mut CallState> {
        let at = self.fleet.nodes[from].calls.iter().position(|call| call.to == to)?;
        self.nodes[from].calls.get_mut(at)
    }
}
