//! G-7: approval in time.

use model::Mode;

use super::{Context, Guardrail, Spec};
use crate::record::Approval;

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-7",
        title: "Approval in time",
        documentation: "In mode `approve` a person must say yes within `approval_timeout`; \
            silence is a no. An approval lapses when its first action could not be ordered \
            within the same time. A policy that says `promote` acts by itself while its \
            remedy has been a verified cure so often in a row, of this target and kind of cause.",
        setting: "healing.policies[].approval_timeout, healing.policies[].promote",
        default: "5m",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    if let Some(earned) = &context.earned {
        return earned.clone().map(|by| format!("acts by itself, {by}"));
    }
    if context.plan.mode != Mode::Approve {
        return Ok(format!("mode {} asks for no approval", context.plan.mode.as_str()));
    }
    match context.approval {
        Approval::Given { who, until, .. } => {
            if context.plan.attempts.is_empty() && context.now > *until {
                return Err(format!("the approval by {who} lapsed at {}", until.clock()));
            }
            Ok(format!("approved by {who}"))
        }
        Approval::Asked { until } => {
            Err(format!("not approved yet; asked until {}", until.clock()))
        }
        Approval::NotNeeded => Err("nobody was asked for approval".to_owned()),
    }
}
