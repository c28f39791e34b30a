//! What would be right to say and to do about each family.
//!
//! Kinds of cause are named by the words of a fixed vocabulary, which is wider than what the loop
//! knows today: what it has no word for it cannot say, and that counts against it. "Unknown" is
//! right only where nothing that Immune is told of could show the cause.

use super::{Family, Fault, Remedy};
use crate::fleet::Fleet;
use crate::session::{Order, Session};

const UNKNOWN: &str = "unknown";

impl Fault {
    /// Kinds of cause that are right for it.
    pub fn causes(&self, fleet: &Fleet) -> &'static [&'static str] {
        let has_agent = fleet.nodes[self.node].agent;
        match self.family {
            Family::Crash | Family::CrashOfOne | Family::ZoneLoss => &["crash", "silent"],
            Family::Hang | Family::Deadlock => &["silent", "outlier", "saturation"],
            Family::ConsumerStall => &["silent", "saturation"],
            Family::SlowInstance | Family::NoisyNeighbour | Family::ClockSkew => &["outlier"],
            Family::MemoryPressure => &["outlier", "saturation"],
            // Nobody but an agent sees how much memory a process holds.
            Family::Leak if has_agent => &["leak"],
            Family::Leak => &["leak", UNKNOWN],
            Family::BadDeploy | Family::SlowDeploy | Family::DelayedDeploy => &["change"],
            Family::BadConfiguration | Family::FlagFlip if self.is_told => {
                &["change", "configuration"]
            }
            Family::BadConfiguration | Family::FlagFlip => &["change", "configuration", UNKNOWN],
            Family::DatabaseDown => &["dependency_down"],
            Family::DatabaseRestart => &["dependency_down", "crash", "change"],
            Family::NetworkDelay
            | Family::PacketLoss
            | Family::Partition
            | Family::ProxyErrors
            | Family::ConnectionResets => &["network"],
            Family::Surge | Family::ThunderingHerd => &["surge"],
            Family::CertificateExpiry => &["certificate", "dependency_down", "silent", "network"],
            Family::NameResolution => &["dns", "dependency_down", "silent", "network"],
            Family::Metastable
            | Family::RetryStorm
            | Family::Saturation
            | Family::CpuPressure
            | Family::SlowConsumer => &["saturation"],
            // What runs out leaks.
            Family::PoolExhaustion | Family::Descriptors => &["saturation", "leak"],
            Family::CacheFlush => &["saturation", "slow_dependency"],
            Family::Lock if has_agent => &["lock"],
            Family::Lock => &["slow_dependency", "dependency_down"],
            Family::DiskFull if has_agent => &["disk"],
            Family::DiskFull => &["disk", "dependency_down"],
            Family::SlowDisk => &["disk", "slow_dependency"],
            // Calls go well, and no log says what was wrong with an answer.
            Family::PoisonMessage | Family::ReplicaLag => &["data", UNKNOWN],
        }
    }

    /// Is this cause the truth?
    pub fn is_right(&self, session: &Session, cause: &model::Cause) -> bool {
        let fleet = &session.world.fleet;
        let word = cause.kind.as_str();
        if !self.causes(fleet).contains(&word) {
            return false;
        }
        let blamed = cause.entity.owner().unwrap_or_else(|| cause.entity.clone());
        let is_named = self.named.iter().any(|node| fleet.nodes[*node].entity == blamed);
        // A zone is no entity yet: whoever is gone is right. Nobody is blamed by "unknown".
        is_named || self.family == Family::ZoneLoss || word == UNKNOWN
    }

    /// What would be right to do, by what is offered.
    pub(super) fn right_remedy(&self, fleet: &Fleet) -> Remedy {
        let cures = self.family.cures();
        match self.family {
            Family::Surge | Family::ThunderingHerd | Family::DatabaseRestart => Remedy::LeaveAlone,
            _ if cures.is_empty() || !fleet.nodes[self.node].agent => Remedy::Escalate,
            _ => Remedy::Act(cures),
        }
    }

    /// Does an order touch what the fault struck?
    pub(crate) fn concerns(&self, session: &Session, order: &Order) -> bool {
        let is_down = self.family == Family::ZoneLoss
            && session.world.fleet.nodes[order.node].is_service()
            && order.action == "restart";
        order.node == self.node || is_down
    }
}

impl Family {
    /// What cures it, by the names of actions; empty: nothing that is offered does.
    fn cures(self) -> &'static [&'static str] {
        match self {
            Family::Crash | Family::CrashOfOne | Family::ZoneLoss | Family::Leak => &["restart"],
            Family::Hang | Family::Deadlock | Family::ConsumerStall => &["restart"],
            // What waits is lost with the process, and so is the overload.
            Family::Metastable | Family::PoolExhaustion | Family::Descriptors => &["restart"],
            Family::SlowInstance
            | Family::NoisyNeighbour
            | Family::ClockSkew
            | Family::MemoryPressure => &["eject"],
            Family::BadDeploy
            | Family::SlowDeploy
            | Family::DelayedDeploy
            | Family::BadConfiguration => &["rollback"],
            Family::Lock => &["terminate_blocker"],
            Family::DiskFull => &["clear_path"],
            _ => &[],
        }
    }
}
