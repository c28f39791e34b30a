//! G-4: growing waits between actions on one target.

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-4",
        title: "Growing back-off per target",
        documentation: "After an action the target is left alone for `back_off`, doubled with \
            each further action up to `back_off_max`, across plans and incidents; each wait \
            is longer by up to `back_off_jitter`, by the target's name. The waits \
            start anew once the target has been left alone for twice `back_off_max`.",
        setting: "healing.policies[].back_off",
        default: "30s, at most 10m, and a tenth",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    match context.not_before {
        Some(at) if context.now < at => {
            Err(format!("{} is left alone until {}", context.plan.target, at.clock()))
        }
        _ => Ok("no back-off is due".to_owned()),
    }
}
