//! Requests told by SDK metrics, for services that send no spans of the requests they serve.
//!
//! `http.server.request.duration` (seconds), its predecessor `http.server.duration`
//! (milliseconds), `rpc.server.call.duration`, `rpc.server.duration`, as explicit or exponential
//! histograms, delta or cumulative; and `http.server.active_requests`. A service of which a
//! server or consumer span was ever seen is counted by spans alone; its histograms are still
//! followed, so that nothing is told twice when metrics and spans arrive by turns, and because a
//! cumulative stream that began anew tells of a restart.
//!
//! A point covers up to a minute; its requests are put into the bucket in which it ends.

use model::signal::{Metric, MetricData, NumberPoint, PointHeader, SpanKind, Temporality};
use model::{EntityKind, Timestamp};

use crate::metric_points::Counts;
use crate::normalise::Facts;
use crate::observer::{Observer, Source};
use crate::operation;
use crate::outcome::{self, Rules};
use crate::points::Measured;
use crate::registry::Series;
use crate::streams::{Added, identity};

/// Histograms of served requests, with seconds per unit where the metric does not say its unit.
const DURATIONS: &[(&str, f64)] = &[
    ("http.server.request.duration", 1.0),
    ("http.server.duration", 1e-3),
    ("rpc.server.call.duration", 1.0),
    ("rpc.server.duration", 1e-3),
];

const ACTIVE_REQUESTS: &str = "http.server.active_requests";

/// "No recorded value" in a point's flags.
const NO_VALUE: u32 = 1;

impl Observer {
    pub(crate) fn take_metric(&mut self, source: &Source, metric: &Metric, arrival: Timestamp) {
        if metric.name == ACTIVE_REQUESTS {
            return match &metric.data {
                MetricData::Sum { temporality, points, .. } => {
                    self.take_active(source, points, *temporality == Temporality::Delta)
                }
                MetricData::Gauge(points) => self.take_active(source, points, false),
                _ => {}
            };
        }
        if self.take_level(source, metric, arrival) {
            return;
        }
        let Some((_, default)) = DURATIONS.iter().find(|(name, _)| *name == metric.name) else {
            return;
        };
        let unit = match metric.unit.as_str() {
            "s" => 1.0,
            "ms" => 1e-3,
            "us" => 1e-6,
            "ns" => 1e-9,
            _ => *default,
        };
        match &metric.data {
            MetricData::Histogram { temporality, points } => {
                for point in points {
                    let told =
                        Told { header: &point.header, temporality: *temporality, unit, arrival };
                    self.take_durations(source, &metric.name, told, Counts::explicit(point));
                }
            }
            MetricData::ExponentialHistogram { temporality, points } => {
                for point in points {
                    let told =
                        Told { header: &point.header, temporality: *temporality, unit, arrival };
                    self.take_durations(source, &metric.name, told, Counts::exponential(point));
                }
            }
            _ => {}
        }
    }

    fn take_active(&mut self, source: &Source, points: &[NumberPoint], is_delta: bool) {
        let Some(instance) = source.instance else { return };
        for point in points {
            let value = point.value.map_or(0.0, model::signal::Number::as_f64);
            if point.header.flags & NO_VALUE != 0 || !value.is_finite() {
                continue;
            }
            let key = (instance, identity(ACTIVE_REQUESTS, &point.header.attributes));
            let limit = self.config.limits.metric_streams;
            if self.streams.gauge(key, value, is_delta, limit) {
                self.active.insert(instance);
            } else {
                self.quality.over_limit += 1;
            }
        }
    }

    fn take_durations(
        &mut self,
        source: &Source,
        metric: &str,
        told: Told<'_>,
        counts: Option<Counts>,
    ) {
        let Some(counts) = counts.filter(|_| told.header.flags & NO_VALUE == 0) else { return };
        let Some(instance) = source.instance else { return };
        let added = match told.temporality {
            Temporality::Delta => counts,
            Temporality::Cumulative => {
                let start = Timestamp(told.header.start_time_unix_nanos);
                let time = Timestamp(told.header.time_unix_nanos);
                let key = (instance, identity(metric, &told.header.attributes));
                let (began, limit) = (self.began, self.config.limits.metric_streams);
                match self.streams.cumulative(key, (start, time), counts, began, limit) {
                    Added::Nothing => return,
                    Added::Counts(counts) => counts,
                    Added::Restarted(counts) => {
                        let start = start.min(told.arrival);
                        self.instances.metrics_restarted(instance, start, &self.registry);
                        counts
                    }
                    Added::OverLimit => {
                        self.quality.over_limit += 1;
                        return;
                    }
                }
            }
            // Without a temporality nobody knows what the numbers mean.
            Temporality::Unspecified => return,
        };
        if added.count > 0 && !self.instances.is_told_by_spans(source.service) {
            self.count_measured(source, &told, &added);
        }
    }

    fn count_measured(&mut self, source: &Source, told: &Told<'_>, added: &Counts) {
        let facts = Facts::read(&told.header.attributes);
        let operation = operation::name(&facts, "", SpanKind::Server);
        let rules = Rules::of(&self.config, &source.name);
        if self.is_excluded(&facts, &operation) || rules.ignores(&operation) {
            return;
        }
        let error = outcome::measured(&facts, &rules);
        let Some(end) = self.event_time(told.header.time_unix_nanos, told.arrival) else {
            self.quality.late_spans = self.quality.late_spans.saturating_add(added.count);
            return;
        };
        let measured = Measured {
            end,
            count: added.count,
            sum_seconds: added.sum * told.unit,
            buckets: added.in_seconds(told.unit),
            error,
        };
        let limits = &self.config.limits;
        let operation = self.registry.part(
            source.service,
            EntityKind::Operation,
            &operation,
            told.arrival,
            limits,
        );
        for id in [Some(source.service), operation, source.instance].into_iter().flatten() {
            self.points.measured(Series::Of(id), &measured, &self.registry);
        }
        if let Some(instance) = source.instance {
            self.instances.counted_by_metrics(instance, end);
        }
    }
}

/// What a point tells besides its counts.
struct Told<'a> {
    header: &'a PointHeader,
    temporality: Temporality,
    unit: f64,
    arrival: Timestamp,
}

#[cfg(test)]
mod tests;
