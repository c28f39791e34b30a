//! Faults of experiments, with their parameters: what is done to a target, on purpose and for a
//! while.
//!
//! Plain data; an address is `core`'s, which has no sockets. Which values make sense `chaos` says;
//! what a host can do, and what it may be asked for, the agent says, which does it.

use core::net::IpAddr;
use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::byte_size::ByteSize;

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
            Fault::Command(command) => write!(f, " {}", command.name),
        }
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
