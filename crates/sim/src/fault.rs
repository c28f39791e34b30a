//! Faults: what breaks, how badly, what would be the right answer to it.
//!
//! Families are split into those that detection and diagnosis may be tuned on and those that stay
//! sealed. Of nearly each kind of trouble in one set a relative is in the other: what was learned
//! of the one is tried on it.

mod begin;

mod draw;

mod right;

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
    Metastable,
    Lock,
    DiskFull,
    BadConfiguration,
    ClockSkew,
    CpuPressure,
    Partition,
    PoolExhaustion,
    ConsumerStall,
    ProxyErrors,
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
    RetryStorm,
    ThunderingHerd,
    SlowDisk,
    FlagFlip,
    ReplicaLag,
    MemoryPressure,
    DatabaseRestart,
    SlowConsumer,
    Descriptors,
    ConnectionResets,
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
        Family::Metastable,
        Family::Lock,
        Family::DiskFull,
        Family::BadConfiguration,
        Family::ClockSkew,
        Family::CpuPressure,
        Family::Partition,
        Family::PoolExhaustion,
        Family::ConsumerStall,
        Family::ProxyErrors,
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
        Family::RetryStorm,
        Family::ThunderingHerd,
        Family::SlowDisk,
        Family::FlagFlip,
        Family::ReplicaLag,
        Family::MemoryPressure,
        Family::DatabaseRestart,
        Family::SlowConsumer,
        Family::Descriptors,
        Family::ConnectionResets,
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
            Family::Metastable => "metastable",
            Family::Lock => "lock",
            Family::DiskFull => "disk_full",
            Family::BadConfiguration => "bad_configuration",
            Family::ClockSkew => "clock_skew",
            Family::CpuPressure => "cpu_pressure",
            Family::Partition => "partition",
            Family::PoolExhaustion => "pool_exhaustion",
            Family::ConsumerStall => "consumer_stall",
            Family::ProxyErrors => "proxy_errors",
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
            Family::RetryStorm => "retry_storm",
            Family::ThunderingHerd => "thundering_herd",
            Family::SlowDisk => "slow_disk",
            Family::FlagFlip => "flag_flip",
            Family::ReplicaLag => "replica_lag",
            Family::MemoryPressure => "memory_pressure",
            Family::DatabaseRestart => "database_restart",
            Family::SlowConsumer => "slow_consumer",
            Family::Descriptors => "descriptors",
            Family::ConnectionResets => "connection_resets",
        }
    }
}

/// How badly it hurts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A fifth to a third of what it touches, or as much more as users feel.
    Small,
    /// From that up to all of it.
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
    /// Somebody told Immune of the change that it is.
    pub is_told: bool,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_family_is_in_both_sets() {
        assert!(Family::DEVELOPMENT.iter().all(|family| !Family::SEALED.contains(family)));
    }
}
