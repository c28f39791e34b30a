//! How each node of the topology fares, in one word, for people who look. It is read off what
//! detection and diagnosis have judged; nothing is judged here, and nothing in the loop reads it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::symptom::{Health, ObjectiveState};
use model::{CauseKind, Entity, EntityKind, Incident, IncidentState, Severity, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Core, Engine};

/// What no telemetry came from for so long is not shown, unless an incident is about it.
const SHOWN_FOR: Duration = Duration::from_secs(86_400);
/// An instance that fell silent is shown for so long.
pub const SILENT_SHOWN_FOR: Duration = Duration::from_secs(3600);

/// One word for how an entity fares.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Users are hurt there, or because of it.
    Hurt,
    /// An incident about it is mitigated: users are well again, which has to hold.
    Healing,
    /// A symptom that is work for the day, or an objective that burns.
    AtRisk,
    /// It told of itself, and all of it has fallen silent. Neither health nor trouble.
    NoData,
    /// Too little was seen to judge.
    Learning,
    /// Nothing was asked of it, and it is heard of, as far as it speaks.
    NoTraffic,
    Well,
}

/// How a node fares, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub state: NodeState,
    /// Onset of the harm, begin of the recovery, or when it was heard last; `None` where no moment
    /// is known.
    pub since: Option<Timestamp>,
}

impl Core {
    /// Every node that is shown, sorted by entity.
    pub fn nodes(&self, window: Duration) -> BTreeMap<Entity, Standing> {
        let engine = &self.engine;
        let judged = judged(engine);
        let mut objectives: BTreeMap<Entity, Vec<&ObjectiveState>> = BTreeMap::new();
        for objective in &engine.observed().objectives {
            let node = engine.diagnoser.node(&objective.entity);
            objectives.entry(node).or_default().push(objective);
        }
        let mut nodes = BTreeMap::new();
        for node in engine.diagnoser.nodes() {
            let known = judged.get(node).copied();
            let is_old = engine
                .diagnoser
                .heard(node)
                .is_some_and(|heard| engine.now().since(heard) > SHOWN_FOR);
            if known.is_none() && is_old {
                continue;
            }
            let objectives = objectives.get(node).map_or(&[][..], Vec::as_slice);
            let standing = known.unwrap_or_else(|| self.unjudged(node, objectives, window));
            nodes.insert(node.clone(), standing);
        }
        nodes
    }

    /// How a node fares of which no incident and no symptom tells.
    fn unjudged(
        &self,
        node: &Entity,
        objectives: &[&ObjectiveState],
        window: Duration,
    ) -> Standing {
        let engine = &self.engine;
        let only = |state| Standing { state, since: None };
        if objectives.iter().any(|objective| objective.health == Health::Burning) {
            return only(NodeState::AtRisk);
        }
        let mut silent = engine.diagnoser.instances_of(node).map(|instance| instance.silent);
        let last = silent.try_fold(Timestamp::ZERO, |last, since| Some(last.max(since?)));
        let heard = engine.diagnoser.heard(node);
        let is_silent = last.is_some_and(|last| last > Timestamp::ZERO)
            || objectives.iter().any(|objective| objective.health == Health::NoData);
        if node.kind == EntityKind::Service && is_silent {
            return Standing { state: NodeState::NoData, since: heard.or(last) };
        }
        if self.requests(node, window) <= 0.0 {
            return only(NodeState::NoTraffic);
        }
        let is_learning = !objectives.is_empty()
            && objectives.iter().all(|objective| objective.health == Health::Learning);
        only(if is_learning { NodeState::Learning } else { NodeState::Well })
    }

    /// Requests that it served, or that were made to it as callers tell.
    fn requests(&self, node: &Entity, window: Duration) -> f64 {
        let own = model::tick::SeriesKey::Service(node.clone());
        let diagnoser = &self.engine.diagnoser;
        let calls = diagnoser.callers(node).flat_map(|caller| diagnoser.calls(caller, node));
        let served = self.figures().red([&own], window).requests;
        served.max(self.figures().red(calls, window).requests)
    }
}

/// What symptoms and incidents say, by node.
fn judged(engine: &Engine) -> BTreeMap<Entity, Standing> {
    let mut judged: BTreeMap<Entity, Standing> = BTreeMap::new();
    let mut say = |entity: &Entity, state: NodeState, since: Timestamp| {
        let node = engine.diagnoser.node(entity);
        let said = Standing { state, since: Some(since) };
        let known = judged.entry(node).or_insert(said);
        if state < known.state || (state == known.state && Some(since) < known.since) {
            *known = said;
        }
    };
    let confidence_min = engine.config().diagnose.cause_confidence_min;
    for incident in engine.open_incidents() {
        let firing = firing(incident);
        let pages = firing.clone().any(|symptom| symptom.severity == Severity::Page);
        for symptom in firing {
            let state = match symptom.severity {
                Severity::Page => NodeState::Hurt,
                Severity::Ticket => NodeState::AtRisk,
            };
            say(&symptom.entity, state, symptom.onset);
        }
        let cause = incident
            .causes
            .first()
            .filter(|cause| cause.kind != CauseKind::Unknown && cause.confidence >= confidence_min);
        if incident.state == IncidentState::Mitigated {
            let since = incident.mitigated.unwrap_or(incident.opened);
            for symptom in &incident.symptoms {
                say(&symptom.entity, NodeState::Healing, since);
            }
            if let Some(cause) = cause {
                say(&cause.entity, NodeState::Healing, since);
            }
        } else if let Some(cause) = cause {
            let state = if pages { NodeState::Hurt } else { NodeState::AtRisk };
            say(&cause.entity, state, incident.onset);
        }
    }
    judged
}

fn firing(incident: &Incident) -> impl Iterator<Item = &model::Symptom> + Clone {
    let is_open = incident.state == IncidentState::Open;
    let firing = incident.firing.iter().filter(move |_| is_open);
    firing.filter_map(move |index| incident.symptoms.get(*index as usize))
}
