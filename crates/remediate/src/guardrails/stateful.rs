//! G-15: what keeps data is left alone.

use model::EntityKind;

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-15",
        title: "What keeps data",
        documentation: "A target that is declared `stateful: true`, or is a database or a queue, \
            is acted upon only by a policy that says `allow_stateful: true`.",
        setting: "healing.policies[].allow_stateful",
        default: "false",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let Some(target) = context.target else {
        return Err("whether the target keeps data is not known".to_owned());
    };
    let keeps_data = match target.entity.kind {
        EntityKind::Database | EntityKind::Queue => {
            Some(format!("{} is a {}", target.name, target.entity.kind.as_str()))
        }
        _ if target.stateful => Some(format!("{} is declared stateful", target.name)),
        _ => None,
    };
    let Some(why) = keeps_data else {
        return Ok(format!("{} keeps no data", target.name));
    };
    match context.policy {
        Some(policy) if policy.allow_stateful => {
            Ok(format!("{why}, and policy {} allows it", policy.name))
        }
        _ => Err(format!("{why}, and no policy allows to act on it")),
    }
}
