//! Guardrails: numbered rules that each order must pass at the very moment it is made.
//!
//! One file per rule, one line in `ALL`. Any one may deny; all are always asked, so that a person
//! sees every reason and not only the first. A rule sees facts alone (`Context`) and changes
//! nothing.
//!
//! `Passed` can only be made here and only from verdicts that all passed; ordering takes one. That
//! is how G-1 holds by construction.

mod approval;
mod around;
mod attempts;
mod back_off;
mod blast_radius;
mod budget;
mod cap;
mod confidence;
mod decision;
mod deploy;
mod freeze;
mod harm;
mod identity;
mod scope;
mod serial;
mod stateful;
mod storm;
mod telemetry;

use model::plan::Expectation;
use model::tick::ProcessIdentity;
use model::tick::ProcessReport;
use model::{Cause, Incident, Plan, PlanId, Safety, Timestamp, Verdict};
use serde::Serialize;

use crate::config::{Limits, Policy};
use crate::record::Approval;
use crate::target::Target;

pub use around::{Around, Copies, Fate, Hearing, Storm};
pub(crate) use confidence::is_proven;
pub(crate) use identity::expectation;

/// Every guardrail, in the order of its number.
pub const ALL: &[Guardrail] = &[
    decision::GUARDRAIL,
    serial::GUARDRAIL,
    attempts::GUARDRAIL,
    back_off::GUARDRAIL,
    cap::GUARDRAIL,
    freeze::GUARDRAIL,
    approval::GUARDRAIL,
    confidence::GUARDRAIL,
    scope::GUARDRAIL,
    identity::GUARDRAIL,
    harm::GUARDRAIL,
    blast_radius::GUARDRAIL,
    storm::GUARDRAIL,
    budget::GUARDRAIL,
    stateful::GUARDRAIL,
    deploy::GUARDRAIL,
    telemetry::GUARDRAIL,
];

/// The one by which a plan gives up.
pub(crate) const ATTEMPTS: Guardrail = attempts::GUARDRAIL;

/// One rule.
#[derive(Clone, Copy)]
pub struct Guardrail {
    pub spec: Spec,
    /// `Ok` passes, `Err` denies; both say why, with figures.
    check: fn(&Context<'_>) -> Result<String, String>,
}

/// What people read of a rule; documentation and the catalogue of the UI are made from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[schemars(rename = "GuardrailSpec")]
pub struct Spec {
    /// `G-2`: the same in tests, journal, metrics and UI.
    pub id: &'static str,
    pub title: &'static str,
    pub documentation: &'static str,
    /// Configuration field that adjusts it; empty when nothing does.
    pub setting: &'static str,
    pub default: &'static str,
}

impl Guardrail {
    pub fn check(&self, context: &Context<'_>) -> Verdict {
        let (passed, reason) = match (self.check)(context) {
            Ok(reason) => (true, reason),
            Err(reason) => (false, reason),
        };
        Verdict { guardrail: self.spec.id.to_owned(), passed, reason }
    }
}

/// All that a rule may look at.
pub struct Context<'a> {
    pub now: Timestamp,
    pub plan: &'a Plan,
    /// The plan's policy as configured now; `None` when it was changed or removed.
    pub policy: Option<&'a Policy>,
    /// The target as declared now.
    pub target: Option<&'a Target>,
    pub incident: Option<&'a Incident>,
    pub limits: &'a Limits,
    /// The agent's latest look at the target.
    pub report: Option<&'a ProcessReport>,
    /// The process that runs as the target, and since when it is known.
    pub running: Option<&'a (ProcessIdentity, Timestamp)>,
    /// Tries on the target in this incident, by any plan.
    pub attempts_used: u32,
    /// Another plan, and its target, whose action is under way or not yet verified: on the same
    /// target, or, while it is under way, on the service of which this is an instance, or the
    /// reverse.
    pub busy: Option<(PlanId, &'a str)>,
    /// Orders with executors.
    pub in_flight: usize,
    /// Orders made within the last hour.
    pub ordered_1h: usize,
    /// End of the back-off of the target.
    pub not_before: Option<Timestamp>,
    /// Why nothing may be done at all, if so.
    pub stopped: Option<String>,
    pub approval: &'a Approval,
    pub around: Around,
    /// Where a plan acts by itself although its policy asks for approval: by what right, or why it
    /// may not.
    pub earned: Option<Result<String, String>>,
}

impl<'a> Context<'a> {
    /// The cause that the plan is for, as the incident names it now.
    fn cause(&self) -> Option<&'a Cause> {
        self.incident.and_then(|incident| cause_of(self.plan, incident))
    }
}

/// The cause that the plan is for, at whatever rank.
pub(crate) fn cause_of<'a>(plan: &Plan, incident: &'a Incident) -> Option<&'a Cause> {
    incident.causes.iter().find(|cause| cause.kind == plan.cause && cause.entity == plan.entity)
}

/// Would an order only start what is gone?
fn is_gone(context: &Context<'_>) -> bool {
    let kind = &context.plan.kind;
    expectation(context).is_ok_and(|expect| kind.safety(&expect, None) == Safety::StartsWhatIsGone)
}

/// Does the verdict's reason name who stopped healing, and no moving figure?
pub(crate) fn says_who(verdict: &Verdict) -> bool {
    verdict.guardrail == freeze::GUARDRAIL.spec.id
}

/// The verdicts of all guardrails at one moment.
pub(crate) struct Decision {
    verdicts: Vec<Verdict>,
    expectation: Option<Expectation>,
}

/// A decision that passed. Has no other constructor than `Decision::passed`.
pub(crate) struct Passed {
    verdicts: Vec<Verdict>,
    expectation: Expectation,
}

/// Asks every guardrail.
pub(crate) fn decide(context: &Context<'_>) -> Decision {
    decide_by(ALL, context)
}

/// Rules that also bind the undo of an action: what was allowed to be done may be taken back, but
/// not while somebody else is at work, or healing is stopped.
const OF_UNDO: &[Guardrail] = &[serial::GUARDRAIL, freeze::GUARDRAIL, deploy::GUARDRAIL];

/// Asks about taking back what the plan did last.
pub(crate) fn decide_undo(context: &Context<'_>, expect: Expectation) -> Decision {
    Decision { expectation: Some(expect), ..decide_by(OF_UNDO, context) }
}

fn decide_by(guardrails: &[Guardrail], context: &Context<'_>) -> Decision {
    let asked = guardrails.iter().filter(|guardrail| context.limits.asks(guardrail));
    Decision {
        verdicts: asked.map(|guardrail| guardrail.check(context)).collect(),
        expectation: expectation(context).ok(),
    }
}

impl Decision {
    pub(crate) fn verdicts(&self) -> &[Verdict] {
        &self.verdicts
    }

    /// The denials, as `G-5 2 actions in flight, 2 allowed; G-8 …`. Empty when all passed.
    pub(crate) fn denials(&self) -> String {
        let denials: Vec<String> = self
            .verdicts
            .iter()
            .filter(|verdict| !verdict.passed)
            .map(|verdict| format!("{} {}", verdict.guardrail, verdict.reason))
            .collect();
        denials.join("; ")
    }

    /// Does the growing back-off stand in the way?
    pub(crate) fn backs_off(&self) -> bool {
        let back_off = back_off::GUARDRAIL.spec.id;
        self.verdicts.iter().any(|verdict| verdict.guardrail == back_off && !verdict.passed)
    }

    /// Would the word of a person be enough?
    pub(crate) fn lacks_only_a_person(&self) -> bool {
        let mut denials = self.verdicts.iter().filter(|verdict| !verdict.passed).peekable();
        let by_person = budget::GUARDRAIL.spec.id;
        denials.peek().is_some() && denials.all(|verdict| verdict.guardrail == by_person)
    }

    pub(crate) fn passed(&self) -> Option<Passed> {
        let all = self.verdicts.iter().all(|verdict| verdict.passed);
        let expectation = self.expectation.clone().filter(|_| all)?;
        Some(Passed { verdicts: self.verdicts.clone(), expectation })
    }
}

impl Passed {
    pub(crate) fn into_parts(self) -> (Vec<Verdict>, Expectation) {
        (self.verdicts, self.expectation)
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod properties;
