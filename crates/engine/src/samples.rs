//! What the loop counted, as series that can be stored, queried and drawn.
//!
//! A tick tells increments of 10 s buckets in which requests ended, and the increments of one
//! bucket come over several ticks. So they are gathered here, and told when a bucket is *closed*:
//! once its end is `GRACE` ago. What comes later for a closed bucket (a service that was cut off
//! sends its backlog) is told at the next closing as further delta points of the same time, so
//! sums over time are exact; it changes no quantile, since those of a few stragglers mislead.
//! Facts of traces are told with each closing for the 10 s up to it. Series say nothing where
//! nothing happened: there are no zeros.
//!
//! The time of a point is the end of the 10 s it tells of, as OpenTelemetry has it for sums.
//!
//! Invariants: the same ticks give the same samples in the same order; each request and error is
//! told once per series; at most `SERIES_MAX` series wait, and what does not fit is told too.

use std::collections::BTreeMap;
use std::time::Duration;

use model::tick::{BUCKET, RequestPoint, SeriesKey};
use model::traces::{EdgeFacts, ErrorFacts, OperationFacts, TraceFacts};
use model::{Entity, EntityKind, Histogram, Tick, Timestamp};
use serde::{Deserialize, Serialize};

/// How long after its end a bucket is closed: stock SDKs send spans every 5 s.
const GRACE: Duration = BUCKET;
/// Series of all buckets that wait, of all operations, of all edges; each.
const SERIES_MAX: usize = 50_000;
/// Kinds of error of one series with a name of their own.
const KINDS_MAX: usize = 16;
const OTHER: &str = "other";
const QUANTILES: [(f64, &str); 3] = [(0.5, "0.5"), (0.95, "0.95"), (0.99, "0.99")];

/// One point of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub metric: &'static str,
    /// In UCUM, as in OpenTelemetry.
    pub unit: &'static str,
    pub kind: SampleKind,
    /// Empty for the engine itself.
    pub service: String,
    /// In a fixed order.
    pub attributes: Vec<(String, String)>,
    pub at: Timestamp,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleKind {
    Gauge,
    /// An increment: values of one series may be added up over time.
    DeltaSum,
}

/// What was counted and not told yet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    buckets: BTreeMap<Timestamp, BTreeMap<SeriesKey, Requests>>,
    /// In all buckets.
    series: usize,
    /// Buckets that begin before this were closed.
    closed_until: Timestamp,
    operations: BTreeMap<Entity, Operation>,
    edges: BTreeMap<(Entity, Entity), Edge>,
    left_out: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Requests {
    total: f64,
    errors: Errors,
    durations: Histogram,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Operation {
    self_time: Histogram,
    started: Errors,
    passed_on: Errors,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Edge {
    gap: Histogram,
    requests: u64,
    calls: u64,
    calls_max: u64,
    retries: u64,
    started: Errors,
}

/// Errors by kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Errors(BTreeMap<String, f64>);

impl Samples {
    /// Takes a tick; hands out what is known for good by its time.
    pub fn step(&mut self, tick: &Tick) -> Vec<Sample> {
        tick.requests.iter().for_each(|point| self.add_point(point));
        self.add_traces(&tick.traces);
        let mut told = Vec::new();
        for (instance, value) in &tick.in_flight {
            let about = About::entity(instance);
            told.push(about.gauge("immune.in_flight", "{request}", tick.now, *value));
        }
        for report in &tick.processes {
            let Some(bytes) = report.memory_bytes else { continue };
            let about = About::entity(&report.entity).with("target", &report.target);
            told.push(about.gauge("immune.process.memory", "By", report.at, bytes as f64));
        }
        let end = tick.now.floor_to(BUCKET);
        let closed_until = end - GRACE;
        if closed_until > self.closed_until {
            self.tell_buckets(closed_until, &mut told);
            self.tell_traces(end, &mut told);
            self.closed_until = closed_until;
            let left_out = std::mem::take(&mut self.left_out);
            if left_out > 0 {
                let about = About { service: String::new(), attributes: Vec::new() };
                let value = left_out as f64;
                told.push(about.sum("immune.samples.left_out", "{sample}", end, value));
            }
        }
        told
    }

    fn add_point(&mut self, point: &RequestPoint) {
        let held = self.buckets.get(&point.bucket);
        if !held.is_some_and(|bucket| bucket.contains_key(&point.series)) {
            if self.series >= SERIES_MAX {
                self.left_out += 1;
                return;
            }
            self.series += 1;
            let bucket = self.buckets.entry(point.bucket).or_default();
            bucket.insert(point.series.clone(), Requests::default());
        }
        let bucket = self.buckets.get_mut(&point.bucket);
        let Some(requests) = bucket.and_then(|bucket| bucket.get_mut(&point.series)) else {
            return;
        };
        requests.total += point.total;
        requests.durations.merge(&point.durations);
        for (kind, count) in &point.error_kinds {
            requests.errors.add(kind, *count);
        }
    }

    fn add_traces(&mut self, traces: &TraceFacts) {
        for facts in &traces.operations {
            match slot(&mut self.operations, &facts.operation) {
                Some(operation) => operation.add(facts),
                None => self.left_out += 1,
            }
        }
        for facts in &traces.edges {
            match slot(&mut self.edges, &(facts.caller.clone(), facts.callee.clone())) {
                Some(edge) => edge.add(facts),
                None => self.left_out += 1,
            }
        }
    }

    fn tell_buckets(&mut self, until: Timestamp, told: &mut Vec<Sample>) {
        let rest = self.buckets.split_off(&until);
        for (bucket, series) in std::mem::replace(&mut self.buckets, rest) {
            let is_late = bucket < self.closed_until;
            let at = bucket + BUCKET;
            self.series -= series.len();
            for (key, requests) in series {
                let about = About::series(&key);
                told.push(about.sum("immune.requests", "{request}", at, requests.total));
                requests.errors.tell(&about, "immune.errors", at, told);
                if !is_late {
                    about.quantiles("immune.duration", &requests.durations, at, told);
                }
            }
        }
    }

    fn tell_traces(&mut self, at: Timestamp, told: &mut Vec<Sample>) {
        for (entity, operation) in std::mem::take(&mut self.operations) {
            let about = About::entity(&entity);
            about.quantiles("immune.span.self_time", &operation.self_time, at, told);
            operation.started.tell(&about, "immune.errors.started", at, told);
            operation.passed_on.tell(&about, "immune.errors.passed_on", at, told);
        }
        for ((caller, callee), edge) in std::mem::take(&mut self.edges) {
            let about = About::edge(&caller, &callee);
            about.quantiles("immune.edge.gap", &edge.gap, at, told);
            if edge.requests > 0 {
                let mean = edge.calls as f64 / edge.requests as f64;
                for (name, value) in [("mean", mean), ("max", edge.calls_max as f64)] {
                    let about = about.with("statistic", name);
                    told.push(about.gauge("immune.edge.fan_out", "{call}", at, value));
                }
            }
            if edge.retries > 0 {
                let retries = edge.retries as f64;
                told.push(about.sum("immune.edge.retries", "{call}", at, retries));
            }
            edge.started.tell(&about, "immune.errors.started", at, told);
        }
    }
}

/// The place of a key, if there is room for it.
fn slot<'a, K: Ord + Clone, V: Default>(
    sums: &'a mut BTreeMap<K, V>,
    key: &K,
) -> Option<&'a mut V> {
    if !sums.contains_key(key) {
        if sums.len() >= SERIES_MAX {
            return None;
        }
        sums.insert(key.clone(), V::default());
    }
    sums.get_mut(key)
}

impl Operation {
    fn add(&mut self, facts: &OperationFacts) {
        self.self_time.merge(&facts.self_time.times);
        self.started.add_all(&facts.errors_started);
        self.passed_on.add_all(&facts.errors_passed_on);
    }
}

impl Edge {
    fn add(&mut self, facts: &EdgeFacts) {
        self.gap.merge(&facts.gap.times);
        self.requests += facts.fan_out.requests;
        self.calls += facts.fan_out.calls;
        self.calls_max = self.calls_max.max(facts.fan_out.calls_max);
        self.retries += facts.retries.count;
        self.started.add_all(&facts.errors_started);
    }
}

impl Errors {
    fn add_all(&mut self, errors: &[ErrorFacts]) {
        errors.iter().for_each(|error| self.add(&error.kind, error.found.count as f64));
    }

    fn add(&mut self, kind: &str, count: f64) {
        if let Some(sum) = self.0.get_mut(kind) {
            *sum += count;
            return;
        }
        let kind = if self.0.len() < KINDS_MAX { kind } else { OTHER };
        *self.0.entry(kind.to_owned()).or_default() += count;
    }

    fn tell(&self, about: &About, metric: &'static str, at: Timestamp, told: &mut Vec<Sample>) {
        for (kind, count) in &self.0 {
            told.push(about.with("error.type", kind).sum(metric, "{error}", at, *count));
        }
    }
}

/// Whose series it is.
#[derive(Clone, Debug)]
struct About {
    service: String,
    attributes: Vec<(String, String)>,
}

impl About {
    fn series(key: &SeriesKey) -> About {
        match key {
            SeriesKey::Service(entity)
            | SeriesKey::Operation(entity)
            | SeriesKey::Instance(entity) => About::entity(entity),
            SeriesKey::Edge { caller, callee } => About::edge(caller, callee),
        }
    }

    /// A service, or a part of one.
    fn entity(entity: &Entity) -> About {
        match entity.kind {
            EntityKind::Service => About::of("service", entity, &entity.name),
            kind => {
                About::of(kind.as_str(), entity, &entity.part_of).with(kind.as_str(), &entity.name)
            }
        }
    }

    fn edge(caller: &Entity, callee: &Entity) -> About {
        About::of("edge", caller, &caller.name)
            .with("callee", &callee.name)
            .with("callee.kind", callee.kind.as_str())
    }

    /// `of` keeps apart what would count the same requests twice: a service's and its operations'.
    fn of(of: &str, entity: &Entity, service: &str) -> About {
        let about = About { service: service.to_owned(), attributes: Vec::new() }
            .with("of", of)
            .with("deployment.environment.name", &entity.scope.environment);
        match entity.scope.tenant.as_str() {
            "default" => about,
            tenant => about.with("tenant", tenant),
        }
    }

    fn with(&self, name: &str, value: &str) -> About {
        let mut about = self.clone();
        about.attributes.push((name.to_owned(), value.to_owned()));
        about
    }

    fn sample(
        self,
        (metric, unit, kind): (&'static str, &'static str, SampleKind),
        at: Timestamp,
        value: f64,
    ) -> Sample {
        let About { service, attributes } = self;
        Sample { metric, unit, kind, service, attributes, at, value }
    }

    fn gauge(&self, metric: &'static str, unit: &'static str, at: Timestamp, value: f64) -> Sample {
        self.clone().sample((metric, unit, SampleKind::Gauge), at, value)
    }

    fn sum(&self, metric: &'static str, unit: &'static str, at: Timestamp, value: f64) -> Sample {
        self.clone().sample((metric, unit, SampleKind::DeltaSum), at, value)
    }

    fn quantiles(
        &self,
        metric: &'static str,
        durations: &Histogram,
        at: Timestamp,
        told: &mut Vec<Sample>,
    ) {
        for (quantile, name) in QUANTILES {
            if let Some(seconds) = durations.quantile(quantile) {
                told.push(self.with("quantile", name).gauge(metric, "s", at, seconds));
            }
        }
    }
}

#[cfg(test)]
mod tests;
