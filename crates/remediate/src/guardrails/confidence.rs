//! G-8: the cause must be sure enough, and seen directly.

use model::{Cause, CauseKind, Evidence, EvidenceKind};

use super::{Context, Guardrail, Spec};
use crate::config::Limits;

pub(super) const GUARDRAIL: Guardrail = Guardrail {
    spec: Spec {
        id: "G-8",
        title: "Sure of the cause",
        documentation: "The cause that the plan is for must be the first, or name a process \
            that an agent saw go; it must have at least `cause_confidence_min`, and be \
            supported by at least `direct_evidence_min` pieces of direct evidence: a look at \
            the process, its database or disks, at calls, at the instance's telemetry, a probe, \
            or, for a cause that is a change, the change itself.",
        setting: "healing.guardrails.cause_confidence_min, healing.guardrails.direct_evidence_min",
        default: "0.8, 1",
    },
    check,
};

fn check(context: &Context<'_>) -> Result<String, String> {
    let Some(first) = context.incident.and_then(|incident| incident.causes.first()) else {
        return Err("no cause is known".to_owned());
    };
    let is_first = |cause: &Cause| cause.kind == first.kind && cause.entity == first.entity;
    match context.cause() {
        Some(cause) if is_first(cause) || cause.process.is_some() => sure(cause, context.limits),
        _ => Err(format!("the first cause is now {} of {}", first.kind.as_str(), first.entity)),
    }
}

/// Is it sure enough to be acted upon beside the first cause? Only a process speaks for itself.
pub(crate) fn is_proven(cause: &Cause, limits: &Limits) -> bool {
    cause.process.is_some() && sure(cause, limits).is_ok()
}

fn sure(cause: &Cause, limits: &Limits) -> Result<String, String> {
    let (confidence, needed) = (cause.confidence, limits.cause_confidence_min);
    // Written so that a confidence that is not a number denies.
    let sure = confidence >= needed;
    if !sure {
        return Err(format!("confidence {confidence:.2}, {needed:.2} needed"));
    }
    let direct = cause.evidence.iter().filter(|evidence| is_direct(cause, evidence)).count();
    let direct_min = limits.direct_evidence_min;
    if direct < direct_min as usize {
        return Err(format!("{direct} pieces of direct evidence, {direct_min} needed"));
    }
    Ok(format!("confidence {confidence:.2} of {needed:.2}, {direct} pieces of direct evidence"))
}

fn is_direct(cause: &Cause, evidence: &Evidence) -> bool {
    evidence.supports
        && match evidence.kind {
            EvidenceKind::Process
            | EvidenceKind::Calls
            | EvidenceKind::Instance
            | EvidenceKind::Probe
            | EvidenceKind::Condition => true,
            EvidenceKind::Change => cause.kind == CauseKind::Change,
            EvidenceKind::Topology => false,
        }
}
