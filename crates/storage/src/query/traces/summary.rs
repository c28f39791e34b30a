//! What is told of each trace that a search found.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::TraceId;
use serde::Serialize;

use crate::Error;
use crate::query::Gauge;
use crate::query::reading::{Ask, Sources, Stage};
use crate::query::spans::best::Rank;
use crate::query::spans::filter::{self, SpanFilter};
use crate::query::spans::record::hex;
use crate::rows::{Ids, Integers, Texts, Times};

/// Spans of a trace are looked for so long before the found span started, and so long after it
/// ended.
pub const AROUND: Duration = Duration::from_secs(1_800);
/// Most services of a trace that are told apart.
const SERVICES_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct TraceSummary {
    pub trace_id: String,
    /// Of its root; where there is none, of the earliest span.
    pub service: String,
    pub operation: String,
    /// Its root is not there: it has not come, or lies more than [`AROUND`] away.
    pub rootless: bool,
    pub start: Timestamp,
    /// From the first start to the last end.
    pub duration_nanos: u64,
    pub spans: u64,
    pub errors: u64,
    /// By number of spans.
    pub services: Vec<ServiceSummary>,
    /// Spans that pass the filter.
    pub matched: u64,
    /// The best of them, by the order asked for.
    pub best_span_id: String,
    pub best_duration_nanos: u64,
    pub best_start: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct ServiceSummary {
    pub service: String,
    pub spans: u64,
    pub errors: u64,
}

#[derive(Default)]
struct Gathered {
    /// Whether it is no root, and its start: the least names the trace.
    name: Option<(bool, u64, String, String)>,
    start: Option<u64>,
    end: u64,
    spans: u64,
    errors: u64,
    matched: u64,
    services: BTreeMap<String, (u64, u64)>,
}

pub struct Summaries<'a> {
    /// The best first.
    chosen: &'a [Rank],
    gathered: HashMap<TraceId, Gathered>,
}

impl<'a> Summaries<'a> {
    pub fn new(chosen: &'a [Rank]) -> Summaries<'a> {
        let gathered = chosen.iter().map(|rank| (rank.trace_id, Gathered::default())).collect();
        Summaries { chosen, gathered }
    }

    /// Reads the spans of all chosen traces.
    pub fn read(
        &mut self,
        sources: &Sources<'_>,
        filter: &SpanFilter,
        gauge: &Arc<Gauge>,
    ) -> Result<(), Error> {
        let around = |rank: &Rank| {
            let end = rank.time() + Duration::from_nanos(rank.duration_nanos());
            (rank.time() - AROUND, end + AROUND)
        };
        let Some(from) = self.chosen.iter().map(|rank| around(rank).0).min() else { return Ok(()) };
        let to = self.chosen.iter().map(|rank| around(rank).1).max().unwrap_or(from);
        let tests = filter.stages();
        let mut columns =
            vec!["trace_id", "parent_span_id", "time", "duration_nanos", "service", "name"];
        columns.push("status");
        for column in tests.iter().flat_map(|stage| &stage.columns) {
            if !columns.contains(column) {
                columns.push(column);
            }
        }
        sources.newest_first(from, to, gauge, |part| {
            // Only the traces that can have a span in this part.
            let near = self.chosen.iter().filter(|rank| {
                let (first, last) = around(rank);
                first <= part.time_max && last >= part.time_min
            });
            let ids: Vec<TraceId> = near.map(|rank| rank.trace_id).collect();
            if ids.is_empty() {
                return Ok(true);
            }
            let ask = Ask { traces: &ids, ..Ask::of(from, to) };
            let mut stages = SpanFilter::of_time(from, to).stages();
            stages.push(filter::of_traces(&ids));
            part.read(&ask, &stages, &columns, gauge, &mut |batch| self.gather(&batch, &tests))?;
            Ok(true)
        })
    }

    fn gather(&mut self, batch: &RecordBatch, tests: &[Stage]) -> Result<(), Error> {
        let mut matches = vec![true; batch.num_rows()];
        for stage in tests {
            let kept = stage.keep(batch)?;
            matches.iter_mut().enumerate().for_each(|(row, still)| *still &= kept.value(row));
        }
        let (traces, parents) = (Ids::of(batch, "trace_id")?, Ids::of(batch, "parent_span_id")?);
        let (times, durations) =
            (Times::of(batch, "time")?, Integers::of(batch, "duration_nanos")?);
        let (services, names) = (Texts::of(batch, "service")?, Texts::of(batch, "name")?);
        let statuses = Texts::of(batch, "status")?;
        for (row, matches) in matches.into_iter().enumerate() {
            let trace_id: TraceId = traces.get(row).unwrap_or_default();
            let Some(trace) = self.gathered.get_mut(&trace_id) else { continue };
            let start = times.get(row).unwrap_or_default().as_nanos();
            let duration = durations.get(row).unwrap_or(0).max(0) as u64;
            let has_parent = parents.get::<8>(row).is_some_and(|parent| parent != [0; 8]);
            let is_earlier = trace
                .name
                .as_ref()
                .is_none_or(|(other, at, ..)| (has_parent, start) < (*other, *at));
            if is_earlier {
                let (service, name) = (services.text(row), names.text(row));
                trace.name = Some((has_parent, start, service.to_owned(), name.to_owned()));
            }
            trace.start = Some(trace.start.map_or(start, |first| first.min(start)));
            trace.end = trace.end.max(start.saturating_add(duration));
            let failed = u64::from(statuses.text(row) == "error");
            trace.spans += 1;
            trace.errors += failed;
            trace.matched += u64::from(matches);
            let service = services.text(row);
            if trace.services.len() < SERVICES_MAX || trace.services.contains_key(service) {
                let counts = trace.services.entry(service.to_owned()).or_default();
                counts.0 += 1;
                counts.1 += failed;
            }
        }
        Ok(())
    }

    /// In the order in which they were chosen.
    pub fn into_summaries(mut self) -> Vec<TraceSummary> {
        let mut summaries = Vec::with_capacity(self.chosen.len());
        for rank in self.chosen {
            let trace = self.gathered.remove(&rank.trace_id).unwrap_or_default();
            let start = trace.start.unwrap_or(rank.time().as_nanos());
            let (rootless, _, service, operation) = trace.name.unwrap_or_default();
            let mut services: Vec<ServiceSummary> = trace
                .services
                .into_iter()
                .map(|(service, (spans, errors))| ServiceSummary { service, spans, errors })
                .collect();
            services.sort_by_key(|service| std::cmp::Reverse(service.spans));
            summaries.push(TraceSummary {
                trace_id: hex(&rank.trace_id),
                service,
                operation,
                rootless,
                start: Timestamp(start),
                duration_nanos: trace.end.saturating_sub(start),
                spans: trace.spans,
                errors: trace.errors,
                services,
                matched: trace.matched,
                best_span_id: hex(&rank.span_id),
                best_duration_nanos: rank.duration_nanos(),
                best_start: rank.time(),
            });
        }
        summaries
    }
}
