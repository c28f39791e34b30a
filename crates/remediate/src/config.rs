//! The `healing` section of the configuration: which remedy for which cause of which target, and
//! how far Immune may go by itself.
//!
//! These types are read from YAML and also kept inside snapshots, so they serialise to binary
//! formats as well. Healing defaults to dry run.

use std::fmt;

use model::human::HumanDuration;
use model::{ActionKind, CauseKind, ContainerOperation, Mode, SignalName, UnitOperation};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::guardrails::Guardrail;

/// The `healing` section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Mode of policies that name none.
    pub mode: Mode,
    /// Remedies. For one target the first policy that matches a cause is taken.
    pub policies: Vec<Policy>,
    pub guardrails: Limits,
    /// A person is called when a cause stays unknown or without remedy, or a plan stays held, this
    /// long.
    pub call_human_after: HumanDuration,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            mode: Mode::DryRun,
            policies: Vec::new(),
            guardrails: Limits::default(),
            call_human_after: HumanDuration::from_secs(30),
        }
    }
}

impl Config {
    /// Mode of a policy, its own or the default.
    pub fn mode_of(&self, policy: &Policy) -> Mode {
        policy.mode.unwrap_or(self.mode)
    }

    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.name == name)
    }
}

/// One remedy: for these causes on this target, do that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Unique among policies.
    pub name: String,
    /// The kinds of cause that it is for: one, or a list.
    pub cause: Causes,
    /// Name of a declared target.
    pub target: String,
    pub action: Remedy,
    /// Absent: the section's `mode`.
    #[serde(default)]
    pub mode: Option<Mode>,
    /// Users' figures must be well for this long after the action before it counts as a cure.
    #[serde(default = "verify_for")]
    pub verify_for: HumanDuration,
    /// Users' figures must begin to be well within this time after the action, else it did not
    /// help.
    #[serde(default = "verify_within")]
    pub verify_within: HumanDuration,
    /// Tries on the target within one incident, then a person is called.
    #[serde(default = "attempts")]
    pub attempts: u32,
    /// Wait before the second try; doubles with each further one.
    #[serde(default = "back_off")]
    pub back_off: HumanDuration,
    #[serde(default = "back_off_max")]
    pub back_off_max: HumanDuration,
    /// In mode `approve`: nobody's answer within this time is a no.
    #[serde(default = "approval_timeout")]
    pub approval_timeout: HumanDuration,
    /// Absent: the guardrails' `healthy_share_min` (G-12).
    #[serde(default)]
    pub healthy_share_min: Option<f64>,
    /// It may act on what keeps data (G-15).
    #[serde(default)]
    pub allow_stateful: bool,
    /// It may act while its target is being deployed (G-16). Absent: only when it is for the cause
    /// `change` and no other.
    #[serde(default)]
    pub allow_during_deploy: Option<bool>,
    /// 0–1: each wait is longer by up to this share, so that targets that died together are not
    /// tried together. By the target's name, not by chance (G-4).
    #[serde(default = "back_off_jitter")]
    pub back_off_jitter: f64,
    /// Further remedies, each taken when the one before did not help in its attempts.
    #[serde(default)]
    pub then: Vec<Step>,
    /// In mode `approve`: the remedy acts by itself once it has proven itself.
    #[serde(default)]
    pub promote: Option<Promote>,
}

/// How a remedy earns autonomy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Promote {
    /// Verified cures in a row; one failure, and it begins anew.
    pub after: u32,
}

/// A further remedy of a policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub action: Remedy,
    #[serde(default = "one")]
    pub attempts: u32,
    /// Absent: the policy's.
    #[serde(default)]
    pub verify_within: Option<HumanDuration>,
}

impl Policy {
    /// The remedy at that step of the ladder: 0 is `action`.
    pub(crate) fn remedy(&self, step: usize) -> Option<&Remedy> {
        match step.checked_sub(1) {
            None => Some(&self.action),
            Some(further) => self.then.get(further).map(|step| &step.action),
        }
    }

    /// Attempts at that step.
    pub(crate) fn attempts_at(&self, step: usize) -> u32 {
        let further = step.checked_sub(1).and_then(|further| self.then.get(further));
        further.map_or(self.attempts, |step| step.attempts)
    }

    /// Attempts at all steps together.
    pub(crate) fn attempts_in_all(&self) -> u32 {
        let further = self.then.iter().map(|step| step.attempts);
        further.fold(self.attempts, u32::saturating_add)
    }

    pub(crate) fn verify_within_at(&self, step: usize) -> HumanDuration {
        let further = step.checked_sub(1).and_then(|further| self.then.get(further));
        further.and_then(|step| step.verify_within).unwrap_or(self.verify_within)
    }

    /// What is done at each step, how often, and within what time users must begin to be well.
    pub fn ladder(&self) -> impl Iterator<Item = (ActionKind, u32, HumanDuration)> {
        (0..=self.then.len()).filter_map(|step| {
            let kind = self.remedy(step)?.kind();
            Some((kind, self.attempts_at(step), self.verify_within_at(step)))
        })
    }

    /// May it act while its target is being deployed?
    pub fn acts_during_deploy(&self) -> bool {
        let for_changes = self.cause.0.iter().all(|kind| *kind == CauseKind::Change);
        self.allow_during_deploy.unwrap_or(for_changes && !self.cause.0.is_empty())
    }
}

fn verify_for() -> HumanDuration {
    HumanDuration::from_secs(60)
}

fn verify_within() -> HumanDuration {
    HumanDuration::from_secs(3 * 60)
}

fn attempts() -> u32 {
    3
}

fn back_off() -> HumanDuration {
    HumanDuration::from_secs(30)
}

fn back_off_jitter() -> f64 {
    0.1
}

fn one() -> u32 {
    1
}

fn back_off_max() -> HumanDuration {
    HumanDuration::from_secs(10 * 60)
}

fn approval_timeout() -> HumanDuration {
    HumanDuration::from_secs(5 * 60)
}

/// What a policy does; the target must declare it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remedy {
    Restart,
    /// Name of a command.
    RunCommand(String),
    Signal(SignalName),
    Rollback,
    /// Name of a request.
    HttpRequest(String),
    Eject,
    Return,
    TerminateBlocker,
    /// Name of a path.
    ClearPath(String),
    Container(ContainerOperation),
    /// Name of limits.
    ContainerLimits(String),
    Systemd(UnitOperation),
}

impl Remedy {
    pub fn kind(&self) -> ActionKind {
        match self {
            Remedy::Restart => ActionKind::Restart,
            Remedy::RunCommand(command) => ActionKind::RunCommand { command: command.clone() },
            Remedy::Signal(signal) => ActionKind::Signal { signal: *signal },
            Remedy::Rollback => ActionKind::Rollback,
            Remedy::HttpRequest(request) => ActionKind::HttpRequest { request: request.clone() },
            Remedy::Eject => ActionKind::Eject,
            Remedy::Return => ActionKind::Return,
            Remedy::TerminateBlocker => ActionKind::TerminateBlocker,
            Remedy::ClearPath(path) => ActionKind::ClearPath { path: path.clone() },
            Remedy::Container(operation) => ActionKind::Container { operation: *operation },
            Remedy::ContainerLimits(limits) => {
                ActionKind::ContainerLimits { limits: limits.clone() }
            }
            Remedy::Systemd(operation) => ActionKind::Systemd { operation: *operation },
        }
    }

    /// What a target would have to declare.
    pub(crate) fn wanted(&self) -> String {
        match self {
            Remedy::Restart => "`restart`".to_owned(),
            Remedy::RunCommand(command) => format!("the command `{command}`"),
            Remedy::Signal(signal) => format!("the signal {signal}"),
            Remedy::Rollback => "`rollback`".to_owned(),
            Remedy::HttpRequest(request) => format!("the request `{request}`"),
            Remedy::Eject | Remedy::Return => "a `load_balancer`".to_owned(),
            Remedy::TerminateBlocker => "a `postgres`".to_owned(),
            Remedy::ClearPath(path) => format!("the path `{path}`"),
            Remedy::Container(operation) => format!("`{operation}` of a `container`"),
            Remedy::ContainerLimits(limits) => format!("the container's limits `{limits}`"),
            Remedy::Systemd(operation) => format!("`{operation}` of `systemd`"),
        }
    }
}

/// Bounds of the guardrails.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Orders that may be with executors at the same time (G-5).
    pub actions_in_flight: u32,
    /// Orders within any hour (G-5).
    pub actions_per_hour: u32,
    /// 0–1 (G-8).
    pub cause_confidence_min: f64,
    /// Pieces of direct evidence that must speak for the cause (G-8).
    pub direct_evidence_min: u32,
    /// An executor refuses to begin an order that is older.
    pub order_valid_for: HumanDuration,
    /// 0–1: share of a service's instances that must be known to be well beside the one touched
    /// (G-12).
    pub healthy_share_min: f64,
    /// 0–1: share of the targets on one host, of one service or of one database that may be touched
    /// at the same time; one always may (G-12).
    pub touched_share_max: f64,
    /// A storm is at least so many targets in trouble (G-13) …
    pub storm_targets_min: u32,
    /// … and at least this share of all, 0–1 (G-13).
    pub storm_share: f64,
    /// A target that died counts for this long (G-13).
    pub storm_window: HumanDuration,
    /// In a storm, time between two orders (G-13).
    pub storm_pace: HumanDuration,
    /// A storm holds on for this long after it was last seen (G-13).
    pub storm_cooldown: HumanDuration,
    /// 0–1: share of the error budget below which only what is gone is started without a person
    /// (G-14).
    pub budget_left_min: f64,
    /// A deploy is over when nothing was seen of it for this long and all instances are of one
    /// version (G-16).
    pub deploy_settle: HumanDuration,
    /// The services that are hurt must have been heard within this (G-17).
    pub telemetry_fresh_within: HumanDuration,
    /// A look of the agent at the target must have come within this (G-17). One that says nothing
    /// new is told once a minute.
    pub look_fresh_within: HumanDuration,
    /// The guardrail that is not asked, by its id: no setting, see `engine::parts`.
    #[serde(skip)]
    pub without: Option<&'static str>,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            actions_in_flight: 2,
            actions_per_hour: 10,
            cause_confidence_min: 0.8,
            direct_evidence_min: 1,
            order_valid_for: HumanDuration::from_secs(30),
            healthy_share_min: 0.5,
            touched_share_max: 0.34,
            storm_targets_min: 5,
            storm_share: 0.5,
            storm_window: HumanDuration::from_secs(5 * 60),
            storm_pace: HumanDuration::from_secs(30),
            storm_cooldown: HumanDuration::from_secs(5 * 60),
            budget_left_min: 0.1,
            deploy_settle: HumanDuration::from_secs(60),
            telemetry_fresh_within: HumanDuration::from_secs(2 * 60),
            look_fresh_within: HumanDuration::from_secs(90),
            without: None,
        }
    }
}

impl Limits {
    pub(crate) fn asks(&self, guardrail: &Guardrail) -> bool {
        self.without != Some(guardrail.spec.id)
    }
}

/// One kind of cause, or a list of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Causes(pub Vec<CauseKind>);

impl<'de> Deserialize<'de> for Causes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(CausesVisitor)
        } else {
            Vec::deserialize(deserializer).map(Causes)
        }
    }
}

struct CausesVisitor;

impl<'de> Visitor<'de> for CausesVisitor {
    type Value = Causes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a kind of cause such as `crash`, or a list such as `[crash, silent]`")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Causes, E> {
        let kind = CauseKind::ALL.iter().find(|kind| kind.as_str() == text);
        match kind {
            Some(kind) => Ok(Causes(vec![*kind])),
            None => Err(E::custom(unknown_cause(text))),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Causes, A::Error> {
        let mut kinds = Vec::new();
        while let Some(kind) = seq.next_element::<CauseKind>()? {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        Ok(Causes(kinds))
    }
}

fn unknown_cause(text: &str) -> String {
    let known: Vec<&str> = CauseKind::ALL.iter().map(|kind| kind.as_str()).collect();
    format!("unknown cause `{text}`; known are {}", known.join(", "))
}

impl schemars::JsonSchema for Causes {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Causes".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let kind = generator.subschema_for::<CauseKind>();
        if generator.contract().is_serialize() {
            return schemars::json_schema!({ "type": "array", "items": kind });
        }
        schemars::json_schema!({
            "anyOf": [kind, { "type": "array", "items": kind, "minItems": 1 }]
        })
    }
}

#[cfg(test)]
mod tests;
