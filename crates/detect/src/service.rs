//! What is known of a service as a whole: when it was heard, what it completed, what waits in it,
//! who calls it, which of its processes run. The ground on which "stalled" and "absent traffic"
//! stand.

mod processes;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::tick::{ProcessReport, SeriesKey};
use model::{Entity, Timestamp};
use serde::{Deserialize, Serialize};

use processes::Processes;

use crate::inspections::blind;
use crate::inspections::stalled::Flow;
use crate::rate::Rate;
use crate::standing::Standing;

/// Operations and calls watched of one service.
pub const FLOWS_MAX: usize = 200;

/// Instances whose requests in flight are told apart.
const GAUGES_MAX: usize = 64;

const CALLERS_MAX: usize = 64;

/// The longest silence of a service fades with this memory: a week.
const SILENCE_MEMORY_SECONDS: f64 = 7.0 * 86_400.0;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Last arrival of anything.
    pub heard: Timestamp,
    pub first_request: Option<Timestamp>,
    /// Last arrival of requests (or when watching was resumed), and the latest event time that one
    /// ended.
    pub last_request: Option<Timestamp>,
    pub last_request_end: Timestamp,
    /// Requests that arrived in this tick.
    pub arrived: f64,
    pub rate: Rate,
    /// Between two arrivals of requests; fades over weeks.
    pub longest_silence_seconds: f64,
    pub processes: Processes,
    gauges: BTreeMap<Entity, Gauge>,
    /// Services that call it; where there is one, its traffic is not users' own.
    pub callers: BTreeSet<Entity>,
    /// Its operations, and its calls to others.
    pub flows: BTreeMap<SeriesKey, Flow>,
    /// Flows, callers, gauges and processes left out because of a bound.
    pub left_out: u64,
    pub stalled: Option<Standing>,
    pub absent: Option<Standing>,
    pub blind: blind::Watch,
}

/// Requests in flight as one instance (or the service) reports them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Gauge {
    value: f64,
    at: Timestamp,
    /// What always is in flight (standing connections): the least seen while requests completed,
    /// rising slowly.
    floor: Option<f64>,
}

/// Share by which the floor moves up to a higher reading: forgets an old least in some twenty
/// readings.
const FLOOR_RISE: f64 = 0.05;

impl Service {
    pub fn new(now: Timestamp) -> Self {
        Service {
            heard: now,
            first_request: None,
            last_request: None,
            last_request_end: Timestamp::ZERO,
            arrived: 0.0,
            rate: Rate::default(),
            longest_silence_seconds: 0.0,
            processes: Processes::default(),
            gauges: BTreeMap::new(),
            callers: BTreeSet::new(),
            flows: BTreeMap::new(),
            left_out: 0,
            stalled: None,
            absent: None,
            blind: blind::Watch::default(),
        }
    }

    /// Time passes, before the requests of a tick are taken.
    pub fn pass(&mut self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        self.rate.pass(seconds);
        let keep = SILENCE_MEMORY_SECONDS / (SILENCE_MEMORY_SECONDS + seconds);
        self.longest_silence_seconds *= keep;
        self.arrived = 0.0;
        for flow in self.flows.values_mut() {
            flow.pass(seconds);
        }
    }

    /// Nobody watched until `now`: silences are counted from here.
    pub fn resume(&mut self, now: Timestamp) {
        self.pass(Duration::ZERO);
        self.last_request = self.last_request.map(|_| now);
        self.blind.resume(now);
        for flow in self.flows.values_mut() {
            flow.last_arrival = now;
        }
    }

    pub fn take_requests(&mut self, count: f64, end: Timestamp, now: Timestamp) {
        if count <= 0.0 {
            return;
        }
        self.first_request.get_or_insert(now);
        if let Some(silence) = self.silent(now) {
            self.longest_silence_seconds = self.longest_silence_seconds.max(silence.as_secs_f64());
        }
        self.last_request = Some(now);
        self.last_request_end = self.last_request_end.max(end);
        self.arrived += count;
        self.rate.add(count);
        for standing in [&mut self.stalled, &mut self.absent].into_iter().flatten() {
            if end > standing.symptom.onset {
                standing.see_good(end, count);
            }
        }
    }

    pub fn take_flow(&mut self, series: &SeriesKey, count: f64, end: Timestamp, now: Timestamp) {
        if count <= 0.0 {
            return;
        }
        if let Some(flow) = self.flows.get_mut(series) {
            flow.take(count, end, now);
        } else if self.flows.len() < FLOWS_MAX {
            let mut flow = Flow::new(now);
            flow.take(count, end, now);
            self.flows.insert(series.clone(), flow);
        } else {
            self.left_out += 1;
        }
    }

    /// A reading of requests in flight, after the requests of the same tick were taken.
    pub fn take_gauge(&mut self, entity: &Entity, value: f64, now: Timestamp) {
        let completing = self.last_request.is_some_and(|last| now.since(last).as_secs() < 10);
        if !self.gauges.contains_key(entity) && self.gauges.len() >= GAUGES_MAX {
            let oldest = self.gauges.iter().min_by_key(|(_, gauge)| gauge.at);
            if let Some(oldest) = oldest.map(|(entity, _)| entity.clone()) {
                self.gauges.remove(&oldest);
                self.left_out += 1;
            }
        }
        let gauge =
            self.gauges.entry(entity.clone()).or_insert(Gauge { value, at: now, floor: None });
        gauge.value = value;
        gauge.at = now;
        if completing {
            gauge.floor = Some(gauge.floor.map_or(value, |floor| {
                if value < floor { value } else { floor + FLOOR_RISE * (value - floor) }
            }));
        }
    }

    /// Requests in flight beyond what always is, by readings taken at `not_before` or later. An
    /// instance that was never read while it worked does not count: what it always has in flight is
    /// not known.
    pub fn waiting(&self, not_before: Timestamp) -> f64 {
        let surplus = |gauge: &Gauge| gauge.floor.map_or(0.0, |floor| gauge.value - floor);
        self.gauges.values().filter(|gauge| gauge.at >= not_before).map(surplus).sum()
    }

    pub fn add_caller(&mut self, caller: &Entity) {
        if self.callers.len() < CALLERS_MAX {
            self.callers.insert(caller.clone());
        } else if !self.callers.contains(caller) {
            self.left_out += 1;
        }
    }

    pub fn take_process(&mut self, report: &ProcessReport, now: Timestamp) {
        if !self.processes.take(&report.target, &report.state, now) {
            self.left_out += 1;
        }
    }

    /// Time since the last completion arrived.
    pub fn silent(&self, now: Timestamp) -> Option<Duration> {
        self.last_request.map(|last| now.since(last))
    }
}
