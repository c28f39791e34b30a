//! G-6: nothing is done while healing is frozen, or paused for the target.

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-6",
        title: "Freeze and pauses",
        documentation: "While a person has frozen healing, or paused the target, its service or \
            all by a named pause, or Immune itself cannot trust what \
            it knows (catching up after its own outage, a jump of the clock, stale telemetry), \
            nothing is ordered. Actions under way finish.",
        setting: "",
        default: "not frozen",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    match &context.stopped {
        Some(why) => Err(why.clone()),
        None => Ok("neither frozen nor paused".to_owned()),
    }
}
