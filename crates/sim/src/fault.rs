//! Faults: what breaks, how badly, what would be the right answer to it.
//!
//! Families are split into those that detection and diagnosis may be tuned on and those that stay
//! sealed. A family whose cause Immune has no word for has no right first cause: "unknown" is then
//! the honest answer, and counts as neither right nor wrong.

mod begin;

use model::CauseKind;

use crate::fleet::{Fleet, Kind};
use crate::random::Random;
use crate::world::World;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    // Development.
    Crash,
    CrashOfOne,
    Hang,
    SlowInstance,
    Leak,
    BadDeploy,
    SlowDeploy,
    DatabaseDown,
    NetworkDelay,
    Surge,
    // Sealed.
    DelayedDeploy,
    CertificateExpiry,
    NameResolution,
    PacketLoss,
    NoisyNeighbour,
    ZoneLoss,
    CacheFlush,
    PoisonMessage,
    Saturation,
    Deadlock,
}

impl Family {
    pub const DEVELOPMENT: &[Family] = &[
        Family::Crash,
        Family::CrashOfOne,
        Family::Hang,
        Family::SlowInstance,
        Family::Leak,
        Family::BadDeploy,
        Family::SlowDeploy,
        Family::DatabaseDown,
        Family::NetworkDelay,
        Family::Surge,
    ];
    pub const SEALED: &[Family] = &[
        Family::DelayedDeploy,
        Family::CertificateExpiry,
        Family::NameResolution,
        Family::PacketLoss,
        Family::NoisyNeighbour,
        Family::ZoneLoss,
        Family::CacheFlush,
        Family::PoisonMessage,
        Family::Saturation,
        Family::Deadlock,
    ];

    pub fn of(sealed: bool) -> &'static [Family] {
        if sealed { Family::SEALED } else { Family::DEVELOPMENT }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Family::Crash => "crash",
            Family::CrashOfOne => "crash_of_one",
            Family::Hang => "hang",
            Family::SlowInstance => "slow_instance",
            Family::Leak => "leak",
            Family::BadDeploy => "bad_deploy",
            Family::SlowDeploy => "slow_deploy",
            Family::DatabaseDown => "database_down",
            Family::NetworkDelay => "network_delay",
            Family::Surge => "surge",
            Family::DelayedDeploy => "delayed_deploy",
            Family::CertificateExpiry => "certificate_expiry",
            Family::NameResolution => "name_resolution",
            Family::PacketLoss => "packet_loss",
            Family::NoisyNeighbour => "noisy_neighbour",
            Family::ZoneLoss => "zone_loss",
            Family::CacheFlush => "cache_flush",
            Family::PoisonMessage => "poison_message",
            Family::Saturation => "saturation",
            Family::Deadlock => "deadlock",
        }
    }

    /// Kinds of cause that are right for it.
    pub fn causes(self) -> &'static [CauseKind] {
        match self {
            Family::Crash | Family::CrashOfOne | Family::ZoneLoss => {
                &[CauseKind::Crash, CauseKind::Silent]
            }
            Family::Hang | Family::Deadlock => {
                &[CauseKind::Silent, CauseKind::Outlier, CauseKind::Saturation]
            }
            Family::SlowInstance | Family::NoisyNeighbour => &[CauseKind::Outlier],
            Family::Leak => &[CauseKind::Leak],
            Family::BadDeploy | Family::SlowDeploy | Family::DelayedDeploy => &[CauseKind::Change],
            Family::DatabaseDown => &[CauseKind::DependencyDown],
            Family::NetworkDelay | Family::PacketLoss => &[CauseKind::Network],
            Family::Surge => &[CauseKind::Surge],
            Family::CertificateExpiry | Family::NameResolution => {
                &[CauseKind::DependencyDown, CauseKind::Silent, CauseKind::Network]
            }
            Family::CacheFlush | Family::PoisonMessage | Family::Saturation => &[],
        }
    }

    /// What cures it, by the names of actions; empty: nothing that is offered does.
    fn remedies(self) -> &'static [&'static str] {
        match self {
            Family::Crash | Family::CrashOfOne | Family::ZoneLoss | Family::Leak => &["restart"],
            Family::Hang | Family::Deadlock => &["restart"],
            Family::SlowInstance | Family::NoisyNeighbour => &["eject"],
            Family::BadDeploy | Family::SlowDeploy | Family::DelayedDeploy => &["rollback"],
            _ => &[],
        }
    }
}

/// How badly it hurts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A fifth to a third of what it touches.
    Small,
    /// Up to all of it.
    Any,
}

/// A fault on a fleet: whom it strikes, and what would be right to do.
#[derive(Clone, Debug)]
pub struct Fault {
    pub family: Family,
    /// The node at fault.
    pub node: usize,
    /// The other end, where it lies between two.
    pub caller: Option<usize>,
    /// Copies that are struck, where it is not all.
    pub copies: Vec<usize>,
    /// Share of requests, or factor, or seconds: as the family needs.
    pub magnitude: f64,
    /// Nodes that a right cause may name.
    pub named: Vec<usize>,
    pub remedy: Remedy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// One of these actions on the node at fault.
    Act(&'static [&'static str]),
    /// Nothing that is offered helps: a person has to be called, and nothing touched.
    Escalate,
    /// Nothing is broken: nothing may be touched.
    LeaveAlone,
}

impl Fault {
    /// Draws one for the fleet as it is, of a kind that users are likely to feel. `None` where the
    /// fleet has nothing that it could strike.
    pub fn draw(world: &World, family: Family, size: Size, random: &mut Random) -> Option<Fault> {
        let fleet = &world.fleet;
        let needed = fleet.needed_by_users();
        let nodes = victims(fleet, family, &needed);
        let node = *nodes.get(random.below(nodes.len()))?;
        let copies = world.rotation(node);
        let one = copies.get(random.below(copies.len())).copied();
        let callers: Vec<usize> = fleet
            .callers(node)
            .filter(|caller| fleet.nodes[*caller].told && needed[*caller] > 0.0)
            .collect();
        let between =
            matches!(family, Family::NetworkDelay | Family::PacketLoss | Family::CacheFlush);
        let caller = callers.get(random.below(callers.len())).copied().filter(|_| between);
        if between && caller.is_none() {
            return None;
        }
        let copies: Vec<usize> = match family {
            Family::CrashOfOne | Family::SlowInstance | Family::NoisyNeighbour => {
                if copies.len() < 2 {
                    return None;
                }
                one.into_iter().collect()
            }
            _ => copies,
        };
        let magnitude = match size {
            Size::Small => random.between(0.2, 0.35),
            Size::Any => random.between(0.2, 1.0),
        };
        let named = match family {
            Family::Surge => (0..fleet.nodes.len()).collect(),
            Family::PacketLoss | Family::NetworkDelay => caller.into_iter().chain([node]).collect(),
            _ => vec![node],
        };
        let offered = world.fleet.nodes[node].agent;
        let remedy = match family {
            Family::Surge => Remedy::LeaveAlone,
            _ if family.remedies().is_empty() || !offered => Remedy::Escalate,
            _ => Remedy::Act(family.remedies()),
        };
        Some(Fault { family, node, caller, copies, magnitude, named, remedy })
    }
}

/// Nodes that a family can strike and that users need.
fn victims(fleet: &Fleet, family: Family, needed: &[f64]) -> Vec<usize> {
    const NEEDED_MIN: f64 = 0.25;
    const RATE_MIN: f64 = 0.5;
    let nodes = fleet.nodes.iter().enumerate().filter(|(at, node)| {
        let kind = match family {
            Family::DatabaseDown => node.kind == Kind::Database,
            Family::CacheFlush => node.kind == Kind::Database,
            Family::Surge => fleet.entries.iter().any(|entry| entry.node == *at),
            Family::CertificateExpiry | Family::NameResolution => {
                node.is_service() && fleet.callers(*at).next().is_some()
            }
            _ => node.is_service() && node.told,
        };
        kind && needed[*at] >= NEEDED_MIN && node.usual_rate >= RATE_MIN
    });
    nodes.map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_family_is_in_both_sets() {
        assert!(Family::DEVELOPMENT.iter().all(|family| !Family::SEALED.contains(family)));
    }
}
