//! G-1: no order without a decision made at that moment.

use model::Mode;

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-1",
        title: "Decided at the moment of ordering",
        documentation: "An order needs the verdicts of all guardrails, made in the same step \
            from the incident, the policy and the declared target as they are now. A plan whose \
            policy was changed or whose target no longer declares the action is never ordered.",
        setting: "",
        default: "always on",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let plan = context.plan;
    if context.incident.is_none() {
        return Err(format!("incident {} is no longer reported", plan.incident));
    }
    if context.policy.is_none() {
        return Err("the policy of the plan was changed or removed".to_owned());
    }
    let Some(target) = context.target else {
        return Err(format!("target {} is no longer declared", plan.target));
    };
    if !target.actions.contains(&plan.kind) {
        return Err(format!("target {} does not declare {}", plan.target, plan.kind));
    }
    if plan.mode == Mode::Off {
        return Err("the policy is off".to_owned());
    }
    Ok(format!("{} of {} is declared and its policy in force", plan.kind, plan.target))
}
