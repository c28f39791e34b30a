//! Gathers what is told of services between two entries of the loop: each thing is looked at once,
//! however many services there are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use diagnose::{Diagnoser, InstanceSeen};
use engine::nodes::SILENT_SHOWN_FOR;
use engine::{Core, NodeState, Red, Standing};
use model::symptom::{Health, ObjectiveState};
use model::tick::SeriesKey;
use model::{Change, Entity, EntityKind, IncidentId};

use super::{
    CallFigures, InstanceFigures, NODES_MAX, OperationFigures, PARTS_MAX, ServiceDetail,
    ServiceState, Services, Topology, TopologyEdge, TopologyNode, VersionCount, VersionFigures,
};

/// What is known, by node.
pub(super) struct Gathering<'a> {
    core: &'a Core,
    window: Duration,
    nodes: BTreeMap<Entity, Standing>,
    objectives: BTreeMap<Entity, Vec<&'a ObjectiveState>>,
    /// Newest first.
    changes: BTreeMap<Entity, Vec<&'a Change>>,
    incidents: BTreeMap<Entity, BTreeSet<IncidentId>>,
    targets: BTreeMap<Entity, Vec<String>>,
}

impl<'a> Gathering<'a> {
    pub(super) fn new(core: &'a Core, window: Duration) -> Self {
        let diagnoser = &core.engine.diagnoser;
        let mut objectives: BTreeMap<Entity, Vec<&ObjectiveState>> = BTreeMap::new();
        for objective in &core.engine.observed().objectives {
            objectives.entry(diagnoser.node(&objective.entity)).or_default().push(objective);
        }
        let mut changes: BTreeMap<Entity, Vec<&Change>> = BTreeMap::new();
        for change in diagnoser.changes().rev() {
            changes.entry(diagnoser.node(&change.entity)).or_default().push(change);
        }
        let mut incidents: BTreeMap<Entity, BTreeSet<IncidentId>> = BTreeMap::new();
        for incident in core.engine.open_incidents() {
            let hurt = incident.symptoms.iter().map(|symptom| &symptom.entity);
            for entity in hurt.chain(incident.causes.first().map(|cause| &cause.entity)) {
                incidents.entry(diagnoser.node(entity)).or_default().insert(incident.id);
            }
        }
        let mut targets: BTreeMap<Entity, Vec<String>> = BTreeMap::new();
        for target in &core.engine.config().targets {
            targets.entry(diagnoser.node(&target.entity)).or_default().push(target.name.clone());
        }
        let nodes = core.nodes(window);
        Gathering { core, window, nodes, objectives, changes, incidents, targets }
    }

    pub(super) fn nodes(&self) -> &BTreeMap<Entity, Standing> {
        &self.nodes
    }

    pub(super) fn services(&self) -> Services {
        let nodes = self.nodes.iter().take(NODES_MAX);
        Services {
            now: self.core.engine.now(),
            window_seconds: self.window.as_secs(),
            services: nodes.map(|(node, standing)| self.state(node, *standing)).collect(),
            truncated: self.nodes.len() > NODES_MAX,
        }
    }

    pub(super) fn detail(&self, node: &Entity) -> ServiceDetail {
        let diagnoser = self.diagnoser();
        let standing = self.nodes.get(node).copied();
        let standing = standing.unwrap_or(Standing { state: NodeState::NoTraffic, since: None });
        let calls = diagnoser.callees(node);
        let calls = calls.map(|callee| self.call(callee, diagnoser.calls(node, callee)));
        let callers = diagnoser.callers(node);
        let callers = callers.map(|caller| self.call(caller, diagnoser.calls(caller, node)));
        let config = self.core.engine.config();
        let targets = self.targets(node);
        let policies = config.remediate.policies.iter();
        let policies = policies.filter(|policy| targets.contains(&policy.target));
        let changes = self.changes.get(node).into_iter().flatten().take(PARTS_MAX);
        ServiceDetail {
            now: self.core.engine.now(),
            window_seconds: self.window.as_secs(),
            service: self.state(node, standing),
            operations: self.operations(node),
            instances: self.instances(node),
            versions: self.versions(node),
            calls: calls.collect(),
            callers: callers.collect(),
            objectives: self.objectives(node).iter().map(|one| (*one).clone()).collect(),
            changes: changes.map(|change| (*change).clone()).collect(),
            policies: policies.map(|policy| policy.name.clone()).collect(),
            targets,
        }
    }

    pub(super) fn topology(&self) -> Topology {
        let shown: BTreeMap<&Entity, &Standing> = self.nodes.iter().take(NODES_MAX).collect();
        let nodes = shown.iter().map(|(node, standing)| TopologyNode {
            entity: (*node).clone(),
            state: standing.state,
            since: standing.since,
            instances: self.seen(node).filter(|instance| instance.silent.is_none()).count(),
            targets: self.targets(node),
            red: self.red(node),
        });
        let diagnoser = self.diagnoser();
        let edges = diagnoser
            .edges()
            .filter(|(caller, callee)| shown.contains_key(caller) && shown.contains_key(callee));
        let edges = edges.map(|(caller, callee)| TopologyEdge {
            caller: caller.clone(),
            callee: callee.clone(),
            red: self.sum(diagnoser.calls(caller, callee)),
        });
        Topology {
            now: self.core.engine.now(),
            window_seconds: self.window.as_secs(),
            nodes: nodes.collect(),
            edges: edges.collect(),
            truncated: self.nodes.len() > NODES_MAX,
        }
    }

    fn diagnoser(&self) -> &'a Diagnoser {
        &self.core.engine.diagnoser
    }

    fn sum<'k>(&self, keys: impl IntoIterator<Item = &'k SeriesKey>) -> Red {
        self.core.figures().red(keys, self.window)
    }

    /// Requests to a node: as it told itself, or else as its callers did.
    fn red(&self, node: &Entity) -> Red {
        if node.kind == EntityKind::Service {
            let own = self.sum([&SeriesKey::Service(node.clone())]);
            if own.requests > 0.0 || self.diagnoser().heard(node).is_some() {
                return own;
            }
        }
        let diagnoser = self.diagnoser();
        self.sum(diagnoser.callers(node).flat_map(|caller| diagnoser.calls(caller, node)))
    }

    /// Instances that are heard, and those that fell silent a while ago at most.
    fn seen(&self, node: &Entity) -> impl Iterator<Item = InstanceSeen<'a>> {
        let now = self.core.engine.now();
        self.diagnoser().instances_of(node).filter(move |instance| {
            instance.silent.is_none_or(|last| now.since(last) <= SILENT_SHOWN_FOR)
        })
    }

    fn objectives(&self, node: &Entity) -> &[&'a ObjectiveState] {
        self.objectives.get(node).map_or(&[], Vec::as_slice)
    }

    fn state(&self, node: &Entity, standing: Standing) -> ServiceState {
        let (mut instances, mut instances_silent) = (0, 0);
        let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
        for instance in self.seen(node) {
            if instance.silent.is_some() {
                instances_silent += 1;
                continue;
            }
            instances += 1;
            if !instance.version.is_empty() {
                *versions.entry(instance.version).or_default() += 1;
            }
        }
        let versions = versions.into_iter();
        let versions = versions
            .map(|(version, instances)| VersionCount { version: version.to_owned(), instances });
        let objectives = self.objectives(node);
        let nearest = objectives.iter().min_by(|a, b| nearness(a).total_cmp(&nearness(b)));
        let last_change = self.changes.get(node).and_then(|changes| changes.first());
        ServiceState {
            entity: node.clone(),
            state: standing.state,
            since: standing.since,
            red: self.red(node),
            instances,
            instances_silent,
            versions: versions.collect(),
            incidents: self.incidents.get(node).into_iter().flatten().copied().collect(),
            objectives: objectives.len(),
            objective: nearest.map(|objective| (*objective).clone()),
            last_seen: self.diagnoser().heard(node),
            last_change: last_change.map(|change| (*change).clone()),
        }
    }

    fn operations(&self, node: &Entity) -> Vec<OperationFigures> {
        let keys = self.core.figures().keys().filter_map(|key| match key {
            SeriesKey::Operation(entity) if entity.part_of == node.name => Some((key, entity)),
            _ => None,
        });
        let mut operations: Vec<OperationFigures> = keys
            .filter(|(_, entity)| entity.owner().as_ref() == Some(node))
            .map(|(key, entity)| OperationFigures {
                operation: entity.name.clone(),
                red: self.sum([key]),
            })
            .collect();
        operations.sort_by(|a, b| b.red.requests.total_cmp(&a.red.requests));
        operations.truncate(PARTS_MAX);
        operations
    }

    fn instances(&self, node: &Entity) -> Vec<InstanceFigures> {
        let instances = self.seen(node).take(PARTS_MAX).map(|instance| InstanceFigures {
            instance: instance.entity.name.clone(),
            version: instance.version.to_owned(),
            version_since: instance.version_since,
            silent_since: instance.silent,
            red: self.sum([&SeriesKey::Instance(instance.entity.clone())]),
        });
        instances.collect()
    }

    /// The figures of instances by the version that they run now.
    fn versions(&self, node: &Entity) -> Vec<VersionFigures> {
        let mut by_version: BTreeMap<&str, (usize, Vec<SeriesKey>)> = BTreeMap::new();
        for instance in self.seen(node) {
            let (instances, keys) = by_version.entry(instance.version).or_default();
            *instances += usize::from(instance.silent.is_none());
            keys.push(SeriesKey::Instance(instance.entity.clone()));
        }
        let figures = by_version.into_iter().map(|(version, (instances, keys))| VersionFigures {
            version: version.to_owned(),
            instances,
            red: self.sum(&keys),
        });
        figures.collect()
    }

    fn targets(&self, node: &Entity) -> Vec<String> {
        self.targets.get(node).cloned().unwrap_or_default()
    }

    fn call(&self, other: &Entity, keys: &[SeriesKey]) -> CallFigures {
        CallFigures {
            entity: other.clone(),
            state: self.nodes.get(other).map(|standing| standing.state),
            red: self.sum(keys),
        }
    }
}

/// Low: near to trouble. What burns comes before all else, then what has little budget left.
fn nearness(objective: &ObjectiveState) -> f64 {
    let left = objective.budget_left.unwrap_or(1.0).clamp(-100.0, 1.0);
    match objective.health {
        Health::Burning => left - 1_000.0,
        Health::Well | Health::NoData => left,
        Health::Learning | Health::NoTraffic => left + 1_000.0,
    }
}
