//! G-11: what runs is touched only while users are hurt.

use model::{IncidentState, Safety};

use super::{Context, Guardrail, Spec, expectation};
use crate::recovery::recovering_since;

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-11",
        title: "Only while users are hurt",
        documentation: "A running process is touched only while the incident is open and its \
            figures are not already recovering. A process that is gone may also be started \
            while the incident is mitigated: users may be well only because others carry its \
            load. Once the incident is resolved nothing is done.",
        setting: "",
        default: "always on",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let Some(incident) = context.incident else {
        return Err("whether users are hurt is not known".to_owned());
    };
    if incident.state == IncidentState::Resolved {
        return Err("the incident is resolved".to_owned());
    }
    if starts_what_is_gone(context) {
        return Ok("the process is gone: to start it disturbs nobody".to_owned());
    }
    if let Some(since) = recovering_since(incident) {
        return Err(format!("users' figures are well again since {}", since.clock()));
    }
    if incident.state == IncidentState::Mitigated {
        return Err("users' figures are well again".to_owned());
    }
    Ok("users are being hurt".to_owned())
}

fn starts_what_is_gone(context: &Context<'_>) -> bool {
    let kind = &context.plan.kind;
    expectation(context).is_ok_and(|expect| kind.safety(&expect, None) == Safety::StartsWhatIsGone)
}
