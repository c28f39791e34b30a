//! G-12: what still carries the users is left alone.

use std::collections::BTreeSet;

use model::{ActionKind, CauseKind, Entity};

use super::{Context, Guardrail, Spec, is_gone};

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-12",
        title: "Blast radius",
        documentation: "A running process is touched only when at least `healthy_share_min` of \
            its service's instances are known to be well beside it; the only instance only when \
            it is itself to blame; all of a service, by a rollback, only when the service is; \
            where none is well, one by one, and only where all leak, hang or are silent. \
            Of the targets on one host, of one service or of one database at most \
            `touched_share_max`, but always one, are touched at the same time. What is gone may \
            be started whatever else is so.",
        setting: "healing.guardrails.healthy_share_min, healing.guardrails.touched_share_max, \
            healing.policies[].healthy_share_min",
        default: "0.5, 0.34",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    if is_gone(context) {
        return Ok("the process is gone: to start it takes nothing away".to_owned());
    }
    let copies = replicas(context)?;
    for fate in &context.around.fates {
        let share = context.limits.touched_share_max * fate.targets as f64;
        let allowed = (share as usize).max(1);
        if fate.touched >= allowed {
            let (touched, targets, what) = (fate.touched, fate.targets, &fate.what);
            return Err(format!(
                "{touched} of {targets} targets of {what} are being touched, {allowed} allowed"
            ));
        }
    }
    Ok(copies)
}

/// Do the processes of the whole service not do their work? What is started anew then takes nothing
/// away that carries users.
fn all_are_to_blame(context: &Context<'_>, known: usize) -> bool {
    use CauseKind::{Leak, Saturation, Silent};
    let owner = context.target.and_then(|target| target.entity.owner());
    let Some((cause, incident)) = context.cause().zip(context.incident) else { return false };
    if owner.is_none() || !matches!(cause.kind, Leak | Saturation | Silent) {
        return false;
    }
    let alike = incident.causes.iter().filter(|it| it.kind == cause.kind);
    let blamed: BTreeSet<&Entity> =
        alike.map(|it| &it.entity).filter(|it| it.owner() == owner).collect();
    Some(&cause.entity) == owner.as_ref() || blamed.len() >= known
}

fn replicas(context: &Context<'_>) -> Result<String, String> {
    let Some(target) = context.target else {
        return Err("the target is not known".to_owned());
    };
    let (known, well) = (context.around.copies.known, context.around.copies.well_beside);
    let blamed = context.cause().map(|cause| &cause.entity);
    let owner = target.entity.owner();
    if context.plan.kind == ActionKind::Rollback && blamed.is_some() && blamed == owner.as_ref() {
        return Ok("what is brought back replaces the whole service, which is to blame".to_owned());
    }
    if known <= 1 {
        let is_to_blame = blamed == Some(&target.entity) || blamed == owner.as_ref();
        return match is_to_blame && blamed.is_some() {
            true => Ok(format!("{} is the only instance, and to blame", target.entity)),
            false => Err(format!("{} is the only instance, and not to blame", target.entity)),
        };
    }
    let policy = context.policy.and_then(|policy| policy.healthy_share_min);
    if well == 0 && policy.is_none() && all_are_to_blame(context, known) {
        return Ok(format!("none of {known} instances is well, and all are to blame: one by one"));
    }
    let needed = policy.unwrap_or(context.limits.healthy_share_min);
    let share = well as f64 / known as f64;
    // Written so that a share that is not a number denies.
    let is_enough = share >= needed;
    let text = format!("{well} of {known} instances are known to be well beside it");
    if !is_enough {
        return Err(format!("{text}, a share of {needed:.2} needed"));
    }
    Ok(text)
}
