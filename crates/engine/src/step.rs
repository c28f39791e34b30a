//! `Engine::step`: the immune response on one screen.

use std::collections::{BTreeMap, BTreeSet};

use detect::Detectors;
use diagnose::Diagnoser;
use model::symptom::{Observed, SymptomKey};
use model::tick::{ProcessReport, Tick};
use model::{Action, Incident, IncidentId, IncidentState, Outcome, Plan, PlanId};
use model::{Symptom, Timestamp};
use remediate::{Healer, Proposals, StepInput};
use serde::{Deserialize, Serialize};

use crate::event::{Event, EventKind, IncidentReason};
use crate::{Command, Config, Sample};

/// Detection, diagnosis and healing over ticks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Engine {
    config: Config,
    pub detectors: Detectors,
    pub diagnoser: Diagnoser,
    pub healer: Healer,
    observed: Observed,
    /// Latest report of each target's process.
    processes: BTreeMap<String, ProcessReport>,
    now: Timestamp,
    calm_until: Timestamp,
    known_before_gap: BTreeSet<SymptomKey>,
    /// First seen while catching up, and not yet let through.
    withheld: BTreeSet<SymptomKey>,
    next_event: u64,
}

pub enum Input {
    Advance(Box<Tick>),
    Outcome(Timestamp, Outcome),
    Command(Timestamp, String, Command),
    Reload(Timestamp, Box<Config>),
}

/// What is to be journalled, and then done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Effects {
    pub events: Vec<Event>,
    /// To be handed to the executor after the events are durable.
    pub orders: Vec<Action>,
    /// What ticks counted, for whoever stores it; nothing in the loop reads them.
    pub samples: Vec<Sample>,
    /// The answer to a command.
    pub reply: Option<Result<String, String>>,
}

impl Engine {
    /// `id_prefix` makes action ids unique across data folders.
    pub fn new(config: Config, id_prefix: &str) -> Self {
        let healer =
            Healer::new(config.remediate.clone(), config.targets.clone(), id_prefix.to_owned());
        Engine {
            detectors: Detectors::new(config.detect.clone()),
            diagnoser: Diagnoser::new(config.diagnose.clone()),
            healer,
            config,
            observed: Observed::default(),
            processes: BTreeMap::new(),
            now: Timestamp::ZERO,
            calm_until: Timestamp::ZERO,
            known_before_gap: BTreeSet::new(),
            withheld: BTreeSet::new(),
            next_event: 1,
        }
    }

    pub fn step(&mut self, input: Input) -> Effects {
        match input {
            Input::Advance(tick) => self.advance(&tick),
            Input::Outcome(now, outcome) => self.outcome(now, &outcome),
            Input::Command(now, by, command) => self.command(now, by, command),
            Input::Reload(now, config) => self.reload(now, *config),
        }
    }

    fn advance(&mut self, tick: &Tick) -> Effects {
        let mut effects = Effects::default();
        self.notice_gap(tick.now, &mut effects);
        for change in &tick.changes {
            self.event(tick.now, EventKind::Change { change: change.clone() }, &mut effects);
        }
        for report in &tick.processes {
            self.processes.insert(report.target.clone(), report.clone());
        }
        self.detectors.set_incident_services(self.diagnoser.incident_services());

        let observed = self.detectors.step(tick); // symptoms
        self.observed = self.calm(observed);
        let diagnosis = self.diagnoser.step(tick, &self.observed); // grouped, cause-ranked
        let proposals = self.heal(tick, &diagnosis.ended); // plans with guardrail verdicts

        let told = [
            (diagnosis.opened, IncidentReason::Opened),
            (diagnosis.changed, IncidentReason::Changed),
            (diagnosis.ended, IncidentReason::Resolved),
        ];
        self.tell(tick.now, told.into_iter().collect(), proposals, &mut effects);
        effects
    }

    /// The healer also sees the incidents that ended just now, so that their plans end with them.
    fn heal(&mut self, tick: &Tick, ended: &[IncidentId]) -> Proposals {
        let now = tick.now;
        let just_ended = ended.iter().filter_map(|id| self.diagnoser.incident(*id));
        let incidents: Vec<&Incident> = self.diagnoser.active().chain(just_ended).collect();
        let calm = now < self.calm_until;
        self.healer.step(&StepInput {
            now,
            incidents,
            objectives: &self.observed.objectives,
            processes: &tick.processes,
            tick: Some(tick),
            hold: calm.then(|| format!("catching up until {}", self.calm_until.clock())),
        })
    }

    /// Notes a gap in the steps: Immune's own trouble pages nobody and heals nothing.
    fn notice_gap(&mut self, now: Timestamp, effects: &mut Effects) {
        let away = now.since(self.now);
        let first = self.now == Timestamp::ZERO;
        self.now = now.max(self.now);
        if first || !self.config.catch_up.is_gap(away) {
            return;
        }
        self.calm_until = now + self.config.catch_up.calm.0;
        self.known_before_gap = self.observed.firing.iter().map(|s| s.key()).collect();
        let kind = EventKind::CatchingUp { away_seconds: away.as_secs(), until: self.calm_until };
        self.event(now, kind, effects);
    }

    /// While catching up only trouble that was known before goes on. What was first seen meanwhile
    /// counts afterwards only if it still hurts: a backlog tells of trouble that may long be over.
    fn calm(&mut self, mut observed: Observed) -> Observed {
        let calm = self.now < self.calm_until;
        let firing: BTreeSet<SymptomKey> = observed.firing.iter().map(Symptom::key).collect();
        self.withheld.retain(|key| firing.contains(key));
        if calm {
            let new = firing.difference(&self.known_before_gap).cloned();
            self.withheld.extend(new);
        }
        let withheld = &mut self.withheld;
        observed.firing.retain(|symptom| {
            let key = symptom.key();
            let still_hurts = !calm && symptom.recovering_since.is_none();
            !withheld.contains(&key) || (still_hurts && withheld.remove(&key))
        });
        observed
    }

    /// True when the clock was set back by more than a late step explains.
    pub(crate) fn is_set_back(&self, now: Timestamp) -> bool {
        self.config.catch_up.is_gap(self.now.since(now))
    }

    /// Begins anew at an earlier time: nothing that was timed by the wrong clock can be trusted.
    /// Open incidents end without proof, numbers go on, a freeze stays.
    pub(crate) fn start_anew(&mut self, now: Timestamp) -> Effects {
        let mut effects = Effects::default();
        let seconds = self.now.since(now).as_secs();
        self.event(now, EventKind::ClockSetBack { seconds }, &mut effects);
        let open: Vec<IncidentId> = self.diagnoser.active().map(|incident| incident.id).collect();
        for id in open {
            self.diagnoser.close(id, "the clock, which was set back", now);
            let Some(incident) = self.diagnoser.incident(id).cloned() else { continue };
            let (reason, incident) = (IncidentReason::Resolved, Box::new(incident));
            self.event(now, EventKind::Incident { reason, incident }, &mut effects);
        }
        let (last_incident, last_plan) = (self.diagnoser.last_id(), self.healer.last_id());
        let mut anew = Engine::new(self.config.clone(), self.healer.id_prefix());
        anew.continue_after(self.next_event - 1, last_incident, last_plan);
        if let Some(freeze) = self.healer.frozen() {
            anew.healer.freeze(&freeze.who, &freeze.reason, now);
        }
        anew.healer.take_over_autonomy(&self.healer);
        anew.healer.take_over_pauses(self.healer.pauses(), self.now, now);
        anew.now = now;
        anew.calm_until = now + self.config.catch_up.calm.0;
        *self = anew;
        effects
    }

    fn outcome(&mut self, now: Timestamp, outcome: &Outcome) -> Effects {
        let mut effects = Effects::default();
        self.event(now, EventKind::Outcome { outcome: outcome.clone() }, &mut effects);
        let proposals = self.healer.outcome(now, outcome);
        self.tell(now, Vec::new(), proposals, &mut effects);
        effects
    }

    fn command(&mut self, now: Timestamp, by: String, command: Command) -> Effects {
        let mut effects = Effects::default();
        let mut incidents = Vec::new();
        let result = match &command {
            Command::Approve { plan } => {
                self.healer.approve(*plan, &by, now).map_err(|error| error.to_string())
            }
            Command::Deny { plan } => {
                self.healer.deny(*plan, &by, now).map_err(|error| error.to_string())
            }
            Command::Freeze { reason } => Ok(self.healer.freeze(&by, reason, now)),
            Command::Thaw => Ok(self.healer.thaw(&by, now)),
            Command::Pause { name, what, length, reason } => self
                .healer
                .pause(name, what.clone(), *length, (&by, reason), now)
                .map_err(|error| error.to_string()),
            Command::Resume { name } => {
                self.healer.resume(name, &by).map_err(|error| error.to_string())
            }
            Command::Acknowledge { incident } => {
                match self.diagnoser.acknowledge(*incident, &by, now) {
                    true => {
                        incidents.push((vec![*incident], IncidentReason::Updated));
                        Ok(Proposals::default())
                    }
                    false => Err(format!("there is no incident {incident}")),
                }
            }
            Command::Close { incident } => match self.diagnoser.close(*incident, &by, now) {
                true => {
                    incidents.push((vec![*incident], IncidentReason::Resolved));
                    Ok(Proposals::default())
                }
                false => Err(format!("there is no open incident {incident}")),
            },
            Command::Relearn { objective } => match self.detectors.relearn(objective, now) {
                0 => Err(format!("there is no learned objective `{objective}`")),
                _ => Ok(Proposals::default()),
            },
        };
        let (reply, proposals) = match result {
            Ok(proposals) => (Ok("done".to_owned()), proposals),
            Err(error) => (Err(error), Proposals::default()),
        };
        let text = reply.clone().unwrap_or_else(|error| format!("refused: {error}"));
        self.event(now, EventKind::Command { by, command, result: text }, &mut effects);
        self.tell(now, incidents, proposals, &mut effects);
        effects.reply = Some(reply);
        effects
    }

    fn reload(&mut self, now: Timestamp, config: Config) -> Effects {
        let mut effects = Effects::default();
        self.detectors.reload(config.detect.clone());
        self.diagnoser.reload(config.diagnose.clone());
        self.healer.reload(config.remediate.clone(), config.targets.clone());
        let config_crc = crate::snapshot::fingerprint(&config);
        self.config = config;
        let kind = EventKind::Reload { engine_version: crate::VERSION, config_crc };
        self.event(now, kind, &mut effects);
        effects
    }

    /// Turns what the parts report into events, each incident told of once and with its weightiest
    /// reason.
    fn tell(
        &mut self,
        now: Timestamp,
        told: Vec<(Vec<IncidentId>, IncidentReason)>,
        proposals: Proposals,
        effects: &mut Effects,
    ) {
        let mut reasons: BTreeMap<IncidentId, IncidentReason> = BTreeMap::new();
        let weigh = |id, reason, reasons: &mut BTreeMap<IncidentId, IncidentReason>| {
            let known = reasons.entry(id).or_insert(reason);
            *known = (*known).min(reason);
        };
        for (ids, reason) in told {
            ids.into_iter().for_each(|id| weigh(id, reason, &mut reasons));
        }
        for (id, text) in proposals.notes {
            self.diagnoser.note(id, now, &text);
            weigh(id, IncidentReason::Updated, &mut reasons);
        }
        for (id, why) in proposals.needs_human {
            self.diagnoser.needs_human(id, &why);
            self.diagnoser.note(id, now, &why);
            weigh(id, IncidentReason::NeedsHuman, &mut reasons);
        }
        for text in proposals.remarks {
            self.event(now, EventKind::Remark { text }, effects);
        }
        let changed: Vec<Plan> =
            proposals.changed.iter().filter_map(|id| self.healer.plan(*id).cloned()).collect();
        for plan in &changed {
            self.diagnoser.attach_plan(plan.incident, plan.id);
        }
        for (id, reason) in reasons {
            let Some(incident) = self.diagnoser.incident(id).cloned() else { continue };
            let incident = Box::new(incident);
            self.event(now, EventKind::Incident { reason, incident }, effects);
        }
        for plan in changed {
            self.event(now, EventKind::Plan { plan: Box::new(plan) }, effects);
        }
        for action in proposals.orders {
            let kind = EventKind::Order { action: Box::new(action.clone()) };
            self.event(now, kind, effects);
            effects.orders.push(action);
        }
    }

    fn event(&mut self, at: Timestamp, kind: EventKind, effects: &mut Effects) {
        effects.events.push(Event { seq: self.next_event, at, kind });
        self.next_event += 1;
    }

    /// Goes on numbering after what a journal holds already: for a state begun anew beside it.
    pub fn continue_after(&mut self, event: u64, incident: IncidentId, plan: PlanId) {
        self.next_event = self.next_event.max(event + 1);
        self.diagnoser.continue_after(incident);
        self.healer.continue_after(plan);
    }

    /// Number of the newest event; 0 before the first.
    pub fn last_event(&self) -> u64 {
        self.next_event - 1
    }

    /// What the detectors said last.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Paging and healing rest until this time after an outage of Immune itself.
    pub fn calm_until(&self) -> Option<Timestamp> {
        (self.now < self.calm_until).then_some(self.calm_until)
    }

    pub fn processes(&self) -> impl Iterator<Item = &ProcessReport> {
        self.processes.values()
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Incidents that still hurt, or were hurt and are not yet resolved.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.diagnoser.active().filter(|incident| incident.state != IncidentState::Resolved)
    }

    pub fn plan(&self, id: PlanId) -> Option<&Plan> {
        self.healer.plan(id)
    }
}
