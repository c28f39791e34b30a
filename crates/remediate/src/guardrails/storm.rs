//! G-13: when much is broken at once, go slowly.

use model::human::HumanDuration;

use super::{Context, Guardrail, Spec, is_gone};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-13",
        title: "Storm brake",
        documentation: "When at least `storm_targets_min` targets and `storm_share` of all are in \
            trouble (gone, dead within `storm_window`, silent or blamed; a whole service counts \
            only where none of its instances does), the reason lies elsewhere or what Immune sees \
            is wrong: nothing that runs is touched, and what is gone is started one at a time, \
            `storm_pace` apart, until `storm_cooldown` after it was \
            last so.",
        setting: "healing.guardrails.storm_targets_min, healing.guardrails.storm_share, \
            healing.guardrails.storm_window, healing.guardrails.storm_pace, \
            healing.guardrails.storm_cooldown",
        default: "5, 0.5, 5m, 30s, 5m",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let Some(storm) = context.around.storm else {
        return Ok("no storm".to_owned());
    };
    let (troubled, all) = (storm.troubled, storm.all);
    let what = match storm.calm_for.is_zero() {
        true => format!("storm: {troubled} of {all} targets are in trouble"),
        false => format!("a storm ended {} ago", HumanDuration(storm.calm_for)),
    };
    if !is_gone(context) {
        return Err(format!("{what}; what runs is not touched"));
    }
    let pace = context.limits.storm_pace;
    match storm.last_order {
        Some(ago) if ago < pace.0 => {
            Err(format!("{what}; the last order was {} ago, {pace} needed", HumanDuration(ago)))
        }
        _ => Ok(format!("{what}; one that is gone is started each {pace}")),
    }
}
