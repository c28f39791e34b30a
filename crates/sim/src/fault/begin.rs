//! How each family breaks the fleet.

use model::ChangeKind;

use super::{Family, Fault};
use crate::effect::{Effect, Who};
use crate::telemetry::Failure;
use crate::world::World;

/// A fault that nobody ends lasts for this long.
pub const LASTS: u64 = 3_600;
const MEBIBYTE: f64 = 1_048_576.0;
/// What leaks is felt after so many seconds.
const LEAKS_FOR: f64 = 400.0;
/// Each second that requests get slower takes so many MiB (`answers`).
const MEBIBYTES_PER_SECOND: f64 = 1_000.0;
/// A delayed deploy is well for so long at first.
const DELAYED_SECONDS: u64 = 240;
/// A cache is warm again after so long.
const WARM_AFTER: u64 = 600;
/// A third of all copies is in one zone.
const ZONES: usize = 3;
/// What triggers an overload that stays lasts so long.
const TRIGGER_SECONDS: u64 = 20;
/// A node that can collapse runs near its limits, which are so many times what is asked; of that it
/// serves this share once it collapsed.
const LIMIT_TIMES: f64 = 4.0;
pub(super) const COLLAPSED_SHARE: f64 = 0.3;
/// Clients without a budget of retries try so often.
const RETRIES: i32 = 10;
/// An entry is away so briefly, then all come at once, then those who wait still.
const AWAY_SECONDS: u64 = 8;
const HERD_SECONDS: u64 = 120;
/// A host whose memory is short kills the process after so long.
const KILLED_AFTER: u64 = 150;
const SKEW_SECONDS: f64 = 3_600.0;

impl Fault {
    /// Breaks it.
    pub fn begin(&self, world: &mut World) {
        let (node, m) = (self.node, self.magnitude);
        let all = Who::all(node);
        match self.family {
            Family::Crash | Family::CrashOfOne => {
                self.copies.iter().for_each(|copy| world.crash(*copy));
            }
            Family::ZoneLoss => {
                let all = 0..world.copies.len();
                let gone: Vec<usize> = all.filter(|copy| in_zone(world, self, *copy)).collect();
                gone.into_iter().for_each(|copy| world.crash(copy));
            }
            Family::Hang | Family::Deadlock | Family::ConsumerStall => {
                world.begin(Effect::Hang { who: all }, LASTS, true);
            }
            Family::SlowInstance | Family::NoisyNeighbour | Family::MemoryPressure => {
                self.slow_one(world);
            }
            Family::Leak => self.leak(world),
            Family::BadDeploy | Family::SlowDeploy | Family::DelayedDeploy => self.deploy(world),
            Family::BadConfiguration | Family::FlagFlip => self.configure(world),
            Family::DatabaseDown => refuse(world, node, 1.0, Failure::Refused),
            Family::DatabaseRestart => {
                self.copies.iter().for_each(|copy| world.restart(*copy));
            }
            Family::CertificateExpiry => refuse(world, node, 1.0, Failure::Certificate),
            Family::NameResolution => refuse(world, node, m, Failure::Dns),
            Family::Lock => world.begin(Effect::Lock { node, share: m }, LASTS, false),
            Family::DiskFull => world.begin(Effect::DiskFull { node, share: m }, LASTS, false),
            Family::ReplicaLag => world.begin(Effect::Stale { node, share: m }, LASTS, false),
            Family::SlowDisk => {
                let plus_seconds = self.seconds(world).unwrap_or_default() * (1.0 + m);
                world.begin(Effect::Slow { who: all, times: 1.0, plus_seconds }, LASTS, false);
            }
            Family::NetworkDelay
            | Family::PacketLoss
            | Family::ProxyErrors
            | Family::Partition
            | Family::ConnectionResets => self.between(world),
            Family::CacheFlush => self.flush(world),
            Family::Surge => {
                let times = self.surge(world).unwrap_or(1.0);
                world.begin(Effect::Surge { node, times }, LASTS, false);
            }
            Family::ThunderingHerd => self.herd(world),
            Family::PoisonMessage => {
                world.begin(Effect::Errors { who: all, share: m }, LASTS, false);
            }
            Family::Descriptors => {
                world.begin(Effect::Errors { who: all, share: m }, LASTS, true);
            }
            Family::ClockSkew => self.skew(world),
            Family::Saturation | Family::SlowConsumer => {
                let times = self.served() * world.rate_now(node) / world.capacity(node);
                world.begin(Effect::Slots { who: all, times }, LASTS, false);
            }
            Family::CpuPressure => self.starve(world),
            Family::PoolExhaustion => {
                let busy = world.rate_now(node) / world.rotation(node).len().max(1) as f64;
                let share = self.served() * busy * world.nodes[node].pooled_seconds;
                world.begin(Effect::Pool { who: all, share }, LASTS, true);
            }
            Family::Metastable => {
                self.collapse(world);
                world.begin(Effect::Hang { who: all }, TRIGGER_SECONDS, true);
            }
            Family::RetryStorm => self.storm(world),
        }
    }

    fn leak(&self, world: &mut World) {
        let seconds = self.seconds(world).unwrap_or_default() * (1.0 + self.magnitude);
        let grows = seconds * MEBIBYTES_PER_SECOND / LEAKS_FOR;
        let bytes_per_second = grows.max(1.0 + 2.0 * self.magnitude) * MEBIBYTE;
        for copy in &self.copies {
            let who = Who::copy(self.node, *copy);
            world.begin(Effect::Leak { who, bytes_per_second }, LASTS, false);
        }
    }

    fn skew(&self, world: &mut World) {
        for copy in &self.copies {
            let who = Who::copy(self.node, *copy);
            // Whatever is signed by others has expired, or is not yet valid.
            world.begin(Effect::Errors { who, share: self.magnitude }, LASTS, false);
            let seconds = SKEW_SECONDS * (self.magnitude - 0.5);
            world.begin(Effect::Skew { who, seconds }, LASTS, false);
        }
    }

    /// One copy is slow; where memory is short, it is killed in the end.
    fn slow_one(&self, world: &mut World) {
        for copy in &self.copies {
            let who = Who::copy(self.node, *copy);
            let least = self.seconds(world).unwrap_or_default();
            let plus_seconds = (1.0 + 3.0 * self.magnitude).max(least * (1.0 + self.magnitude));
            let in_process = self.family == Family::SlowInstance;
            let slow = Effect::Slow { who, times: 2.0 + 8.0 * self.magnitude, plus_seconds };
            world.begin(slow, LASTS, in_process);
            if self.family == Family::MemoryPressure {
                world.begin_in(KILLED_AFTER, Effect::Crash { who }, 1);
            }
        }
    }

    fn deploy(&self, world: &mut World) {
        let version = world.nodes[self.node].version + 1;
        world.deploy(self.node, version);
        let who = Who::version(self.node, version);
        let (effect, after) = match self.family {
            Family::SlowDeploy => {
                let least = self.seconds(world).unwrap_or_default();
                let plus_seconds = (0.5 + 2.0 * self.magnitude).max(least);
                (Effect::Slow { who, times: 1.0, plus_seconds }, 0)
            }
            Family::DelayedDeploy => {
                (Effect::Errors { who, share: self.magnitude }, DELAYED_SECONDS)
            }
            _ => (Effect::Errors { who, share: self.magnitude }, 0),
        };
        world.begin_in(after, effect, LASTS);
    }

    /// A configuration comes with what is deployed; a flag is flipped elsewhere.
    fn configure(&self, world: &mut World) {
        let (kind, who) = match self.family {
            Family::FlagFlip => (ChangeKind::Flag, Who::all(self.node)),
            _ => {
                let configuration = world.configure(self.node);
                (ChangeKind::Configuration, Who::configuration(self.node, configuration))
            }
        };
        if self.is_told {
            world.tell_change(self.node, kind);
        }
        world.begin(Effect::Errors { who, share: self.magnitude }, LASTS, false);
    }

    fn between(&self, world: &mut World) {
        let Some(from) = self.caller else { return };
        let (to, m) = (self.node, self.magnitude);
        let loss = |share, failure| Effect::Loss { from, to, share, failure };
        let effect = match self.family {
            Family::NetworkDelay => {
                let least = self.seconds(world).unwrap_or_default();
                Effect::Delay { from, to, seconds: (0.3 + 2.0 * m).max(least) }
            }
            Family::Partition => loss(1.0, Failure::Timeout),
            Family::ConnectionResets => loss(m, Failure::Reset),
            Family::ProxyErrors => loss(m, Failure::BadGateway),
            _ => loss(m, Failure::Timeout),
        };
        world.begin(effect, LASTS, false);
    }

    /// All that the cache answered goes to the database, until it is warm again.
    fn flush(&self, world: &mut World) {
        let Some(from) = self.caller else { return };
        let to = self.node;
        let of = &world.fleet.nodes[to];
        // Whoever asks now, asks what nobody asked lately.
        let least = 1.0 + self.seconds(world).unwrap_or_default() / of.own_seconds;
        let times = (10.0 + 60.0 * self.magnitude).max(least);
        // Four of five were answered by the cache.
        world.begin(Effect::Repeat { from, to, times: 5.0 }, WARM_AFTER, false);
        let who = Who::all(to);
        world.begin(Effect::Slow { who, times, plus_seconds: 0.0 }, WARM_AFTER, false);
    }

    /// Processors are busy with something else.
    fn starve(&self, world: &mut World) {
        let of = &world.fleet.nodes[self.node];
        let least = 1.0 + self.seconds(world).unwrap_or_default() / of.own_seconds;
        let times = least * (1.0 + self.magnitude);
        let who = Who::all(self.node);
        world.begin(Effect::Slow { who, times, plus_seconds: 0.0 }, LASTS, false);
    }

    /// Once its queue is filled, a node serves less than it is asked for.
    fn collapse(&self, world: &mut World) {
        let who = Who::all(self.node);
        let limit = LIMIT_TIMES * world.rate_now(self.node) / world.capacity(self.node);
        world.begin(Effect::Slots { who, times: limit.min(1.0) }, LASTS, false);
        let times = LIMIT_TIMES / COLLAPSED_SHARE / limit.max(1.0);
        world.begin(Effect::Collapse { who, times: times.max(1.0) }, LASTS, false);
    }

    /// A short trouble that callers, by trying again and again, make a lasting one.
    fn storm(&self, world: &mut World) {
        self.collapse(world);
        let (to, share) = (self.node, 1.0);
        let callers: Vec<usize> = world.fleet.callers(to).collect();
        for from in callers {
            world.begin(Effect::Retry { from, to, more: RETRIES }, LASTS, false);
        }
        let trigger = Effect::Refuse { node: to, share, failure: Failure::Busy };
        world.begin(trigger, TRIGGER_SECONDS, false);
    }

    /// An entry is away for a moment, and then all who waited come at once.
    fn herd(&self, world: &mut World) {
        let node = self.node;
        let times = self.surge(world).unwrap_or(1.0);
        refuse_for(world, (node, 1.0, Failure::Refused), AWAY_SECONDS);
        world.begin_in(AWAY_SECONDS, Effect::Surge { node, times }, HERD_SECONDS);
        let after = AWAY_SECONDS + HERD_SECONDS;
        world.begin_in(after, Effect::Surge { node, times: times / 2.0 }, HERD_SECONDS);
    }
}

/// Is a copy in the zone that is lost? Of services with one copy only the one that was struck is.
pub(super) fn in_zone(world: &World, fault: &Fault, copy: usize) -> bool {
    let node = world.copies[copy].node;
    let zone = fault.copies.first().map_or(0, |copy| copy % ZONES);
    let is_service = world.fleet.nodes[node].is_service();
    let may_go = world.nodes[node].copies.len() > 1 || node == fault.node;
    copy % ZONES == zone && is_service && may_go
}

fn refuse(world: &mut World, node: usize, share: f64, failure: Failure) {
    refuse_for(world, (node, share, failure), LASTS);
}

fn refuse_for(world: &mut World, (node, share, failure): (usize, f64, Failure), seconds: u64) {
    world.begin(Effect::Refuse { node, share, failure }, seconds, false);
}
