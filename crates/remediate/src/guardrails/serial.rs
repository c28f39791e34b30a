//! G-2: one action at a time on a target.

use model::PlanState;

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-2",
        title: "One action in flight per target",
        documentation: "While an action on a target is under way, or its effect is not yet \
            verified, no other action on the same target is ordered, by whatever plan; while one \
            on a whole service is under way, none on an instance of it, and the reverse.",
        setting: "",
        default: "always on",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let target = &context.plan.target;
    if matches!(context.plan.state, PlanState::Running | PlanState::Verifying) {
        return Err(format!("this plan's action on {target} is not finished"));
    }
    match &context.busy {
        Some((plan, target)) => Err(format!("plan {plan}'s action on {target} is not finished")),
        None => Ok(format!("nothing else is being done to {target}")),
    }
}
