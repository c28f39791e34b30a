//! G-17: who does not see does not act.
//!
//! What is not authenticated never gets here: receivers take telemetry from loopback, or with a
//! token, or not at all.

use model::human::HumanDuration;

use super::{Context, Guardrail, Spec, is_gone};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-17",
        title: "Fresh sight",
        documentation: "A look of the agent at the target must have come within \
            `look_fresh_within`, where one ever did. Before a running process is touched, each \
            service that is hurt must have been heard within `telemetry_fresh_within`, unless a \
            probe of Immune's own tells of the harm: absence of data is no proof. Without steps \
            nothing is ordered at all.",
        setting: "healing.guardrails.telemetry_fresh_within, healing.guardrails.look_fresh_within",
        default: "2m, 90s",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let limits = context.limits;
    let looked = context.around.looked.map(|at| context.now.since(at));
    if let Some(ago) = looked.filter(|ago| *ago > limits.look_fresh_within.0) {
        let (target, allowed) = (&context.plan.target, limits.look_fresh_within);
        let ago = HumanDuration(ago);
        return Err(format!("the agent last looked at {target} {ago} ago, {allowed} allowed"));
    }
    if is_gone(context) {
        return Ok("the agent sees that the process is gone".to_owned());
    }
    let allowed = limits.telemetry_fresh_within;
    for hearing in &context.around.hearing {
        match hearing.ago {
            Some(ago) if ago <= allowed.0 => {}
            Some(ago) => {
                let (service, ago) = (&hearing.service, HumanDuration(ago));
                return Err(format!("{service} was last heard {ago} ago, {allowed} allowed"));
            }
            None => return Err(format!("{} was never heard", hearing.service)),
        }
    }
    Ok("what it was judged by is fresh".to_owned())
}
