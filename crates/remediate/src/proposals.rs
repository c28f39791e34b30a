//! What the healer is fed with and what it answers.

use model::symptom::ObjectiveState;
use model::tick::{ProcessReport, Tick};
use model::{Action, Incident, IncidentId, PlanId, PlanState, Timestamp};

/// One step's facts.
#[derive(Clone, Debug, Default)]
pub struct StepInput<'a> {
    pub now: Timestamp,
    /// Every incident that has not ended, and those that ended in this step (with state resolved).
    /// An incident that is missing without having been seen resolved proves no recovery.
    pub incidents: Vec<&'a Incident>,
    pub objectives: &'a [ObjectiveState],
    /// What agents saw since the last step.
    pub processes: &'a [ProcessReport],
    /// What arrived since the last step.
    pub tick: Option<&'a Tick>,
    /// Why nothing may be done just now (catching up, clock jump, stale telemetry), if so.
    pub hold: Option<String>,
}

/// What came of one input.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposals {
    /// For executors. Journal them before they are handed on.
    pub orders: Vec<Action>,
    /// Plans that are new or whose state, verdicts' outcome, approval or attempts changed; each
    /// once.
    pub changed: Vec<PlanId>,
    /// One-line texts for the timelines of incidents.
    pub notes: Vec<(IncidentId, String)>,
    /// Incidents that need a person, and why. Each reason is given once per opening.
    pub needs_human: Vec<(IncidentId, String)>,
    /// One-line texts that belong to no incident.
    pub remarks: Vec<String>,
}

impl Proposals {
    pub(crate) fn change(&mut self, plan: PlanId) {
        if !self.changed.contains(&plan) {
            self.changed.push(plan);
        }
    }
}

/// Why a person's command on a plan was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HealError {
    #[error("there is no plan {0}")]
    UnknownPlan(PlanId),
    #[error("plan {plan} asks for no approval: it is {}", state.as_str())]
    NotAwaiting { plan: PlanId, state: PlanState },
    #[error("plan {plan} can no longer be denied: it is {}", state.as_str())]
    NotDeniable { plan: PlanId, state: PlanState },
    #[error("too late: plan {plan} could be approved until {until}")]
    ApprovalTooLate { plan: PlanId, until: Timestamp },
}
