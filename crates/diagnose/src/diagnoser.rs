//! The step: ticks and symptoms in, incidents with causes out.

use std::collections::{BTreeMap, BTreeSet};

use model::symptom::{Observed, SymptomKey};
use model::{Entity, Incident, IncidentId, IncidentState, PlanId, Severity, Symptom};
use model::{Tick, Timestamp};
use serde::{Deserialize, Serialize};

use crate::assess;
use crate::causes::{change, unknown};
use crate::config::Config;
use crate::group;
use crate::known::Known;
use crate::leads::Window;
use crate::record::Record;
use crate::walk::Trouble;

/// Incidents kept in all; beyond, the one that ended first is forgotten, and when none has ended,
/// new symptoms find no place and are counted.
const INCIDENTS_MAX: usize = 1_000;
/// Changes on the path that a timeline tells of.
const CHANGES_TOLD_MAX: usize = 50;

/// What one step did. An incident is named in one list at most.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    pub opened: Vec<IncidentId>,
    /// Something that a person would read differently: state, symptoms, causes, confidence by a
    /// tenth.
    pub changed: Vec<IncidentId>,
    pub ended: Vec<IncidentId>,
    /// Symptoms that found no place because of the bound on incidents.
    pub left_out: u64,
}

/// Holds everything that diagnosis knows; saved whole in snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnoser {
    config: Config,
    known: Known,
    records: BTreeMap<IncidentId, Record>,
    last_id: u64,
}

impl Diagnoser {
    pub fn new(config: Config) -> Self {
        Diagnoser { config, known: Known::default(), records: BTreeMap::new(), last_id: 0 }
    }

    /// Takes new settings; incidents keep their course.
    pub fn reload(&mut self, config: Config) {
        self.config = config;
    }

    pub fn step(&mut self, tick: &Tick, observed: &Observed) -> Diagnosis {
        let now = tick.now;
        self.known.take(tick);
        let firing: BTreeMap<SymptomKey, &Symptom> =
            observed.firing.iter().map(|symptom| (symptom.key(), symptom)).collect();
        let was_active: BTreeSet<IncidentId> = self.active().map(|incident| incident.id).collect();
        for record in self.records.values_mut().filter(|record| record.is_active()) {
            update_symptoms(record, &firing, observed, now);
        }
        let mut diagnosis = Diagnosis::default();
        let touched = self.place_new(&firing, now, &mut diagnosis);
        for id in was_active.union(&touched) {
            let Some(record) = self.records.get_mut(id) else { continue };
            let told = follow(record, &self.known, &self.config, now, touched.contains(id));
            if diagnosis.opened.contains(id) {
                continue;
            }
            if record.incident.state == IncidentState::Resolved {
                diagnosis.ended.push(*id);
            } else if told {
                diagnosis.changed.push(*id);
            }
        }
        self.forget_ended(self.config.ended_kept);
        diagnosis
    }

    /// Numbers further incidents after `id`: for a state begun anew beside an old journal.
    pub fn continue_after(&mut self, id: IncidentId) {
        self.last_id = self.last_id.max(id.0);
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.records.get(&id).map(|record| &record.incident)
    }

    /// Incidents that are open or mitigated, oldest first.
    pub fn active(&self) -> impl Iterator<Item = &Incident> {
        self.records.values().filter(|record| record.is_active()).map(|record| &record.incident)
    }

    /// Everything that is kept, oldest first.
    pub fn incidents(&self) -> impl Iterator<Item = &Incident> {
        self.records.values().map(|record| &record.incident)
    }

    /// Services that are hurt or blamed in an active incident: their figures are no baseline now.
    pub fn incident_services(&self) -> BTreeSet<Entity> {
        let confidence_min = self.config.cause_confidence_min;
        let entities = self.active().flat_map(|incident| {
            let blamed = incident
                .causes
                .iter()
                .filter(move |cause| cause.confidence >= confidence_min)
                .map(|cause| &cause.entity);
            incident.symptoms.iter().map(|symptom| &symptom.entity).chain(blamed)
        });
        entities.map(|entity| self.known.topology.node(entity)).collect()
    }

    /// Adds a line to the timeline. As with the three below: false when there is no such incident,
    /// and the caller, who knows of it, is not told again by `step`.
    pub fn note(&mut self, id: IncidentId, at: Timestamp, text: &str) -> bool {
        self.with(id, |record| record.note(at, text.to_owned()))
    }

    pub fn attach_plan(&mut self, id: IncidentId, plan: PlanId) -> bool {
        self.with(id, |record| {
            if !record.incident.plans.contains(&plan) {
                record.incident.plans.push(plan);
            }
        })
    }

    /// Says why a person has to look; empty when nobody has to any more.
    pub fn needs_human(&mut self, id: IncidentId, why: &str) -> bool {
        self.with(id, |record| why.clone_into(&mut record.incident.needs_human))
    }

    pub fn acknowledge(&mut self, id: IncidentId, who: &str, at: Timestamp) -> bool {
        self.with(id, |record| {
            who.clone_into(&mut record.incident.acknowledged_by);
            record.note(at, format!("acknowledged by {who}"));
        })
    }

    fn with(&mut self, id: IncidentId, act: impl FnOnce(&mut Record)) -> bool {
        self.records.get_mut(&id).map(act).is_some()
    }

    /// Finds a place for each symptom that is new. Those that join come first, so that a symptom
    /// between two others brings them together whatever their order; paging ones open before
    /// tickets.
    fn place_new(
        &mut self,
        firing: &BTreeMap<SymptomKey, &Symptom>,
        now: Timestamp,
        diagnosis: &mut Diagnosis,
    ) -> BTreeSet<IncidentId> {
        let placed: BTreeSet<SymptomKey> = self
            .records
            .values()
            .filter(|record| record.is_active())
            .flat_map(|record| record.firing().map(Symptom::key))
            .collect();
        let mut waiting: Vec<&Symptom> = firing
            .iter()
            .filter(|(key, _)| !placed.contains(key))
            .map(|(_, symptom)| *symptom)
            .collect();
        waiting.sort_by_key(|symptom| (symptom.severity == Severity::Ticket, symptom.onset));
        let mut touched = BTreeSet::new();
        while !waiting.is_empty() {
            let count = waiting.len();
            waiting.retain(|symptom| {
                let place = group::place(symptom, &self.records, &self.known, &self.config, now);
                let Some(id) = place else { return true };
                if let Some(record) = self.records.get_mut(&id) {
                    record.raise(symptom, now);
                    touched.insert(id);
                }
                false
            });
            if waiting.len() < count {
                continue;
            }
            let symptom = waiting.remove(0);
            match self.open(symptom, now) {
                Some(id) => {
                    touched.insert(id);
                    diagnosis.opened.push(id);
                }
                None => diagnosis.left_out += 1,
            }
        }
        touched
    }

    fn open(&mut self, symptom: &Symptom, now: Timestamp) -> Option<IncidentId> {
        if self.records.len() >= INCIDENTS_MAX {
            self.forget_ended(INCIDENTS_MAX.saturating_sub(self.active().count() + 1));
            if self.records.len() >= INCIDENTS_MAX {
                return None;
            }
        }
        self.last_id += 1;
        let id = IncidentId(self.last_id);
        let mut record = Record::open(id, symptom, now);
        record.raise(symptom, now);
        self.records.insert(id, record);
        Some(id)
    }

    /// Forgets ended incidents beyond `kept`, those that ended first before the others.
    fn forget_ended(&mut self, kept: usize) {
        let mut ended: Vec<(Timestamp, IncidentId)> = self
            .incidents()
            .filter_map(|incident| incident.resolved.map(|at| (at, incident.id)))
            .collect();
        let excess = ended.len().saturating_sub(kept);
        ended.sort_unstable();
        for (_, id) in ended.into_iter().take(excess) {
            self.records.remove(&id);
        }
    }
}

fn update_symptoms(
    record: &mut Record,
    firing: &BTreeMap<SymptomKey, &Symptom>,
    observed: &Observed,
    now: Timestamp,
) {
    for (key, at) in &observed.cleared {
        if record.is_firing(key) && !firing.contains_key(key) {
            record.clear(key, *at, now);
        }
    }
    let keys: Vec<SymptomKey> = record.firing().map(Symptom::key).collect();
    for key in &keys {
        if let Some(symptom) = firing.get(key) {
            record.refresh(symptom);
        }
    }
    record.withdraw(firing, now);
}

/// Brings state, causes, impact and words of one incident up to date. True when there is news.
fn follow(
    record: &mut Record,
    known: &Known,
    config: &Config,
    now: Timestamp,
    is_touched: bool,
) -> bool {
    let confidence_min = config.cause_confidence_min;
    let has_ended_harm = record.settle(now);
    let is_hurting = record.incident.state == IncidentState::Open;
    let is_late = now.since(record.last_raised) > config.late_evidence.0;
    if is_hurting && !is_late || is_touched {
        let trouble = trouble(record, known, now);
        assess::gather(&trouble, &mut record.held, confidence_min);
        let causes = assess::rank(known, &mut record.held, now, is_hurting, confidence_min);
        if let Some(unknown) = unknown::cause(&trouble, 0.0) {
            record.incident.causes = assess::with_unknown(causes, unknown, confidence_min);
        }
        tell_changes(record, &trouble);
    } else if is_hurting || has_ended_harm {
        let causes = assess::rank(known, &mut record.held, now, is_hurting, confidence_min);
        let known_unknown =
            record.incident.causes.iter().find(|cause| cause.kind == model::CauseKind::Unknown);
        if let Some(unknown) = known_unknown.cloned() {
            record.incident.causes = assess::with_unknown(causes, unknown, confidence_min);
        }
    }
    record.update_impact();
    record.tell(&known.topology, now, confidence_min)
}

/// Who is hurt now, and where that leads.
fn trouble<'a>(record: &Record, known: &'a Known, now: Timestamp) -> Trouble<'a> {
    let mut symptoms: Vec<&Symptom> = record.hurting().collect();
    if symptoms.is_empty() {
        symptoms = record.firing().collect();
    }
    let onset = symptoms.iter().map(|symptom| symptom.onset).min();
    let onset = onset.unwrap_or(record.incident.onset);
    let mut hurt: BTreeMap<Entity, BTreeSet<_>> = BTreeMap::new();
    for symptom in symptoms {
        hurt.entry(known.topology.node(&symptom.entity)).or_default().insert(symptom.kind);
    }
    let first = (record.incident.onset, record.incident.opened);
    Trouble::walk(known, Window { onset, now }, hurt, first)
}

/// Puts changes on the failing path into the timeline, each once.
fn tell_changes(record: &mut Record, trouble: &Trouble) {
    let changes = &trouble.known.changes;
    let earliest = trouble.first_onset - change::BEFORE_ONSET;
    let first = changes.partition_point(|change| change.at < earliest);
    for change in changes.iter().skip(first) {
        let node = trouble.known.topology.node(&change.entity);
        let is_told = record.changes_told.len() >= CHANGES_TOLD_MAX;
        if is_told || !trouble.reached.contains_key(&node) {
            continue;
        }
        let text = format!("{} of {}: {}", change.kind.as_str(), change.entity, change.summary);
        if record.changes_told.insert((change.at, text.clone())) {
            record.note(change.at, text);
        }
    }
}
