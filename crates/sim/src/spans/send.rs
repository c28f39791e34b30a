//! What copies send in a second, as their SDKs would: spans and logs every few seconds, requests in
//! flight every minute.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Core;
use model::Timestamp;
use model::signal::{Batch, Group, InstrumentationScope, Resource};
use model::tick::BUCKET;

use super::{Told, Weaver, encode};
use crate::telemetry::{Failure, Outcomes};
use crate::tell::Due;
use crate::world::World;

/// What a stock SDK writes of errors at once; the rest is dropped, as its queue would.
const LOGS_MAX: usize = 512;

impl World {
    /// Gives `core` what the copies of a node send now.
    pub(crate) fn send(&mut self, core: &mut Core, node: usize) {
        let Some(mut weaver) = self.weaver.take() else { return };
        let mut sent = Vec::new();
        for copy in self.nodes[node].copies.clone() {
            let Due { spans, metrics, lost } = self.due(copy);
            if spans || lost {
                self.copies[copy].lose_told();
                let unsent = weaver.take(copy);
                if !lost && !unsent.is_empty() {
                    sent.push((copy, unsent));
                }
            }
            if metrics {
                let replica = &self.copies[copy];
                let metric = encode::in_flight(replica.backlog, replica.started, self.now());
                let batch = Batch::Metrics(vec![group(&replica.resource, vec![metric])]);
                core.observer.take(&batch, self.now());
            }
        }
        let mut operations = self.operations(&mut weaver, node, &sent);
        for (copy, told) in sent {
            self.send_spans(core, &weaver, copy, &told, &mut operations);
        }
        self.weaver = Some(weaver);
    }

    fn send_spans(
        &self,
        core: &mut Core,
        weaver: &Weaver,
        copy: usize,
        told: &[Told],
        operations: &mut impl Iterator<Item = usize>,
    ) {
        let replica = &self.copies[copy];
        let node = &self.fleet.nodes[replica.node];
        let (mut spans, mut logs) = (Vec::with_capacity(told.len()), Vec::new());
        for told in told {
            let span = match told.call {
                Some(call) => {
                    encode::call(told, &self.fleet.nodes[node.calls[call].to], &weaver.sampler)
                }
                None if node.consumes.is_some() => {
                    let broker = node.consumes.map(|it| &self.fleet.nodes[it.broker].name);
                    encode::message(told, broker.map_or("", |name| name), &weaver.sampler)
                }
                None => {
                    let operation = operations.next().unwrap_or(0);
                    encode::request(told, &node.operations[operation].0.name, &weaver.sampler)
                }
            };
            if told.call.is_none() && told.failure.is_some() && logs.len() < LOGS_MAX {
                logs.push(encode::log(&span));
            }
            spans.push(span);
        }
        let now = self.now();
        core.observer.take(&Batch::Traces(vec![group(&replica.resource, spans)]), now);
        if !logs.is_empty() {
            core.observer.take(&Batch::Logs(vec![group(&replica.resource, logs)]), now);
        }
    }

    /// The operation of each request that is sent, in the order in which they are.
    fn operations(
        &self,
        weaver: &mut Weaver,
        node: usize,
        sent: &[(usize, Vec<Told>)],
    ) -> std::vec::IntoIter<usize> {
        let requests: Vec<&Told> =
            sent.iter().flat_map(|(_, told)| told).filter(|told| told.call.is_none()).collect();
        let now = self.now();
        let mut counted: BTreeMap<Timestamp, Outcomes> = BTreeMap::new();
        for told in &requests {
            let (good, failed) = counted.entry(bucket(told, now)).or_default();
            match told.failure {
                Some(failure) => failed[failure as usize] += 1,
                None => *good += 1,
            }
        }
        let mut drawn: BTreeMap<(Timestamp, Option<Failure>), Vec<usize>> = BTreeMap::new();
        for (bucket, all) in counted {
            for (operation, (good, failed)) in self.split(node, bucket, all).into_iter().enumerate()
            {
                let failed = Failure::ALL.iter().zip(failed);
                let failed = failed.map(|(failure, count)| (Some(*failure), count));
                for (failure, count) in failed.chain([(None, good)]) {
                    let names = drawn.entry((bucket, failure)).or_default();
                    names.extend((0..count).map(|_| operation));
                }
            }
        }
        drawn.values_mut().for_each(|names| weaver.shuffle(names));
        let operation = |told: &&Told| {
            let names = drawn.get_mut(&(bucket(told, now), told.failure));
            names.and_then(Vec::pop).unwrap_or(0)
        };
        requests.iter().map(operation).collect::<Vec<_>>().into_iter()
    }
}

impl Weaver {
    fn take(&mut self, copy: usize) -> Vec<Told> {
        self.unsent.get_mut(copy).map(std::mem::take).unwrap_or_default()
    }
}

/// The bucket that it is counted in: no clock is believed that is ahead.
fn bucket(told: &Told, now: Timestamp) -> Timestamp {
    Timestamp(told.end).min(now).floor_to(BUCKET)
}

fn group<T>(resource: &Arc<Resource>, items: Vec<T>) -> Group<T> {
    let scope = InstrumentationScope {
        name: "@opentelemetry/instrumentation-http".into(),
        version: "0.57.0".into(),
        ..InstrumentationScope::default()
    };
    Group { resource: Arc::clone(resource), scope, items }
}
