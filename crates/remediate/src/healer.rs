//! The healer: plans over time.
//!
//! Each step takes in what is known, ends what has lost its reason, makes plans for causes that
//! have a remedy, asks the guardrails about every plan that waits, and orders what passed. Outcomes
//! and people's commands come between steps. Everything is done in the order of plan numbers, so
//! that the oldest plan comes first under a cap.
//!
//! `plans` makes and withdraws, `orders` decides and orders, `outcomes` takes the executor's word,
//! `verify` judges recovery, `undo` takes back what did not help, `credit` says whose work it was,
//! `around` what is known around a target, `people` is approval, freeze and calls for a person,
//! `pauses` what is left alone for a while, `trust` how far a plan may go by itself.

mod plans;

mod orders;

mod outcomes;

mod verify;

mod credit;

mod people;

mod around;

mod pauses;

mod undo;

mod trust;

mod outlook;

pub use outlook::Outlook;

use std::collections::{BTreeMap, BTreeSet};

use model::{
    Action, Entity, Incident, IncidentId, IncidentState, Plan, PlanId, PlanState, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::autonomy::Autonomy;
use crate::config::Config;
use crate::pause::Pause;
use crate::proposals::{Proposals, StepInput};
use crate::record::{Freeze, NOTES_PER_PLAN_MAX, Record, StormSeen, TargetMemory};
use crate::surroundings::Surroundings;
use crate::target::Target;

use people::Call;

/// Plans remembered, ended ones included; the oldest ended ones are forgotten first.
pub const PLANS_MAX: usize = 1_000;
/// Plans of one incident: a cause that keeps changing is for a person.
pub const PLANS_PER_INCIDENT_MAX: usize = 8;

/// Plans, their guardrails' memory, and the configuration in force. All of it is state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Healer {
    config: Config,
    targets: BTreeMap<String, Target>,
    id_prefix: String,
    records: BTreeMap<PlanId, Record>,
    plans_made: u64,
    memory: BTreeMap<String, TargetMemory>,
    /// Times of the orders of the last hour.
    ordered: Vec<Timestamp>,
    frozen: Option<Freeze>,
    pauses: Vec<Pause>,
    hold: Option<String>,
    surroundings: Surroundings,
    autonomy: Autonomy,
    storm: Option<StormSeen>,
    /// What each incident's people were already called for, since it was opened last.
    calls: BTreeMap<IncidentId, BTreeSet<Call>>,
    /// Incidents that were resolved when last seen.
    resolved: BTreeSet<IncidentId>,
}

impl Healer {
    /// `id_prefix` begins every action id and must be the store's own, so that two servers never
    /// use the same id. The configuration should have been validated: a policy that does not fit
    /// its target never acts.
    pub fn new(config: Config, targets: Vec<Target>, id_prefix: String) -> Healer {
        let mut healer = Healer {
            config: Config::default(),
            targets: BTreeMap::new(),
            id_prefix,
            records: BTreeMap::new(),
            plans_made: 0,
            memory: BTreeMap::new(),
            ordered: Vec::new(),
            frozen: None,
            pauses: Vec::new(),
            hold: None,
            surroundings: Surroundings::default(),
            autonomy: Autonomy::default(),
            storm: None,
            calls: BTreeMap::new(),
            resolved: BTreeSet::new(),
        };
        healer.reload(config, targets);
        healer
    }

    /// With what every action id begins.
    pub fn id_prefix(&self) -> &str {
        &self.id_prefix
    }

    /// The number given last, also when that plan is forgotten; zero before the first.
    pub fn last_id(&self) -> PlanId {
        PlanId(self.plans_made)
    }

    /// Numbers further plans after `id`, so that no action's id is ever used again: for a state
    /// begun anew beside an old journal.
    pub fn continue_after(&mut self, id: PlanId) {
        self.plans_made = self.plans_made.max(id.0);
    }

    /// Takes another configuration. Waiting plans whose policy changed are withdrawn at the next
    /// step; actions under way go on by the policy that ordered them.
    pub fn reload(&mut self, config: Config, targets: Vec<Target>) {
        self.config = config;
        self.targets = targets.into_iter().map(|target| (target.name.clone(), target)).collect();
        self.memory.retain(|name, _| self.targets.contains_key(name));
        for name in self.targets.keys() {
            self.memory.entry(name.clone()).or_default();
        }
    }

    /// One step, each second.
    pub fn step(&mut self, input: &StepInput<'_>) -> Proposals {
        let mut out = Proposals::default();
        let now = input.now;
        let incidents: BTreeMap<IncidentId, &Incident> =
            input.incidents.iter().map(|incident| (incident.id, *incident)).collect();
        self.end_pauses(now, &mut out);
        self.see(input, &incidents, &mut out);
        self.expire_orders(now, &mut out);
        self.verify(input, &incidents, &mut out);
        self.undo_all(now, &incidents, &mut out);
        self.follow_causes(&incidents, &mut out);
        self.fall_back(now, &mut out);
        self.withdraw(now, &incidents, &mut out);
        self.make_plans(now, &incidents, &mut out);
        for id in self.ids(|record| !record.is_final() || record.plan.state == PlanState::DryRun) {
            self.decide(id, now, &incidents, &mut out);
        }
        self.call_people(now, &incidents, &mut out);
        self.forget(&incidents);
        out
    }

    /// Remembered plans, oldest first.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.records.values().map(|record| &record.plan)
    }

    pub fn plan(&self, id: PlanId) -> Option<&Plan> {
        self.records.get(&id).map(|record| &record.plan)
    }

    /// Orders whose outcome is not known.
    pub fn in_flight(&self) -> Vec<&Action> {
        self.records.values().filter_map(in_flight).collect()
    }

    /// Who froze healing, if anybody did.
    pub fn frozen(&self) -> Option<&Freeze> {
        self.frozen.as_ref()
    }

    /// Why nothing may be done just now, whatever people say.
    pub fn held(&self) -> Option<&str> {
        self.hold.as_deref()
    }

    /// Is a deploy of the service under way (G-16)?
    pub fn is_deployed(&self, service: &Entity, now: Timestamp) -> bool {
        self.surroundings.deploy(service, now, &self.config.guardrails).is_some()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    fn see(
        &mut self,
        input: &StepInput<'_>,
        incidents: &BTreeMap<IncidentId, &Incident>,
        out: &mut Proposals,
    ) {
        for report in input.processes {
            if let Some(memory) = self.memory.get_mut(&report.target) {
                memory.see(report, input.now);
            }
        }
        if self.hold != input.hold {
            out.remarks.push(match &input.hold {
                Some(why) => format!("healing is held: {why}"),
                None => "healing is no longer held".to_owned(),
            });
            self.hold.clone_from(&input.hold);
        }
        for incident in incidents.values() {
            self.see_state(incident);
        }
        self.look_around(input, incidents);
        out.remarks.extend(self.see_storm(input.now));
        for record in self.records.values_mut().filter(|record| !record.is_final()) {
            record.see(incidents.get(&record.plan.incident).copied());
            let memory = self.memory.get(&record.plan.target);
            let report = memory.and_then(|memory| memory.report.as_ref());
            if let Some(process) = report.and_then(|report| credit::started(record, report)) {
                record.started = Some(process.clone());
            }
        }
    }

    /// An incident that was resolved and is open again begins anew: what was tried and said before
    /// is over.
    fn see_state(&mut self, incident: &Incident) {
        if incident.state == IncidentState::Resolved {
            self.resolved.insert(incident.id);
        } else if self.resolved.remove(&incident.id) {
            self.calls.remove(&incident.id);
            let of_incident = |record: &&mut Record| record.plan.incident == incident.id;
            self.records.values_mut().filter(of_incident).for_each(Record::open_again);
        }
    }

    /// Plans of the incident since it was opened last.
    fn of_opening(&self, incident: IncidentId) -> impl Iterator<Item = &Record> {
        let records = self.records.values();
        records.filter(move |record| record.plan.incident == incident && !record.past)
    }

    /// Numbers of the plans for which it holds, oldest first.
    fn ids(&self, holds: impl Fn(&Record) -> bool) -> Vec<PlanId> {
        self.records.iter().filter(|(_, record)| holds(record)).map(|(id, _)| *id).collect()
    }

    fn enter(
        &mut self,
        id: PlanId,
        state: PlanState,
        reason: &str,
        now: Timestamp,
        out: &mut Proposals,
    ) {
        let Some(record) = self.records.get_mut(&id) else { return };
        if record.enter(state, reason, now) {
            out.change(id);
            note(record, &state_text(state, reason), out);
        }
    }

    /// Forgets what is no longer needed.
    fn forget(&mut self, incidents: &BTreeMap<IncidentId, &Incident>) {
        self.calls.retain(|incident, _| incidents.contains_key(incident));
        let surplus = self.records.len().saturating_sub(PLANS_MAX);
        for id in self.ids(|record| !is_needed(record, incidents)).into_iter().take(surplus) {
            self.records.remove(&id);
        }
        let planned = self.records.values().map(|record| record.plan.incident);
        let known: BTreeSet<IncidentId> = planned.chain(incidents.keys().copied()).collect();
        self.resolved.retain(|incident| known.contains(incident));
    }
}

/// The plan's order whose outcome is not known.
fn in_flight(record: &Record) -> Option<&Action> {
    match record.plan.state {
        PlanState::Running => record.last_action(),
        PlanState::Undoing => {
            let undo = record.last_undo().filter(|undo| undo.outcome.is_none());
            undo.map(|undo| &undo.action)
        }
        _ => None,
    }
}

/// Does it still bear on what is done?
fn is_needed(record: &Record, incidents: &BTreeMap<IncidentId, &Incident>) -> bool {
    let is_present = incidents.contains_key(&record.plan.incident) && !record.past;
    !record.is_final() || is_present
}

/// Adds a line to the timeline of the plan's incident: `plan 3: restart orders …`.
fn note(record: &mut Record, text: &str, out: &mut Proposals) {
    // Orders and ends are few and always told.
    let always = record.is_final() || record.plan.state == PlanState::Running;
    if record.notes >= NOTES_PER_PLAN_MAX && !always {
        return;
    }
    record.notes = record.notes.saturating_add(1);
    let plan = &record.plan;
    let text = format!("plan {}: {} {} {text}", plan.id, plan.kind, plan.target);
    out.notes.push((plan.incident, text));
}

fn state_text(state: PlanState, reason: &str) -> String {
    match state {
        PlanState::Held => format!("held: {reason}"),
        PlanState::AwaitingApproval => format!("awaits approval: {reason}"),
        PlanState::Running => format!("ordered ({reason})"),
        PlanState::Verifying => format!("is being verified: {reason}"),
        PlanState::Undoing => format!("is taken back: {reason}"),
        PlanState::BackingOff => format!("backs off: {reason}"),
        PlanState::DryRun => reason.to_owned(),
        PlanState::Verified => format!("verified: {reason}"),
        PlanState::GaveUp => format!("given up: {reason}"),
        PlanState::Denied => format!("denied: {reason}"),
        PlanState::Withdrawn => format!("withdrawn: {reason}"),
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod properties;

#[cfg(test)]
mod model_check;
