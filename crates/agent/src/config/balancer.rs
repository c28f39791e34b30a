//! The load balancer before a target: where it is, what the target is called there, and how many
//! others must stay.

use std::net::SocketAddr;
use std::path::PathBuf;

use model::human::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Check;
use super::{Command, Target};

const KEEP_MAX: u32 = 10_000;

/// Exactly one of `haproxy` and `nginx`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancer {
    /// The target's name there: the server's in HAProxy, its address in nginx.
    pub server: String,
    /// The target is not ejected when fewer other servers than this would be left in rotation.
    #[serde(default = "default_keep_min")]
    pub keep_min: u32,
    #[serde(default)]
    pub haproxy: Option<Haproxy>,
    #[serde(default)]
    pub nginx: Option<Nginx>,
    /// For everything that one change takes.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
}

fn default_keep_min() -> u32 {
    1
}

fn default_timeout() -> HumanDuration {
    HumanDuration::from_secs(10)
}

/// HAProxy's runtime API, level `admin`: at `socket` or at `address`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Haproxy {
    #[serde(default)]
    pub socket: Option<PathBuf>,
    #[serde(default)]
    pub address: Option<SocketAddr>,
    pub backend: String,
    #[serde(default)]
    pub eject_to: EjectTo,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EjectTo {
    /// No new users; who is on it may stay.
    #[default]
    Drain,
    /// Nobody, and no health checks either.
    Maint,
}

/// nginx, by a file that its configuration includes into an `upstream`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nginx {
    /// Holds `server ADDRESS …;` lines and nothing else but comments. The agent marks one `down`.
    pub upstream_file: PathBuf,
    /// Says whether nginx would accept its configuration: `[/usr/sbin/nginx, -t]`.
    pub test: Command,
    /// Names the master, which is sent SIGHUP.
    pub pid_file: PathBuf,
}

impl Check {
    pub(super) fn load_balancer(&mut self, path: &str, target: &Target) {
        let Some(balancer) = &target.load_balancer else { return };
        let path = format!("{path}.load_balancer");
        if !(1..=KEEP_MAX).contains(&balancer.keep_min) {
            self.add(&format!("{path}.keep_min"), format!("must lie between 1 and {KEEP_MAX}"));
        }
        self.wait(&format!("{path}.timeout"), balancer.timeout);
        let server = format!("{path}.server");
        match (&balancer.haproxy, &balancer.nginx) {
            (Some(haproxy), None) => {
                self.name(&server, &balancer.server);
                self.haproxy(&format!("{path}.haproxy"), haproxy);
            }
            (None, Some(nginx)) => {
                let odd = |c: char| c.is_whitespace() || c.is_control() || ";{}#'\"\\$".contains(c);
                if balancer.server.is_empty() || balancer.server.contains(odd) {
                    self.add(&server, "write the address as in the file: `127.0.0.1:7811`");
                }
                let path = format!("{path}.nginx");
                self.full(&format!("{path}.upstream_file"), &nginx.upstream_file);
                self.full(&format!("{path}.pid_file"), &nginx.pid_file);
                self.declared(&format!("{path}.test"), &nginx.test, target);
            }
            _ => self.add(&path, "write either `haproxy` or `nginx`"),
        }
    }

    fn haproxy(&mut self, path: &str, haproxy: &Haproxy) {
        self.name(&format!("{path}.backend"), &haproxy.backend);
        match (&haproxy.socket, &haproxy.address) {
            (Some(socket), None) => self.full(&format!("{path}.socket"), socket),
            (None, Some(_)) => {}
            _ => self.add(path, "write either `socket` or `address` of the runtime API"),
        }
    }
}
