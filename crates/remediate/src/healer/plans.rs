//! Making plans, and withdrawing those that lost their reason before they acted.

use std::collections::BTreeMap;

use model::tick::ProcessState;
use model::{
    Cause, CauseKind, Incident, IncidentId, IncidentState, Mode, Plan, PlanId, PlanState, Timestamp,
};

use super::people::Call;
use super::{Healer, PLANS_MAX, PLANS_PER_INCIDENT_MAX, is_needed, note};
use crate::config::Policy;
use crate::guardrails::is_proven;
use crate::matching::policies_for;
use crate::proposals::Proposals;
use crate::record::{Approval, Record, Recovery};
use crate::recovery::{Tally, recovering_since};

impl Healer {
    /// Ends every waiting plan whose incident ended or whose cause or policy is another now.
    pub(super) fn withdraw(
        &mut self,
        now: Timestamp,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        for id in self.ids(Record::is_waiting) {
            let Some(record) = self.records.get(&id) else { continue };
            let incident = incidents.get(&record.plan.incident).copied();
            if let Some(why) = self.why_withdrawn(record, incident) {
                self.enter(id, PlanState::Withdrawn, &why, now, out);
            }
        }
    }

    fn why_withdrawn(&self, record: &Record, incident: Option<&Incident>) -> Option<String> {
        let plan = &record.plan;
        let Some(incident) = incident else {
            return Some(format!("incident {} is no longer reported", plan.incident));
        };
        if incident.state == IncidentState::Resolved {
            return Some(format!("incident {} is resolved", incident.id));
        }
        if self.policy_in_force(record).is_none() {
            return Some(format!("policy {} was changed", record.policy.name));
        }
        match incident.causes.first() {
            Some(_) if self.cause_in_force(record, incident) == Some(plan.cause) => None,
            Some(cause) => {
                let (kind, entity) = (cause.kind.as_str(), &cause.entity);
                Some(format!("the first cause changed to {kind} of {entity}"))
            }
            None => Some("no cause is known any more".to_owned()),
        }
    }

    /// A cause of the same entity may change its kind: the plan goes on, with its approval, where
    /// its policy is for that kind too.
    pub(super) fn follow_causes(
        &mut self,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        for id in self.ids(Record::is_waiting) {
            let Some(record) = self.records.get(&id) else { continue };
            let Some(incident) = incidents.get(&record.plan.incident) else { continue };
            let cause = self.cause_in_force(record, incident);
            let Some(kind) = cause.filter(|kind| *kind != record.plan.cause) else { continue };
            if let Some(record) = self.records.get_mut(&id) {
                record.plan.cause = kind;
                note(record, &format!("goes on: the cause is now {}", kind.as_str()), out);
                out.change(id);
            }
        }
    }

    /// The kind of the cause for which the plan stands now, its own before others.
    fn cause_in_force(&self, record: &Record, incident: &Incident) -> Option<CauseKind> {
        let plan = &record.plan;
        let stands = |(rank, cause): &(usize, &Cause)| {
            cause.entity == plan.entity
                && (*rank == 0 || self.stands_beside(record, cause))
                && self.policies(cause).iter().any(|policy| policy.name == record.policy.name)
        };
        let kinds: Vec<CauseKind> = incident
            .causes
            .iter()
            .enumerate()
            .filter(stands)
            .map(|(_, cause)| cause.kind)
            .collect();
        let own = kinds.iter().find(|kind| **kind == plan.cause);
        own.or(kinds.first()).copied()
    }

    /// May a plan wait for a cause that is not the first?
    fn stands_beside(&self, record: &Record, cause: &Cause) -> bool {
        let has_acted = !record.plan.attempts.is_empty();
        is_proven(cause, &self.config.guardrails)
            && (has_acted || self.is_gone(&record.plan.target, cause))
    }

    /// Did the agent's last look show that the process which the cause speaks of is gone, unasked?
    fn is_gone(&self, target: &str, cause: &Cause) -> bool {
        let report = self.memory.get(target).and_then(|memory| memory.report.as_ref());
        report.is_some_and(|report| match &report.state {
            ProcessState::Gone { last, stop_requested, .. } => {
                !stop_requested && cause.process.as_ref() == Some(last)
            }
            ProcessState::Running(_) | ProcessState::NeverSeen => false,
        })
    }

    fn policies(&self, cause: &Cause) -> Vec<&Policy> {
        policies_for(&self.config, &self.targets, cause)
    }

    /// The plan's policy, if the configuration still has it just as it was.
    pub(super) fn policy_in_force(&self, record: &Record) -> Option<&Policy> {
        self.config
            .policy(&record.policy.name)
            .filter(|policy| **policy == record.policy)
            .filter(|policy| self.config.mode_of(policy) == record.base_mode)
    }

    /// Makes a plan for each target that a policy names for the first cause of an incident, and for
    /// each that a further cause proves to be gone: what died together is started together.
    pub(super) fn make_plans(
        &mut self,
        now: Timestamp,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        for incident in incidents.values() {
            if incident.state == IncidentState::Resolved {
                continue;
            }
            for (rank, cause) in incident.causes.iter().enumerate() {
                for policy in self.remedies(rank, cause) {
                    let is_wanted = self.wants_plan(incident, &policy);
                    if is_wanted && self.has_room(incident, incidents, out) {
                        self.make_plan(now, incident, cause, policy, out);
                    }
                }
            }
        }
    }

    /// What is to be done about a cause of that rank.
    fn remedies(&self, rank: usize, cause: &Cause) -> Vec<Policy> {
        let may_act = |policy: &&Policy| {
            let proven = || is_proven(cause, &self.config.guardrails);
            rank == 0 || proven() && self.is_gone(&policy.target, cause)
        };
        self.policies(cause).into_iter().filter(may_act).cloned().collect()
    }

    /// One plan per opening of an incident and target; a further one only where the earlier was
    /// withdrawn, was a dry run of another policy, or the cure did not last.
    fn wants_plan(&self, incident: &Incident, policy: &Policy) -> bool {
        let is_hurt = incident.state == IncidentState::Open && recovering_since(incident).is_none();
        let of_target = |record: &&Record| record.plan.target == policy.target;
        let mut earlier = self.of_opening(incident.id).filter(of_target);
        earlier.all(|record| match record.plan.state {
            PlanState::Withdrawn if record.by_others => is_hurt,
            PlanState::Withdrawn => true,
            PlanState::Verified => is_hurt,
            PlanState::DryRun => record.policy.name != policy.name,
            _ => false,
        })
    }

    fn has_room(
        &mut self,
        incident: &Incident,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) -> bool {
        let of_incident = self.of_opening(incident.id).count();
        if of_incident >= PLANS_PER_INCIDENT_MAX {
            let why = format!("{of_incident} plans were made and the first cause keeps changing");
            self.call(incident.id, Call::TooManyPlans, why, out);
            return false;
        }
        let kept = self.ids(|record| is_needed(record, incidents));
        if kept.len() >= PLANS_MAX {
            let why = format!("{} plans are under way and no more are made", kept.len());
            self.call(incident.id, Call::TooManyPlans, why, out);
            return false;
        }
        true
    }

    fn make_plan(
        &mut self,
        now: Timestamp,
        incident: &Incident,
        cause: &Cause,
        policy: Policy,
        out: &mut Proposals,
    ) {
        self.plans_made += 1;
        let id = PlanId(self.plans_made);
        let base_mode = self.config.mode_of(&policy);
        let mode = self.mode_for(&policy, cause.kind, &policy.action.kind());
        let approval = match mode {
            Mode::Approve => Approval::Asked { until: now + policy.approval_timeout.0 },
            Mode::Off | Mode::DryRun | Mode::Auto => Approval::NotNeeded,
        };
        let plan = Plan {
            id,
            incident: incident.id,
            cause: cause.kind,
            entity: cause.entity.clone(),
            target: policy.target.clone(),
            kind: policy.action.kind(),
            mode,
            state: PlanState::Held,
            created: now,
            updated: now,
            verdicts: Vec::new(),
            attempts: Vec::new(),
            reason: format!("made by policy {}", policy.name),
        };
        let record = Record {
            plan,
            policy,
            approval,
            base_mode,
            held_since: Some(now),
            verifying_since: None,
            recovery: Recovery::default(),
            outcome_due: None,
            outcome_assumed: false,
            started: None,
            tally: Tally::default(),
            by_others: false,
            past: false,
            spent: 0,
            notes: 0,
            step: 0,
            made_before_step: 0,
            undoing: None,
        };
        self.records.insert(id, record);
        out.change(id);
    }
}

#[cfg(test)]
mod tests;
