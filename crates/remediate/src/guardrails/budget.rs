//! G-14: with little error budget left, only the safest by itself.

use super::{Context, Guardrail, Spec, is_gone};
use crate::record::Approval;

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-14",
        title: "Error budget",
        documentation: "When less than `budget_left_min` is left of the three days' error budget \
            of an objective that tells of the harm, only what is gone is started automatically; \
            for everything else a person is asked, also in mode `auto`.",
        setting: "healing.guardrails.budget_left_min",
        default: "0.1",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let Some((objective, left)) = &context.around.budget else {
        return Ok("no objective tells of a budget".to_owned());
    };
    let min = context.limits.budget_left_min;
    let text = format!("{:.0} % of the budget of {objective} is left", left * 100.0);
    // Written so that a budget that is not a number denies.
    let is_enough = *left >= min;
    if is_enough {
        return Ok(text);
    }
    if is_gone(context) {
        return Ok(format!("{text}; to start what is gone is safe"));
    }
    match context.approval {
        Approval::Given { who, .. } => Ok(format!("{text}; approved by {who}")),
        Approval::Asked { .. } | Approval::NotNeeded => {
            Err(format!("{text}, less than {:.0} %: a person has to approve", min * 100.0))
        }
    }
}
