//! What server and agent say to each other: one JSON object per line over a Unix socket.
//!
//! The agent listens, the server connects and says `Hello` first. Invariants: a frame names the
//! version of the protocol and is at most `FRAME_MAX` bytes; an order that the agent has not
//! accepted when a new `Hello` arrives is never accepted afterwards, so `Unknown` is a final
//! answer.

use std::fmt;

use model::condition::ConditionReport;
use model::experiment::Fault;
use model::human::HumanDuration;
use model::tick::ProcessReport;
use model::{Action, ActionId, Outcome, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::Target;

pub const VERSION: u32 = 1;
/// Bytes of a frame with its line feed.
pub const FRAME_MAX: usize = 1024 * 1024;
/// Targets that one `Report` or `Conditions` tells of, so that it fits into a frame however long
/// their names.
pub const REPORT_MAX: usize = 200;
/// Bytes of a name given by the server: an action's id, a fault's id, who freezes.
pub const NAME_MAX: usize = 256;

/// Names one injection, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub String);

impl fmt::Display for FaultId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToAgent {
    /// First word of a connection, and again whenever targets change.
    Hello(Hello),
    Perform(Action),
    /// What became of an action? Answered by `Outcome`, `InProgress` or `Unknown`.
    Query(ActionId),
    Inject(Injection),
    /// What would this do? Answered by `Aimed`; nothing is done.
    Aim(Injection),
    /// End a fault now.
    Undo(FaultId),
    /// End every fault now, whoever ordered it.
    UndoAll,
    /// What became of a fault? Answered by `Fault` or `UnknownFault`.
    QueryFault(FaultId),
    /// Refuse actions and faults from now on. What is under way is finished, undo still works.
    Freeze(Freeze),
    Thaw {
        who: String,
    },
    /// Said every second, so that the agent knows that the server lives.
    Heartbeat,
    /// Undo every fault, finish what is under way, exit.
    Stop,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    pub targets: Vec<Target>,
    /// Silence of the server after which faults are undone; 1 s to 10 min.
    pub lease: HumanDuration,
}

/// Order for a fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Injection {
    pub id: FaultId,
    pub fault: Fault,
    pub target: String,
    /// Must be the target's.
    pub environment: String,
    /// The fault is undone at this time; at most an hour ahead.
    pub deadline: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    pub who: String,
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromAgent {
    /// Answer to `Hello`. Reports of unfinished faults and outcomes not yet told follow.
    Welcome(Welcome),
    /// Every second: what runs, in as many frames as it takes. A target whose process cannot be
    /// told is left out.
    Report {
        at: Timestamp,
        processes: Vec<ProcessReport>,
    },
    /// Every five seconds: what databases and disks are like, in as many frames as it takes.
    Conditions(Vec<ConditionReport>),
    Outcome(Outcome),
    /// The action was accepted and has not ended.
    InProgress(ActionId),
    /// No such action was accepted, nor will the order be if it was given before this `Hello`.
    Unknown(ActionId),
    Fault(FaultReport),
    UnknownFault(FaultId),
    /// What exactly an injection would hit, or why it would be refused.
    Aimed {
        id: FaultId,
        aim: Result<String, String>,
    },
    /// The freeze in force, after each change.
    Frozen(Option<Freeze>),
    /// What was said makes no sense to the agent; nothing was done.
    Refused {
        reason: String,
    },
    /// Something that people should know of.
    Log {
        at: Timestamp,
        level: Level,
        message: String,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Welcome {
    pub host: String,
    pub boot_id: String,
    pub pid: u32,
    pub started: Timestamp,
    pub frozen: Option<Freeze>,
}

/// Where a fault stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    pub id: FaultId,
    pub at: Timestamp,
    pub state: FaultState,
    pub injected_at: Option<Timestamp>,
    /// When something other than the injector saw the effect.
    pub effective_at: Option<Timestamp>,
    pub undone_at: Option<Timestamp>,
    /// One sentence: how it was undone, why it was refused.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultState {
    /// Nothing was done, nor will be.
    Refused,
    /// The undo record is on disk.
    Accepted,
    Injected,
    /// Seen by something other than the injector.
    Effective,
    /// Injected, and no effect was seen.
    NotEffective,
    /// The fault was seen gone: what was killed runs again, what was taken is free.
    Undone,
    /// An attempt to undo failed. The agent tries again until it succeeds; a person should look.
    UndoFailed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Info,
    Warning,
}

#[derive(Serialize, Deserialize)]
struct Frame<T> {
    version: u32,
    message: T,
}

#[derive(Deserialize)]
struct VersionOnly {
    version: u32,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes is larger than the {FRAME_MAX} allowed")]
    TooLarge(usize),
    #[error("the peer speaks version {0} of the protocol, this is version {VERSION}")]
    Version(u32),
    #[error("not a message of the protocol: {0}")]
    Malformed(String),
}

/// A message as a line, line feed included.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut line = serde_json::to_vec(&Frame { version: VERSION, message })
        .map_err(|error| FrameError::Malformed(error.to_string()))?;
    line.push(b'\n');
    if line.len() > FRAME_MAX {
        return Err(FrameError::TooLarge(line.len()));
    }
    Ok(line)
}

/// Reads a line without its line feed. The version is judged before the message.
pub fn decode<T: for<'de> Deserialize<'de>>(line: &[u8]) -> Result<T, FrameError> {
    if line.len() >= FRAME_MAX {
        return Err(FrameError::TooLarge(line.len()));
    }
    let malformed = |error: serde_json::Error| FrameError::Malformed(error.to_string());
    match serde_json::from_slice::<Frame<T>>(line) {
        Ok(frame) if frame.version == VERSION => Ok(frame.message),
        Ok(frame) => Err(FrameError::Version(frame.version)),
        Err(error) => match serde_json::from_slice::<VersionOnly>(line) {
            Ok(other) if other.version != VERSION => Err(FrameError::Version(other.version)),
            _ => Err(malformed(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let thaw = ToAgent::Thaw { who: "ann\n\"".into() };
        for message in [ToAgent::Heartbeat, ToAgent::Stop, thaw, ToAgent::Undo(FaultId("f".into()))]
        {
            let line = encode(&message).unwrap();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(decode::<ToAgent>(&line[..line.len() - 1]), Ok(message));
        }
    }

    #[test]
    fn names_the_version_before_it_complains_about_the_message() {
        let line = br#"{"version":7,"message":{"dance":{}}}"#;
        assert_eq!(decode::<ToAgent>(line), Err(FrameError::Version(7)));
    }

    #[test]
    fn hostile_lines_are_errors() {
        let deep = format!(r#"{{"version":1,"message":{}"#, "[".repeat(200_000));
        let large = vec![b' '; FRAME_MAX];
        let lines: [&[u8]; 8] = [
            b"",
            b"\xff\xfe",
            b"null",
            b"{\"version\":1}",
            b"{\"version\":-1,\"message\":\"stop\"}",
            b"{\"version\":1,\"message\":{\"undo\":7}}",
            deep.as_bytes(),
            &large,
        ];
        for line in lines {
            assert!(decode::<ToAgent>(line).is_err(), "{:?}", &line[..line.len().min(40)]);
        }
    }
}
