//! G-16: not while somebody else is at work.

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-16",
        title: "No running deploy",
        documentation: "While the target's service is being deployed nothing is done to it, \
            unless the policy allows it. A deploy is under way from the first sign of it (a \
            change told, another version) until nothing was seen of it for `deploy_settle` and \
            all instances that speak are of one version, at most half an hour after the last \
            sign.",
        setting: "healing.policies[].allow_during_deploy, healing.guardrails.deploy_settle",
        default: "only policies for `change` alone, 1m",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let Some(sign) = context.around.deploy else {
        return Ok("no deploy is under way".to_owned());
    };
    let why = format!("a deploy is under way, last seen at {}", sign.clock());
    match context.policy {
        Some(policy) if policy.acts_during_deploy() => {
            Ok(format!("{why}, and policy {} allows it", policy.name))
        }
        _ => Err(why),
    }
}
