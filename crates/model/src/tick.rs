//! The tick: what arrived since the last step, as one mergeable value.
//!
//! `observe` makes one every second; `detect`, `diagnose` and `remediate` read it. Counts are
//! increments, each request counted once, sampling undone (`*_raw` keeps what was really seen, as
//! statistical evidence). Invariant: nothing in a tick tells of an experiment.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::alert::AlertReport;
use crate::change::Change;
use crate::condition::ConditionReport;
use crate::entity::Entity;
use crate::histogram::Histogram;
use crate::level::Level;
use crate::time::Timestamp;
use crate::traces::TraceFacts;

/// Length of an event-time bucket.
pub const BUCKET: std::time::Duration = std::time::Duration::from_secs(10);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// Number of the step, one more each time.
    pub seq: u64,
    /// Time of the step by the server's clock, never earlier than the step before.
    pub now: Timestamp,
    /// Sorted by series, then bucket.
    pub requests: Vec<RequestPoint>,
    /// Requests begun and not ended, where telemetry tells (`http.server.active_requests`); latest
    /// value.
    pub in_flight: Vec<(Entity, f64)>,
    /// How much is used of what there is only so much of: what was told since the last step,
    /// sorted by key.
    pub levels: Vec<Level>,
    pub topology: Vec<TopologyChange>,
    pub instances: Vec<InstanceEvent>,
    /// Last arrival of any telemetry of a service (any signal, any instance), for those heard in
    /// this tick.
    pub heard: Vec<(Entity, Timestamp)>,
    pub changes: Vec<Change>,
    pub probes: Vec<ProbeResult>,
    /// What other systems told of their alerts, in the order of arrival.
    pub alerts: Vec<AlertReport>,
    /// What the agents see of the processes that they were told of.
    pub processes: Vec<ProcessReport>,
    /// What they see of databases and disks.
    pub conditions: Vec<ConditionReport>,
    /// What the span trees closed since the last step tell: evidence, never counters.
    pub traces: TraceFacts,
    pub quality: Quality,
}

/// Which series a point belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SeriesKey {
    /// Requests served by a service, all operations and instances.
    Service(Entity),
    Operation(Entity),
    Instance(Entity),
    /// Calls as the caller saw them, from service to service, database, queue or peer.
    Edge {
        caller: Entity,
        callee: Entity,
    },
}

/// Increments of one series in one event-time bucket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestPoint {
    pub series: SeriesKey,
    /// Start of the 10 s event-time bucket in which the requests ended.
    pub bucket: Timestamp,
    pub total: f64,
    pub errors: f64,
    pub total_raw: u64,
    pub errors_raw: u64,
    pub durations: Histogram,
    /// For each latency threshold that the observer was given for this series: (threshold in
    /// seconds, requests that succeeded within it), exact.
    pub within: Vec<(f64, f64)>,
    /// Kinds of error with their counts (`error.type`, status code, exception), at most a handful.
    pub error_kinds: Vec<(String, f64)>,
    /// End of the earliest failed request in this point.
    pub first_error_at: Option<Timestamp>,
    /// A trace that shows the trouble: hex id of a failed request, else of the slowest.
    pub exemplar: Option<Exemplar>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exemplar {
    /// 32 hex digits.
    pub trace_id: String,
    pub error: bool,
    pub duration_nanos: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TopologyChange {
    /// An entity was seen for the first time.
    Entity(Entity),
    /// `caller` calls `callee`.
    Calls { caller: Entity, callee: Entity },
    /// What was known by address turned out to be `entity`; edges to `from` are edges to `entity`.
    Alias { from: Entity, entity: Entity },
}

/// What became known of one instance of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InstanceEvent {
    pub at: Timestamp,
    pub instance: Entity,
    pub kind: InstanceEventKind,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum InstanceEventKind {
    /// First heard of; `version` is empty when telemetry does not say.
    Seen {
        version: String,
    },
    /// The same instance with another process (pid or start time).
    Restarted,
    Version {
        from: String,
        to: String,
    },
    /// Not heard for longer than its own rhythm explains. Says nothing about why.
    Silent {
        last_heard: Timestamp,
    },
    /// Heard again after silence.
    Back,
    /// Silent for so long that it is forgotten.
    Vanished {
        last_heard: Timestamp,
    },
}

/// Outcome of one probe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbeResult {
    pub at: Timestamp,
    /// Name in configuration.
    pub probe: String,
    /// What users would be hurt if it fails.
    pub entity: Entity,
    /// `None` when it answered as expected, else what was wrong: `timed out after 2s`.
    pub error: Option<String>,
    pub duration_nanos: u64,
    /// Until when the certificate is valid that it was shown, where it was shown one.
    #[serde(default)]
    pub certificate_until: Option<Timestamp>,
}

/// What an agent sees of a configured target's process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessReport {
    pub at: Timestamp,
    /// Name of the target in configuration.
    pub target: String,
    pub entity: Entity,
    pub state: ProcessState,
    /// Memory that it holds while it runs, swapped out or not; `None` where that is not known.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ProcessState {
    Running(ProcessIdentity),
    /// It was seen running and is gone. `stop_requested`: a stop order through Immune came first.
    Gone {
        last: ProcessIdentity,
        last_seen: Timestamp,
        stop_requested: bool,
    },
    /// Never seen running since the agent knows of the target.
    NeverSeen,
}

/// Who a process is beyond its pid, so that a reused pid is never taken for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessIdentity {
    pub host: String,
    /// Changes with each boot of the host.
    pub boot_id: String,
    pub pid: u32,
    /// Clock ticks after boot at which it started (`/proc/PID/stat` field 22).
    pub start_ticks: u64,
}

/// What could not be taken as it came; counted, shown, never silent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    pub spans: u64,
    pub metric_points: u64,
    pub log_records: u64,
    /// What other systems told of their alerts.
    pub alerts: u64,
    /// Alerts that they had and did not send, or that were too many.
    pub alerts_left_out: u64,
    /// Spans whose end lies too far in the past to change a bucket; counted, not judged.
    pub late_spans: u64,
    /// Largest clamped difference between event time and arrival, in nanoseconds.
    pub skew_max_nanos: u64,
    /// Items left out because a bound on distinct series was reached.
    pub over_limit: u64,
    /// Span trees thrown away unread because a bound on memory was reached.
    pub trees_cut: u64,
    /// Spans of traces of which no tree is kept, because there were too many traces.
    pub spans_without_tree: u64,
    /// Spans that came after the tree of their trace was closed.
    pub spans_after_close: u64,
    /// Spans in closed trees whose parent never came.
    pub orphan_spans: u64,
}

impl Tick {
    /// True when nothing at all happened.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
            && self.in_flight.is_empty()
            && self.levels.is_empty()
            && self.topology.is_empty()
            && self.instances.is_empty()
            && self.heard.is_empty()
            && self.changes.is_empty()
            && self.probes.is_empty()
            && self.alerts.is_empty()
            && self.processes.is_empty()
            && self.conditions.is_empty()
            && self.traces.is_empty()
    }
}

impl Quality {
    /// Adds what a further tick tells; the largest skew stays.
    pub fn add(&mut self, other: &Quality) {
        self.spans += other.spans;
        self.metric_points += other.metric_points;
        self.log_records += other.log_records;
        self.alerts = self.alerts.saturating_add(other.alerts);
        self.alerts_left_out = self.alerts_left_out.saturating_add(other.alerts_left_out);
        self.late_spans += other.late_spans;
        self.skew_max_nanos = self.skew_max_nanos.max(other.skew_max_nanos);
        self.over_limit += other.over_limit;
        self.trees_cut += other.trees_cut;
        self.spans_without_tree += other.spans_without_tree;
        self.spans_after_close += other.spans_after_close;
        self.orphan_spans += other.orphan_spans;
    }
}
