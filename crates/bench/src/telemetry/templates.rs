//! Requests made of captured ones: the spans or log records of one resource, in the order in which
//! they were captured, 512 a request. That is what the same SDKs send once their queue is full,
//! and so what a server sees at the rates that are measured here.
//!
//! Metrics are no templates: SDKs send them at intervals, however much happens (`metrics`).

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use model::signal::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use super::folder::{Captured, Protocol};
use super::wire::{self, Place};

/// Most items that an SDK puts into one request by default.
pub const ITEMS_PER_REQUEST: usize = 512;

/// A request that each pass sends with other ids and times.
#[derive(Clone, Debug)]
pub struct Template {
    pub protocol: Protocol,
    pub signal: Signal,
    pub body: Vec<u8>,
    pub items: usize,
    pub patches: Vec<Patch>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patch {
    pub place: Place,
    /// Of a time: whose sending it is counted from, and how long before that it lies.
    pub anchor: Anchor,
    pub age_ns: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// The request itself.
    Own,
    /// The first request of the pass that has something of this trace, by its place in the pass: a
    /// trace stays whole though its spans come in several requests.
    Template(usize),
}

/// How much is in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filled {
    /// As much as an SDK puts into one by default, as at high rates.
    Full,
    /// As much as was captured.
    AsCaptured,
}

/// All templates of one signal, in the order of one pass.
#[derive(Clone, Debug, Default)]
pub struct Templates {
    pub all: Vec<Template>,
}

impl Templates {
    pub fn items(&self) -> usize {
        self.all.iter().map(|template| template.items).sum()
    }

    pub fn traces(captured: &[Captured], filled: Filled) -> Result<Templates> {
        make::<ExportTraceServiceRequest>(captured, Signal::Traces, filled)
    }

    pub fn logs(captured: &[Captured], filled: Filled) -> Result<Templates> {
        make::<ExportLogsServiceRequest>(captured, Signal::Logs, filled)
    }
}

/// Encoded resource, resource with scope, and their items.
type Grouped<R> = (Vec<u8>, <R as Request>::Group, Vec<<R as Request>::Item>);

/// Resource with scope, what tells the scope from others, and items.
type Opened<R> = (<R as Request>::Group, Vec<u8>, Vec<<R as Request>::Item>);

/// An export request that can be taken apart into items and put together again.
trait Request: Message + Default {
    type Group: Clone;
    type Item: Clone;
    const SHAPE: wire::Shape;

    /// Each resource, scope and their items.
    fn groups(self) -> Vec<Grouped<Self>>;
    fn assemble(groups: Vec<(Self::Group, Vec<Self::Item>)>) -> Self;
    fn trace_id(item: &Self::Item) -> &[u8];
}

impl Request for ExportTraceServiceRequest {
    type Group = (ResourceSpans, ScopeSpans);
    type Item = Span;
    const SHAPE: wire::Shape = wire::TRACES;

    fn groups(self) -> Vec<Grouped<Self>> {
        let mut groups = Vec::new();
        for mut resource in self.resource_spans {
            for mut scope in std::mem::take(&mut resource.scope_spans) {
                let spans = std::mem::take(&mut scope.spans);
                groups.push((resource.encode_to_vec(), (resource.clone(), scope), spans));
            }
        }
        groups
    }

    fn assemble(groups: Vec<(Self::Group, Vec<Span>)>) -> Self {
        let mut request = ExportTraceServiceRequest::default();
        for ((resource, mut scope), spans) in groups {
            scope.spans = spans;
            let last = request.resource_spans.pop().unwrap_or(resource);
            request.resource_spans.push(ResourceSpans {
                scope_spans: [last.scope_spans, vec![scope]].concat(),
                ..last
            });
        }
        request
    }

    fn trace_id(span: &Span) -> &[u8] {
        &span.trace_id
    }
}

impl Request for ExportLogsServiceRequest {
    type Group = (ResourceLogs, ScopeLogs);
    type Item = LogRecord;
    const SHAPE: wire::Shape = wire::LOGS;

    fn groups(self) -> Vec<Grouped<Self>> {
        let mut groups = Vec::new();
        for mut resource in self.resource_logs {
            for mut scope in std::mem::take(&mut resource.scope_logs) {
                let records = std::mem::take(&mut scope.log_records);
                groups.push((resource.encode_to_vec(), (resource.clone(), scope), records));
            }
        }
        groups
    }

    fn assemble(groups: Vec<(Self::Group, Vec<LogRecord>)>) -> Self {
        let mut request = ExportLogsServiceRequest::default();
        for ((resource, mut scope), records) in groups {
            scope.log_records = records;
            let last = request.resource_logs.pop().unwrap_or(resource);
            request
                .resource_logs
                .push(ResourceLogs { scope_logs: [last.scope_logs, vec![scope]].concat(), ..last });
        }
        request
    }

    fn trace_id(record: &LogRecord) -> &[u8] {
        &record.trace_id
    }
}

/// Items of one resource that were not put into a request yet.
struct Open<R: Request> {
    groups: Vec<Opened<R>>,
    arrivals: Vec<u64>,
    count: usize,
}

/// A request with the arrivals and trace ids of its items, in the order of its bytes.
struct Draft {
    protocol: Protocol,
    body: Vec<u8>,
    items: Vec<(u64, Vec<u8>)>,
}

fn make<R: Request>(captured: &[Captured], signal: Signal, filled: Filled) -> Result<Templates>
where
    R::Group: GroupKey,
{
    let mut open: BTreeMap<(Protocol, Vec<u8>), Open<R>> = BTreeMap::new();
    let mut drafts = Vec::new();
    for one in captured.iter().filter(|one| one.signal == signal) {
        let request = R::decode(one.body.as_slice()).context("a captured request")?;
        for (resource, group, items) in request.groups() {
            let place = (one.protocol, resource);
            for item in items {
                let open = open.entry(place.clone()).or_insert_with(Open::new);
                open.add(&group, item, one.received_unix_nano);
                if open.count == ITEMS_PER_REQUEST && filled == Filled::Full {
                    drafts.push(std::mem::replace(open, Open::new()).close(one.protocol));
                }
            }
        }
        if filled == Filled::AsCaptured {
            drafts.extend(rest(&mut open));
        }
    }
    drafts.extend(rest(&mut open));
    ensure!(!drafts.is_empty(), "the capture has no {}", signal.as_str());
    finish::<R>(drafts, signal)
}

/// What was not put into a request yet.
fn rest<R: Request>(open: &mut BTreeMap<(Protocol, Vec<u8>), Open<R>>) -> Vec<Draft>
where
    R::Group: GroupKey,
{
    let all = std::mem::take(open).into_iter().filter(|(_, open)| open.count > 0);
    all.map(|((protocol, _), open)| open.close(protocol)).collect()
}

/// What tells two scopes apart.
trait GroupKey {
    fn key(&self) -> Vec<u8>;
}

impl GroupKey for (ResourceSpans, ScopeSpans) {
    fn key(&self) -> Vec<u8> {
        self.1.encode_to_vec()
    }
}

impl GroupKey for (ResourceLogs, ScopeLogs) {
    fn key(&self) -> Vec<u8> {
        self.1.encode_to_vec()
    }
}

impl<R: Request> Open<R>
where
    R::Group: GroupKey,
{
    fn new() -> Open<R> {
        Open { groups: Vec::new(), arrivals: Vec::new(), count: 0 }
    }

    fn add(&mut self, group: &R::Group, item: R::Item, arrival: u64) {
        let key = group.key();
        self.arrivals.push(arrival);
        self.count += 1;
        if let Some((_, _, items)) = self.groups.iter_mut().find(|(_, known, _)| *known == key) {
            items.push(item);
        } else {
            self.groups.push((group.clone(), key, vec![item]));
        }
    }

    fn close(self, protocol: Protocol) -> Draft {
        // Arrivals within one request differ by seconds; the last holds for all, so that nothing is
        // of the future.
        let arrival = self.arrivals.last().copied().unwrap_or_default();
        let ids = self.groups.iter().flat_map(|(_, _, items)| items);
        let items = ids.map(|item| (arrival, R::trace_id(item).to_vec())).collect();
        let groups = self.groups.into_iter().map(|(group, _, items)| (group, items)).collect();
        Draft { protocol, body: R::assemble(groups).encode_to_vec(), items }
    }
}

fn finish<R: Request>(drafts: Vec<Draft>, signal: Signal) -> Result<Templates> {
    // Of each trace: the first request that has something of it, and the last arrival.
    let mut traces: BTreeMap<&[u8], (usize, u64)> = BTreeMap::new();
    for (number, draft) in drafts.iter().enumerate() {
        for (arrival, trace) in draft.items.iter().filter(|(_, trace)| !trace.is_empty()) {
            let known = traces.entry(trace).or_insert((number, *arrival));
            known.1 = known.1.max(*arrival);
        }
    }
    let mut all = Vec::new();
    for (number, draft) in drafts.iter().enumerate() {
        let places = wire::places(&draft.body, R::SHAPE)?;
        ensure!(places.len() == draft.items.len(), "request {number} does not read as encoded");
        let mut patches = Vec::new();
        for (places, (arrival, trace)) in places.iter().zip(&draft.items) {
            let (anchor, arrival) = match traces.get(trace.as_slice()) {
                Some((first, arrival)) if *first != number => (Anchor::Template(*first), *arrival),
                Some((_, arrival)) => (Anchor::Own, *arrival),
                None => (Anchor::Own, *arrival),
            };
            for place in places {
                patches.push(Patch { place: *place, anchor, age_ns: age(place, draft, arrival) });
            }
        }
        let (protocol, body) = (draft.protocol, draft.body.clone());
        all.push(Template { protocol, signal, body, items: places.len(), patches });
    }
    Ok(Templates { all })
}

fn age(place: &Place, draft: &Draft, arrival: u64) -> u64 {
    let Place::Time(at) = place else { return 0 };
    let bytes = draft.body[*at..*at + 8].try_into().expect("a time has eight bytes");
    arrival.saturating_sub(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(number: u8, trace: u8, end: u64) -> Span {
        Span {
            trace_id: vec![trace; 16],
            span_id: vec![number; 8],
            start_time_unix_nano: end - 5,
            end_time_unix_nano: end,
            ..Span::default()
        }
    }

    fn captured(received_unix_nano: u64, spans: Vec<Span>) -> Captured {
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
        let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
        let (protocol, signal) = (Protocol::Http, Signal::Traces);
        Captured { protocol, signal, received_unix_nano, body }
    }

    #[test]
    fn requests_are_filled_and_traces_stay_whole() {
        let first = (0..500).map(|n| span(1, 1 + (n / 250) as u8, 900)).collect();
        let second = (0..100).map(|_| span(2, 2, 1_900)).collect();
        let both = [captured(1_000, first), captured(2_000, second)];
        let as_captured = Templates::traces(&both, Filled::AsCaptured).unwrap().all;
        let counts: Vec<usize> = as_captured.iter().map(|template| template.items).collect();
        assert_eq!(counts, [500, 100]);
        let all = Templates::traces(&both, Filled::Full).unwrap().all;
        assert_eq!(all.iter().map(|template| template.items).collect::<Vec<_>>(), [512, 88]);
        // Trace 2 began in the first request; its spans there and here count from the same moment.
        let last = all[1].patches.last().unwrap();
        assert_eq!((last.anchor, last.age_ns), (Anchor::Template(0), 100));
        let end_of =
            |patch: &&Patch| matches!(patch.place, Place::Time(_)) && patch.age_ns == 1_100;
        assert_eq!(all[0].patches.iter().filter(end_of).count(), 250 + 250);
    }
}
