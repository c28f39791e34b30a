//! Draws a fault for a fleet as it is: whom it can strike, and how hard it has to, for users to
//! feel it.
//!
//! How hard is worked out from the fleet: what share of users' requests would fail, how long they
//! would take, how much of what can be borne is asked for. It is an estimate; whether users were
//! hurt is counted by `truth`.

use super::begin::{COLLAPSED_SHARE, in_zone};
use super::{Family, Fault, Remedy, Size};
use crate::fleet::{Call, Fleet, Kind};
use crate::flow::OVERLOADED_SHARE;
use crate::random::Random;
use crate::world::World;

/// A fault is felt when this share of requests fails somewhere, and so many a second.
const FELT_SHARE: f64 = 0.1;
const FELT_PER_SECOND: f64 = 0.25;
/// Requests are slow to users when their mean is so many times what they bear.
const FELT_TIMES: f64 = 1.3;
/// Nobody needs less of a node than this.
const NEEDED_MIN: f64 = 0.25;
const RATE_MIN: f64 = 0.5;
const GROWTH: f64 = 1.15;
/// So many nodes are tried before another family is.
const VICTIMS_TRIED: usize = 6;
/// Users do not multiply by more, nor does work take longer.
const SURGE_MAX: f64 = 80.0;
const SECONDS_MAX: f64 = 20.0;
/// Overload does not outlast its trigger where fewer requests wait, or callers ask for less than
/// this share of what they usually do.
const WAITING_MIN: f64 = 3.0;
const GO_ON: f64 = 0.5;
/// Of changes of configuration and of flags so many are told of.
const TOLD: f64 = 0.8;
const MINUTE: f64 = 60.0;
/// A database that restarts is away for this share of a minute at least.
const RESTART_SHARE: f64 = 0.13;

impl Fault {
    /// Draws one for the fleet as it is, of a strength that users feel. `None` where the fleet has
    /// nothing that it could strike.
    pub fn draw(world: &World, family: Family, size: Size, random: &mut Random) -> Option<Fault> {
        let needed = world.fleet.needed_by_users();
        let nodes = victims(&world.fleet, family, &needed);
        let tries = nodes.len().min(VICTIMS_TRIED);
        (0..tries).find_map(|_| {
            let node = *nodes.get(random.below(nodes.len()))?;
            Fault::of(world, (family, node), size, &needed, random)
        })
    }

    /// One of a family that strikes a node, if users would feel it.
    fn of(
        world: &World,
        (family, node): (Family, usize),
        size: Size,
        needed: &[f64],
        random: &mut Random,
    ) -> Option<Fault> {
        let fleet = &world.fleet;
        let copies = world.rotation(node);
        let one = copies.get(random.below(copies.len())).copied();
        let callers: Vec<usize> = fleet
            .callers(node)
            .filter(|caller| fleet.nodes[*caller].told && needed[*caller] > 0.0)
            .collect();
        let caller = callers.get(random.below(callers.len())).copied();
        let caller = caller.filter(|_| family.is_between());
        if family.is_between() && caller.is_none() {
            return None;
        }
        let copies: Vec<usize> = match family.strikes_one() {
            true if copies.len() < 2 => return None,
            true => one.into_iter().collect(),
            false => copies,
        };
        let magnitude = match size {
            Size::Small => random.between(0.2, 0.35),
            Size::Any => random.between(0.2, 1.0),
        };
        let named = match family {
            Family::Surge | Family::ThunderingHerd => (0..fleet.nodes.len()).collect(),
            Family::ReplicaLag | Family::RetryStorm => fleet.callers(node).chain([node]).collect(),
            Family::CacheFlush => vec![node],
            _ => caller.into_iter().chain([node]).collect(),
        };
        let is_told = random.chance(TOLD);
        let remedy = Remedy::Escalate;
        let fault = Fault { family, node, caller, copies, magnitude, named, is_told, remedy };
        let mut fault = fault.strong_enough(world)?;
        fault.remedy = fault.right_remedy(fleet);
        Some(fault)
    }

    /// The same, as much stronger as it has to be.
    fn strong_enough(mut self, world: &World) -> Option<Fault> {
        if self.family.is_slow() {
            return (self.seconds(world)? <= SECONDS_MAX).then_some(self);
        }
        match self.family {
            Family::Surge | Family::ThunderingHerd => self.surge(world).map(|_| self),
            Family::Metastable | Family::RetryStorm => {
                (self.fills_queues(world) && self.is_felt(world)).then_some(self)
            }
            _ => {
                while !self.is_felt(world) {
                    if self.magnitude >= 1.0 || !self.family.is_by_share() {
                        return None;
                    }
                    self.magnitude = (GROWTH * self.magnitude).min(1.0);
                }
                Some(self)
            }
        }
    }

    /// Would so many requests fail that users feel it?
    fn is_felt(&self, world: &World) -> bool {
        let (fleet, m) = (&world.fleet, self.magnitude);
        let mut failing = vec![0.0; fleet.nodes.len()];
        let of_copies = self.copies.len() as f64 / world.rotation(self.node).len().max(1) as f64;
        let noticed = fleet.drops_dead_after.map_or(1.0, |after| after as f64 / MINUTE);
        match self.family {
            Family::CrashOfOne => failing[self.node] = of_copies * noticed,
            Family::ClockSkew => failing[self.node] = of_copies * m,
            Family::ZoneLoss => {
                for (node, share) in failing.iter_mut().enumerate() {
                    let all = world.rotation(node);
                    let gone = all.iter().filter(|copy| in_zone(world, self, **copy)).count();
                    let gone = gone as f64 / all.len().max(1) as f64;
                    *share = if gone < 1.0 { gone * noticed } else { 1.0 };
                }
            }
            Family::PacketLoss
            | Family::ConnectionResets
            | Family::Partition
            | Family::ProxyErrors => {
                let Some(caller) = self.caller else { return false };
                let share = if self.family == Family::Partition { 1.0 } else { m };
                let calls = fleet.nodes[caller].calls.iter();
                for call in calls.filter(|call| call.to == self.node && call.must) {
                    failing[caller] = call.per_request.min(1.0) * share.powi(call.retries + 1);
                }
            }
            Family::ReplicaLag => {
                for caller in fleet.callers(self.node) {
                    let calls = fleet.nodes[caller].calls.iter();
                    let to_it = calls.filter(|call| call.to == self.node);
                    let asked: f64 = to_it.map(|call| call.per_request.min(1.0)).sum();
                    failing[caller] = asked.min(1.0) * m;
                }
            }
            Family::Saturation | Family::PoolExhaustion | Family::SlowConsumer => {
                failing[self.node] = 1.0 - self.served();
            }
            family if family.is_by_share() => failing[self.node] = m,
            _ => failing[self.node] = 1.0,
        }
        fleet.felt_share(&mut failing);
        // Nobody who asks again is helped while all of it is away.
        let away = if self.family == Family::DatabaseRestart { RESTART_SHARE } else { 1.0 };
        let is_felt = |node: usize| {
            let share = failing[node] * away;
            share >= FELT_SHARE && share * world.rate_now(node) >= FELT_PER_SECOND
        };
        fleet.felt().any(is_felt)
    }

    /// Share of what is asked that can still be served, where capacity is lost.
    pub(super) fn served(&self) -> f64 {
        0.7 - 0.5 * self.magnitude
    }

    /// Seconds that a request to what is struck takes longer, so that users find it slow.
    pub(super) fn seconds(&self, world: &World) -> Option<f64> {
        let fleet = &world.fleet;
        let struck = self.caller.unwrap_or(self.node);
        let per_request = match self.caller {
            Some(_) => {
                let calls = fleet.nodes[struck].calls.iter();
                calls.filter(|call| call.to == self.node).map(|call| call.per_request).sum()
            }
            None => self.copies.len() as f64 / world.rotation(self.node).len().max(1) as f64,
        };
        let least = fleet.entries.iter().filter_map(|entry| {
            let asked = fleet.asked_by(entry.node)[struck] * per_request;
            let bears = fleet.nodes[entry.node].slow_seconds();
            let is_asked = world.rate_now(entry.node) * asked.min(1.0) >= FELT_PER_SECOND;
            (is_asked && asked >= NEEDED_MIN).then_some(FELT_TIMES * bears / asked)
        });
        least.min_by(f64::total_cmp)
    }

    /// So many times as many users are more than what they need can bear.
    pub(super) fn surge(&self, world: &World) -> Option<f64> {
        let fleet = &world.fleet;
        let asked = fleet.asked_by(self.node);
        let bears = (0..fleet.nodes.len()).filter_map(|at| {
            let mut failing = vec![0.0; fleet.nodes.len()];
            failing[at] = 0.5;
            let rate = asked[at] * world.rate_now(self.node);
            let is_needed = rate > 0.0 && fleet.felt_share(&mut failing) >= FELT_SHARE;
            (is_needed && failing[self.node] >= FELT_SHARE).then(|| world.capacity(at) / rate)
        });
        let bears = bears.min_by(f64::total_cmp)?;
        (bears <= SURGE_MAX).then_some(bears * (1.5 + self.magnitude))
    }

    /// Would overload outlast its trigger? What is asked has to fill queues again though a node
    /// serves less than it, and callers have to go on asking while they wait for it.
    fn fills_queues(&self, world: &World) -> bool {
        let fleet = &world.fleet;
        let copies = self.copies.len().max(1) as f64;
        let served = COLLAPSED_SHARE * world.rate_now(self.node) / copies;
        let waits = served * world.nodes[self.node].patience;
        let go_on = |caller: usize| {
            let of = &fleet.nodes[caller];
            let calls = of.calls.iter().filter(|call| call.to == self.node);
            let waits =
                |call: &Call| call.per_request * f64::from(call.retries + 1) * call.timeout_seconds;
            let seconds = of.usual_seconds + calls.map(waits).sum::<f64>();
            let bears = world.rotation(caller).len() as f64 * of.slots / seconds;
            bears >= GO_ON * world.rate_now(caller)
        };
        let least = (2.0 * OVERLOADED_SHARE * fleet.nodes[self.node].queue).max(WAITING_MIN);
        waits >= least && fleet.callers(self.node).all(go_on)
    }
}

impl World {
    /// Requests a second that are to be expected of a node now.
    pub(super) fn rate_now(&self, node: usize) -> f64 {
        self.fleet.nodes[node].usual_rate * self.traffic.share(&self.fleet, self.second)
    }

    /// Requests a second that a node can answer.
    pub(super) fn capacity(&self, node: usize) -> f64 {
        let of = &self.fleet.nodes[node];
        self.rotation(node).len() as f64 * of.slots / of.usual_seconds.max(1e-6)
    }
}

impl Family {
    /// It lies between a caller and a callee.
    fn is_between(self) -> bool {
        use Family::{
            CacheFlush, ConnectionResets, NetworkDelay, PacketLoss, Partition, ProxyErrors,
        };
        matches!(
            self,
            CacheFlush | ConnectionResets | NetworkDelay | PacketLoss | Partition | ProxyErrors
        )
    }

    /// It strikes one copy of several.
    fn strikes_one(self) -> bool {
        use Family::{ClockSkew, CrashOfOne, MemoryPressure, NoisyNeighbour, SlowInstance};
        matches!(self, CrashOfOne | SlowInstance | NoisyNeighbour | ClockSkew | MemoryPressure)
    }

    /// It makes requests slow.
    fn is_slow(self) -> bool {
        use Family::{
            CacheFlush, CpuPressure, Leak, MemoryPressure, NetworkDelay, NoisyNeighbour,
            SlowDeploy, SlowDisk, SlowInstance,
        };
        matches!(
            self,
            CacheFlush
                | CpuPressure
                | Leak
                | MemoryPressure
                | NetworkDelay
                | NoisyNeighbour
                | SlowDeploy
                | SlowDisk
                | SlowInstance
        )
    }

    /// Its magnitude is a share of requests that fail, or are not served.
    fn is_by_share(self) -> bool {
        use Family::{
            BadConfiguration, BadDeploy, ClockSkew, ConnectionResets, DelayedDeploy, Descriptors,
            DiskFull, FlagFlip, Lock, NameResolution, PacketLoss, PoisonMessage, PoolExhaustion,
            ProxyErrors, ReplicaLag, Saturation, SlowConsumer,
        };
        matches!(
            self,
            BadConfiguration
                | BadDeploy
                | ClockSkew
                | ConnectionResets
                | DelayedDeploy
                | Descriptors
                | DiskFull
                | FlagFlip
                | Lock
                | NameResolution
                | PacketLoss
                | PoisonMessage
                | PoolExhaustion
                | ProxyErrors
                | ReplicaLag
                | Saturation
                | SlowConsumer
        )
    }

    fn strikes(self, fleet: &Fleet, at: usize) -> bool {
        let node = &fleet.nodes[at];
        let is_called = fleet.callers(at).next().is_some();
        let waits = |late: bool| node.consumes.is_some_and(|it| !late || it.late_seconds.is_some());
        match self {
            Family::DatabaseDown
            | Family::CacheFlush
            | Family::Lock
            | Family::DiskFull
            | Family::SlowDisk
            | Family::ReplicaLag
            | Family::DatabaseRestart => node.kind == Kind::Database,
            Family::Surge | Family::ThunderingHerd => {
                fleet.entries.iter().any(|entry| entry.node == at)
            }
            Family::CertificateExpiry | Family::NameResolution => node.is_service() && is_called,
            Family::RetryStorm => node.is_service() && node.told && is_called,
            Family::ConsumerStall | Family::SlowConsumer => waits(true),
            Family::PoolExhaustion => {
                node.told && node.calls.iter().any(|call| call.pool.is_some())
            }
            // Who takes messages when it can is as fast as the rest of it.
            _ if self.is_slow() || self == Family::CrashOfOne || self == Family::Metastable => {
                node.is_service() && node.told && !waits(false)
            }
            _ => node.is_service() && node.told,
        }
    }
}

/// Nodes that a family can strike and that users need.
fn victims(fleet: &Fleet, family: Family, needed: &[f64]) -> Vec<usize> {
    let is_needed =
        |at: &usize| needed[*at] >= NEEDED_MIN && fleet.nodes[*at].usual_rate >= RATE_MIN;
    (0..fleet.nodes.len()).filter(is_needed).filter(|at| family.strikes(fleet, *at)).collect()
}
