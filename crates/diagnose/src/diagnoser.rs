//! The step: ticks and symptoms in, incidents with causes out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::symptom::{Observed, SymptomKey};
use model::{Entity, EntityKind, Incident, IncidentId, IncidentState, PlanId, Severity, Symptom};
use model::{Tick, Timestamp};
use serde::{Deserialize, Serialize};

use crate::assess;
use crate::causes::{change, unknown};
use crate::config::Config;
use crate::group;
use crate::known::Known;
use crate::leads::Window;
use crate::record::{self, Record};
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
}

/// Holds everything that diagnosis knows; saved whole in snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Diagnoser {
    config: Config,
    known: Known,
    records: BTreeMap<IncidentId, Record>,
    last_id: u64,
    /// Symptoms that fire on after a person closed their incident, as they were then.
    set_aside: BTreeMap<SymptomKey, (Timestamp, Severity)>,
    /// Symptoms that found no place because of the bound on incidents.
    left_out: u64,
}

impl Diagnoser {
    pub fn new(config: Config) -> Self {
        let known = Known::without(config.without);
        Diagnoser {
            config,
            known,
            records: BTreeMap::new(),
            last_id: 0,
            set_aside: BTreeMap::new(),
            left_out: 0,
        }
    }

    pub(crate) fn known(&self) -> &Known {
        &self.known
    }

    /// Takes new settings; incidents keep their course.
    pub fn reload(&mut self, config: Config) {
        self.known.without = config.without;
        self.config = config;
    }

    pub fn step(&mut self, tick: &Tick, observed: &Observed) -> Diagnosis {
        let now = tick.now;
        self.known.take(tick);
        let firing: BTreeMap<SymptomKey, &Symptom> =
            observed.firing.iter().map(|symptom| (symptom.key(), symptom)).collect();
        let was_active: BTreeSet<IncidentId> = self.active().map(|incident| incident.id).collect();
        for record in self.records.values_mut().filter(|record| record.is_active()) {
            update_symptoms(record, &firing, observed, &self.known, now);
        }
        self.set_aside.retain(|key, then| {
            firing.get(key).is_some_and(|symptom| !record::is_raised_anew(symptom, *then))
        });
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

    /// The number given last, also when that incident is forgotten; zero before the first.
    pub fn last_id(&self) -> IncidentId {
        IncidentId(self.last_id)
    }

    /// Numbers further incidents after `id`: for a state begun anew beside an old journal.
    pub fn continue_after(&mut self, id: IncidentId) {
        self.last_id = self.last_id.max(id.0);
    }

    /// How much was left out at some bound, ever: symptoms, series, edges, processes and the like.
    pub fn left_out(&self) -> u64 {
        self.left_out + self.known.left_out()
    }

    /// Services that were heard of or called, sorted.
    pub fn services(&self) -> impl Iterator<Item = &Entity> {
        let called = self.edges().flat_map(|(caller, callee)| [caller, callee]);
        let all: BTreeSet<&Entity> = called
            .chain(self.known.heard.keys())
            .filter(|entity| entity.kind == EntityKind::Service)
            .collect();
        all.into_iter()
    }

    /// Who calls whom, sorted; addresses are resolved where it is known who answers there.
    pub fn edges(&self) -> impl Iterator<Item = (&Entity, &Entity)> {
        self.known.topology.edges()
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

    /// Ends an active incident on a person's word, for a system that was removed while hurt. What
    /// fires on is set aside until it clears or is raised anew. False when there is no such
    /// incident, or it has ended.
    pub fn close(&mut self, id: IncidentId, who: &str, at: Timestamp) -> bool {
        let Some(record) = self.records.get_mut(&id).filter(|record| record.is_active()) else {
            return false;
        };
        let set_aside = record.close(who, at);
        record.tell(&self.known.topology, at, self.config.cause_confidence_min);
        let as_it_is = |one: &Symptom| (one.key(), (one.detected, one.severity));
        self.set_aside.extend(set_aside.iter().map(as_it_is));
        true
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
            .filter(|(key, _)| !placed.contains(key) && !self.set_aside.contains_key(key))
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
                None => self.left_out += 1,
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
    known: &Known,
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
            record.refresh(symptom, known, now);
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
    let well = record.incident.mitigated.filter(|_| !is_hurting);
    let troubles = if is_hurting || is_touched {
        troubles(record, known, now, config.late_evidence.0)
    } else {
        Vec::new()
    };
    assess::gather(&troubles, &mut record.held, confidence_min);
    let causes = assess::rank(known, &mut record.held, now, well, confidence_min);
    // Where it is not known what else, the newest trouble that leads anywhere says how far.
    let leads_on = |trouble: &&Trouble| trouble.reached.len() > trouble.hurt.len();
    if let Some(trouble) = troubles.iter().rev().find(leads_on).or(troubles.first()) {
        if let Some(unknown) = unknown::cause(trouble, 0.0) {
            record.incident.causes = assess::with_unknown(causes, unknown, confidence_min);
        }
        tell_changes(record, trouble);
    } else if is_hurting || has_ended_harm {
        let known_unknown =
            record.incident.causes.iter().find(|cause| cause.kind == model::CauseKind::Unknown);
        if let Some(unknown) = known_unknown.cloned() {
            record.incident.causes = assess::with_unknown(causes, unknown, confidence_min);
        }
    }
    record.update_impact();
    record.tell(&known.topology, now, confidence_min)
}

/// Who is hurt now, and where that leads: once for each stretch of time whose evidence counts,
/// oldest first.
fn troubles<'a>(
    record: &mut Record,
    known: &'a Known,
    now: Timestamp,
    late: Duration,
) -> Vec<Trouble<'a>> {
    let hurt = record.hurt(&known.topology);
    let onset = record.incident.onset;
    let harmed_since = record.harmed_since().unwrap_or(onset);
    record.turns.look_for_crashes(known, &hurt, (onset, harmed_since), (now, late));
    let is_late = now.since(record.last_raised) > late;
    let after = record.well_before;
    let calm_until = record.relapsed.filter(|_| after.is_none()).map(|_| onset);
    let first = (!is_late).then_some(Window { onset: harmed_since, now, after, calm_until });
    let mut windows = record.turns.windows(onset, first, now, late);
    if windows.is_empty() {
        record.turns.look_for_failures(known, &hurt, onset, now);
        windows = record.turns.windows(onset, first, now, late);
    }
    let first = (record.incident.onset, record.incident.opened);
    let well_before = record.relapsed.map(|relapse| relapse.well).or(record.well_before);
    let walk = |window| {
        let trouble = Trouble::walk(known, window, hurt.clone(), first);
        Trouble { well_before, ..trouble }
    };
    windows.into_iter().map(walk).collect()
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
