//! How far a plan may go by itself: what its policy says, and what its remedy has earned.

use model::plan::{Expectation, OutcomeResult};
use model::{ActionKind, CauseKind, Mode, PlanId, Timestamp};

use super::{Healer, note};
use crate::autonomy::{Deed, Proof, Track, Trial};
use crate::config::Policy;
use crate::proposals::Proposals;
use crate::record::{Approval, Record};

impl Healer {
    /// What each remedy has proven so far.
    pub fn autonomy(&self) -> impl Iterator<Item = &Track> {
        self.autonomy.tracks()
    }

    /// Takes over what was earned: for a state begun anew by another clock.
    pub fn take_over_autonomy(&mut self, other: &Healer) {
        self.autonomy = other.autonomy.clone();
    }

    /// The mode in which a policy's remedy may act now.
    pub(super) fn mode_for(&self, policy: &Policy, cause: CauseKind, kind: &ActionKind) -> Mode {
        let mode = self.config.mode_of(policy);
        match self.earned(policy, mode, cause, kind) {
            Some(Ok(_)) => Mode::Auto,
            _ => mode,
        }
    }

    /// What was earned, or lacks; `None` where the policy promotes nothing.
    fn earned(
        &self,
        policy: &Policy,
        mode: Mode,
        cause: CauseKind,
        kind: &ActionKind,
    ) -> Option<Result<String, String>> {
        let promote = policy.promote.as_ref().filter(|_| mode == Mode::Approve)?;
        let target = self.targets.get(&policy.target)?;
        let (entity, action) = (target.entity.clone(), kind.clone());
        Some(self.autonomy.earned(&Deed { cause, entity, action }, promote.after))
    }

    /// For a plan that acts by itself although its policy asks for approval: may it, and why?
    pub(super) fn earned_by(&self, record: &Record) -> Option<Result<String, String>> {
        let plan = &record.plan;
        if plan.mode != Mode::Auto || record.base_mode == Mode::Auto {
            return None;
        }
        let earned = self.earned(&record.policy, record.base_mode, plan.cause, &plan.kind);
        Some(earned.unwrap_or_else(|| Err("the policy promotes nothing".to_owned())))
    }

    /// What was earned may be lost while a plan waits, or not be earned by the next step of its
    /// ladder: then a person is asked after all.
    pub(super) fn fall_back(&mut self, now: Timestamp, out: &mut Proposals) {
        for id in self.ids(Record::is_waiting) {
            let Some(record) = self.records.get(&id) else { continue };
            let Some(Err(why)) = self.earned_by(record) else { continue };
            let Some(record) = self.records.get_mut(&id) else { continue };
            record.plan.mode = record.base_mode;
            if !matches!(record.approval, Approval::Given { .. }) {
                let until = now + record.policy.approval_timeout.0;
                record.approval = Approval::Asked { until };
            }
            note(record, &format!("asks a person again: {why}"), out);
            out.change(id);
        }
    }

    /// Remembers how the last attempt of a plan ended.
    pub(super) fn learn(&mut self, id: PlanId, trial: Trial, now: Timestamp) {
        let Some(record) = self.records.get(&id) else { return };
        let Some(action) = record.last_action() else { return };
        let deed = Deed {
            cause: record.plan.cause,
            entity: action.entity.clone(),
            action: action.kind.clone(),
        };
        let incident = record.plan.incident;
        self.autonomy.learn(deed, Proof { at: now, plan: id, incident, trial });
    }

    /// Remembers what the executor's word alone tells.
    pub(super) fn learn_of_outcome(&mut self, id: PlanId, result: OutcomeResult, now: Timestamp) {
        // Nothing was done by the others, or only users' figures tell.
        if result != OutcomeResult::Failed {
            return;
        }
        let expect = self.records.get(&id).and_then(Record::last_action).map(|it| &it.expect);
        let took_away = matches!(expect, Some(Expectation::Running(_)));
        self.learn(id, if took_away { Trial::Harmed } else { Trial::Failed }, now);
    }
}

#[cfg(test)]
mod tests;
