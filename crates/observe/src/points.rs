//! The points of the tick that is being gathered.
//!
//! Invariants: a point is the same whatever the order in which its requests came, except which of
//! many error kinds have names of their own (the first `KINDS_MAX`; the rest is `other`);
//! gathered points end with the tick; there are no more than `DRAFTS_MAX`, and what would need
//! another one is left out and counted.

use std::collections::BTreeMap;

use model::signal::TraceId;
use model::tick::{BUCKET, Exemplar, RequestPoint};
use model::{EntityKind, Histogram, Timestamp};
use serde::{Deserialize, Serialize};

use crate::registry::{OTHER, Registry, Series};

/// Kinds of error named in one point.
const KINDS_MAX: usize = 8;
/// Points of one tick. Telemetry that was held up comes all at once, in as many buckets of each
/// series as `late_after` allows, so the number of series alone is no bound.
const DRAFTS_MAX: usize = 100_000;
/// As many of them may be of anything; the rest is kept for services, whose objectives are
/// watched.
const PART_DRAFTS_MAX: usize = 75_000;

/// One request that ended, as a span tells of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub end: Timestamp,
    pub duration_nanos: u64,
    /// How many requests it stands for.
    pub weight: f64,
    pub error: Option<String>,
    pub trace: TraceId,
}

/// Many requests with the same outcome, as a histogram tells of them.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measured {
    pub end: Timestamp,
    pub count: u64,
    pub sum_seconds: f64,
    /// Upper bound in seconds and requests up to it, ascending; the last bound may be infinite.
    pub buckets: Vec<(f64, u64)>,
    pub error: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Points {
    points: BTreeMap<(Series, Timestamp), Draft>,
    over_limit: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Draft {
    total: f64,
    errors: f64,
    total_raw: u64,
    errors_raw: u64,
    durations: Histogram,
    within: Vec<(f64, f64)>,
    kinds: Vec<(String, f64)>,
    first_error_at: Option<Timestamp>,
    exemplar: Option<(bool, u64, TraceId)>,
}

impl Points {
    pub(crate) fn request(&mut self, series: Series, request: &Request, registry: &Registry) {
        let Some(draft) = self.draft(series, request.end, registry) else { return };
        let seconds = request.duration_nanos as f64 / 1e9;
        draft.total += request.weight;
        draft.total_raw += 1;
        draft.durations.record(seconds, request.weight);
        match &request.error {
            Some(kind) => draft.failed(kind, request.weight, 1, request.end),
            None => {
                draft.succeeded(|threshold| if seconds <= threshold { request.weight } else { 0.0 })
            }
        }
        draft.show(request);
    }

    pub(crate) fn measured(&mut self, series: Series, measured: &Measured, registry: &Registry) {
        let Some(draft) = self.draft(series, measured.end, registry) else { return };
        let count = measured.count as f64;
        draft.total += count;
        draft.total_raw = draft.total_raw.saturating_add(measured.count);
        let mean = measured.sum_seconds / count;
        let mut told = 0;
        let mut sum = measured.sum_seconds;
        for (bound, requests) in measured.buckets.iter().filter(|(_, requests)| *requests > 0) {
            let seconds = if bound.is_finite() { *bound } else { mean.max(last_finite(measured)) };
            draft.durations.record_bucket(seconds, *requests as f64, std::mem::take(&mut sum));
            told += requests;
        }
        if told < measured.count {
            draft.durations.record_bucket(mean, (measured.count - told) as f64, sum);
        }
        match &measured.error {
            Some(kind) => draft.failed(kind, count, measured.count, measured.end),
            // Requests between two bounds cannot be told apart: only those surely within count as
            // such.
            None => draft.succeeded(|threshold| {
                let within =
                    measured.buckets.iter().filter(|(bound, _)| *bound <= threshold * (1.0 + 1e-9));
                within.map(|(_, requests)| *requests as f64).sum()
            }),
        }
    }

    /// Hands out what was gathered, sorted by series, then bucket.
    pub(crate) fn take(&mut self, registry: &Registry) -> Vec<RequestPoint> {
        let drafts = std::mem::take(&mut self.points);
        let mut points: Vec<RequestPoint> = drafts
            .into_iter()
            .filter_map(|((series, bucket), draft)| {
                Some(draft.finish(registry.key(series)?, bucket))
            })
            .collect();
        points.sort_by(|a, b| (&a.series, a.bucket).cmp(&(&b.series, b.bucket)));
        points
    }

    pub(crate) fn take_over_limit(&mut self) -> u64 {
        std::mem::take(&mut self.over_limit)
    }

    fn draft(&mut self, series: Series, end: Timestamp, registry: &Registry) -> Option<&mut Draft> {
        let key = (series, end.floor_to(BUCKET));
        if !self.has_room(series, registry) && !self.points.contains_key(&key) {
            self.over_limit += 1;
            return None;
        }
        let draft = self.points.entry(key).or_insert_with(|| {
            let thresholds = registry.thresholds(series);
            Draft {
                within: thresholds.iter().map(|threshold| (*threshold, 0.0)).collect(),
                ..Draft::default()
            }
        });
        Some(draft)
    }

    fn has_room(&self, series: Series, registry: &Registry) -> bool {
        let is_service =
            |id| registry.entity(id).is_some_and(|entity| entity.kind == EntityKind::Service);
        match self.points.len() {
            0..PART_DRAFTS_MAX => true,
            PART_DRAFTS_MAX..DRAFTS_MAX => matches!(series, Series::Of(id) if is_service(id)),
            _ => false,
        }
    }
}

fn last_finite(measured: &Measured) -> f64 {
    measured
        .buckets
        .iter()
        .rev()
        .map(|(bound, _)| *bound)
        .find(|bound| bound.is_finite())
        .unwrap_or(0.0)
}

impl Draft {
    fn failed(&mut self, kind: &str, weight: f64, raw: u64, end: Timestamp) {
        self.errors += weight;
        self.errors_raw = self.errors_raw.saturating_add(raw);
        self.first_error_at = Some(self.first_error_at.map_or(end, |first| first.min(end)));
        let known = self.kinds.iter().any(|(name, _)| name == kind);
        let kind = if known || self.kinds.len() < KINDS_MAX { kind } else { OTHER };
        match self.kinds.iter_mut().find(|(name, _)| name == kind) {
            Some((_, count)) => *count += weight,
            None => self.kinds.push((kind.to_owned(), weight)),
        }
    }

    fn succeeded(&mut self, count_within: impl Fn(f64) -> f64) {
        for (threshold, count) in &mut self.within {
            *count += count_within(*threshold);
        }
    }

    /// Keeps the trace that shows most: a failed one before the slowest; the lesser id where
    /// nothing else decides.
    fn show(&mut self, request: &Request) {
        if request.trace == TraceId::default() {
            return;
        }
        let shown = (request.error.is_some(), request.duration_nanos, request.trace);
        let is_better = self.exemplar.is_none_or(|held| {
            (shown.0, shown.1, std::cmp::Reverse(shown.2))
                > (held.0, held.1, std::cmp::Reverse(held.2))
        });
        if is_better {
            self.exemplar = Some(shown);
        }
    }

    fn finish(mut self, series: model::tick::SeriesKey, bucket: Timestamp) -> RequestPoint {
        self.kinds.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        RequestPoint {
            series,
            bucket,
            total: self.total,
            errors: self.errors,
            total_raw: self.total_raw,
            errors_raw: self.errors_raw,
            durations: self.durations,
            within: self.within,
            error_kinds: self.kinds,
            first_error_at: self.first_error_at,
            exemplar: self.exemplar.map(|(error, duration_nanos, trace)| Exemplar {
                trace_id: hex(&trace),
                error,
                duration_nanos,
            }),
        }
    }
}

pub(crate) fn hex(trace: &TraceId) -> String {
    use std::fmt::Write;
    trace.iter().fold(String::with_capacity(32), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;
    use model::Scope;

    #[test]
    fn points_are_bounded_and_services_keep_room_among_them() {
        let (mut registry, limits) = (Registry::default(), Limits::default());
        let (scope, end) = (Scope::default(), Timestamp::from_secs(1_000));
        let scope_id = registry.scope(&scope, &limits).unwrap();
        let kind = EntityKind::Service;
        let service = registry.named((scope_id, &scope), kind, "shop", end, &limits).unwrap();
        let mut points = Points::default();
        let mut fill = |series: &dyn Fn(u64) -> Series, end: &dyn Fn(u64) -> Timestamp| {
            for number in 0..DRAFTS_MAX as u64 + 10 {
                let request = Request {
                    end: end(number),
                    duration_nanos: 1,
                    weight: 1.0,
                    error: None,
                    trace: TraceId::default(),
                };
                points.request(series(number), &request, &registry);
            }
            (points.points.len(), points.take_over_limit())
        };
        let left_out = (DRAFTS_MAX - PART_DRAFTS_MAX + 10) as u64;
        let filled = fill(&|number| Series::Of(1_000 + number), &|_| end);
        assert_eq!(filled, (PART_DRAFTS_MAX, left_out));
        let filled = fill(&|_| Series::Of(service), &|number| end + BUCKET * number as u32);
        assert_eq!(filled, (DRAFTS_MAX, PART_DRAFTS_MAX as u64 + 10));
        let filled = fill(&|_| Series::Of(service), &|_| end);
        assert_eq!(filled, (DRAFTS_MAX, 0), "a point that is there takes more");
    }
}
