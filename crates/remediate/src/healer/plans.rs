//! Making plans, and withdrawing those that lost their reason before they acted.

use std::collections::BTreeMap;

use model::{Incident, IncidentId, IncidentState, Mode, Plan, PlanId, PlanState, Timestamp};

use super::people::Call;
use super::{Healer, PLANS_MAX, PLANS_PER_INCIDENT_MAX};
use crate::config::Policy;
use crate::matching::policies_for;
use crate::proposals::Proposals;
use crate::record::{Approval, Record, Recovery};
use crate::recovery::recovering_since;

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
            Some(cause) if cause.kind == plan.cause && cause.entity == plan.entity => None,
            Some(cause) => {
                let (kind, entity) = (cause.kind.as_str(), &cause.entity);
                Some(format!("the first cause changed to {kind} of {entity}"))
            }
            None => Some("no cause is known any more".to_owned()),
        }
    }

    /// The plan's policy, if the configuration still has it just as it was.
    pub(super) fn policy_in_force(&self, record: &Record) -> Option<&Policy> {
        self.config
            .policy(&record.policy.name)
            .filter(|policy| **policy == record.policy)
            .filter(|policy| self.config.mode_of(policy) == record.plan.mode)
    }

    /// Makes a plan for each target that a policy names for the first cause of an incident.
    pub(super) fn make_plans(
        &mut self,
        now: Timestamp,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        for incident in incidents.values() {
            let Some(cause) = incident.causes.first() else { continue };
            if incident.state == IncidentState::Resolved {
                continue;
            }
            let policies: Vec<Policy> =
                policies_for(&self.config, &self.targets, cause).into_iter().cloned().collect();
            for policy in policies {
                if self.wants_plan(incident, &policy) && self.has_room(incident, incidents, out) {
                    self.make_plan(now, incident, policy, out);
                }
            }
        }
    }

    /// One plan per incident and target; a further one only where the earlier was withdrawn, was a
    /// dry run of another policy, or had cured what is now back.
    fn wants_plan(&self, incident: &Incident, policy: &Policy) -> bool {
        let is_hurt = incident.state == IncidentState::Open && recovering_since(incident).is_none();
        let mut earlier = self.records.values().filter(|record| {
            record.plan.incident == incident.id && record.plan.target == policy.target
        });
        earlier.all(|record| match record.plan.state {
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
        let of_incident =
            self.records.values().filter(|record| record.plan.incident == incident.id).count();
        if of_incident >= PLANS_PER_INCIDENT_MAX {
            let why = format!("{of_incident} plans were made and the first cause keeps changing");
            self.call(incident.id, Call::TooManyPlans, why, out);
            return false;
        }
        let kept =
            self.ids(|record| !record.is_final() || incidents.contains_key(&record.plan.incident));
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
        policy: Policy,
        out: &mut Proposals,
    ) {
        let Some(cause) = incident.causes.first() else { return };
        self.plans_made += 1;
        let id = PlanId(self.plans_made);
        let mode = self.config.mode_of(&policy);
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
            held_since: Some(now),
            verifying_since: None,
            recovery: Recovery::default(),
            outcome_due: None,
            outcome_assumed: false,
            notes: 0,
        };
        self.records.insert(id, record);
        out.change(id);
    }
}
