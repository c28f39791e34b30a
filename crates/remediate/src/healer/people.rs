//! People: approval, denial, freeze, and calling for somebody.
//!
//! Each reason to call a person is given once per opening of an incident. Only incidents that page
//! call: work for the day waits for the day.

use std::collections::BTreeMap;

use model::human::HumanDuration;
use model::{
    CauseKind, Incident, IncidentId, IncidentState, PlanId, PlanState, Severity, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{Healer, note};
use crate::matching::policies_for;
use crate::proposals::{HealError, Proposals};
use crate::record::{Approval, Freeze, Record};

/// Reasons to call a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Call {
    /// The cause is unknown or has no remedy.
    Cause,
    /// All plans ended and users are still hurt.
    Ended,
    TooManyPlans,
    Approval(PlanId),
    DryRun(PlanId),
    Held(PlanId),
    Denied(PlanId),
    Unproven(PlanId),
    GaveUp(PlanId),
    NotUndone(PlanId),
}

impl Healer {
    /// A person says yes. The guardrails are asked again at the next step before anything is
    /// ordered.
    ///
    /// # Errors
    /// When the plan is not known, asks nobody, or waited too long.
    pub fn approve(
        &mut self,
        id: PlanId,
        who: &str,
        now: Timestamp,
    ) -> Result<Proposals, HealError> {
        let record = self.records.get_mut(&id).ok_or(HealError::UnknownPlan(id))?;
        let Approval::Asked { until } = record.approval else {
            return Err(HealError::NotAwaiting { plan: id, state: record.plan.state });
        };
        if !record.is_waiting() {
            return Err(HealError::NotAwaiting { plan: id, state: record.plan.state });
        }
        if now > until {
            return Err(HealError::ApprovalTooLate { plan: id, until });
        }
        let good_until = now + record.policy.approval_timeout.0;
        record.approval = Approval::Given { who: who.to_owned(), at: now, until: good_until };
        // What was said before the approval no longer holds; the next step says it anew.
        record.plan.verdicts.clear();
        let mut out = Proposals::default();
        note(record, &format!("approved by {who}"), &mut out);
        record.enter(PlanState::Held, &format!("approved by {who}, to be checked again"), now);
        out.change(id);
        Ok(out)
    }

    /// A person says no. Any plan may be denied that is not with the executor.
    ///
    /// # Errors
    /// When the plan is not known, has ended, or its action is under way or being verified.
    pub fn deny(&mut self, id: PlanId, who: &str, now: Timestamp) -> Result<Proposals, HealError> {
        let record = self.records.get(&id).ok_or(HealError::UnknownPlan(id))?;
        if !record.is_waiting() {
            return Err(HealError::NotDeniable { plan: id, state: record.plan.state });
        }
        let mut out = Proposals::default();
        self.enter(id, PlanState::Denied, &format!("denied by {who}"), now, &mut out);
        Ok(out)
    }

    /// Stops all healing until somebody thaws it. Actions under way finish.
    pub fn freeze(&mut self, who: &str, reason: &str, now: Timestamp) -> Proposals {
        let mut out = Proposals::default();
        out.remarks.push(format!("healing is frozen by {who}: {reason}"));
        self.frozen = Some(Freeze { who: who.to_owned(), reason: reason.to_owned(), at: now });
        let why = format!("frozen by {who}: {reason}");
        for id in self.ids(Record::is_waiting) {
            self.enter(id, PlanState::Held, &why, now, &mut out);
        }
        out
    }

    /// Lets healing go on. Waiting plans are checked anew at the next step.
    pub fn thaw(&mut self, who: &str, now: Timestamp) -> Proposals {
        let mut out = Proposals::default();
        if let Some(freeze) = self.frozen.take() {
            let after = HumanDuration(now.since(freeze.at));
            out.remarks.push(format!("healing is thawed by {who} after {after}"));
        }
        out
    }

    /// Calls a person for every incident with which nothing else will be done.
    pub(super) fn call_people(
        &mut self,
        now: Timestamp,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        for incident in incidents.values().filter(|incident| pages(incident)) {
            let is_due = now >= hurting_since(incident) + self.config.call_human_after.0;
            if is_due && let Some((call, why)) = self.without_remedy(incident) {
                self.call(incident.id, call, why, out);
            }
        }
        for id in self.ids(|record| !record.is_final()) {
            let Some(record) = self.records.get(&id) else { continue };
            if !incidents.get(&record.plan.incident).is_some_and(|incident| pages(incident)) {
                continue;
            }
            self.call_if_waiting_long(id, now, out);
        }
    }

    fn call_if_waiting_long(&mut self, id: PlanId, now: Timestamp, out: &mut Proposals) {
        let Some(record) = self.records.get(&id) else { return };
        let what = format!("{} {}", record.plan.kind, record.plan.target);
        let held_long =
            record.held_since.is_some_and(|since| now >= since + self.config.call_human_after.0);
        match record.plan.state {
            PlanState::AwaitingApproval => {
                let why = format!("approve or deny plan {id}: {what}");
                self.call_about(id, Call::Approval(id), &why, out);
            }
            // Immune's own trouble calls nobody.
            PlanState::Held if held_long && self.hold.is_none() => {
                let why = format!("plan {id} to {what} is held: {}", record.plan.reason);
                self.call_about(id, Call::Held(id), &why, out);
            }
            _ => {}
        }
    }

    /// Why no plan is there, where that is so and nobody was called since the incident was opened.
    fn without_remedy(&self, incident: &Incident) -> Option<(Call, String)> {
        let has_live = self.of_opening(incident.id).any(|record| !record.is_final());
        if has_live || self.calls.contains_key(&incident.id) {
            return None;
        }
        let cause = incident.causes.first().filter(|cause| cause.kind != CauseKind::Unknown);
        let Some(cause) = cause else {
            return Some((Call::Cause, "cause unknown: a person has to look".to_owned()));
        };
        if policies_for(&self.config, &self.targets, cause).is_empty() {
            let kind = cause.kind.as_str();
            let why = format!("no remedy is configured for {kind} of {}", cause.entity);
            return Some((Call::Cause, why));
        }
        let plan = &self.of_opening(incident.id).last()?.plan;
        let (id, kind, target, state) = (plan.id, &plan.kind, &plan.target, plan.state.as_str());
        let why = format!("plan {id} to {kind} {target} ended ({state}) and users are still hurt");
        Some((Call::Ended, why))
    }

    /// Calls for a person about a plan.
    pub(super) fn call_about(&mut self, id: PlanId, call: Call, why: &str, out: &mut Proposals) {
        if let Some(record) = self.records.get(&id) {
            self.call(record.plan.incident, call, why.to_owned(), out);
        }
    }

    pub(super) fn call(
        &mut self,
        incident: IncidentId,
        call: Call,
        why: String,
        out: &mut Proposals,
    ) {
        if self.calls.entry(incident).or_default().insert(call) {
            out.needs_human.push((incident, why));
        }
    }
}

/// Are users hurt so that somebody is to be called now?
pub(super) fn pages(incident: &Incident) -> bool {
    incident.state == IncidentState::Open
        && incident.symptoms.iter().any(|symptom| symptom.severity == Severity::Page)
}

#[cfg(test)]
mod tests;

/// When the trouble at hand was noticed: an incident that opened again is as new as its symptoms.
fn hurting_since(incident: &Incident) -> Timestamp {
    let firing = incident.firing.iter().filter_map(|at| incident.symptoms.get(*at as usize));
    firing.map(|symptom| symptom.detected).min().unwrap_or(incident.opened).max(incident.opened)
}
