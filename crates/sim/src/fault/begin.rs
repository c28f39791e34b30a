//! How each family breaks the fleet.

use super::{Family, Fault};
use crate::effect::{Effect, Who};
use crate::telemetry::Failure;
use crate::world::World;

/// A fault that nobody ends lasts for this long.
pub const LASTS: u64 = 3_600;
const MEBIBYTE: f64 = 1_048_576.0;
/// A delayed deploy is well for so long at first.
const DELAYED_SECONDS: u64 = 240;
/// A cache is warm again after so long.
const WARM_AFTER: u64 = 600;
/// A third of all copies is in one zone.
const ZONES: usize = 3;

impl Fault {
    /// Breaks it. A fault whose trouble comes later (`later`) returns when.
    pub fn begin(&self, world: &mut World) -> Option<u64> {
        let (node, m) = (self.node, self.magnitude);
        let all = Who::all(node);
        match self.family {
            Family::Crash | Family::CrashOfOne => {
                self.copies.iter().for_each(|copy| world.crash(*copy));
            }
            Family::ZoneLoss => {
                for copy in (0..world.copies.len()).filter(|copy| copy % ZONES == 0) {
                    let is_service = world.fleet.nodes[world.copies[copy].node].is_service();
                    let of_many = world.rotation(world.copies[copy].node).len() > 1;
                    if is_service && (of_many || self.copies.contains(&copy)) {
                        world.crash(copy);
                    }
                }
            }
            Family::Hang | Family::Deadlock => {
                world.begin(Effect::Hang { who: all }, LASTS, true);
            }
            Family::SlowInstance | Family::NoisyNeighbour => {
                for copy in &self.copies {
                    let who = Who::copy(node, *copy);
                    let plus_seconds = 1.0 + 3.0 * m;
                    let in_process = self.family == Family::SlowInstance;
                    let slow = Effect::Slow { who, times: 2.0 + 8.0 * m, plus_seconds };
                    world.begin(slow, LASTS, in_process);
                }
            }
            Family::Leak => {
                for copy in &self.copies {
                    let bytes_per_second = (1.0 + 2.0 * m) * MEBIBYTE;
                    let who = Who::copy(node, *copy);
                    world.begin(Effect::Leak { who, bytes_per_second }, LASTS, false);
                }
            }
            Family::BadDeploy | Family::SlowDeploy | Family::DelayedDeploy => {
                let version = world.nodes[node].version + 1;
                world.deploy(node, version);
                if self.family == Family::DelayedDeploy {
                    return Some(world.second + DELAYED_SECONDS);
                }
                self.of_version(world, version);
            }
            Family::DatabaseDown => refuse(world, node, 1.0, Failure::Refused),
            Family::CertificateExpiry => refuse(world, node, 1.0, Failure::Certificate),
            Family::NameResolution => refuse(world, node, m, Failure::Dns),
            Family::NetworkDelay | Family::PacketLoss => self.between(world),
            Family::CacheFlush => self.flush(world),
            Family::Surge => {
                world.begin(Effect::Surge { node, times: 5.0 + 15.0 * m }, LASTS, false);
            }
            Family::PoisonMessage => {
                world.begin(Effect::Errors { who: all, share: m }, LASTS, false);
            }
            Family::Saturation => {
                // Less than it needs for what is usually asked.
                let of = &world.fleet.nodes[node];
                let busy = of.usual_rate * of.usual_seconds / of.copies as f64;
                let times = busy / of.slots * (0.7 - 0.5 * m);
                world.begin(Effect::Slots { who: all, times }, LASTS, false);
            }
        }
        None
    }

    /// The trouble that `begin` put off.
    pub fn later(&self, world: &mut World) {
        let version = world.nodes[self.node].version;
        self.of_version(world, version);
    }

    fn of_version(&self, world: &mut World, version: u32) {
        let who = Who::version(self.node, version);
        let effect = match self.family {
            Family::SlowDeploy => {
                let plus_seconds = 0.5 + 2.0 * self.magnitude;
                Effect::Slow { who, times: 1.0, plus_seconds }
            }
            _ => Effect::Errors { who, share: self.magnitude },
        };
        world.begin(effect, LASTS, false);
    }

    fn between(&self, world: &mut World) {
        let Some(from) = self.caller else { return };
        let (to, m) = (self.node, self.magnitude);
        let effect = match self.family {
            Family::NetworkDelay => Effect::Delay { from, to, seconds: 0.3 + 2.0 * m },
            _ => Effect::Loss { from, to, share: m, failure: Failure::Timeout },
        };
        world.begin(effect, LASTS, false);
    }

    /// All that the cache answered goes to the database, until it is warm again.
    fn flush(&self, world: &mut World) {
        let Some(from) = self.caller else { return };
        let to = self.node;
        // Four of five were answered by the cache; whoever asks now, asks what nobody asked lately.
        world.begin(Effect::Repeat { from, to, times: 5.0 }, WARM_AFTER, false);
        let times = 10.0 + 60.0 * self.magnitude;
        let who = Who::all(to);
        world.begin(Effect::Slow { who, times, plus_seconds: 0.0 }, WARM_AFTER, false);
    }
}

fn refuse(world: &mut World, node: usize, share: f64, failure: Failure) {
    world.begin(Effect::Refuse { node, share, failure }, LASTS, false);
}
