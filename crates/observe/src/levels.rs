//! How much is used of what there is only so much of, read from metrics by OpenTelemetry's semantic
//! conventions, today's names and those before: pools of database connections
//! (`db.client.connection.*`), processor time and memory of processes, of the JVM and of hosts, and
//! room of file systems.
//!
//! One metric tells what is used, often another one the limit, each by several points (states,
//! modes, processors), which are summed within one export. A level is told once both are known.
//! What a collector tells without naming a service is its host's.
//!
//! Bounded by `limits.metric_streams`; what comes beyond is counted. What is not told again for
//! `FORGET_AFTER` is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use model::level::{Level, LevelKey, Resource};
use model::signal::{Attributes, Metric, MetricData, NumberPoint, Temporality};
use model::{Entity, EntityKind, Timestamp};
use serde::{Deserialize, Serialize};

use crate::observer::{Observer, Source};
use crate::registry::{Id, Registry};

/// What a metric tells of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tells {
    /// A share of 0–1 that is used, the sum of its points that are not idle.
    Share,
    /// The same where each processor tells of itself: the mean over processors.
    ShareOfEach,
    Used,
    Limit,
    Waiting,
}

/// Metric, what it is of, what it tells, and the attributes that name one of several.
const METRICS: &[(&str, Resource, Tells, &[&str])] = &[
    ("db.client.connection.count", Resource::Pool, Tells::Used, POOL),
    ("db.client.connection.max", Resource::Pool, Tells::Limit, POOL),
    ("db.client.connection.pending_requests", Resource::Pool, Tells::Waiting, POOL),
    ("db.client.connections.usage", Resource::Pool, Tells::Used, POOL),
    ("db.client.connections.max", Resource::Pool, Tells::Limit, POOL),
    ("db.client.connections.pending_requests", Resource::Pool, Tells::Waiting, POOL),
    ("process.cpu.utilization", Resource::Cpu, Tells::Share, &[]),
    ("jvm.cpu.recent_utilization", Resource::Cpu, Tells::Share, &[]),
    ("system.cpu.utilization", Resource::Cpu, Tells::ShareOfEach, &[]),
    ("jvm.memory.used", Resource::Memory, Tells::Used, &["jvm.memory.pool.name"]),
    ("jvm.memory.limit", Resource::Memory, Tells::Limit, &["jvm.memory.pool.name"]),
    ("system.memory.utilization", Resource::Memory, Tells::Share, &[]),
    ("system.filesystem.utilization", Resource::Disk, Tells::Share, MOUNT),
];

const POOL: &[&str] = &["db.client.connection.pool.name", "pool.name"];
const MOUNT: &[&str] = &["system.filesystem.mountpoint", "mountpoint"];
const STATES: &[&str] = &[
    "db.client.connection.state",
    "state",
    "cpu.mode",
    "system.cpu.state",
    "process.cpu.state",
    "system.memory.state",
    "system.filesystem.state",
];
/// States and modes that are not use.
const UNUSED: &[&str] = &["idle", "free", "iowait", "wait", "buffered", "cached", "available"];
const PROCESSORS: &[&str] = &["cpu.logical_number", "system.cpu.logical_number", "cpu"];

const FORGET_AFTER: Duration = Duration::from_secs(600);
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 128;
/// "No recorded value" in a point's flags.
const NO_VALUE: u32 = 1;

/// Instance, what of it, and which of several.
type Key = (Id, Resource, String);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Levels {
    parts: BTreeMap<Key, Parts>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Parts {
    used: Option<f64>,
    limit: Option<f64>,
    waiting: Option<f64>,
    at: Timestamp,
    /// Since the last tick.
    is_new: bool,
}

/// Points of one name in one export.
#[derive(Default)]
struct Sum {
    value: f64,
    processors: Vec<u64>,
}

impl Observer {
    /// True when the metric was about a level.
    pub(crate) fn take_level(
        &mut self,
        source: &Source,
        metric: &Metric,
        arrival: Timestamp,
    ) -> bool {
        let found = METRICS.iter().find(|(name, ..)| *name == metric.name);
        let Some((_, resource, tells, names)) = found else { return false };
        let (Some(instance), Some(points)) = (source.instance, points(&metric.data)) else {
            return true;
        };
        for (name, sum) in sums(points, *tells, names) {
            let key = (instance, *resource, name);
            if !self.levels.take(key, *tells, &sum, arrival, self.config.limits.metric_streams) {
                self.quality.over_limit += 1;
            }
        }
        true
    }
}

impl Levels {
    /// False when there is no room.
    fn take(&mut self, key: Key, tells: Tells, sum: &Sum, at: Timestamp, limit: usize) -> bool {
        if !self.parts.contains_key(&key) && self.parts.len() >= limit {
            return false;
        }
        let parts = self.parts.entry(key).or_default();
        let value = Some(sum.value);
        match tells {
            Tells::Share => (parts.used, parts.limit) = (value, Some(1.0)),
            Tells::ShareOfEach => {
                (parts.used, parts.limit) = (value, Some(sum.processors.len().max(1) as f64));
            }
            Tells::Used => parts.used = value,
            Tells::Limit => parts.limit = value.filter(|limit| *limit > 0.0),
            Tells::Waiting => parts.waiting = value,
        }
        parts.at = at;
        // The limit alone is no reading, and what waits comes beside what is used.
        parts.is_new |= matches!(tells, Tells::Share | Tells::ShareOfEach | Tells::Used);
        true
    }

    /// What was told since the last tick, sorted.
    pub fn tick(&mut self, now: Timestamp, registry: &Registry) -> Vec<Level> {
        let mut levels = Vec::new();
        self.parts.retain(|_, parts| now.since(parts.at) <= FORGET_AFTER);
        for ((instance, resource, name), parts) in &mut self.parts {
            let (Some(used), Some(limit)) = (parts.used, parts.limit) else { continue };
            let Some(entity) = registry.entity(*instance).filter(|_| parts.is_new) else {
                continue;
            };
            parts.is_new = false;
            let (resource, name) = (*resource, name.clone());
            let key = LevelKey { entity: owner(entity), resource, name };
            levels.push(Level { at: parts.at, key, used, limit, waiting: parts.waiting });
        }
        levels.sort_by(|a, b| a.key.cmp(&b.key));
        levels
    }
}

/// What no service is named for is its host's.
fn owner(instance: &Entity) -> Entity {
    match instance.part_of.as_str() {
        "unknown_service" => Entity::new(&instance.scope, EntityKind::Host, &instance.name),
        _ => instance.clone(),
    }
}

/// Differences to what was told before are passed over: nobody knows what was before.
fn points(data: &MetricData) -> Option<&[NumberPoint]> {
    match data {
        MetricData::Gauge(points) => Some(points),
        MetricData::Sum { temporality: Temporality::Cumulative, points, .. } => Some(points),
        _ => None,
    }
}

fn sums(points: &[NumberPoint], tells: Tells, names: &[&str]) -> BTreeMap<String, Sum> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for point in points {
        let value = point.value.map_or(f64::NAN, model::signal::Number::as_f64);
        if point.header.flags & NO_VALUE != 0 || !value.is_finite() || value < 0.0 {
            continue;
        }
        let attributes = &point.header.attributes;
        let name = attributes.first_str(names).unwrap_or_default();
        let name = name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned();
        let sum = sums.entry(name).or_default();
        if tells == Tells::ShareOfEach {
            sum.see_processor(attributes);
        }
        if !attributes.first_str(STATES).is_some_and(|state| UNUSED.contains(&state)) {
            sum.value += value;
        }
    }
    sums
}

impl Sum {
    fn see_processor(&mut self, attributes: &Attributes) {
        let number = PROCESSORS.iter().find_map(|name| {
            let text = || attributes.str(name)?.trim_start_matches("cpu").parse().ok();
            attributes.i64(name).and_then(|number| u64::try_from(number).ok()).or_else(text)
        });
        let number = number.unwrap_or_default();
        if let Err(at) = self.processors.binary_search(&number) {
            self.processors.insert(at, number);
        }
    }
}

#[cfg(test)]
mod tests;
