//! G-3: after some tries, give up.

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-3",
        title: "Attempts, then give up",
        documentation: "Within one incident a target is acted upon at most `attempts` times, \
            at all steps of its ladder, counted over all plans; refused and failed tries count. \
            Then the plan gives up and a person is called. An incident that was resolved and \
            opens again begins anew.",
        setting: "healing.policies[].attempts, healing.policies[].then[].attempts",
        default: "3",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let used = context.attempts_used;
    let Some(policy) = context.policy else {
        return Err(format!("{used} attempts were made and no policy says how many are allowed"));
    };
    let allowed = policy.attempts_in_all();
    if used >= allowed {
        return Err(format!("{used} of {allowed} attempts are used up"));
    }
    Ok(format!("{used} of {allowed} attempts used"))
}
