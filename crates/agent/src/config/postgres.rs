//! Where a PostgreSQL target is, and which of its sessions may be ended.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Target;
use super::check::Check;

const BLOCKS_FOR_MAX: Duration = Duration::from_secs(86_400);
const USERS_MAX: usize = 64;

/// A database of this host, at `socket_folder` or at `address`: the connection has no TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Folder of its Unix socket: `/var/run/postgresql`.
    #[serde(default)]
    pub socket_folder: Option<PathBuf>,
    /// A loopback address.
    #[serde(default)]
    pub address: Option<SocketAddr>,
    /// Names the socket in its folder.
    #[serde(default = "default_port")]
    pub port: u16,
    /// Needs the roles `pg_read_all_stats`, to see sessions of others, and `pg_signal_backend`, to
    /// end one.
    pub user: String,
    #[serde(default)]
    pub password: Option<String>,
    /// Only sessions of this database are looked at.
    pub database: String,
    /// Sessions of these users only may be ended; without any, of all but superusers.
    #[serde(default)]
    pub users: Vec<String>,
    /// A transaction younger than this is not ended, whomever it blocks.
    #[serde(default = "default_blocks_for")]
    pub blocks_for: HumanDuration,
    /// For everything that one action takes.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_port() -> u16 {
    5432
}

fn default_blocks_for() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

impl Check {
    pub(super) fn postgres(&mut self, path: &str, target: &Target) {
        let Some(postgres) = &target.postgres else { return };
        let path = format!("{path}.postgres");
        match (&postgres.socket_folder, &postgres.address) {
            (Some(folder), None) => self.full(&format!("{path}.socket_folder"), folder),
            (None, Some(address)) if address.ip().is_loopback() => {}
            (None, Some(_)) => {
                let why = "is not loopback, and there is no TLS; let an agent there do it";
                self.add(&format!("{path}.address"), why);
            }
            _ => self.add(&path, "write either `socket_folder` or `address`"),
        }
        self.text(&format!("{path}.user"), &postgres.user);
        self.text(&format!("{path}.database"), &postgres.database);
        if postgres.users.len() > USERS_MAX {
            self.add(&format!("{path}.users"), format!("more than {USERS_MAX}"));
        }
        if postgres.blocks_for.0 < Duration::from_secs(1) || postgres.blocks_for.0 > BLOCKS_FOR_MAX
        {
            self.add(&format!("{path}.blocks_for"), "must lie between 1s and 1d");
        }
        self.wait(&format!("{path}.timeout"), postgres.timeout);
    }
}
