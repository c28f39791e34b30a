//! From the world to a tick: what SDKs send and agents report in this second.
//!
//! Who is heard of goes through the engine's own observer, so that instances, versions, restarts,
//! silences and deploys are inferred as they are in production. Requests are handed over as the
//! points that the observer would have made of their spans.

use std::sync::Arc;

use engine::Core;
use model::signal::{Batch, Group, InstrumentationScope};
use model::tick::{
    ProcessIdentity, ProcessReport, ProcessState, RequestPoint, SeriesKey, Tick, TopologyChange,
};
use model::time::SECOND;
use model::{Entity, Timestamp};

use crate::telemetry::{Gathered, METRICS_EVERY, SPANS_EVERY, Sums};
use crate::world::{Process, Replica, START, World};

/// A look of an agent that says nothing new is told so often; memory that grows, so often.
const LOOK_AGAIN: u64 = 60;
const LOOK_AT_GROWTH: u64 = 10;

impl World {
    /// What is told in this second, taken in by the observer of `core`.
    pub fn tell(&mut self, core: &mut Core) -> Tick {
        let now = self.now();
        let mut requests = Vec::new();
        let mut in_flight = Vec::new();
        let fleet = Arc::clone(&self.fleet);
        for (node, of) in fleet.nodes.iter().enumerate() {
            if of.told {
                self.export(core, node, &mut requests, &mut in_flight);
            }
            if of.agent {
                self.look(core, node);
            }
        }
        self.look_around(core);
        let mut tick = core.observer.tick(self.second, now);
        requests.sort_by(|a, b| (&a.series, a.bucket).cmp(&(&b.series, b.bucket)));
        tick.topology.append(&mut self.sums.news);
        tick.requests = requests;
        tick.in_flight = in_flight;
        tick
    }

    /// Asks the engine for the latency limits by which requests are to be counted.
    pub fn limits(&mut self, core: &Core) {
        let limits = core.engine.detectors.thresholds();
        for (at, node) in self.fleet.nodes.iter().enumerate() {
            let known = limits.get(&SeriesKey::Service(node.entity.clone()));
            self.nodes[at].limits = known.cloned().unwrap_or_default();
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
        let (sampling, drops) = (self.fleet.sampling, self.fleet.nodes[node].drops);
        let copies = std::mem::take(&mut self.nodes[node].copies);
        let mut sums = std::mem::take(&mut self.sums);
        sums.called.resize_with(self.fleet.nodes[node].calls.len(), Sums::default);
        let mut any = false;
        for copy in &copies {
            let replica = &mut self.copies[*copy];
            if matches!(replica.state, Process::Crashed(_)) {
                continue;
            }
            let phase = self.second + *copy as u64;
            let is_running = replica.state == Process::Running;
            let has_spans = !replica.served.is_empty();
            let spans_due = has_spans && (phase.is_multiple_of(SPANS_EVERY) || !is_running);
            let metrics_due = is_running && phase.is_multiple_of(METRICS_EVERY);
            if !spans_due && !metrics_due {
                continue;
            }
            if spans_due && drops > 0.0 && self.random.chance(drops) {
                replica.served.clear();
                replica.called.iter_mut().for_each(Gathered::clear);
                continue;
            }
            hear(core, replica, now);
            if metrics_due {
                in_flight.push((replica.entity.clone(), replica.backlog as f64));
            }
            if spans_due {
                any = true;
                for mut counts in replica.served.take(sampling, &mut self.random) {
                    counts.arrive(now);
                    sums.served.add(&counts);
                    if !counts.is_empty() {
                        let series = SeriesKey::Instance(replica.entity.clone());
                        points.push(counts.point(series, sampling));
                    }
                }
                for (sum, called) in sums.called.iter_mut().zip(&mut replica.called) {
                    for mut counts in called.take(sampling, &mut self.random) {
                        counts.arrive(now);
                        sum.add(&counts);
                    }
                }
            }
        }
        self.nodes[node].copies = copies;
        if any {
            self.points(node, &mut sums, points);
        }
        self.sums = sums;
    }

    /// What all copies that sent now add up to.
    fn points(
        &mut self,
        node: usize,
        sums: &mut crate::world::Scratch,
        points: &mut Vec<RequestPoint>,
    ) {
        let of = &self.fleet.nodes[node];
        let sampling = self.fleet.sampling;
        for counts in sums.served.drain() {
            let (mut total, mut failed) = (counts.total(), counts.failed());
            let mut left = 1.0;
            for (operation, share) in &of.operations {
                let part = self.random.binomial(total, share / left);
                let bad = self.random.binomial(failed, share / left).min(part);
                (total, failed, left) = (total - part, failed - bad, (left - share).max(1e-9));
                if part > 0 {
                    let series = SeriesKey::Operation(operation.clone());
                    points.push(counts.part_point(series, part, bad, sampling));
                }
            }
            let series = SeriesKey::Service(of.entity.clone());
            points.push(counts.service_point(series, &self.nodes[node].limits, sampling));
        }
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
