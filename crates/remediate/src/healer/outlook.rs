//! What lies ahead of a plan, for people who look: whose answer it waits for and until when, how
//! far its proof has come, how it would be taken back. Nothing is decided here.

use model::plan::Expectation;
use model::{ActionKind, PlanId, PlanState, Safety, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Healer;
use crate::record::{Approval, Record};

/// What is not told by the plan itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outlook {
    /// Name of the policy that it follows.
    pub policy: String,
    /// A person is asked until then; silence is a no.
    pub waits_until: Option<Timestamp>,
    /// Who approved it.
    pub approved_by: Option<String>,
    /// Which remedy of the policy it is at: 0 is `action`, then those of `then`.
    pub step: usize,
    /// Attempts of all steps together.
    pub attempts_max: u32,
    /// Users' figures must stay well for this long before it counts as a cure.
    pub verify_for_seconds: f64,
    /// While it is verified: users' figures must begin to be well by then.
    pub verify_by: Option<Timestamp>,
    /// While it is verified: users' figures are well since then.
    pub holding_since: Option<Timestamp>,
    /// What takes the action back, as its target declares.
    pub undo: Option<ActionKind>,
    /// What the action risks, as the target stands now.
    pub safety: Safety,
}

impl Healer {
    pub fn outlook(&self, id: PlanId) -> Option<Outlook> {
        self.records.get(&id).map(|record| self.outlook_of(record))
    }

    fn outlook_of(&self, record: &Record) -> Outlook {
        let plan = &record.plan;
        let policy = &record.policy;
        let target = self.targets.get(&plan.target);
        let undo = target.and_then(|target| target.undo(&plan.kind)).cloned();
        let verifies = plan.state == PlanState::Verifying;
        let begun = record.verifying_since.filter(|_| verifies);
        let waits = plan.state == PlanState::AwaitingApproval;
        let safety = plan.kind.safety(&self.expectation_of(record), undo.as_ref());
        Outlook {
            policy: policy.name.clone(),
            waits_until: match record.approval {
                Approval::Asked { until } if waits => Some(until),
                _ => None,
            },
            approved_by: match &record.approval {
                Approval::Given { who, .. } => Some(who.clone()),
                _ => None,
            },
            step: record.step,
            attempts_max: policy.attempts_in_all(),
            verify_for_seconds: policy.verify_for.0.as_secs_f64(),
            verify_by: begun.map(|begun| begun + policy.verify_within_at(record.step).0),
            holding_since: super::verify::held_from(record).filter(|_| verifies),
            undo,
            safety,
        }
    }

    /// What the last order named, or else what the agent's latest look says.
    fn expectation_of(&self, record: &Record) -> Expectation {
        if let Some(action) = record.last_action() {
            return action.expect.clone();
        }
        let memory = self.memory.get(&record.plan.target);
        let report = memory.and_then(|memory| memory.report.as_ref());
        match report.map(|report| &report.state) {
            Some(model::tick::ProcessState::Running(process)) => {
                Expectation::Running(process.clone())
            }
            Some(model::tick::ProcessState::Gone { last, .. }) => Expectation::Gone(last.clone()),
            Some(model::tick::ProcessState::NeverSeen) | None => Expectation::NoProcess,
        }
    }
}
