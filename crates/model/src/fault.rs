//! Faults of experiments, with their parameters: what is done to a target, on purpose and for a
//! while.
//!
//! Plain data; an address is `core`'s, which has no sockets. Which values make sense `chaos` says;
//! what a host can do, and what it may be asked for, the agent says, which does it.

use core::net::{IpAddr, SocketAddr};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::byte_size::ByteSize;
use crate::human::HumanDuration;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// SIGKILL to the target's process. Undone by starting the target as configured.
    KillProcess,
    /// SIGSTOP to the target's process. Undone by SIGCONT.
    PauseProcess,
    /// Processors of the host are kept busy.
    Cpu(Cpu),
    /// Memory of the host is taken.
    Memory(Memory),
    /// A file system is filled.
    DiskFill(DiskFill),
    /// The target's process can open no more files and connections.
    FileDescriptors(FileDescriptors),
    /// Packets to and from a port or a peer are dropped.
    Partition(Partition),
    /// A share of the packets to and from a port or a peer is dropped.
    PacketLoss(PacketLoss),
    /// TCP connections to a port are led through a proxy with toxics.
    Tcp(Tcp),
    /// HTTP requests to a port are led through a proxy that delays, changes or answers them.
    Http(Http),
    /// Some names are answered wrongly, late or not at all by DNS.
    Dns(Dns),
    /// Toxics are set on a proxy that runs and has Toxiproxy's HTTP API.
    Toxiproxy(Toxiproxy),
    /// The target's container, through Docker. Undone by the opposite.
    Container(ContainerFault),
    /// The target is started with a clock that goes wrong. Undone by starting it as configured.
    Clock(Clock),
    /// A command that the target's configuration declares, with its undo.
    Command(CommandFault),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cpu {
    /// Processors that are kept busy: at least one, at most what the host has.
    pub cores: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// How much is taken. Refused when too little would be left.
    pub bytes: ByteSize,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiskFill {
    /// A folder on the file system; full path.
    pub path: PathBuf,
    /// What is left free.
    pub leave_free: ByteSize,
}

#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileDescriptors {
    /// How many more than at present the process may open.
    #[serde(default)]
    pub spare: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Partition {
    /// TCP and UDP port, of either side.
    #[serde(default)]
    pub port: Option<u16>,
    /// Address of the other side.
    #[serde(default)]
    pub peer: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PacketLoss {
    /// TCP and UDP port, of either side.
    #[serde(default)]
    pub port: Option<u16>,
    /// Address of the other side.
    #[serde(default)]
    pub peer: Option<IpAddr>,
    /// Share of the packets that is dropped in each direction: 0.01 to 0.99.
    pub share: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tcp {
    /// Connections of this host to this port, loopback included.
    pub port: u16,
    /// Only those to this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    #[serde(flatten)]
    pub toxics: Toxics,
}

/// At least one of `abort`, `delay`, headers and bodies.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// HTTP/1.1 requests of this host to this port, loopback included; without TLS.
    pub port: u16,
    /// Only those to this address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<IpAddr>,
    /// Only requests with this method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Only requests whose path is this or lies below it: `/cart` is for `/cart` and `/cart/1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The share of them that is hit: 0.01 to 1. All, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// They go on this much later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<HumanDuration>,
    /// The delay varies by this much, both ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<HumanDuration>,
    /// They are answered with this status; the server is not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abort: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_headers: Option<Headers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<Headers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_body: Option<Body>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<Body>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dns {
    /// Names; with `*.` at its begin, all below one.
    pub names: Vec<String>,
    pub answer: DnsAnswer,
    /// The nameserver whose answers these are. Without it those of /etc/resolv.conf.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<IpAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DnsAnswer {
    /// There is no such name.
    Nxdomain,
    /// The nameserver cannot say.
    Servfail,
    /// None at all.
    None,
    /// The wrong address: of loopback, or one for documentation, which nobody has.
    Address(IpAddr),
    /// The right one, this much later.
    Slow(HumanDuration),
}

/// Headers that are removed, then those that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Headers {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// A body that stands for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Body {
    pub text: String,
    /// Without one, the type stays as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Toxiproxy {
    /// Where the API listens; on loopback.
    pub api: SocketAddr,
    /// Name of the proxy.
    pub proxy: String,
    #[serde(flatten)]
    pub toxics: Toxics,
}

/// What a proxy does to connections, by Toxiproxy's names. At least one of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Toxics {
    /// Data comes this much later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<HumanDuration>,
    /// The latency varies by this much, both ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jitter: Option<HumanDuration>,
    /// So many bytes a second pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<ByteSize>,
    /// Nothing passes, and connections are closed after this; with `0s` never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Connections are reset this long after their first bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset_peer: Option<HumanDuration>,
    /// Data comes in small pieces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slicer: Option<Slicer>,
    /// Connections are closed after so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_data: Option<ByteSize>,
    /// Connections are refused, and those that are open are cut. Goes with nothing else.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub down: bool,
    /// Which way: `downstream` is from the server to its client.
    #[serde(default, skip_serializing_if = "Stream::is_default")]
    pub stream: Stream,
    /// The share of connections that is hit: 0.01 to 1. All, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toxicity: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    Upstream,
    #[default]
    Downstream,
}

impl Stream {
    pub fn as_str(self) -> &'static str {
        match self {
            Stream::Upstream => "upstream",
            Stream::Downstream => "downstream",
        }
    }

    fn is_default(&self) -> bool {
        *self == Stream::default()
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slicer {
    pub average_size: ByteSize,
    /// Pieces are this much smaller or larger.
    #[serde(default)]
    pub size_variation: ByteSize,
    /// Time between two pieces.
    pub delay: HumanDuration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContainerFault {
    /// All its processes are frozen.
    Pause,
    /// SIGKILL to it.
    Kill,
    /// It is taken off all its networks.
    Disconnect,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Clock {
    /// How much it is ahead.
    pub offset: HumanDuration,
    /// It is behind instead.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandFault {
    /// Name of an entry of the target's `faults` in configuration.
    pub name: String,
}

impl Fault {
    /// What kind of fault it is: `kill_process`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Fault::KillProcess => "kill_process",
            Fault::PauseProcess => "pause_process",
            Fault::Cpu(_) => "cpu",
            Fault::Memory(_) => "memory",
            Fault::DiskFill(_) => "disk_fill",
            Fault::FileDescriptors(_) => "file_descriptors",
            Fault::Partition(_) => "partition",
            Fault::PacketLoss(_) => "packet_loss",
            Fault::Tcp(_) => "tcp",
            Fault::Http(_) => "http",
            Fault::Dns(_) => "dns",
            Fault::Toxiproxy(_) => "toxiproxy",
            Fault::Container(_) => "container",
            Fault::Clock(_) => "clock",
            Fault::Command(_) => "command",
        }
    }
}

/// The kind and its parameters, for people: `cpu, cores 2`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())?;
        match self {
            Fault::KillProcess | Fault::PauseProcess => Ok(()),
            Fault::Cpu(cpu) => write!(f, ", cores {}", cpu.cores),
            Fault::Memory(memory) => write!(f, ", {}", memory.bytes),
            Fault::DiskFill(fill) => {
                write!(f, ", {} to {} free", fill.path.display(), fill.leave_free)
            }
            Fault::FileDescriptors(files) => write!(f, ", {} to spare", files.spare),
            Fault::Partition(Partition { port, peer }) => far_side(f, *port, *peer),
            Fault::PacketLoss(PacketLoss { port, peer, share }) => {
                write!(f, ", {} %", share * 100.0)?;
                far_side(f, *port, *peer)
            }
            Fault::Tcp(Tcp { port, peer, toxics }) => {
                far_side(f, Some(*port), *peer)?;
                write!(f, "{toxics}")
            }
            Fault::Http(http) => {
                far_side(f, Some(http.port), http.peer)?;
                write!(f, "{http}")
            }
            Fault::Dns(Dns { names, answer, server }) => {
                write!(f, ", {}: {answer}", names.join(", "))?;
                told(f, "by", server.as_ref().map(|value| value as _))
            }
            Fault::Toxiproxy(Toxiproxy { api, proxy, toxics }) => {
                write!(f, " {proxy} at {api}{toxics}")
            }
            Fault::Container(ContainerFault::Pause) => f.write_str(", pause"),
            Fault::Container(ContainerFault::Kill) => f.write_str(", kill"),
            Fault::Container(ContainerFault::Disconnect) => f.write_str(", disconnect"),
            Fault::Clock(Clock { offset, behind: false }) => write!(f, ", {offset} ahead"),
            Fault::Clock(Clock { offset, behind: true }) => write!(f, ", {offset} behind"),
            Fault::Command(command) => write!(f, " {}", command.name),
        }
    }
}

/// `, GET, route /cart, abort 503`.
impl fmt::Display for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = |name: &str, value: Option<&dyn fmt::Display>| told(f, name, value);
        told("method", self.method.as_ref().map(|value| value as _))?;
        told("route", self.route.as_ref().map(|value| value as _))?;
        told("share", self.share.as_ref().map(|value| value as _))?;
        told("delay", self.delay.as_ref().map(|value| value as _))?;
        told("jitter", self.jitter.as_ref().map(|value| value as _))?;
        told("abort", self.abort.as_ref().map(|value| value as _))?;
        let changed = [
            ("request headers", self.request_headers.is_some()),
            ("response headers", self.response_headers.is_some()),
            ("request body", self.request_body.is_some()),
            ("response body", self.response_body.is_some()),
        ];
        for (name, _) in changed.iter().filter(|(_, changed)| *changed) {
            write!(f, ", {name} changed")?;
        }
        Ok(())
    }
}

impl fmt::Display for DnsAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DnsAnswer::Nxdomain => f.write_str("nxdomain"),
            DnsAnswer::Servfail => f.write_str("servfail"),
            DnsAnswer::None => f.write_str("no answer"),
            DnsAnswer::Address(ip) => write!(f, "{ip}"),
            DnsAnswer::Slow(delay) => write!(f, "{delay} late"),
        }
    }
}

fn told(f: &mut fmt::Formatter<'_>, name: &str, value: Option<&dyn fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, ", {name} {value}"),
        None => Ok(()),
    }
}

/// `, latency 2s, jitter 100ms`.
impl fmt::Display for Toxics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = |name: &str, value: Option<&dyn fmt::Display>| told(f, name, value);
        told("latency", self.latency.as_ref().map(|value| value as _))?;
        told("jitter", self.jitter.as_ref().map(|value| value as _))?;
        told("bandwidth", self.bandwidth.as_ref().map(|value| value as _))?;
        told("timeout", self.timeout.as_ref().map(|value| value as _))?;
        told("reset_peer", self.reset_peer.as_ref().map(|value| value as _))?;
        told("slices of", self.slicer.as_ref().map(|slicer| &slicer.average_size as _))?;
        told("limit_data", self.limit_data.as_ref().map(|value| value as _))?;
        told("toxicity", self.toxicity.as_ref().map(|value| value as _))?;
        if self.stream == Stream::Upstream {
            f.write_str(", upstream")?;
        }
        if self.down { f.write_str(", down") } else { Ok(()) }
    }
}

fn far_side(f: &mut fmt::Formatter<'_>, port: Option<u16>, peer: Option<IpAddr>) -> fmt::Result {
    if let Some(port) = port {
        write!(f, ", port {port}")?;
    }
    match peer {
        Some(peer) => write!(f, ", peer {peer}"),
        None => Ok(()),
    }
}
