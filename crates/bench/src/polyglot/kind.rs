//! What may be done to the system: drills, each with its experiment file and its shades, and
//! innocent events.

use clap::ValueEnum;
use model::experiment::Decision;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Nothing, with all the ceremony of a drill.
    Placebo,
    /// Four times the users for a minute.
    Surge,
    /// SIGKILL to the only instance of orders.
    OrdersKilled,
    /// A maintenance session holds a lock on the table of orders.
    BlockingTransaction,
    /// PostgreSQL is stopped or killed.
    PostgresDown,
    /// Redis is stopped or killed.
    RedisDown,
    /// Answers of orders come two seconds late and more.
    SlowNetwork,
    /// The file system of PostgreSQL's data is filled.
    DiskFull,
    /// nginx is reloaded with an upstream that is not there.
    FrontMisconfigured,
    /// Both instances of orders are restarted, one after the other.
    RollingRestart,
    /// One of two instances of orders is stopped politely.
    ScaleIn,
}

impl Kind {
    pub const ALL: [Kind; 11] = [
        Kind::Placebo,
        Kind::Surge,
        Kind::OrdersKilled,
        Kind::BlockingTransaction,
        Kind::PostgresDown,
        Kind::RedisDown,
        Kind::SlowNetwork,
        Kind::DiskFull,
        Kind::FrontMisconfigured,
        Kind::RollingRestart,
        Kind::ScaleIn,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Placebo => "placebo",
            Kind::Surge => "surge",
            Kind::OrdersKilled => "orders-killed",
            Kind::BlockingTransaction => "blocking-transaction",
            Kind::PostgresDown => "postgres-down",
            Kind::RedisDown => "redis-down",
            Kind::SlowNetwork => "slow-network",
            Kind::DiskFull => "disk-full",
            Kind::FrontMisconfigured => "front-misconfigured",
            Kind::RollingRestart => "rolling-restart",
            Kind::ScaleIn => "scale-in",
        }
    }

    /// What is right to do about a drill; `None` of an innocent event.
    pub fn decision(self) -> Option<Decision> {
        match self {
            Kind::OrdersKilled | Kind::BlockingTransaction | Kind::FrontMisconfigured => {
                Some(Decision::Heal)
            }
            Kind::PostgresDown | Kind::SlowNetwork | Kind::DiskFull => Some(Decision::Escalate),
            Kind::RedisDown => Some(Decision::LeaveAlone),
            Kind::Placebo | Kind::Surge | Kind::RollingRestart | Kind::ScaleIn => None,
        }
    }

    pub fn is_innocent(self) -> bool {
        self.decision().is_none()
    }

    /// Does somebody have to notice it?
    pub fn hurts(self) -> bool {
        matches!(self.decision(), Some(Decision::Heal | Decision::Escalate))
    }

    /// The target that a drill aims at, in the configuration and in the kind's experiment file.
    pub fn target(self) -> &'static str {
        match self {
            Kind::BlockingTransaction | Kind::PostgresDown | Kind::DiskFull => "database",
            Kind::RedisDown => "cache",
            Kind::FrontMisconfigured => "front",
            _ => "orders",
        }
    }

    /// Instances of orders that the system has for it.
    pub fn instances(self) -> usize {
        match self {
            Kind::RollingRestart | Kind::ScaleIn => 2,
            _ => 1,
        }
    }

    /// Names of declared faults, one of which is drawn; the file's own without.
    pub fn shades(self) -> &'static [&'static str] {
        match self {
            Kind::BlockingTransaction => &["lock-writes", "lock-all"],
            Kind::PostgresDown | Kind::RedisDown => &["stop", "kill"],
            Kind::FrontMisconfigured => &["wrong-upstream", "wrong-api"],
            _ => &[],
        }
    }
}
