//! Services, databases, queues and peers: how each fares, and what about it differs.
//!
//! All figures are the loop's own, over the last minutes; nothing is asked of the store.

mod gather;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use engine::figures::{WINDOW_MAX, WINDOW_MIN};
use engine::{NodeState, Red, Standing};
use gather::Gathering;
use model::human::HumanDuration;
use model::symptom::ObjectiveState;
use model::{Change, Entity, EntityKind, IncidentId, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extract::{Json, Path, Query};
use super::parameters::Parameters;
use super::{App, Error};

const WINDOW_DEFAULT: Duration = Duration::from_secs(5 * 60);
/// Operations, instances and changes of one answer, each.
const PARTS_MAX: usize = 500;
/// Nodes of one answer.
const NODES_MAX: usize = 5_000;

type Pairs = Query<Vec<(String, String)>>;

/// How services, databases, queues and peers fare.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Services {
    /// Time of the loop's last step; `since`, `last_seen` and the like are measured against it.
    pub now: Timestamp,
    /// What figures are taken over.
    pub window_seconds: u64,
    /// Sorted by entity.
    pub services: Vec<ServiceState>,
    /// There are more than these.
    pub truncated: bool,
}

/// How one of them fares.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ServiceState {
    pub entity: Entity,
    pub state: NodeState,
    /// Onset of the harm, begin of the recovery, or when it was heard last.
    pub since: Option<Timestamp>,
    /// Of a service as it told, of anything else as its callers told.
    #[serde(flatten)]
    pub red: Red,
    /// Instances that are heard.
    pub instances: usize,
    /// Instances that fell silent within the last hour.
    pub instances_silent: usize,
    /// Of those that are heard, by name; without those that tell none.
    pub versions: Vec<VersionCount>,
    /// Incidents that are open or mitigated and about it.
    pub incidents: Vec<IncidentId>,
    /// Objectives about it and its operations.
    pub objectives: usize,
    /// Of these the one nearest to trouble.
    pub objective: Option<ObjectiveState>,
    /// When telemetry of it arrived last; null of what tells nothing itself.
    pub last_seen: Option<Timestamp>,
    /// Of the last six hours.
    pub last_change: Option<Change>,
}

/// How many instances run a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct VersionCount {
    pub version: String,
    pub instances: usize,
}

/// One of them with all that differs within it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ServiceDetail {
    pub now: Timestamp,
    pub window_seconds: u64,
    pub service: ServiceState,
    /// Most requests first, at most 500.
    pub operations: Vec<OperationFigures>,
    /// Those that are heard, and those that fell silent within the last hour; at most 500.
    pub instances: Vec<InstanceFigures>,
    pub versions: Vec<VersionFigures>,
    /// Whom it calls, as it told.
    pub calls: Vec<CallFigures>,
    /// Who calls it, as they told.
    pub callers: Vec<CallFigures>,
    pub objectives: Vec<ObjectiveState>,
    /// Of the last six hours, newest first.
    pub changes: Vec<Change>,
    /// What may be acted upon.
    pub targets: Vec<String>,
    /// Names of policies for these.
    pub policies: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct OperationFigures {
    pub operation: String,
    #[serde(flatten)]
    pub red: Red,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct InstanceFigures {
    pub instance: String,
    /// Empty when telemetry does not say.
    pub version: String,
    /// Since when it is known to run it.
    pub version_since: Option<Timestamp>,
    /// Last heard at this time, and not since.
    pub silent_since: Option<Timestamp>,
    #[serde(flatten)]
    pub red: Red,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct VersionFigures {
    /// Empty when telemetry does not say.
    pub version: String,
    /// Instances that are heard and run it now.
    pub instances: usize,
    #[serde(flatten)]
    pub red: Red,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct CallFigures {
    /// The other end.
    pub entity: Entity,
    pub state: Option<NodeState>,
    #[serde(flatten)]
    pub red: Red,
}

/// Who calls whom.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Topology {
    pub now: Timestamp,
    pub window_seconds: u64,
    /// Sorted by entity.
    pub nodes: Vec<TopologyNode>,
    /// Sorted by caller, then callee; both ends are among the nodes.
    pub edges: Vec<TopologyEdge>,
    /// There are more than these.
    pub truncated: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TopologyNode {
    pub entity: Entity,
    pub state: NodeState,
    pub since: Option<Timestamp>,
    /// Instances that are heard.
    pub instances: usize,
    /// What of it may be acted upon.
    pub targets: Vec<String>,
    #[serde(flatten)]
    pub red: Red,
}

#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub(crate) struct TopologyEdge {
    pub caller: Entity,
    pub callee: Entity,
    #[serde(flatten)]
    pub red: Red,
}

fn window(given: &mut Parameters) -> Result<Duration, Error> {
    let window = given.duration("window")?.unwrap_or(WINDOW_DEFAULT);
    match (WINDOW_MIN..=WINDOW_MAX).contains(&window) {
        true => Ok(window),
        false => {
            let (min, max) = (HumanDuration(WINDOW_MIN), HumanDuration(WINDOW_MAX));
            Err(Error::Invalid(format!("`window`: write {min} to {max}")))
        }
    }
}

pub(super) async fn list(State(app): State<App>, pairs: Pairs) -> Result<Json<Services>, Error> {
    let mut given = Parameters::from(pairs);
    let window = window(&mut given)?;
    given.finish()?;
    Ok(Json(app.ask(move |core| Gathering::new(core, window).services()).await?))
}

pub(super) async fn one(
    State(app): State<App>,
    Path(name): Path<String>,
    pairs: Pairs,
) -> Result<Json<ServiceDetail>, Error> {
    let mut given = Parameters::from(pairs);
    let environment = given.text("environment")?;
    let kinds: Vec<(&str, EntityKind)> =
        EntityKind::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
    let kind = given.word("kind", &kinds)?;
    let window = window(&mut given)?;
    given.finish()?;
    let detail = app.ask(move |core| {
        let gathering = Gathering::new(core, window);
        let entity = find(gathering.nodes(), &name, environment.as_deref(), kind)?;
        Ok::<_, Error>(gathering.detail(&entity))
    });
    Ok(Json(detail.await??))
}

pub(super) async fn topology(
    State(app): State<App>,
    pairs: Pairs,
) -> Result<Json<Topology>, Error> {
    let mut given = Parameters::from(pairs);
    let window = window(&mut given)?;
    given.finish()?;
    Ok(Json(app.ask(move |core| Gathering::new(core, window).topology()).await?))
}

/// The one node of that name; a service before anything else.
fn find(
    nodes: &BTreeMap<Entity, Standing>,
    name: &str,
    environment: Option<&str>,
    kind: Option<EntityKind>,
) -> Result<Entity, Error> {
    let mut named: Vec<&Entity> = nodes
        .keys()
        .filter(|entity| entity.name == name)
        .filter(|entity| environment.is_none_or(|it| entity.scope.environment == it))
        .filter(|entity| kind.is_none_or(|it| entity.kind == it))
        .collect();
    if named.iter().any(|entity| entity.kind == EntityKind::Service) {
        named.retain(|entity| entity.kind == EntityKind::Service);
    }
    match named[..] {
        [] => Err(Error::NotFound(format!("nothing is called {name} here, or not any more"))),
        [one] => Ok(one.clone()),
        _ => {
            let places: Vec<String> = named
                .iter()
                .map(|it| format!("{} in {}", it.kind.as_str(), it.scope.environment))
                .collect();
            let places = places.join(", ");
            let message = format!("{name} is {places}; say `environment` and `kind`");
            Err(Error::Invalid(message))
        }
    }
}
