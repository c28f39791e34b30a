//! One incident while it lives: its symptoms, state, timeline, and what was last told of it.
//!
//! State follows the symptoms alone: *open* while one fires and is not recovering, *mitigated*
//! while all that fire recover, *resolved* when all have cleared. A symptom that is merely not
//! mentioned keeps firing: absence of data is no recovery. Only when its objective is gone for
//! `WITHDRAWN_AFTER` (a configuration that no longer has it) is it set aside, and a person told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::incident::{Impact, Incident, TimelineEntry};
use model::symptom::SymptomKey;
use model::{Cause, CauseKind, Entity, IncidentId, IncidentState, Severity, Symptom, Timestamp};
use serde::{Deserialize, Serialize};

use crate::assess::Held;
use crate::known::Known;
use crate::pieces::Rule;
use crate::topology::Topology;
use crate::turns::{Hurt, Turns};
use crate::wording;

const SYMPTOMS_MAX: usize = 500;
const TIMELINE_MAX: usize = 200;
/// The beginning of a timeline is never left out.
const TIMELINE_FIRST_KEPT: usize = 50;
const TEXT_MAX: usize = 1_000;
const LEFT_OUT: &str = "entries left out here";
const WITHDRAWN_AFTER: Duration = Duration::from_secs(60);
/// Telemetry of the first bad request after a recovery came at most so long ago.
const RELAPSE_NOTICED: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub incident: Incident,
    pub held: Vec<Held>,
    /// Last time that a symptom was raised or cleared.
    pub last_activity: Timestamp,
    pub last_raised: Timestamp,
    pub turns: Turns,
    /// When users were well again before they were hurt again: compared with since then only.
    pub well_before: Option<Timestamp>,
    /// Users were well for a moment, and are hurt again although no symptom was raised anew.
    pub relapsed: Option<Relapse>,
    /// Changes that stand in the timeline already, by time and summary.
    pub changes_told: BTreeSet<(Timestamp, String)>,
    /// Firing symptoms that the detectors no longer mention, and since when.
    unmentioned: BTreeMap<SymptomKey, Timestamp>,
    told: Told,
    left_out: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Relapse {
    pub well: Timestamp,
    since: Timestamp,
}

/// What a person would read differently if it changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Told {
    state: Option<IncidentState>,
    firing: BTreeSet<SymptomKey>,
    symptoms: usize,
    first_cause: Option<(CauseKind, Entity)>,
    /// Confidence of the first cause in tenths.
    tenths: i32,
    /// All that are sure enough to be named.
    named: BTreeSet<(CauseKind, Entity)>,
}

impl Record {
    pub fn open(id: IncidentId, symptom: &Symptom, now: Timestamp) -> Self {
        let incident = Incident {
            id,
            scope: symptom.entity.scope.clone(),
            state: IncidentState::Open,
            title: String::new(),
            onset: symptom.onset,
            opened: now,
            mitigated: None,
            resolved: None,
            symptoms: Vec::new(),
            firing: Vec::new(),
            causes: Vec::new(),
            impact: Impact::default(),
            plans: Vec::new(),
            needs_human: String::new(),
            acknowledged_by: String::new(),
            timeline: Vec::new(),
        };
        Record {
            incident,
            held: Vec::new(),
            last_activity: now,
            last_raised: now,
            turns: Turns::default(),
            well_before: None,
            relapsed: None,
            changes_told: BTreeSet::new(),
            unmentioned: BTreeMap::new(),
            told: Told::default(),
            left_out: 0,
        }
    }

    pub fn is_active(&self) -> bool {
        self.incident.state != IncidentState::Resolved
    }

    pub fn has_room(&self) -> bool {
        self.incident.symptoms.len() < SYMPTOMS_MAX
    }

    pub fn is_firing(&self, key: &SymptomKey) -> bool {
        self.firing().any(|symptom| is(symptom, key))
    }

    pub fn firing(&self) -> impl Iterator<Item = &Symptom> {
        let symptoms = &self.incident.symptoms;
        self.incident.firing.iter().filter_map(|at| symptoms.get(*at as usize))
    }

    /// Symptoms by which users are hurt now: firing and not recovering.
    pub fn hurting(&self) -> impl Iterator<Item = &Symptom> {
        self.firing().filter(|symptom| symptom.recovering_since.is_none())
    }

    /// Takes a symptom in, for the first time or again.
    pub fn raise(&mut self, symptom: &Symptom, now: Timestamp) {
        if self.incident.state == IncidentState::Resolved {
            self.note(now, format!("opened again: {} is hurt again", symptom.entity));
            self.incident.resolved = None;
            self.well_before = self.incident.mitigated.take();
            self.incident.state = IncidentState::Open;
            self.incident.needs_human.clear();
            // What went wrong this time is looked for anew.
            self.held.clear();
            self.turns.clear();
            self.relapsed = None;
        } else {
            self.turns.add(self.incident.onset, symptom.onset);
        }
        let key = symptom.key();
        let symptoms = &mut self.incident.symptoms;
        let at = match symptoms.iter().position(|known| is(known, &key)) {
            Some(at) => {
                symptoms[at] = symptom.clone();
                at
            }
            None => {
                symptoms.push(symptom.clone());
                symptoms.len() - 1
            }
        };
        let at = u32::try_from(at).expect("SYMPTOMS_MAX fits");
        if let Err(slot) = self.incident.firing.binary_search(&at) {
            self.incident.firing.insert(slot, at);
        }
        self.incident.onset = self.incident.onset.min(symptom.onset);
        self.last_activity = now;
        self.last_raised = now;
        self.note(symptom.detected, format!("symptom raised: {}", describe(symptom)));
    }

    /// Brings a firing symptom up to date. One that got worse counts as raised anew.
    pub fn refresh(&mut self, symptom: &Symptom, facts: &Known, now: Timestamp) {
        let key = symptom.key();
        self.unmentioned.remove(&key);
        let Some(known) = self.incident.symptoms.iter_mut().find(|known| is(known, &key)) else {
            return;
        };
        let is_worse = is_raised_anew(symptom, (known.detected, known.severity));
        known.clone_from(symptom);
        if is_worse {
            if facts.follows(Rule::TurnByWorse) {
                self.turns.worsen(self.incident.onset, symptom);
            }
            self.last_activity = now;
            self.note(symptom.detected, format!("symptom got worse: {}", describe(symptom)));
        }
    }

    /// Who is hurt now, or was last.
    pub fn hurt(&self, topology: &Topology) -> Hurt {
        let mut hurt = Hurt::new();
        let is_hurting = self.hurting().next().is_some();
        let counts = |one: &&Symptom| !is_hurting || one.recovering_since.is_none();
        for symptom in self.firing().filter(counts) {
            hurt.entry(topology.node(&symptom.entity)).or_default().insert(symptom.kind);
        }
        hurt
    }

    /// Onset of what hurts users now, or did last.
    pub fn harmed_since(&self) -> Option<Timestamp> {
        let onset = self.hurting().map(|symptom| symptom.onset).min();
        let onset = onset.or_else(|| self.firing().map(|symptom| symptom.onset).min());
        onset.map(|onset| self.relapsed.map_or(onset, |relapse| onset.max(relapse.since)))
    }

    /// Ends the incident although its symptoms may fire on; they are returned. The word of a
    /// person, not of users' figures.
    pub fn close(&mut self, who: &str, at: Timestamp) -> Vec<Symptom> {
        let set_aside = self.firing().cloned().collect();
        self.incident.firing.clear();
        self.unmentioned.clear();
        self.incident.state = IncidentState::Resolved;
        self.incident.resolved = Some(at);
        self.incident.needs_human.clear();
        self.last_activity = at;
        self.note(at, format!("closed by {who} without proof of recovery"));
        set_aside
    }

    pub fn clear(&mut self, key: &SymptomKey, at: Timestamp, now: Timestamp) {
        let Some(index) = self.incident.symptoms.iter().position(|known| is(known, key)) else {
            return;
        };
        let symptom = &mut self.incident.symptoms[index];
        let well_since = symptom.recovering_since.get_or_insert(at).clock();
        let text = format!("symptom cleared: {}, well since {well_since}", describe(symptom));
        self.incident.firing.retain(|firing| *firing as usize != index);
        self.unmentioned.remove(key);
        self.last_activity = now;
        self.note(at, text);
    }

    /// Sets aside symptoms that no detector speaks of any more. `mentioned`: what fires after this
    /// tick.
    pub fn withdraw(&mut self, mentioned: &BTreeMap<SymptomKey, &Symptom>, now: Timestamp) {
        let keys: Vec<SymptomKey> = self.firing().map(Symptom::key).collect();
        for key in keys.into_iter().filter(|key| !mentioned.contains_key(key)) {
            let since = *self.unmentioned.entry(key.clone()).or_insert(now);
            if now.since(since) < WITHDRAWN_AFTER {
                continue;
            }
            let SymptomKey { entity, source, .. } = &key;
            let text = format!(
                "{source} of {entity} is no longer judged; whether users are well is not known"
            );
            self.incident.needs_human.clone_from(&text);
            self.note(now, text);
            self.unmentioned.remove(&key);
            let symptoms = &self.incident.symptoms;
            self.incident.firing.retain(|at| !is(&symptoms[*at as usize], &key));
        }
    }

    /// Lets the state follow the symptoms. True when users' harm just ended.
    pub fn settle(&mut self, now: Timestamp) -> bool {
        let before = self.incident.state;
        let well_since =
            self.incident.symptoms.iter().filter_map(|symptom| symptom.recovering_since).max();
        let state = if self.hurting().next().is_some() {
            IncidentState::Open
        } else if self.incident.firing.is_empty() {
            IncidentState::Resolved
        } else {
            IncidentState::Mitigated
        };
        self.incident.state = state;
        if state == IncidentState::Open {
            if before == IncidentState::Mitigated {
                self.note(now, "users are hurt again before the recovery had held".to_owned());
                self.relapse(now);
            }
            self.incident.mitigated = None;
            return false;
        }
        let mitigated = well_since.unwrap_or(now);
        self.incident.mitigated = Some(mitigated);
        if before == IncidentState::Open {
            self.note(mitigated, "users' figures are well again".to_owned());
        }
        if state == IncidentState::Resolved && before != IncidentState::Resolved {
            self.incident.resolved = Some(now);
            let held = self.incident.symptoms.iter().all(|one| one.recovering_since.is_some());
            if held {
                self.incident.needs_human.clear();
            }
            let why = if held { "resolved: the recovery held" } else { "closed without proof" };
            self.note(now, why.to_owned());
        }
        before == IncidentState::Open
    }

    /// Users were well for a while, so what hurts them now is looked for from now on. It was
    /// noticed a little after it began.
    fn relapse(&mut self, now: Timestamp) {
        let Some(well) = self.incident.mitigated else { return };
        self.relapsed = Some(Relapse { well, since: well.max(now - RELAPSE_NOTICED) });
        self.turns.clear();
        self.held.retain(Held::lasts);
    }

    pub fn update_impact(&mut self) {
        let worst = self.incident.symptoms.iter().max_by(|a, b| a.bad.total_cmp(&b.bad));
        let (bad, all) = worst.map_or((0.0, 0.0), |symptom| (symptom.bad, symptom.total));
        let services: BTreeSet<Entity> =
            self.incident.symptoms.iter().filter_map(|symptom| symptom.entity.owner()).collect();
        self.incident.impact =
            Impact { bad_requests: bad, requests: all, services: services.into_iter().collect() };
    }

    /// Compares with what was last told; when it differs, words the title anew and remembers.
    pub fn tell(&mut self, topology: &Topology, now: Timestamp, confidence_min: f64) -> bool {
        let causes = &self.incident.causes;
        let subject = |cause: &Cause| (cause.kind, cause.entity.clone());
        let told = Told {
            state: Some(self.incident.state),
            firing: self.firing().map(Symptom::key).collect(),
            symptoms: self.incident.symptoms.len(),
            first_cause: causes.first().map(subject),
            named: causes
                .iter()
                .filter(|cause| cause.confidence >= confidence_min)
                .map(subject)
                .collect(),
            tenths: causes.first().map_or(0, |cause| (cause.confidence * 10.0).floor() as i32),
        };
        if told == self.told {
            return false;
        }
        let is_news = told.first_cause != self.told.first_cause;
        if let Some(cause) = causes.first().filter(|_| is_news) {
            let sure = wording::percent(cause.confidence);
            let text = match (cause.kind, &self.told.first_cause) {
                (CauseKind::Unknown, None) => cause.summary.clone(),
                (CauseKind::Unknown, Some((kind, entity))) => {
                    let kind = kind.as_str();
                    format!("{kind} of {entity} is no longer sure enough: cause unknown")
                }
                _ => format!("cause: {} ({sure} sure)", cause.summary),
            };
            self.note(now, text);
        }
        self.told = told;
        let title = wording::title(&self.incident, self.face(topology), confidence_min);
        self.incident.title = title;
        true
    }

    /// The symptom that the title speaks of: nearest to users, paging before ticket, then the most
    /// bad requests.
    fn face(&self, topology: &Topology) -> Option<&Symptom> {
        let nodes: BTreeSet<Entity> =
            self.incident.symptoms.iter().map(|symptom| topology.node(&symptom.entity)).collect();
        let is_called_by_another = |node: &Entity| {
            nodes.iter().any(|caller| {
                let depends = |from, on| !topology.calls(from, on).is_empty();
                depends(caller, node) && !depends(node, caller)
            })
        };
        self.incident.symptoms.iter().min_by(|a, b| {
            let rank = |symptom: &Symptom| {
                let node = topology.node(&symptom.entity);
                (symptom.severity != Severity::Page, is_called_by_another(&node), symptom.kind)
            };
            rank(a).cmp(&rank(b)).then_with(|| b.bad.total_cmp(&a.bad))
        })
    }

    /// Adds a line in order of time; beyond the bound lines of the middle are left out and counted.
    pub fn note(&mut self, at: Timestamp, mut text: String) {
        if text.len() > TEXT_MAX {
            let end = (0..=TEXT_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
        }
        let timeline = &mut self.incident.timeline;
        let slot = timeline.partition_point(|entry| entry.at <= at);
        timeline.insert(slot, TimelineEntry { at, text });
        if timeline.len() <= TIMELINE_MAX {
            return;
        }
        self.left_out += 1;
        match timeline.iter().position(|entry| entry.text.ends_with(LEFT_OUT)) {
            Some(marker) => {
                let next = (marker + 1).min(timeline.len() - 1);
                timeline.remove(if next == marker { marker - 1 } else { next });
            }
            None => {
                timeline.remove(TIMELINE_FIRST_KEPT + 1);
                self.left_out += 1;
            }
        }
        let left_out = self.left_out;
        let marker = timeline.iter().position(|entry| entry.text.ends_with(LEFT_OUT));
        let entry = &mut timeline[marker.unwrap_or(TIMELINE_FIRST_KEPT)];
        entry.text = format!("{left_out} {LEFT_OUT}");
    }
}

/// Was this symptom raised again, or to a higher severity, since it was known like this?
pub fn is_raised_anew(symptom: &Symptom, (detected, severity): (Timestamp, Severity)) -> bool {
    symptom.detected > detected || symptom.severity > severity
}

/// Does a symptom have this key?
fn is(symptom: &Symptom, key: &SymptomKey) -> bool {
    symptom.kind == key.kind && symptom.source == key.source && symptom.entity == key.entity
}

fn describe(symptom: &Symptom) -> String {
    let Symptom { entity, summary, measured, threshold, bad, total, .. } = symptom;
    let onset = symptom.onset.clock();
    let (bad, total) = (wording::number(*bad), wording::number(*total));
    let figures = format!("{bad} of {total} bad since {onset}");
    if summary.is_empty() {
        let kind = symptom.kind.as_str();
        format!("{entity} {kind}, {measured:.3} where {threshold:.3} is the limit, {figures}")
    } else {
        format!("{summary}; {figures}")
    }
}
