//! The run of a drill as a state machine: looks in, orders out, once a second.
//!
//! steady → injecting → watching → undoing → done. It ends early when nothing is left to wait for,
//! and at once when it has to be aborted; the undo is ordered on every way out once the fault was.

use model::experiment::{Decision, Experiment, Scorecard};
use model::symptom::{Health, ObjectiveState, SymptomKind};
use model::{Entity, Incident, IncidentState, Plan, Symptom, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::client::ClientLog;
use crate::scorecard;

/// How long the objectives may take to be well before the drill gives up.
const STEADY_WITHIN: std::time::Duration = std::time::Duration::from_secs(120);
/// How long injecting and undoing may take.
const INJECTOR_WITHIN: std::time::Duration = std::time::Duration::from_secs(60);
/// A recovery is believed when users' requests went well for this long.
pub(crate) const RECOVERED_FOR: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Drill {
    pub experiment: Experiment,
    pub started: Timestamp,
    pub phase: Phase,
    /// When the present phase began.
    pub since: Timestamp,
    pub steady_since: Option<Timestamp>,
    pub abort: Option<String>,
    pub progress: Vec<(Timestamp, String)>,
    /// Incidents that were there before the drill; none of its business unless they open again.
    before: u64,
    /// When the steady state was reached: no incident was open then.
    #[serde(default)]
    struck: Option<Timestamp>,
    /// Since when an objective of the steady state has not been well.
    #[serde(default)]
    unwell_since: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Steady,
    Injecting,
    Watching,
    Undoing,
    Done,
}

/// What the injector (an agent) says of the fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultView {
    pub injected_at: Option<Timestamp>,
    /// Seen by a look at the target that does not go through the injector.
    pub effective_at: Option<Timestamp>,
    pub undone_at: Option<Timestamp>,
    /// The target ran again before the drill undid anything.
    pub found_healed: bool,
    pub refused: Option<String>,
    /// It was injected and no effect was seen: what was seen instead.
    #[serde(default)]
    pub ineffective: Option<String>,
}

/// What the drill may look at.
pub struct View<'a> {
    pub now: Timestamp,
    pub objectives: &'a [ObjectiveState],
    /// All incidents known, oldest first.
    pub incidents: &'a [&'a Incident],
    pub plans: &'a [&'a Plan],
    pub fault: &'a FaultView,
    pub client: Option<&'a ClientLog>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Inject,
    Undo,
}

impl Drill {
    /// `last_incident` is the number of the newest incident at the start.
    pub fn new(experiment: Experiment, now: Timestamp, last_incident: u64) -> Self {
        let mut drill = Drill {
            experiment,
            started: now,
            phase: Phase::Steady,
            since: now,
            steady_since: None,
            abort: None,
            progress: Vec::new(),
            before: last_incident,
            struck: None,
            unwell_since: None,
        };
        drill.say(now, format!("drill: {}", drill.experiment.title));
        drill
    }

    /// One look. At most one order comes out.
    pub fn step(&mut self, view: &View<'_>) -> Option<Order> {
        match self.phase {
            Phase::Steady => self.steady(view),
            Phase::Injecting => self.injecting(view),
            Phase::Watching => self.watching(view),
            Phase::Undoing => self.undoing(view),
            Phase::Done => None,
        }
    }

    /// Ends the drill for a reason from outside.
    pub fn stop(&mut self, now: Timestamp, why: &str) -> Option<Order> {
        if matches!(self.phase, Phase::Undoing | Phase::Done) {
            return None;
        }
        self.say(now, format!("aborted: {why}"));
        self.abort = Some(why.to_owned());
        self.wind_down(now)
    }

    pub fn scorecard(&self, view: &View<'_>) -> Scorecard {
        scorecard::score(self, view)
    }

    /// Incidents that were opened while this drill ran, for the first time or again.
    pub fn incidents<'a>(&self, view: &View<'a>) -> Vec<&'a Incident> {
        let again = |incident: &Incident| {
            self.struck.is_some_and(|struck| incident.resolved.is_none_or(|at| at > struck))
        };
        let own = |incident: &&Incident| incident.id.0 > self.before || again(incident);
        view.incidents.iter().copied().filter(own).collect()
    }

    /// Services that an incident hurts since the steady state: one that opened again still tells of
    /// those that it hurt before.
    pub(crate) fn hurt<'a>(&self, incident: &'a Incident) -> impl Iterator<Item = &'a Entity> {
        let from = self.from();
        incident.impact.services.iter().filter(move |service| {
            let is_own = |symptom: &&Symptom| symptom.entity.owner().as_ref() == Some(*service);
            let mut own = incident.symptoms.iter().filter(is_own).peekable();
            own.peek().is_none() || own.any(|symptom| symptom.detected >= from)
        })
    }

    /// From when on what an incident tells may be about this drill.
    pub(crate) fn from(&self) -> Timestamp {
        self.struck.unwrap_or(self.started)
    }

    fn steady(&mut self, view: &View<'_>) -> Option<Order> {
        let well = self.unwell(view).is_none();
        let quiet = !view.incidents.iter().any(|i| i.state != IncidentState::Resolved);
        if !(well && quiet) {
            self.steady_since = None;
            if view.now.since(self.since) > STEADY_WITHIN {
                let why = match quiet {
                    true => "the steady state was not reached: objectives are not well",
                    false => "the steady state was not reached: an incident is open",
                };
                return self.stop(view.now, why);
            }
            return None;
        }
        let since = *self.steady_since.get_or_insert(view.now);
        if view.now.since(since) < self.experiment.steady_state.held_for.0 {
            return None;
        }
        self.struck = Some(view.now);
        match &self.experiment.fault {
            Some(fault) => {
                let text = format!("steady; {} on {}", fault.as_str(), self.experiment.target);
                self.enter(view.now, Phase::Injecting, text);
                Some(Order::Inject)
            }
            None => {
                self.enter(view.now, Phase::Watching, "steady; placebo, nothing is done".into());
                None
            }
        }
    }

    fn unwell<'a>(&'a self, view: &'a View<'_>) -> Option<&'a str> {
        unwell(&self.experiment.steady_state.slos, view.objectives).next()
    }

    fn injecting(&mut self, view: &View<'_>) -> Option<Order> {
        if let Some(why) = &view.fault.refused {
            let why = format!("the fault was refused: {why}");
            self.say(view.now, why.clone());
            self.abort = Some(why);
            self.enter(view.now, Phase::Done, "nothing was done".into());
            return None;
        }
        if view.fault.effective_at.is_some() {
            self.enter(view.now, Phase::Watching, "the fault took effect".into());
        } else if let Some(seen) = &view.fault.ineffective {
            return self.stop(view.now, &format!("the fault did not take effect: {seen}"));
        } else if view.now.since(self.since) > INJECTOR_WITHIN {
            return self.stop(view.now, "the fault did not take effect within 60 s");
        }
        None
    }

    fn watching(&mut self, view: &View<'_>) -> Option<Order> {
        self.narrate(view);
        self.unwell_since = match self.unwell(view) {
            Some(_) => self.unwell_since.or(Some(view.now)),
            None => None,
        };
        if let Some(why) = self.must_abort(view) {
            return self.stop(view.now, &why);
        }
        let watched = view.now.since(self.since);
        let over = watched >= self.experiment.observe.0 || self.nothing_left(view);
        if over || view.fault.undone_at.is_some() {
            return self.wind_down(view.now);
        }
        None
    }

    fn undoing(&mut self, view: &View<'_>) -> Option<Order> {
        if view.fault.undone_at.is_some() {
            self.enter(view.now, Phase::Done, "the fault is undone".into());
            return None;
        }
        if view.now.since(self.since) > INJECTOR_WITHIN {
            self.abort.get_or_insert("the undo was not confirmed within 60 s".to_owned());
            self.enter(view.now, Phase::Done, "the undo was not confirmed".into());
        }
        None
    }

    fn wind_down(&mut self, now: Timestamp) -> Option<Order> {
        let ordered = self.experiment.fault.is_some() && self.phase != Phase::Steady;
        if ordered {
            self.enter(now, Phase::Undoing, "undoing the fault".into());
            return Some(Order::Undo);
        }
        self.enter(now, Phase::Done, "done".into());
        None
    }

    fn must_abort(&self, view: &View<'_>) -> Option<String> {
        if let (Some(limit), Some(client)) = (self.experiment.abort.harmed_requests, view.client) {
            let row = client.harmed_in_a_row();
            if row >= limit {
                return Some(format!("{row} requests in a row were harmed, limit {limit}"));
            }
        }
        if let (Some(limit), Some(since)) = (self.experiment.abort.not_well_for, self.unwell_since)
            && view.now.since(since) >= limit.0
        {
            let name = self.unwell(view).unwrap_or_default();
            return Some(format!("the objective {name} has not been well for {limit}"));
        }
        if !self.experiment.abort.outside_blast_radius {
            return None;
        }
        let allowed = &self.experiment.blast_radius.services;
        let incidents = self.incidents(view);
        let outside = incidents
            .iter()
            .flat_map(|incident| self.hurt(incident))
            .find(|service| !allowed.contains(&service.name))?;
        Some(format!("{outside} has a symptom and lies outside the blast radius"))
    }

    /// An incident was opened, healed and resolved, nothing else is open, and every plan has its
    /// verdict.
    fn nothing_left(&self, view: &View<'_>) -> bool {
        let incidents = self.incidents(view);
        let own = |plan: &Plan| incidents.iter().any(|incident| incident.id == plan.incident);
        self.experiment.expect.decision == Decision::Heal
            && !incidents.is_empty()
            && incidents.iter().all(|incident| incident.state == IncidentState::Resolved)
            && view.plans.iter().all(|plan| plan.state.is_final() || !own(plan))
    }

    fn narrate(&mut self, view: &View<'_>) {
        let incidents = self.incidents(view);
        let mut lines: Vec<(Timestamp, String)> = Vec::new();
        if let Some(client) = view.client {
            let from = view.fault.injected_at.unwrap_or(self.since);
            if let Some(first) = client.harmed(from, view.now).first {
                lines.push((first, "users: first harmed request".to_owned()));
            }
        }
        for incident in incidents {
            for entry in incident.timeline.iter().filter(|entry| entry.at >= self.from()) {
                lines.push((entry.at, format!("incident {}: {}", incident.id, entry.text)));
            }
        }
        lines.sort();
        for (at, text) in lines {
            if !self.progress.iter().any(|(_, known)| *known == text) {
                self.say(at, text);
            }
        }
    }

    fn enter(&mut self, now: Timestamp, phase: Phase, text: String) {
        self.phase = phase;
        self.since = now;
        self.say(now, text);
    }

    fn say(&mut self, at: Timestamp, text: String) {
        const LINES_MAX: usize = 500;
        if self.progress.len() < LINES_MAX {
            self.progress.push((at, text));
        }
    }
}

/// A latency limit that is still being learned says nothing against the steady state.
fn is_well(state: &ObjectiveState) -> bool {
    let unlearned = state.kind == SymptomKind::LatencyBurn && state.threshold_seconds.is_none();
    state.health == Health::Well || (unlearned && state.health == Health::Learning)
}

/// The objectives among these that are not well, or tell nothing.
pub fn unwell<'a>(
    names: &'a [String],
    objectives: &'a [ObjectiveState],
) -> impl Iterator<Item = &'a str> {
    let is_well = |name: &str| {
        let mut states = named(objectives, name).peekable();
        states.peek().is_some() && states.all(is_well)
    };
    names.iter().map(String::as_str).filter(move |name| !is_well(name))
}

/// Those of which less than `least` (0–1) of the error budget is left, and what is.
pub fn poor<'a>(
    names: &'a [String],
    objectives: &'a [ObjectiveState],
    least: f64,
) -> impl Iterator<Item = (&'a str, f64)> {
    let left = move |name: &'a String| {
        let left = named(objectives, name).filter_map(|state| state.budget_left);
        let left = left.min_by(f64::total_cmp).filter(|left| *left < least)?;
        Some((name.as_str(), left))
    };
    names.iter().filter_map(left)
}

/// Objectives by their own name or by the name of their service.
fn named<'a>(
    objectives: &'a [ObjectiveState],
    name: &str,
) -> impl Iterator<Item = &'a ObjectiveState> {
    objectives.iter().filter(move |state| {
        state.source == name || state.entity.owner().is_some_and(|owner| owner.name == name)
    })
}

#[cfg(test)]
mod tests;
