//! What is listed, in the order in which it is read: incidents, plans at work, the drill, services.

use model::{Incident, IncidentId, IncidentState, Plan, PlanId, PlanState};

use super::super::overview::{Overview, Service};
use crate::drills::Record;

/// What a row stands for. The choice of a row survives that rows come and go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Incident(IncidentId),
    Plan(PlanId),
    /// By the key of the entity.
    Service(String),
}

/// Incidents that are not over, those that are open first, then the newest.
pub(super) fn incidents(overview: &Overview) -> Vec<&Incident> {
    let active = overview.incidents.iter().filter(|one| one.state != IncidentState::Resolved);
    let mut active: Vec<&Incident> = active.collect();
    active.sort_by_key(|one| (one.state, std::cmp::Reverse(one.id)));
    active
}

/// Plans that have not ended, those that wait for a person first.
pub(super) fn plans(overview: &Overview) -> Vec<&Plan> {
    let mut plans: Vec<&Plan> =
        overview.plans.iter().filter(|plan| !plan.state.is_final()).collect();
    plans.sort_by_key(|plan| (plan.state != PlanState::AwaitingApproval, plan.id));
    plans
}

/// The drill under way.
pub(super) fn drill(overview: &Overview) -> Option<&Record> {
    overview.drills.first().filter(|record| record.scorecard.is_none())
}

/// Those in trouble first, each state by name: nothing jumps while figures move.
pub(super) fn services(overview: &Overview) -> Vec<&Service> {
    let mut services: Vec<&Service> = overview.services.iter().collect();
    services.sort_by_cached_key(|service| (service.state, service.entity.to_string()));
    services
}

/// All rows that can be chosen.
pub(super) fn all(overview: &Overview) -> Vec<Row> {
    let incidents = incidents(overview).into_iter().map(|one| Row::Incident(one.id));
    let plans = plans(overview).into_iter().map(|plan| Row::Plan(plan.id));
    let services = services(overview).into_iter().map(|one| Row::Service(one.entity.key()));
    incidents.chain(plans).chain(services).collect()
}
