//! G-5: a cap over everything that Immune does.

use super::{Context, Guardrail, Spec};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-5",
        title: "Global cap",
        documentation: "At most `actions_in_flight` orders are with executors at once, and at \
            most `actions_per_hour` are made within any hour, over all targets and incidents.",
        setting: "healing.guardrails.actions_in_flight, healing.guardrails.actions_per_hour",
        default: "2 in flight, 10 an hour",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let (in_flight, in_flight_max) = (context.in_flight, context.limits.actions_in_flight);
    let (ordered, per_hour_max) = (context.ordered_1h, context.limits.actions_per_hour);
    if in_flight >= in_flight_max as usize {
        return Err(format!("{in_flight} actions in flight, {in_flight_max} allowed"));
    }
    if ordered >= per_hour_max as usize {
        return Err(format!("{ordered} actions in the last hour, {per_hour_max} allowed"));
    }
    Ok(format!(
        "{in_flight} of {in_flight_max} actions in flight, {ordered} of {per_hour_max} this hour"
    ))
}
