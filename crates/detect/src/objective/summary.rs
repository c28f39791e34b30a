//! The one sentence that says what is wrong with an objective.

use model::human::HumanDuration;
use model::symptom::{Symptom, SymptomKind};
use model::time::Timestamp;

use super::definition::Definition;
use super::firing::Tier;
use crate::inspections::burn_rate;
use crate::wording;

/// `65 of 150 requests to storefront failed since 08:10:03 (43 %), objective 99 %`.
///
/// Where it became worse: `..., worse since 08:14:10 (98 % in the last minute)`.
pub fn summary(
    symptom: &Symptom,
    definition: &Definition,
    tier: Tier,
    worse: Option<Timestamp>,
    last_minute: f64,
) -> String {
    let told = sentence(symptom, definition, tier);
    let Some(since) = worse else { return told };
    let ratio = wording::percent(last_minute);
    format!("{told}, worse since {} ({ratio} in the last minute)", since.clock())
}

fn sentence(symptom: &Symptom, definition: &Definition, tier: Tier) -> String {
    let what = match definition.threshold_seconds {
        Some(threshold) if definition.kind == SymptomKind::LatencyBurn => {
            format!("took longer than {}", wording::seconds(threshold))
        }
        _ => "failed".to_owned(),
    };
    let objective = wording::objective(definition.objective);
    match tier {
        Tier::Fast => {
            let Symptom { entity, bad, total, onset, .. } = symptom;
            let ratio = wording::percent(bad / total.max(1.0));
            let since = onset.clock();
            format!(
                "{bad:.0} of {total:.0} requests to {entity} {what} since {since} ({ratio}), \
                 objective {objective}"
            )
        }
        Tier::Burn(pair) => {
            let ratio = wording::percent(symptom.measured);
            let long = HumanDuration(burn_rate::PAIRS[pair].long);
            let window = definition.window;
            let burn = symptom.measured / (1.0 - definition.objective);
            let lasts = wording::coarse(window.0.as_secs_f64() / burn.max(1e-3));
            format!(
                "{ratio} of requests to {} {what} in {long}, objective {objective}: the error \
                 budget of {window} lasts {lasts}",
                symptom.entity
            )
        }
    }
}
