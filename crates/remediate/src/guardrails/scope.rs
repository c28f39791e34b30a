//! G-9: trouble of one environment never moves another.

use model::Scope;

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-9",
        title: "Same tenant and environment",
        documentation: "The incident, the cause that the plan is for and the target must lie in \
            the same tenant and environment.",
        setting: "",
        default: "always on",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let (Some(incident), Some(target)) = (context.incident, context.target) else {
        return Err("incident or target is not known".to_owned());
    };
    let cause = context.cause().map(|cause| &cause.entity.scope);
    let scope = &target.entity.scope;
    if incident.scope != *scope {
        return Err(format!("incident in {}, target in {}", text(&incident.scope), text(scope)));
    }
    match cause {
        Some(cause) if cause == scope => Ok(format!("all in {}", text(scope))),
        Some(cause) => Err(format!("cause in {}, target in {}", text(cause), text(scope))),
        None => Err("no cause is known".to_owned()),
    }
}

fn text(scope: &Scope) -> String {
    format!("{}/{}", scope.tenant, scope.environment)
}
