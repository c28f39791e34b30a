//! From the world to a tick: what SDKs send and agents report in this second.
//!
//! Who is heard of goes through the engine's own observer, so that instances, versions, restarts,
//! silences and deploys are inferred as they are in production. Requests are handed over as the
//! points that the observer would have made of their spans; in the fidelity of spans it makes them
//! itself (`spans`). What is told never moves the world: its randomness is its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Core;
use model::signal::{Batch, Group, InstrumentationScope};
use model::tick::{
    ProcessIdentity, ProcessReport, ProcessState, RequestPoint, SeriesKey, Tick, TopologyChange,
};
use model::time::SECOND;
use model::{Entity, Timestamp};

use crate::telemetry::{Gathered, LIMITS, METRICS_EVERY, Outcomes, SPANS_EVERY, Sums, split};
use crate::world::{Process, Replica, START, World};

/// A look of an agent that says nothing new is told so often; memory that grows, so often.
const LOOK_AGAIN: u64 = 60;
const LOOK_AT_GROWTH: u64 = 10;

/// A stream of chance beside those of nodes.
const LOST: u64 = 1 << 32;

/// What a copy sends in a second.
pub(crate) struct Due {
    pub spans: bool,
    pub metrics: bool,
    /// Spans were due, and are lost on their way.
    pub lost: bool,
}

impl World {
    /// What is told in this second, taken in by the observer of `core`.
    pub fn tell(&mut self, core: &mut Core) -> Tick {
        let now = self.now();
        let mut requests = Vec::new();
        let mut in_flight = Vec::new();
        let fleet = Arc::clone(&self.fleet);
        for (node, of) in fleet.nodes.iter().enumerate() {
            if of.told && self.weaver.is_some() {
                self.send(core, node);
            } else if of.told {
                self.export(core, node, &mut requests, &mut in_flight);
            }
            if of.agent {
                self.look(core, node);
            }
        }
        self.look_around(core);
        let mut tick = core.observer.tick(self.second, now);
        if self.weaver.is_some() {
            return tick;
        }
        in_flight.sort_by(|a, b| a.0.cmp(&b.0));
        requests.sort_by(|a, b| (&a.series, a.bucket).cmp(&(&b.series, b.bucket)));
        tick.topology.append(&mut self.sums.news);
        tick.requests = requests;
        tick.in_flight = in_flight;
        tick
    }

    /// Asks the engine for the latency limits by which requests are to be counted.
    pub fn limits(&mut self, core: &mut Core) {
        let limits = core.engine.detectors.thresholds();
        self.count_by(&limits);
        if self.weaver.is_some() {
            core.observer.set_thresholds(limits);
        }
    }

    /// Requests are counted by these latency limits, in seconds, from the next one on.
    pub(crate) fn count_by(&mut self, limits: &BTreeMap<SeriesKey, Vec<f64>>) {
        for (at, node) in self.fleet.nodes.iter().enumerate() {
            let known = limits.get(&SeriesKey::Service(node.entity.clone()));
            let known = known.into_iter().flatten().copied().take(LIMITS);
            self.nodes[at].limits = known.collect();
        }
    }

    fn export(
        &mut self,
        core: &mut Core,
        node: usize,
        points: &mut Vec<RequestPoint>,
        in_flight: &mut Vec<(Entity, f64)>,
    ) {
        let now = self.now();
        let sampling = self.fleet.sampling;
        let mut random = self.telling.stream(self.second).stream(node as u64);
        let copies = std::mem::take(&mut self.nodes[node].copies);
        let mut sums = std::mem::take(&mut self.sums);
        sums.called.resize_with(self.fleet.nodes[node].calls.len(), Sums::default);
        let mut any = false;
        for copy in &copies {
            let Due { spans, metrics, lost } = self.due(*copy);
            let replica = &mut self.copies[*copy];
            if metrics {
                hear(core, replica, now);
                in_flight.push((replica.entity.clone(), replica.backlog as f64));
            }
            if lost {
                replica.lose_told();
            }
            if !spans {
                continue;
            }
            let mut of_instance = Sums::default();
            // What comes too late to be counted is heard all the same.
            let mut is_heard = false;
            for mut counts in replica.served.take(sampling, &mut random) {
                is_heard |= !counts.is_empty();
                counts.arrive(now);
                sums.served.add(&counts);
                of_instance.add(&counts);
            }
            for counts in of_instance.drain() {
                let series = SeriesKey::Instance(replica.entity.clone());
                points.push(counts.point(series, sampling));
            }
            for (sum, called) in sums.called.iter_mut().zip(&mut replica.called) {
                for mut counts in called.take(sampling, &mut random) {
                    is_heard |= !counts.is_empty();
                    counts.arrive(now);
                    sum.add(&counts);
                }
            }
            if is_heard {
                any = true;
                hear(core, replica, now);
            }
        }
        self.nodes[node].copies = copies;
        if any {
            self.points(node, &mut sums, points);
        }
        self.sums = sums;
    }

    /// What a copy is to send in this second, if there is anything.
    pub(crate) fn due(&self, copy: usize) -> Due {
        let replica = &self.copies[copy];
        let is_running = replica.state == Process::Running;
        if matches!(replica.state, Process::Crashed(_)) {
            return Due { spans: false, metrics: false, lost: false };
        }
        let phase = self.second + copy as u64;
        // Who is stopped in good order sends what it has.
        let spans = phase.is_multiple_of(SPANS_EVERY) || !is_running;
        let drops = self.fleet.nodes[replica.node].drops;
        let mut chance = self.telling.stream(self.second).stream(LOST).stream(copy as u64);
        let lost = spans && drops > 0.0 && chance.chance(drops);
        let metrics = is_running && phase.is_multiple_of(METRICS_EVERY);
        Due { spans: spans && !lost, metrics, lost }
    }

    /// Draws how the requests of a bucket of time, told in this second, were spread over
    /// operations.
    pub(crate) fn split(&self, node: usize, bucket: Timestamp, all: Outcomes) -> Vec<Outcomes> {
        let random = self.telling.stream(self.second).stream(node as u64);
        split(&self.fleet.nodes[node].operations, all, &mut random.stream(bucket.0))
    }

    /// What all copies that sent now add up to.
    fn points(
        &mut self,
        node: usize,
        sums: &mut crate::world::Scratch,
        points: &mut Vec<RequestPoint>,
    ) {
        let sampling = self.fleet.sampling;
        for counts in sums.served.drain() {
            let of = &self.fleet.nodes[node];
            let parts = self.split(node, counts.bucket(), counts.outcomes());
            for ((operation, _), part) in of.operations.iter().zip(parts) {
                let series = SeriesKey::Operation(operation.clone());
                let point = counts.part_point(series, part, sampling);
                points.extend((point.total_raw > 0).then_some(point));
            }
            let series = SeriesKey::Service(of.entity.clone());
            points.push(counts.service_point(series, &self.nodes[node].limits, sampling));
        }
        let of = &self.fleet.nodes[node];
        let states = &mut self.nodes[node].calls;
        for ((call, state), sum) in of.calls.iter().zip(states).zip(&mut sums.called) {
            for counts in sum.drain() {
                let caller = of.entity.clone();
                let callee = self.fleet.nodes[call.to].entity.clone();
                if !std::mem::replace(&mut state.known, true) {
                    let (caller, callee) = (caller.clone(), callee.clone());
                    sums.news.push(TopologyChange::Calls { caller, callee });
                }
                points.push(counts.point(SeriesKey::Edge { caller, callee }, sampling));
            }
        }
    }

    /// What the agent sees of a node's processes, where it is news.
    fn look(&mut self, core: &mut Core, node: usize) {
        let (now, second) = (self.now(), self.second);
        for copy in &self.nodes[node].copies {
            let replica = &self.copies[*copy];
            let every = if replica.leaked > 0.0 { LOOK_AT_GROWTH } else { LOOK_AGAIN };
            let is_new = match replica.state {
                Process::Running => now.since(replica.started).as_secs() <= 1,
                Process::Crashed(at) => second.saturating_sub(at) <= 1,
                Process::Stopped => second.is_multiple_of(SPANS_EVERY),
            };
            if !is_new && !(second + *copy as u64).is_multiple_of(every) {
                continue;
            }
            core.observer.process(self.report(*copy, now));
        }
    }

    /// An agent's look at the process of a copy.
    pub fn report(&self, copy: usize, now: Timestamp) -> ProcessReport {
        let replica = &self.copies[copy];
        let identity = replica.identity();
        let is_running = replica.state == Process::Running;
        let state = match replica.state {
            Process::Running => ProcessState::Running(identity),
            _ => ProcessState::Gone {
                last: identity,
                last_seen: replica.last_seen(now),
                stop_requested: replica.asked_to_stop,
            },
        };
        ProcessReport {
            at: now,
            target: replica.name.clone(),
            entity: replica.entity.clone(),
            state,
            memory_bytes: is_running.then(|| self.memory_bytes(copy)),
        }
    }
}

impl Replica {
    /// Forgets what it has not sent.
    pub(crate) fn lose_told(&mut self) {
        self.served.clear();
        self.called.iter_mut().for_each(Gathered::clear);
    }

    pub fn identity(&self) -> ProcessIdentity {
        ProcessIdentity {
            host: "host".to_owned(),
            boot_id: "boot".to_owned(),
            pid: self.pid,
            start_ticks: self.started.0 / (SECOND / 100),
        }
    }

    fn last_seen(&self, now: Timestamp) -> Timestamp {
        match self.state {
            Process::Crashed(at) => START + std::time::Duration::from_secs(at),
            _ => now,
        }
    }
}

/// The observer hears of an instance, without its spans.
fn hear(core: &mut Core, replica: &Replica, now: Timestamp) {
    let group = Group {
        resource: Arc::clone(&replica.resource),
        scope: InstrumentationScope::default(),
        items: Vec::new(),
    };
    core.observer.take(&Batch::Traces(vec![group]), now);
}
