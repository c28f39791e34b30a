//! How healing is configured: the mode, what may be done to what for which cause, and the
//! guardrails that each order must pass.

use axum::extract::State;
use model::{ActionKind, CauseKind, Entity, Mode};
use remediate::guardrails::{self, Spec};
use remediate::{Freeze, Limits, Promote};
use schemars::JsonSchema;
use serde::Serialize;

use super::extract::Json;
use super::{App, Error};

#[derive(Serialize, JsonSchema)]
pub(super) struct Healing {
    /// Of policies that name none.
    mode: Mode,
    frozen: Option<Freeze>,
    /// Why nothing may be done just now, whatever people say.
    held: Option<String>,
    policies: Vec<PolicyView>,
    targets: Vec<TargetView>,
    /// In the order of their numbers.
    guardrails: Vec<Spec>,
    /// As they are in force.
    limits: Limits,
    /// A person is called when nothing can be done for so long.
    call_human_after_seconds: f64,
}

/// A policy as it is in force.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealingPolicy")]
struct PolicyView {
    name: String,
    causes: Vec<CauseKind>,
    target: String,
    /// Its own, or the default.
    mode: Mode,
    /// Remedies, each taken when the one before did not help in its attempts.
    ladder: Vec<Rung>,
    verify_for_seconds: f64,
    back_off_seconds: f64,
    back_off_max_seconds: f64,
    approval_timeout_seconds: f64,
    healthy_share_min: f64,
    allow_stateful: bool,
    allow_during_deploy: bool,
    promote: Option<Promote>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealingStep")]
struct Rung {
    action: ActionKind,
    attempts: u32,
    verify_within_seconds: f64,
    /// What takes it back, as the target declares.
    undo: Option<ActionKind>,
}

/// What may be acted upon.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealingTarget")]
struct TargetView {
    name: String,
    entity: Entity,
    /// What it declares, each with what takes it back.
    actions: Vec<Declared>,
    /// It has a process of its own, which the agent looks at.
    has_process: bool,
    /// It keeps data (G-15).
    stateful: bool,
    /// One action on it takes at most so long.
    action_timeout_seconds: f64,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DeclaredAction")]
struct Declared {
    action: ActionKind,
    undo: Option<ActionKind>,
}

pub(super) async fn healing(State(app): State<App>) -> Result<Json<Healing>, Error> {
    let answer = app.ask(|core| {
        let healer = &core.engine.healer;
        let (config, targets) = (healer.config(), &core.engine.config().targets);
        let policies = config.policies.iter().map(|policy| of_policy(config, targets, policy));
        Healing {
            mode: config.mode,
            frozen: healer.frozen().cloned(),
            held: healer.held().map(str::to_owned),
            policies: policies.collect(),
            targets: targets.iter().map(of_target).collect(),
            guardrails: guardrails::ALL.iter().map(|guardrail| guardrail.spec).collect(),
            limits: config.guardrails.clone(),
            call_human_after_seconds: config.call_human_after.0.as_secs_f64(),
        }
    });
    Ok(Json(answer.await?))
}

fn of_policy(
    config: &remediate::Config,
    targets: &[remediate::Target],
    policy: &remediate::Policy,
) -> PolicyView {
    let target = targets.iter().find(|target| target.name == policy.target);
    let rung = |(action, attempts, within): (ActionKind, u32, model::human::HumanDuration)| Rung {
        undo: target.and_then(|target| target.undo(&action)).cloned(),
        action,
        attempts,
        verify_within_seconds: within.0.as_secs_f64(),
    };
    PolicyView {
        name: policy.name.clone(),
        causes: policy.cause.0.clone(),
        target: policy.target.clone(),
        mode: config.mode_of(policy),
        ladder: policy.ladder().map(rung).collect(),
        verify_for_seconds: policy.verify_for.0.as_secs_f64(),
        back_off_seconds: policy.back_off.0.as_secs_f64(),
        back_off_max_seconds: policy.back_off_max.0.as_secs_f64(),
        approval_timeout_seconds: policy.approval_timeout.0.as_secs_f64(),
        healthy_share_min: policy.healthy_share_min.unwrap_or(config.guardrails.healthy_share_min),
        allow_stateful: policy.allow_stateful,
        allow_during_deploy: policy.acts_during_deploy(),
        promote: policy.promote.clone(),
    }
}

fn of_target(target: &remediate::Target) -> TargetView {
    let declared = |action: &ActionKind| Declared {
        action: action.clone(),
        undo: target.undo(action).cloned(),
    };
    TargetView {
        name: target.name.clone(),
        entity: target.entity.clone(),
        actions: target.actions.iter().map(declared).collect(),
        has_process: target.has_process,
        stateful: target.stateful,
        action_timeout_seconds: target.action_timeout.0.as_secs_f64(),
    }
}
