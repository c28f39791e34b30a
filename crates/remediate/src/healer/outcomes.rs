//! What became of orders.
//!
//! An executor's word ends the waiting for it and nothing more: what was done, or may have been
//! done, is verified by users' figures; what was not done is tried again after a wait, until a
//! person is called. An outcome never orders anything.

use model::plan::OutcomeResult;
use model::{ActionId, Outcome, PlanId, PlanState, Timestamp};

use super::people::Call;
use super::{Healer, note};
use crate::guardrails;
use crate::proposals::Proposals;

impl Healer {
    /// What the executor says of an order.
    pub fn outcome(&mut self, now: Timestamp, outcome: &Outcome) -> Proposals {
        let mut out = Proposals::default();
        if let Some(id) = self.find_undo(&outcome.action) {
            self.undo_outcome(id, outcome, now, &mut out);
            return out;
        }
        let Some((id, number)) = self.find_attempt(&outcome.action) else {
            let text = format!("outcome of unknown action {} ignored", outcome.action);
            out.remarks.push(text);
            return out;
        };
        let Some(record) = self.records.get_mut(&id) else { return out };
        let is_last = number + 1 == record.plan.attempts.len();
        let is_awaited =
            is_last && matches!(record.plan.state, PlanState::Running | PlanState::Verifying);
        let Some(attempt) = record.plan.attempts.get_mut(number) else { return out };
        let assumed = is_last && record.outcome_assumed;
        if attempt.outcome.is_some() && !assumed {
            out.remarks.push(format!("repeated outcome of action {} ignored", outcome.action));
            return out;
        }
        attempt.outcome = Some(outcome.clone());
        record.outcome_assumed = false;
        out.change(id);
        if is_awaited {
            self.learn_of_outcome(id, outcome.result, now);
            self.apply(id, outcome.result, &outcome.detail, now, &mut out);
        } else {
            let text = format!("late outcome: {}: {}", outcome.result.as_str(), outcome.detail);
            note(record, &text, &mut out);
        }
        out
    }

    fn find_attempt(&self, action: &ActionId) -> Option<(PlanId, usize)> {
        self.records.iter().rev().find_map(|(id, record)| {
            let mut attempts = record.plan.attempts.iter();
            Some((*id, attempts.position(|attempt| attempt.action.id == *action)?))
        })
    }

    fn apply(
        &mut self,
        id: PlanId,
        result: OutcomeResult,
        detail: &str,
        now: Timestamp,
        out: &mut Proposals,
    ) {
        let reason = match result {
            OutcomeResult::Done => format!("done: {detail}"),
            OutcomeResult::Interrupted => format!("may have been done: {detail}"),
            OutcomeResult::Failed | OutcomeResult::Refused | OutcomeResult::NotRun => {
                let why = format!("{}: {detail}", result.as_str());
                return self.attempt_failed(id, &why, now, out);
            }
        };
        if let Some(record) = self.records.get_mut(&id) {
            record.verifying_since = Some(now);
        }
        self.enter(id, PlanState::Verifying, &reason, now, out);
    }

    /// An order without an outcome for too long may have been carried out: it is never repeated at
    /// once, but verified.
    pub(super) fn expire_orders(&mut self, now: Timestamp, out: &mut Proposals) {
        for id in self.ids(|record| record.plan.state == PlanState::Running) {
            let Some(record) = self.records.get_mut(&id) else { continue };
            if record.outcome_due.is_some_and(|due| now <= due) {
                continue;
            }
            let detail = "no outcome was told in time".to_owned();
            record.outcome_assumed = true;
            if let Some(attempt) = record.last_attempt_mut() {
                attempt.outcome = Some(Outcome {
                    action: attempt.action.id.clone(),
                    at: now,
                    result: OutcomeResult::Interrupted,
                    detail: detail.clone(),
                });
            }
            self.apply(id, OutcomeResult::Interrupted, &detail, now, out);
        }
    }

    /// Another try after the back-off, or, when none is left, a person.
    pub(super) fn attempt_failed(
        &mut self,
        id: PlanId,
        why: &str,
        now: Timestamp,
        out: &mut Proposals,
    ) {
        let Some(record) = self.records.get(&id) else { return };
        let used = self.attempts_used(record);
        let policy = record.policy.clone();
        let allowed = policy.attempts_in_all();
        let memory = self.memory.entry(policy.target.clone()).or_default();
        memory.wait(&policy, now);
        let until = memory.not_before.unwrap_or(now).clock();
        let is_bounded = self.config.guardrails.asks(&guardrails::ATTEMPTS);
        if (is_bounded && used >= allowed) || !self.climb(id, out) {
            return self.give_up(id, why, now, out);
        }
        let reason = format!("attempt {used} of {allowed}: {why}; not before {until}");
        self.enter(id, PlanState::BackingOff, &reason, now, out);
    }

    /// Takes the next step of the ladder once the attempts at this one are used up; false when
    /// there is none.
    fn climb(&mut self, id: PlanId, out: &mut Proposals) -> bool {
        let Some(record) = self.records.get_mut(&id) else { return false };
        if record.attempts_at_step() < record.policy.attempts_at(record.step) {
            return true;
        }
        let Some(remedy) = record.policy.remedy(record.step + 1) else { return false };
        let kind = remedy.kind();
        note(record, &format!("did not help: next is {kind}"), out);
        record.step += 1;
        record.made_before_step = record.plan.attempts.len();
        record.plan.kind = kind;
        out.change(id);
        true
    }

    pub(super) fn give_up(&mut self, id: PlanId, why: &str, now: Timestamp, out: &mut Proposals) {
        let Some(record) = self.records.get(&id) else { return };
        let (kind, target) = (&record.plan.kind, &record.plan.target);
        let used = self.attempts_used(record);
        let call = format!("{kind} {target} did not help in {used} attempts: {why}");
        self.enter(id, PlanState::GaveUp, &format!("after {used} attempts: {why}"), now, out);
        self.call_about(id, Call::GaveUp(id), &call, out);
    }
}
