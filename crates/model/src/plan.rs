//! Plans: typed actions, the guardrails' verdicts, and what really came of them.
//!
//! Invariants: an action names a target of the configuration, never text from telemetry; an
//! action's id is used once; a plan ends in exactly one final state.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entity::Entity;
use crate::incident::{CauseKind, IncidentId};
use crate::tick::ProcessIdentity;
use crate::time::Timestamp;

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(transparent)]
pub struct PlanId(pub u64);

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one attempt, for ever: `PLAN-ATTEMPT` with the store's own prefix, and a `u` for
/// its undo, so that the agent can
/// tell a repeated order from a new one.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ActionId(pub String);

impl fmt::Display for ActionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One remedy for one cause of one incident, with all its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    pub id: PlanId,
    pub incident: IncidentId,
    pub cause: CauseKind,
    /// What the cause blames.
    pub entity: Entity,
    /// Name of the target in configuration.
    pub target: String,
    pub kind: ActionKind,
    pub mode: Mode,
    pub state: PlanState,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Verdicts of the last check, passed and failed.
    pub verdicts: Vec<Verdict>,
    pub attempts: Vec<Attempt>,
    /// Why the plan is in its state, one sentence.
    pub reason: String,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    pub action: Action,
    pub ordered: Timestamp,
    pub outcome: Option<Outcome>,
    /// How it was taken back, where it did not help and its target declares how.
    #[serde(default)]
    pub undo: Option<Undo>,
}

/// The action that takes an attempt back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Undo {
    pub action: Action,
    pub ordered: Timestamp,
    pub outcome: Option<Outcome>,
}

/// What the executor is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Action {
    pub id: ActionId,
    pub target: String,
    pub entity: Entity,
    pub kind: ActionKind,
    pub expect: Expectation,
    /// The executor refuses to begin after this.
    pub not_after: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    /// Stop what runs of the target, if anything, and start it as configured.
    Restart,
    /// Run a command that the target declares under this name.
    RunCommand { command: String },
    /// Send its process a signal that the target declares.
    Signal { signal: SignalName },
    /// Bring back the version before, by the command that the target declares for that.
    Rollback,
    /// Make an HTTP request that the target declares under this name.
    HttpRequest { request: String },
    /// Take it out of rotation at its load balancer.
    Eject,
    /// Put it back into rotation.
    Return,
    /// End the one session of a PostgreSQL database that blocks the others.
    TerminateBlocker,
    /// Make a cache that the target declares under this name as small as its bound.
    ClearPath { path: String },
    /// Do this to its container.
    Container { operation: ContainerOperation },
    /// Give its container the limits that the target declares under this name.
    ContainerLimits { limits: String },
    /// Have systemd do this to its unit.
    Systemd { operation: UnitOperation },
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UnitOperation {
    Restart,
    Reload,
    /// Only what failed: a unit that was stopped is left stopped.
    Start,
}

impl fmt::Display for UnitOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnitOperation::Restart => "restart unit",
            UnitOperation::Reload => "reload unit",
            UnitOperation::Start => "start unit",
        })
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ContainerOperation {
    Restart,
    Pause,
    Unpause,
    /// One more of its compose service.
    ScaleOut,
    /// One less.
    ScaleIn,
}

impl ContainerOperation {
    /// Is it about its compose service, rather than the one container?
    pub fn scales(self) -> bool {
        matches!(self, ContainerOperation::ScaleOut | ContainerOperation::ScaleIn)
    }
}

impl fmt::Display for ContainerOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ContainerOperation::Restart => "restart container",
            ContainerOperation::Pause => "pause container",
            ContainerOperation::Unpause => "unpause container",
            ContainerOperation::ScaleOut => "scale out",
            ContainerOperation::ScaleIn => "scale in",
        })
    }
}

/// Signals that may be declared: those by which programs are asked something.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum SignalName {
    Hup,
    Quit,
    Term,
    Usr1,
    Usr2,
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignalName::Hup => "SIGHUP",
            SignalName::Quit => "SIGQUIT",
            SignalName::Term => "SIGTERM",
            SignalName::Usr1 => "SIGUSR1",
            SignalName::Usr2 => "SIGUSR2",
        })
    }
}

/// What an action risks, at the moment at which it is ordered.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Safety {
    /// It only starts what is gone already: nobody is disturbed.
    StartsWhatIsGone,
    /// A counter-action is declared that takes it back.
    Reversible,
    /// What it does stays done.
    Irreversible,
}

impl ActionKind {
    /// Its name in the catalogue of actions, without its parameter: never changed.
    pub fn id(&self) -> &'static str {
        match self {
            ActionKind::Restart => "restart",
            ActionKind::RunCommand { .. } => "run_command",
            ActionKind::Signal { .. } => "signal",
            ActionKind::Rollback => "rollback",
            ActionKind::HttpRequest { .. } => "http_request",
            ActionKind::Eject => "eject",
            ActionKind::Return => "return",
            ActionKind::TerminateBlocker => "terminate_blocker",
            ActionKind::ClearPath { .. } => "clear_path",
            ActionKind::Container { .. } => "container",
            ActionKind::ContainerLimits { .. } => "container_limits",
            ActionKind::Systemd { .. } => "systemd",
        }
    }

    /// `undo` is the counter-action that the target declares for it, if any.
    pub fn safety(&self, expect: &Expectation, undo: Option<&ActionKind>) -> Safety {
        match (self, expect) {
            (ActionKind::Restart, Expectation::Gone(_))
            | (
                ActionKind::Systemd { operation: UnitOperation::Restart | UnitOperation::Start },
                Expectation::Gone(_),
            ) => Safety::StartsWhatIsGone,
            _ if undo.is_some() => Safety::Reversible,
            _ => Safety::Irreversible,
        }
    }

    /// Is there nothing to be done when no process of the target runs?
    pub fn needs_running(&self) -> bool {
        matches!(
            self,
            ActionKind::Signal { .. } | ActionKind::Systemd { operation: UnitOperation::Reload }
        )
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ActionKind::Restart => f.write_str("restart"),
            ActionKind::RunCommand { command } => write!(f, "run {command}"),
            ActionKind::Signal { signal } => write!(f, "{signal}"),
            ActionKind::Rollback => f.write_str("roll back"),
            ActionKind::HttpRequest { request } => write!(f, "request {request}"),
            ActionKind::Eject => f.write_str("eject"),
            ActionKind::Return => f.write_str("return"),
            ActionKind::TerminateBlocker => f.write_str("terminate blocker"),
            ActionKind::ClearPath { path } => write!(f, "clear {path}"),
            ActionKind::Container { operation } => write!(f, "{operation}"),
            ActionKind::ContainerLimits { limits } => write!(f, "limit to {limits}"),
            ActionKind::Systemd { operation } => write!(f, "{operation}"),
        }
    }
}

/// What must still be so at the moment of acting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expectation {
    /// This process is gone and nothing else has taken its place.
    Gone(ProcessIdentity),
    /// This very process is running.
    Running(ProcessIdentity),
    /// No agent ever saw a process of the target, or it has none of its own: only what needs no
    /// process may be done.
    NoProcess,
}

/// How far the healer may go by itself.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// No plan is made.
    Off,
    /// Plans are made and shown, nothing is done.
    #[default]
    DryRun,
    /// A person must approve each plan in time.
    Approve,
    /// Acts when every guardrail passes.
    Auto,
}

impl Mode {
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::DryRun => "dry_run",
            Mode::Approve => "approve",
            Mode::Auto => "auto",
        }
    }
}

#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum PlanState {
    /// A guardrail holds it back for now.
    Held,
    AwaitingApproval,
    /// An attempt is with the executor.
    Running,
    /// The attempt is done; users' figures decide.
    Verifying,
    /// The attempt did not help and is being taken back.
    Undoing,
    /// Waiting out the back-off before the next attempt.
    BackingOff,
    // Final states.
    /// Shown only.
    DryRun,
    /// Recovery held.
    Verified,
    /// Attempts are used up; a person is called.
    GaveUp,
    /// A person, or the lack of one in time, said no.
    Denied,
    /// The incident ended or changed before the plan acted.
    Withdrawn,
}

impl PlanState {
    pub fn is_final(self) -> bool {
        matches!(
            self,
            PlanState::DryRun
                | PlanState::Verified
                | PlanState::GaveUp
                | PlanState::Denied
                | PlanState::Withdrawn
        )
    }

    pub fn as_str(self) -> &'static str {
        match self {
            PlanState::Held => "held",
            PlanState::AwaitingApproval => "awaiting_approval",
            PlanState::Running => "running",
            PlanState::Verifying => "verifying",
            PlanState::Undoing => "undoing",
            PlanState::BackingOff => "backing_off",
            PlanState::DryRun => "dry_run",
            PlanState::Verified => "verified",
            PlanState::GaveUp => "gave_up",
            PlanState::Denied => "denied",
            PlanState::Withdrawn => "withdrawn",
        }
    }
}

/// What one guardrail says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// `G-2`.
    pub guardrail: String,
    pub passed: bool,
    /// One sentence with figures.
    pub reason: String,
}

/// What an attempt really did, as the executor says. Never proof that users are well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    pub action: ActionId,
    pub at: Timestamp,
    pub result: OutcomeResult,
    /// One sentence: `started pid 4410 in 1.2 s`.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeResult {
    Done,
    Failed,
    /// The executor would not: the target was not as expected, too late, frozen. Nothing was done.
    Refused,
    /// The order never reached an executor. Nothing was done.
    NotRun,
    /// Begun, and the executor died before it could tell the end.
    Interrupted,
}

impl OutcomeResult {
    pub fn as_str(self) -> &'static str {
        match self {
            OutcomeResult::Done => "done",
            OutcomeResult::Failed => "failed",
            OutcomeResult::Refused => "refused",
            OutcomeResult::NotRun => "not_run",
            OutcomeResult::Interrupted => "interrupted",
        }
    }
}
