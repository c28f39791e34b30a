//! Taking back what did not help.
//!
//! An action whose verification fails, and for which its target declares an undo, is taken back
//! before anything else is tried. Once per attempt: what cannot be taken back is for a person.

use std::collections::BTreeMap;
use std::time::Duration;

use model::plan::{Expectation, OutcomeResult, Undo};
use model::tick::ProcessState;
use model::{
    Action, ActionId, ActionKind, Incident, IncidentId, Outcome, PlanId, PlanState, Timestamp,
};

use super::people::Call;
use super::{Healer, note};
use crate::autonomy::Trial;
use crate::guardrails::{self, Passed};
use crate::proposals::Proposals;
use crate::record::{Record, Undoing};

/// An undo that guardrails hold back for longer is for a person; a freeze may last as it likes.
const WAIT_MAX: Duration = Duration::from_secs(600);

impl Healer {
    /// Users did not recover: the attempt is taken back where that is declared, then it failed.
    pub(super) fn not_recovered(
        &mut self,
        id: PlanId,
        why: &str,
        now: Timestamp,
        out: &mut Proposals,
    ) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let kind = record.last_action().map(|action| &action.kind);
        let target = self.targets.get(&record.plan.target);
        let undo = target.zip(kind).and_then(|(target, kind)| target.undo(kind));
        let Some(undo) = undo.cloned() else {
            return self.attempt_failed(id, why, now, out);
        };
        record.undoing = Some(Undoing { since: now, why: why.to_owned(), due: None });
        self.enter(id, PlanState::Undoing, &format!("{why}; to {undo}"), now, out);
    }

    /// Orders what is to be taken back, and ends what is over.
    pub(super) fn undo_all(
        &mut self,
        now: Timestamp,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        for id in self.ids(|record| record.plan.state == PlanState::Undoing) {
            let Some(record) = self.records.get(&id) else { continue };
            let Some(undoing) = record.undoing.clone() else { continue };
            match (record.last_undo(), undoing.due) {
                (Some(undo), Some(due)) if undo.outcome.is_none() && now > due => {
                    self.undo_failed(id, "no outcome of the undo was told in time", now, out);
                }
                (None, _) => {
                    let incident = incidents.get(&record.plan.incident).copied();
                    self.try_undo(id, &undoing, incident, now, out);
                }
                _ => {}
            }
        }
    }

    fn try_undo(
        &mut self,
        id: PlanId,
        undoing: &Undoing,
        incident: Option<&Incident>,
        now: Timestamp,
        out: &mut Proposals,
    ) {
        let Some(record) = self.records.get(&id) else { return };
        let Some(undo) = self.declared_undo(record) else {
            return self.undo_failed(id, "no undo is declared any more", now, out);
        };
        let decision = guardrails::decide_undo(
            &self.context(record, incident, now),
            self.standing_now(record),
        );
        if let Some(passed) = decision.passed() {
            return self.order_undo(id, undo, passed, now, out);
        }
        let waited = now.since(undoing.since);
        let denials = decision.denials();
        if waited >= self.config.call_human_after.0 && incident.is_some() {
            let target = &record.plan.target;
            let why =
                format!("plan {id} is held from taking back what it did to {target}: {denials}");
            self.call_about(id, Call::Held(id), &why, out);
        }
        if waited >= WAIT_MAX && self.frozen.is_none() && self.hold.is_none() {
            self.undo_failed(id, &denials, now, out);
        }
    }

    fn declared_undo(&self, record: &Record) -> Option<ActionKind> {
        let kind = &record.last_action()?.kind;
        self.targets.get(&record.plan.target)?.undo(kind).cloned()
    }

    /// What must be so when the undo is done: just what is so.
    fn standing_now(&self, record: &Record) -> Expectation {
        let memory = self.memory.get(&record.plan.target);
        match memory.and_then(|memory| memory.report.as_ref()).map(|report| &report.state) {
            Some(ProcessState::Running(process)) => Expectation::Running(process.clone()),
            Some(ProcessState::Gone { last, .. }) => Expectation::Gone(last.clone()),
            Some(ProcessState::NeverSeen) | None => Expectation::NoProcess,
        }
    }

    fn order_undo(
        &mut self,
        id: PlanId,
        kind: ActionKind,
        passed: Passed,
        now: Timestamp,
        out: &mut Proposals,
    ) {
        let valid_for = self.config.guardrails.order_valid_for.0;
        let Some(record) = self.records.get_mut(&id) else { return };
        let Some(target) = self.targets.get(&record.plan.target) else { return };
        let (verdicts, expect) = passed.into_parts();
        let Some(attempt) = record.plan.attempts.last_mut() else { return };
        let action = Action {
            id: ActionId(format!("{}u", attempt.action.id)),
            target: target.name.clone(),
            entity: target.entity.clone(),
            kind,
            expect,
            not_after: now + valid_for,
        };
        attempt.undo = Some(Undo { action: action.clone(), ordered: now, outcome: None });
        if let Some(undoing) = &mut record.undoing {
            let longest = target.action_timeout.0 + super::orders::OUTCOME_MARGIN;
            undoing.due = Some(action.not_after + longest);
        }
        record.plan.verdicts = verdicts;
        record.plan.updated = now;
        note(record, &format!("takes back attempt {}", record.plan.attempts.len()), out);
        self.count_order(now);
        out.change(id);
        out.orders.push(action);
    }

    /// The plan of which this is the undo that was ordered last.
    pub(super) fn find_undo(&self, action: &ActionId) -> Option<PlanId> {
        let is_it = |record: &&Record| {
            let mut undos = record.plan.attempts.iter().filter_map(|attempt| attempt.undo.as_ref());
            undos.any(|undo| undo.action.id == *action)
        };
        self.records.values().rev().find(is_it).map(|record| record.plan.id)
    }

    pub(super) fn undo_outcome(
        &mut self,
        id: PlanId,
        outcome: &Outcome,
        now: Timestamp,
        out: &mut Proposals,
    ) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let is_awaited = record.plan.state == PlanState::Undoing
            && record.last_undo().is_some_and(|undo| undo.action.id == outcome.action);
        let undos = record.plan.attempts.iter_mut().filter_map(|attempt| attempt.undo.as_mut());
        let Some(undo) = undos.into_iter().find(|undo| undo.action.id == outcome.action) else {
            return;
        };
        if undo.outcome.is_some() {
            out.remarks.push(format!("repeated outcome of action {} ignored", outcome.action));
            return;
        }
        undo.outcome = Some(outcome.clone());
        out.change(id);
        let text = format!("{}: {}", outcome.result.as_str(), outcome.detail);
        match outcome.result {
            _ if !is_awaited => note(record, &format!("late outcome of the undo: {text}"), out),
            OutcomeResult::Done => self.undone(id, now, out),
            _ => self.undo_failed(id, &text, now, out),
        }
    }

    fn undone(&mut self, id: PlanId, now: Timestamp, out: &mut Proposals) {
        let undoing = self.records.get_mut(&id).and_then(|record| record.undoing.take());
        let why = undoing.map(|undoing| undoing.why).unwrap_or_default();
        self.attempt_failed(id, &format!("{why}; taken back"), now, out);
    }

    /// What cannot be taken back is for a person, who is called whatever comes then.
    fn undo_failed(&mut self, id: PlanId, how: &str, now: Timestamp, out: &mut Proposals) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let why = record.undoing.take().map(|undoing| undoing.why).unwrap_or_default();
        let (kind, target) = (&record.plan.kind, &record.plan.target);
        let call = format!("{kind} {target} did not help and could not be taken back: {how}");
        self.call_about(id, Call::NotUndone(id), &call, out);
        self.learn(id, Trial::Harmed, now);
        self.give_up(id, &format!("{why}; not taken back: {how}"), now, out);
    }
}

#[cfg(test)]
mod tests;
