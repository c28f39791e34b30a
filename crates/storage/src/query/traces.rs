//! Traces: one by its id, and search.
//!
//! [`trace`] reads all spans of an id. Its time need not be known: a file is asked only when its
//! time can fit, each of its row groups by one block of its Bloom filter, then its column of trace
//! ids, and only then the pages that hold the rows.
//!
//! [`search_traces`] finds spans that pass a filter, takes the best traces among them, and then
//! reads a few columns of all spans of these.

mod summary;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use model::Timestamp;
use model::signal::TraceId;
use serde::Serialize;
use serde_json::{Map, Value};

pub use summary::{ServiceSummary, TraceSummary};

use super::reading::{Ask, Sources};
use super::spans::filter::{self, SpanFilter};
use super::spans::record::{Resources, SpanRecord, hex, tree_span, weight};
use super::spans::{Order, best, check_limit, grace, partial};
use super::tree::{self, Tree};
use super::{Gauge, Limits, Scanned, Stopped};
use crate::Error;
use crate::rows::{self, StoredSpan};

/// Most traces of an answer.
pub const LIMIT_MAX: usize = 200;
/// Most spans of a trace that are shown.
pub const SPANS_MAX: usize = 100_000;

/// A trace with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Trace {
    pub trace_id: String,
    /// Of the earliest span.
    pub start: Timestamp,
    /// From the first start to the last end.
    pub duration_nanos: u64,
    pub errors: u64,
    /// By the time that is their own, the longest first.
    pub services: Vec<ServiceTime>,
    /// By start.
    pub spans: Vec<SpanRecord>,
    /// What the spans' `resource` points to.
    pub resources: Vec<Map<String, Value>>,
    /// Of the spans, by their places in `spans`.
    pub tree: Tree,
    /// There are more spans than these, or may be.
    pub truncated: bool,
    /// Why not all was looked at.
    pub stopped: Option<Stopped>,
    pub scanned: Scanned,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ServiceTime {
    pub service: String,
    pub spans: u64,
    pub errors: u64,
    /// Sum of the self times of its spans.
    pub self_nanos: u64,
    /// Its part of the critical path.
    pub critical_nanos: u64,
}

/// All spans of a trace; `None` where there are none. `hint` is a time in which its spans start,
/// where it is known. At most `spans_max` spans are kept.
pub fn trace(
    sources: &Sources<'_>,
    id: TraceId,
    hint: Option<(Timestamp, Timestamp)>,
    spans_max: usize,
    limits: &Limits,
) -> Result<Option<Trace>, Error> {
    check_limit(spans_max, SPANS_MAX)?;
    let (from, to) = hint.unwrap_or((Timestamp::ZERO, Timestamp(u64::MAX)));
    let gauge = sources.gauge(limits);
    let mut found = Found { spans: Vec::new(), spans_max, truncated: false };
    let stopped = match collect(sources, id, from, to, &gauge, &mut found) {
        Ok(()) => None,
        Err(error) => Some(partial(error)?),
    };
    if found.spans.is_empty() {
        // Nothing found is only an answer when all was looked at.
        return stopped.map_or(Ok(None), |stopped| Err(stopped.into()));
    }
    let truncated = found.truncated || stopped.is_some();
    let mut trace = whole(id, found.spans);
    trace.truncated = truncated;
    trace.stopped = stopped;
    trace.scanned = gauge.scanned();
    Ok(Some(trace))
}

struct Found {
    spans: Vec<StoredSpan>,
    spans_max: usize,
    truncated: bool,
}

fn collect(
    sources: &Sources<'_>,
    id: TraceId,
    from: Timestamp,
    to: Timestamp,
    gauge: &Arc<Gauge>,
    found: &mut Found,
) -> Result<(), Error> {
    let ids = [id];
    let ask = Ask { traces: &ids, ..Ask::of(from, to) };
    let mut stages = vec![filter::of_traces(&ids)];
    if from > Timestamp::ZERO || to < Timestamp(u64::MAX) {
        stages.extend(SpanFilter::of_time(from, to).stages());
    }
    sources.newest_first(from, to, gauge, |part| {
        if found.truncated {
            return Ok(false);
        }
        part.read(&ask, &stages, &[], gauge, &mut |batch| {
            let room = found.spans_max - found.spans.len();
            found.truncated |= batch.num_rows() > room;
            let batch = batch.slice(0, batch.num_rows().min(room));
            let spans = rows::spans(&batch)?;
            gauge.hold(spans.iter().map(weight).sum())?;
            found.spans.extend(spans);
            Ok(())
        })?;
        Ok(true)
    })
}

/// The answer of which `spans` are all.
fn whole(id: TraceId, mut spans: Vec<StoredSpan>) -> Trace {
    spans.sort_by_key(|stored| {
        let span = &stored.span;
        (span.start_unix_nanos, std::cmp::Reverse(span.end_unix_nanos), span.span_id)
    });
    let facts: Vec<tree::TreeSpan<'_>> = spans.iter().map(tree_span).collect();
    let tree = tree::build(&facts);
    let start = facts.iter().map(|span| span.start).min().unwrap_or(0);
    let end = facts.iter().map(|span| span.end).max().unwrap_or(0);
    let mut resources = Resources::default();
    Trace {
        trace_id: hex(&id),
        start: Timestamp(start),
        duration_nanos: end.saturating_sub(start),
        errors: spans.iter().filter(|stored| is_error(stored)).count() as u64,
        services: services(&facts, &tree),
        spans: spans.iter().map(|stored| SpanRecord::of(stored, &mut resources)).collect(),
        resources: resources.into_records(),
        tree,
        truncated: false,
        stopped: None,
        scanned: Scanned::default(),
    }
}

fn is_error(stored: &StoredSpan) -> bool {
    stored.span.status == model::signal::SpanStatus::Error
}

fn services(spans: &[tree::TreeSpan<'_>], tree: &Tree) -> Vec<ServiceTime> {
    let mut services: BTreeMap<&str, ServiceTime> = BTreeMap::new();
    for (span, node) in spans.iter().zip(&tree.nodes) {
        let service = services.entry(span.service).or_insert_with(|| ServiceTime {
            service: span.service.to_owned(),
            spans: 0,
            errors: 0,
            self_nanos: 0,
            critical_nanos: 0,
        });
        service.spans += 1;
        service.errors += u64::from(span.status == model::signal::SpanStatus::Error);
        service.self_nanos = service.self_nanos.saturating_add(node.self_nanos);
        service.critical_nanos += node.critical_nanos;
    }
    let mut services: Vec<ServiceTime> = services.into_values().collect();
    services.sort_by_key(|service| std::cmp::Reverse(service.self_nanos));
    services
}

#[derive(Clone, Debug, PartialEq)]
pub struct TraceQuery {
    /// Of one of the trace's spans.
    pub filter: SpanFilter,
    /// By the newest or the slowest span that passes.
    pub order: Order,
    /// At most [`LIMIT_MAX`].
    pub limit: usize,
}

impl TraceQuery {
    /// What a view has to cover, so that summaries are whole.
    pub fn view_times(&self) -> Range<Timestamp> {
        self.filter.from - summary::AROUND..self.filter.to + summary::AROUND * 2
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TracesFound {
    /// In the order asked for.
    pub traces: Vec<TraceSummary>,
    /// There are more traces than these.
    pub more: bool,
    /// Why not all was looked at: then there may be better traces than these.
    pub stopped: Option<Stopped>,
    pub scanned: Scanned,
}

pub fn search_traces(
    sources: &Sources<'_>,
    query: &TraceQuery,
    limits: &Limits,
) -> Result<TracesFound, Error> {
    query.filter.check()?;
    check_limit(query.limit, LIMIT_MAX)?;
    let gauge = sources.gauge(limits);
    let mut best = BestTraces::new(query.limit + 1);
    let mut stopped = match find(sources, query, &gauge, &mut best) {
        Ok(()) => None,
        Err(error) => Some(partial(error)?),
    };
    let more = best.by_rank.len() > query.limit;
    let chosen: Vec<best::Rank> = best.by_rank.into_iter().rev().take(query.limit).collect();
    let mut summaries = summary::Summaries::new(&chosen);
    let reading = if stopped.is_some() { sources.gauge(&grace(limits)) } else { gauge.clone() };
    if let Err(error) = summaries.read(sources, &query.filter, &reading) {
        let why = partial(error)?;
        stopped = stopped.or(Some(why));
    }
    let traces = summaries.into_summaries();
    Ok(TracesFound { traces, more, stopped, scanned: gauge.scanned() })
}

/// The best traces so far, each by its best span.
struct BestTraces {
    capacity: usize,
    /// The worst first.
    by_rank: BTreeSet<best::Rank>,
    by_trace: BTreeMap<TraceId, best::Rank>,
}

impl BestTraces {
    fn new(capacity: usize) -> BestTraces {
        BestTraces { capacity, by_rank: BTreeSet::new(), by_trace: BTreeMap::new() }
    }

    /// A trace that was dropped comes back when a better span of it does, so the result does not
    /// depend on the order of offers.
    fn offer(&mut self, rank: best::Rank) {
        if self.worst().is_some_and(|worst| rank <= *worst) {
            return;
        }
        match self.by_trace.get(&rank.trace_id) {
            Some(known) if *known >= rank => return,
            Some(known) => {
                self.by_rank.remove(known);
            }
            None if self.by_rank.len() >= self.capacity => {
                if let Some(worst) = self.by_rank.pop_first() {
                    self.by_trace.remove(&worst.trace_id);
                }
            }
            None => {}
        }
        self.by_rank.insert(rank);
        self.by_trace.insert(rank.trace_id, rank);
    }

    fn worst(&self) -> Option<&best::Rank> {
        self.by_rank.first().filter(|_| self.by_rank.len() >= self.capacity)
    }
}

fn find(
    sources: &Sources<'_>,
    query: &TraceQuery,
    gauge: &Arc<Gauge>,
    best: &mut BestTraces,
) -> Result<(), Error> {
    let mut filter = query.filter.clone();
    sources.newest_first(filter.from, filter.to, gauge, |part| {
        if let Some(worst) = best.worst() {
            match query.order {
                Order::Newest if worst.time() > part.time_max => return Ok(false),
                Order::Newest => filter.from = filter.from.max(worst.time()),
                Order::Slowest => {
                    let needed = std::time::Duration::from_nanos(worst.duration_nanos());
                    filter.duration_min = filter.duration_min.max(Some(needed));
                }
            }
        }
        let ask = Ask { service: filter.service.as_deref(), ..Ask::of(filter.from, filter.to) };
        let columns = ["trace_id", "span_id", "time", "duration_nanos"];
        part.read(&ask, &filter.stages(), &columns, gauge, &mut |batch| {
            for (_, rank) in best::ranks(query.order, &batch)? {
                best.offer(rank);
            }
            Ok(())
        })?;
        Ok(true)
    })
}
