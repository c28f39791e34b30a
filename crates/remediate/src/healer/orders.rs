//! Deciding and ordering.
//!
//! The only place that makes an `Action`; it takes a `Passed` decision to do so.

use std::collections::BTreeMap;
use std::time::Duration;

use model::plan::Attempt;
use model::{
    Action, ActionId, Entity, Incident, IncidentId, Mode, PlanId, PlanState, Timestamp, Verdict,
};

use super::people::{Call, pages};
use super::{Healer, note};
use crate::guardrails::{self, Context, Decision, Passed, cause_of};
use crate::proposals::Proposals;
use crate::record::{Approval, Record};

const HOUR: Duration = Duration::from_secs(3_600);
/// How much longer than allowed an outcome may be on its way.
pub(super) const OUTCOME_MARGIN: Duration = Duration::from_secs(10);

impl Healer {
    /// Asks the guardrails about one plan, and orders, refreshes or keeps waiting.
    pub(super) fn decide(
        &mut self,
        id: PlanId,
        now: Timestamp,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        let Some(record) = self.records.get(&id) else { return };
        let incident = incidents.get(&record.plan.incident).copied();
        if record.plan.state == PlanState::DryRun || record.plan.mode == Mode::DryRun {
            return self.show(id, now, incident, out);
        }
        if !record.is_waiting() {
            return;
        }
        if let Some(why) = approval_lapsed(record, now) {
            let what = format!("plan {id} to {} {}", record.plan.kind, record.plan.target);
            self.enter(id, PlanState::Denied, &why, now, out);
            return self.call_about(id, Call::Denied(id), &format!("{what}: {why}"), out);
        }
        let is_bounded = self.config.guardrails.asks(&guardrails::ATTEMPTS);
        if is_bounded && self.attempts_used(record) >= record.policy.attempts_in_all() {
            return self.give_up(id, "all attempts are used up", now, out);
        }
        let decision = guardrails::decide(&self.context(record, incident, now));
        match decision.passed() {
            Some(passed) => self.order(id, passed, now, out),
            None => self.keep_waiting(id, &decision, now, out),
        }
    }

    /// A dry run: what would be done. Shown again when the verdicts change, until all pass.
    fn show(
        &mut self,
        id: PlanId,
        now: Timestamp,
        incident: Option<&Incident>,
        out: &mut Proposals,
    ) {
        let Some(record) = self.records.get(&id).filter(|record| !record.past) else { return };
        let is_new = record.plan.state != PlanState::DryRun;
        let all_passed = record.plan.verdicts.iter().all(|verdict| verdict.passed);
        let same_cause =
            incident.is_some_and(|incident| cause_of(&record.plan, incident).is_some());
        if !is_new && (all_passed || !same_cause) {
            return;
        }
        let decision = guardrails::decide(&self.context(record, incident, now));
        if !is_new && denied(record) == denied_ids(decision.verdicts()) {
            return;
        }
        let what = format!("{} {}", record.plan.kind, record.plan.target);
        let reason = match decision.passed() {
            Some(_) => format!("dry run: would {what}, all guardrails pass"),
            None => format!("dry run: would not {what} yet: {}", decision.denials()),
        };
        if is_new {
            self.set_verdicts(id, &decision);
            self.enter(id, PlanState::DryRun, &reason, now, out);
            if incident.is_some_and(pages) {
                self.call_about(id, Call::DryRun(id), &reason, out);
            }
        } else if let Some(record) = self.records.get_mut(&id) {
            record.plan.verdicts = decision.verdicts().to_vec();
            record.plan.reason.clone_from(&reason);
            record.plan.updated = now;
            note(record, &reason, out);
            out.change(id);
        }
    }

    fn keep_waiting(
        &mut self,
        id: PlanId,
        decision: &Decision,
        now: Timestamp,
        out: &mut Proposals,
    ) {
        let stopped = self.records.get(&id).is_some_and(|record| self.stopped(record).is_some());
        let Some(record) = self.records.get_mut(&id) else { return };
        if record.approval == Approval::NotNeeded && decision.lacks_only_a_person() {
            record.approval = Approval::Asked { until: now + record.policy.approval_timeout.0 };
        }
        let denied_before = denied(record);
        let state_before = record.plan.state;
        let (state, reason) = match &record.approval {
            Approval::Asked { until } if !stopped => {
                let state = PlanState::AwaitingApproval;
                (state, format!("until {}; {}", until.clock(), decision.denials()))
            }
            _ if !record.plan.attempts.is_empty() && decision.backs_off() && !stopped => {
                (PlanState::BackingOff, decision.denials())
            }
            _ => (PlanState::Held, decision.denials()),
        };
        let is_first = record.plan.verdicts.is_empty();
        self.set_verdicts(id, decision);
        self.enter(id, state, &reason, now, out);
        let still =
            state == state_before && (is_first || denied_before != denied_ids(decision.verdicts()));
        if let Some(record) = self.records.get_mut(&id).filter(|_| still) {
            note(record, &format!("refused: {}", decision.denials()), out);
            out.change(id);
        }
    }

    fn set_verdicts(&mut self, id: PlanId, decision: &Decision) {
        if let Some(record) = self.records.get_mut(&id) {
            record.plan.verdicts = decision.verdicts().to_vec();
        }
    }

    fn order(&mut self, id: PlanId, passed: Passed, now: Timestamp, out: &mut Proposals) {
        let valid_for = self.config.guardrails.order_valid_for.0;
        let Some(record) = self.records.get_mut(&id) else { return };
        let Some(target) = self.targets.get(&record.plan.target) else { return };
        let (verdicts, expect) = passed.into_parts();
        let number = record.plan.attempts.len() + 1;
        let action = Action {
            id: ActionId(format!("{}-{id}-{number}", self.id_prefix)),
            target: target.name.clone(),
            entity: target.entity.clone(),
            kind: record.plan.kind.clone(),
            expect,
            not_after: now + valid_for,
        };
        let attempts = record.policy.attempts_in_all();
        record.plan.verdicts = verdicts;
        record.outcome_due = Some(action.not_after + target.action_timeout.0 + OUTCOME_MARGIN);
        record.outcome_assumed = false;
        record.verifying_since = None;
        record.started = None;
        if matches!(record.approval, Approval::Asked { .. }) {
            // What a person was asked for is no longer needed.
            record.approval = Approval::NotNeeded;
        }
        record.plan.attempts.push(Attempt {
            action: action.clone(),
            ordered: now,
            outcome: None,
            undo: None,
        });
        if let Some(memory) = self.memory.get_mut(&action.target) {
            memory.ordered(&record.policy, now);
        }
        self.count_order(now);
        let used = self.records.get(&id).map_or(0, |record| self.attempts_used(record));
        let reason = format!("attempt {used} of {attempts}");
        self.enter(id, PlanState::Running, &reason, now, out);
        out.orders.push(action);
    }

    pub(super) fn count_order(&mut self, now: Timestamp) {
        self.ordered.retain(|at| now.since(*at) < HOUR);
        self.ordered.push(now);
    }

    /// Tries on the plan's target since its incident was opened last, by any plan.
    pub(super) fn attempts_used(&self, record: &Record) -> u32 {
        let (incident, target) = (record.plan.incident, &record.plan.target);
        let of_same = self
            .records
            .values()
            .filter(|other| other.plan.incident == incident && other.plan.target == *target);
        of_same.map(Record::attempts_used).fold(0, u32::saturating_add)
    }

    /// Why nothing may be done to the plan's target, if so.
    fn stopped(&self, record: &Record) -> Option<String> {
        if let Some(freeze) = &self.frozen {
            return Some(format!("frozen by {}: {}", freeze.who, freeze.reason));
        }
        if let Some(why) = &self.hold {
            return Some(format!("held: {why}"));
        }
        self.paused(record).map(|pause| {
            let (what, who, until) = (&pause.what, &pause.who, pause.until.clock());
            format!("{what} is paused by {who} until {until} ({}): {}", pause.name, pause.reason)
        })
    }

    /// Is the other's action, which is in the executor's hands now, on the service of which this
    /// plan's target is an instance, or the reverse? A rollback stops and starts instances itself.
    fn is_within(&self, other: &Record, record: &Record) -> bool {
        let is_under_way = matches!(other.plan.state, PlanState::Running | PlanState::Undoing);
        let entity = |record: &Record| self.targets.get(&record.plan.target).map(|it| &it.entity);
        let (Some(one), Some(two)) = (entity(other), entity(record)) else { return false };
        let is_part = |part: &Entity, whole: &Entity| {
            part.kind != whole.kind && part.owner().as_ref() == Some(whole)
        };
        is_under_way && (is_part(one, two) || is_part(two, one))
    }

    pub(super) fn context<'a>(
        &'a self,
        record: &'a Record,
        incident: Option<&'a Incident>,
        now: Timestamp,
    ) -> Context<'a> {
        let plan = &record.plan;
        let memory = self.memory.get(&plan.target);
        let is_busy = |other: &&Record| {
            let same = other.plan.target == plan.target && other.is_busy();
            other.plan.id != plan.id && (same || self.is_within(other, record))
        };
        Context {
            now,
            plan,
            policy: self.policy_in_force(record),
            target: self.targets.get(&plan.target),
            incident,
            limits: &self.config.guardrails,
            report: memory.and_then(|memory| memory.report.as_ref()),
            running: memory.and_then(|memory| memory.running.as_ref()),
            attempts_used: self.attempts_used(record),
            busy: self
                .records
                .values()
                .find(is_busy)
                .map(|record| (record.plan.id, &*record.plan.target)),
            in_flight: self.in_flight().len(),
            ordered_1h: self.ordered.iter().filter(|at| now.since(**at) < HOUR).count(),
            not_before: memory.and_then(|memory| memory.not_before),
            stopped: self.stopped(record),
            approval: &record.approval,
            around: self.around(record, incident, now),
            earned: self.earned_by(record),
        }
    }
}

fn approval_lapsed(record: &Record, now: Timestamp) -> Option<String> {
    match &record.approval {
        Approval::Asked { until } if now > *until => {
            Some(format!("nobody approved within {}", record.policy.approval_timeout))
        }
        Approval::Given { who, until, .. } if record.plan.attempts.is_empty() && now > *until => {
            Some(format!("the approval by {who} lapsed: {}", record.plan.reason))
        }
        _ => None,
    }
}

/// The guardrails that denied when the plan was last checked. Figures in reasons move all the time;
/// a word of people is told anew.
fn denied(record: &Record) -> Vec<String> {
    denied_ids(&record.plan.verdicts)
}

fn denied_ids(verdicts: &[Verdict]) -> Vec<String> {
    let denials = verdicts.iter().filter(|verdict| !verdict.passed);
    let key = |verdict: &Verdict| match guardrails::says_who(verdict) {
        true => format!("{} {}", verdict.guardrail, verdict.reason),
        false => verdict.guardrail.clone(),
    };
    denials.map(key).collect()
}
