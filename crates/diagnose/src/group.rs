//! Which incident a new symptom belongs to.
//!
//! Never one of another scope. An open incident takes a symptom of its own entities at any time,
//! and one of entities at most `join_hops` calls away when at most `join_within` lies between its
//! onset and the incident's last activity (or the incident's onset, if the symptom began earlier
//! and was noticed later). An incident whose users were well for less than `reopen_within` is
//! opened again by its own entities, and takes what began nearby before they were well; one that
//! was resolved only where no other takes the symptom, for what hurts now is one trouble. Two
//! incidents that are open are never merged.

use model::{Incident, IncidentId, IncidentState, Symptom, Timestamp};
use std::collections::BTreeMap;

use crate::config::Config;
use crate::known::Known;
use crate::pieces::Rule;
use crate::record::Record;

/// The nearest incident that takes `symptom`, if one does, those that are resolved last; the oldest
/// among equally near ones.
pub fn place(
    symptom: &Symptom,
    records: &BTreeMap<IncidentId, Record>,
    known: &Known,
    config: &Config,
    now: Timestamp,
) -> Option<IncidentId> {
    let node = known.topology.node(&symptom.entity);
    let hops_max = if known.follows(Rule::GroupNeighbours) { config.join_hops } else { 0 };
    let near = known.topology.near(&node, hops_max);
    records
        .iter()
        .filter(|(_, record)| record.incident.scope == symptom.entity.scope && record.has_room())
        .filter_map(|(id, record)| {
            let hops = distance(&record.incident, known, config, &near)?;
            let is_over = record.incident.state == IncidentState::Resolved;
            let is_taken = (!is_over || known.follows(Rule::Reopen))
                && takes(record, symptom, hops, config, now);
            is_taken.then_some((is_over, hops, *id))
        })
        .min()
        .map(|(_, _, id)| id)
}

/// Calls between the symptom and the nearest entity that is hurt or blamed.
fn distance(
    incident: &Incident,
    known: &Known,
    config: &Config,
    near: &BTreeMap<model::Entity, u32>,
) -> Option<u32> {
    let blamed = incident
        .causes
        .iter()
        .take(1)
        .filter(|cause| cause.confidence >= config.cause_confidence_min)
        .map(|cause| &cause.entity);
    let hurt = incident.symptoms.iter().map(|symptom| &symptom.entity);
    hurt.chain(blamed).filter_map(|entity| near.get(&known.topology.node(entity)).copied()).min()
}

fn takes(record: &Record, symptom: &Symptom, hops: u32, config: &Config, now: Timestamp) -> bool {
    let incident = &record.incident;
    let is_own = hops == 0;
    let reopen = config.reopen_within.0;
    let began_before_well = incident.mitigated.is_some_and(|well| symptom.onset <= well);
    match incident.state {
        IncidentState::Open => {
            let join = config.join_within.0;
            let is_in_time = symptom.onset.since(record.last_activity) <= join
                && incident.onset.since(symptom.onset) <= join;
            is_own || is_in_time
        }
        IncidentState::Mitigated => {
            let well_for = incident.mitigated.map(|well| now.since(well));
            began_before_well || is_own && well_for.is_some_and(|well_for| well_for < reopen)
        }
        IncidentState::Resolved => {
            let ended = incident.resolved.map(|ended| now.since(ended));
            let is_recent = ended.is_some_and(|ended| ended < reopen);
            is_recent && (is_own || began_before_well)
        }
    }
}
