//! Captured exports of metrics that go on, for as many instances as wanted.
//!
//! SDKs export at intervals, however much happens; more samples a second come from more instances.
//! So each captured process stands for many, each with an instance id of its own, and its captured
//! exports follow each other at the captured distance, again and again: cumulative values go on
//! from where they were, gauges repeat. The last export is of now, the first as long ago as all
//! need. A sample is what Prometheus would count: a number point is one, a histogram point its
//! buckets and two.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use model::signal::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, HistogramDataPoint, Metric, NumberDataPoint,
};
use prost::Message;

use super::folder::{Captured, Protocol};
use super::rewrite;

const INSTANCE: &str = "service.instance.id";
/// The standard's default, where a process was captured with one export only.
const INTERVAL_NS: u64 = 60_000_000_000;

/// What one process exported.
#[derive(Clone, Debug)]
pub struct Process {
    pub protocol: Protocol,
    exports: Vec<ExportMetricsServiceRequest>,
    interval_ns: u64,
    /// By series: what all captured exports together added to its cumulative values.
    added: BTreeMap<Vec<u8>, Values>,
}

/// The cumulative values of one point.
#[derive(Clone, Debug, Default, PartialEq)]
struct Values {
    value: f64,
    count: u64,
    buckets: Vec<u64>,
}

/// How much an export holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub points: usize,
    pub samples: usize,
}

impl Process {
    /// The processes of a capture: those of one protocol and resource.
    pub fn all(captured: &[Captured]) -> Result<Vec<Process>> {
        let mut processes: BTreeMap<(Protocol, Vec<u8>), Vec<(u64, _)>> = BTreeMap::new();
        for one in captured.iter().filter(|one| one.signal == Signal::Metrics) {
            let request = ExportMetricsServiceRequest::decode(one.body.as_slice());
            let request = request.context("a captured request")?;
            let Some(first) = request.resource_metrics.first() else { continue };
            let resource = first.resource.as_ref().map(Message::encode_to_vec).unwrap_or_default();
            let exports = processes.entry((one.protocol, resource)).or_default();
            exports.push((one.received_unix_nano, request));
        }
        ensure!(!processes.is_empty(), "the capture has no metrics");
        Ok(processes.into_iter().map(|((protocol, _), all)| Process::new(protocol, all)).collect())
    }

    fn new(protocol: Protocol, mut all: Vec<(u64, ExportMetricsServiceRequest)>) -> Process {
        // A process says a last word when it ends politely; that one is out of step.
        let mut gaps: Vec<u64> = all.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        gaps.sort_unstable();
        let interval_ns = gaps.last().copied().unwrap_or(INTERVAL_NS).max(1_000_000_000);
        if all.len() > 2 && all[all.len() - 1].0 - all[all.len() - 2].0 < interval_ns / 2 {
            all.pop();
        }
        let exports: Vec<_> = all.into_iter().map(|(_, export)| export).collect();
        let (first, last) = (cumulative(&exports[0]), cumulative(&exports[exports.len() - 1]));
        let steps = exports.len() as f64 / (exports.len() as f64 - 1.0).max(1.0);
        let added = last.into_iter().map(|(series, last)| {
            let added = last.minus(first.get(&series)).stretched(steps);
            (series, added)
        });
        let added = added.collect();
        Process { protocol, exports, interval_ns, added }
    }

    pub fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// Series in the first `steps` exports of one instance; a histogram is one.
    pub fn series(&self, steps: usize) -> usize {
        let exports = self.exports.iter().take(steps);
        exports.flat_map(series_of).collect::<BTreeSet<_>>().len()
    }

    /// Export number `step` of instance `instance`, at the given time.
    pub fn export(&self, instance: usize, step: usize, at: u64) -> (Vec<u8>, Count) {
        let mut request = self.exports[step % self.exports.len()].clone();
        let round = (step / self.exports.len()) as u64;
        let times = Times {
            newest: newest(&request),
            at,
            // A process has run for as long as it has exported.
            started_ns: self.interval_ns * (step as u64 + 1),
            key: (instance as u64) << 32 | step as u64,
        };
        let mut count = Count::default();
        for resource in &mut request.resource_metrics {
            if let Some(resource) = &mut resource.resource {
                rename(&mut resource.attributes, instance);
            }
            for scope in &mut resource.scope_metrics {
                for metric in &mut scope.metrics {
                    self.go_on(metric, round);
                    let counted = times.shift(metric);
                    count.points += counted.points;
                    count.samples += counted.samples;
                }
            }
        }
        (request.encode_to_vec(), count)
    }

    fn go_on(&self, metric: &mut Metric, round: u64) {
        let name = metric.name.clone();
        match &mut metric.data {
            Some(Data::Sum(sum)) => {
                for point in &mut sum.data_points {
                    let Some(added) = self.added.get(&series(&name, &point.attributes)) else {
                        continue;
                    };
                    point.value = match point.value {
                        Some(Value::AsInt(value)) => {
                            Some(Value::AsInt(value + added.value as i64 * round as i64))
                        }
                        Some(Value::AsDouble(value)) => {
                            Some(Value::AsDouble(value + added.value * round as f64))
                        }
                        None => None,
                    };
                }
            }
            Some(Data::Histogram(histogram)) => {
                for point in &mut histogram.data_points {
                    if let Some(added) = self.added.get(&series(&name, &point.attributes)) {
                        point.count += added.count * round;
                        point.sum = point.sum.map(|sum| sum + added.value * round as f64);
                        for (bucket, more) in point.bucket_counts.iter_mut().zip(&added.buckets) {
                            *bucket += more * round;
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

/// How times of an export are moved.
struct Times {
    /// Of the captured export.
    newest: u64,
    at: u64,
    started_ns: u64,
    /// For new ids.
    key: u64,
}

impl Times {
    fn shift(&self, metric: &mut Metric) -> Count {
        let mut count = Count::default();
        let mut numbers = |points: &mut Vec<NumberDataPoint>| {
            count.points += points.len();
            count.samples += points.len();
            for point in points {
                self.place(&mut point.time_unix_nano, &mut point.start_time_unix_nano);
                self.exemplars(&mut point.exemplars);
            }
        };
        match &mut metric.data {
            Some(Data::Gauge(gauge)) => numbers(&mut gauge.data_points),
            Some(Data::Sum(sum)) => numbers(&mut sum.data_points),
            Some(Data::Histogram(histogram)) => {
                count.points += histogram.data_points.len();
                for point in &mut histogram.data_points {
                    count.samples += point.bucket_counts.len() + 2;
                    self.place(&mut point.time_unix_nano, &mut point.start_time_unix_nano);
                    self.exemplars(&mut point.exemplars);
                }
            }
            _ => {}
        }
        count
    }

    /// Exemplars are of other traces in each export.
    fn exemplars(&self, exemplars: &mut [Exemplar]) {
        for exemplar in exemplars {
            let age = self.newest.saturating_sub(exemplar.time_unix_nano);
            exemplar.time_unix_nano = self.at.saturating_sub(age);
            rewrite::rehash(&mut exemplar.trace_id, self.key);
            rewrite::rehash(&mut exemplar.span_id, self.key);
        }
    }

    fn place(&self, time: &mut u64, start: &mut u64) {
        *time = self.at.saturating_sub(self.newest.saturating_sub(*time));
        if *start != 0 {
            *start = self.at.saturating_sub(self.started_ns);
        }
    }
}

impl Values {
    fn minus(&self, earlier: Option<&Values>) -> Values {
        // A series that was not there yet, or a process that began anew, started from nothing.
        let earlier = earlier.filter(|earlier| earlier.value <= self.value);
        let Some(earlier) = earlier.filter(|earlier| earlier.count <= self.count) else {
            return self.clone();
        };
        let buckets = self.buckets.iter().enumerate();
        Values {
            value: self.value - earlier.value,
            count: self.count - earlier.count,
            buckets: buckets
                .map(|(at, bucket)| bucket.saturating_sub(*earlier.buckets.get(at).unwrap_or(&0)))
                .collect(),
        }
    }

    /// Of a round of exports, which is one step longer than from its first to its last.
    fn stretched(self, factor: f64) -> Values {
        let stretch = |count: u64| (count as f64 * factor).round() as u64;
        Values {
            value: (self.value * factor).round(),
            count: stretch(self.count),
            buckets: self.buckets.into_iter().map(stretch).collect(),
        }
    }
}

fn cumulative(request: &ExportMetricsServiceRequest) -> BTreeMap<Vec<u8>, Values> {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let mut all = BTreeMap::new();
    for metric in scopes.flat_map(|scope| &scope.metrics) {
        match &metric.data {
            Some(Data::Sum(sum)) if sum.is_monotonic => {
                for point in &sum.data_points {
                    all.insert(series(&metric.name, &point.attributes), of_number(point));
                }
            }
            Some(Data::Histogram(histogram)) => {
                for point in &histogram.data_points {
                    all.insert(series(&metric.name, &point.attributes), of_histogram(point));
                }
            }
            _ => {}
        }
    }
    all
}

fn of_number(point: &NumberDataPoint) -> Values {
    let value = match point.value {
        Some(Value::AsInt(value)) => value as f64,
        Some(Value::AsDouble(value)) => value,
        None => 0.0,
    };
    Values { value, ..Values::default() }
}

fn of_histogram(point: &HistogramDataPoint) -> Values {
    let (value, count) = (point.sum.unwrap_or_default(), point.count);
    Values { value, count, buckets: point.bucket_counts.clone() }
}

fn series(name: &str, attributes: &[KeyValue]) -> Vec<u8> {
    let mut key = name.as_bytes().to_vec();
    attributes.iter().for_each(|attribute| key.extend(attribute.encode_length_delimited_to_vec()));
    key
}

/// What tells the series of a request apart, of each point.
fn series_of(request: &ExportMetricsServiceRequest) -> Vec<Vec<u8>> {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let of_metric = |metric: &Metric| -> Vec<Vec<u8>> {
        let numbers = |points: &[NumberDataPoint]| {
            points.iter().map(|point| series(&metric.name, &point.attributes)).collect()
        };
        match &metric.data {
            Some(Data::Gauge(gauge)) => numbers(&gauge.data_points),
            Some(Data::Sum(sum)) => numbers(&sum.data_points),
            Some(Data::Histogram(all)) => {
                all.data_points.iter().map(|p| series(&metric.name, &p.attributes)).collect()
            }
            _ => Vec::new(),
        }
    };
    scopes.flat_map(|scope| &scope.metrics).flat_map(of_metric).collect()
}

fn newest(request: &ExportMetricsServiceRequest) -> u64 {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let times = scopes.flat_map(|scope| &scope.metrics).flat_map(|metric| match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.iter().map(time_of).collect::<Vec<_>>(),
        Some(Data::Sum(sum)) => sum.data_points.iter().map(time_of).collect(),
        Some(Data::Histogram(all)) => all.data_points.iter().map(|p| p.time_unix_nano).collect(),
        _ => Vec::new(),
    });
    times.max().unwrap_or_default()
}

fn time_of(point: &NumberDataPoint) -> u64 {
    point.time_unix_nano
}

fn rename(attributes: &mut Vec<KeyValue>, instance: usize) {
    let name = |before: &str| format!("{before}-{instance:04}");
    let found = attributes.iter_mut().find(|attribute| attribute.key == INSTANCE);
    match found.and_then(|attribute| attribute.value.as_mut()) {
        Some(AnyValue { value: Some(any_value::Value::StringValue(text)) }) => *text = name(text),
        _ => attributes.push(KeyValue {
            key: INSTANCE.to_owned(),
            value: Some(AnyValue { value: Some(any_value::Value::StringValue(name("instance"))) }),
            ..KeyValue::default()
        }),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::{
        AggregationTemporality, Histogram, ResourceMetrics, ScopeMetrics, Sum,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;

    use super::*;

    fn export(time: u64, value: i64, bucket: u64) -> Captured {
        let point = NumberDataPoint {
            time_unix_nano: time,
            start_time_unix_nano: 1,
            value: Some(Value::AsInt(value)),
            ..NumberDataPoint::default()
        };
        let temporality = AggregationTemporality::Cumulative.into();
        let sum = Sum {
            data_points: vec![point],
            aggregation_temporality: temporality,
            is_monotonic: true,
        };
        let point = HistogramDataPoint {
            time_unix_nano: time,
            count: bucket,
            sum: Some(bucket as f64),
            bucket_counts: vec![bucket, 0],
            explicit_bounds: vec![1.0],
            ..HistogramDataPoint::default()
        };
        let histogram =
            Histogram { data_points: vec![point], aggregation_temporality: temporality };
        let metric = |name: &str, data| Metric {
            name: name.to_owned(),
            data: Some(data),
            ..Metric::default()
        };
        let metrics =
            vec![metric("sum", Data::Sum(sum)), metric("took", Data::Histogram(histogram))];
        let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
        let resource = Some(Resource::default());
        let resource_metrics =
            vec![ResourceMetrics { resource, scope_metrics, ..ResourceMetrics::default() }];
        let body = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
        let (protocol, signal) = (Protocol::Grpc, Signal::Metrics);
        Captured { protocol, signal, received_unix_nano: time, body }
    }

    /// Value of the sum and count of the histogram.
    fn values(body: &[u8]) -> (f64, u64, u64) {
        let request = ExportMetricsServiceRequest::decode(body).unwrap();
        let all = cumulative(&request);
        let value = all[&b"sum".to_vec()].value;
        (value, all[&b"took".to_vec()].count, newest(&request))
    }

    #[test]
    fn captured_exports_go_on_where_they_ended() {
        let second = 1_000_000_000;
        let captured: Vec<_> =
            (0..3).map(|n| export((100 + 60 * n) * second, 10 * n as i64, 2 * n)).collect();
        let processes = Process::all(&captured).unwrap();
        let [process] = processes.as_slice() else { panic!("{processes:?}") };
        assert_eq!(process.interval_ns(), 60 * second);
        let told: Vec<_> =
            (0..7).map(|step| values(&process.export(1, step, 1_000 * second).0)).collect();
        let sums: Vec<f64> = told.iter().map(|told| told.0).collect();
        assert_eq!(sums, [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
        let counts: Vec<u64> = told.iter().map(|told| told.1).collect();
        assert_eq!(counts, [0, 2, 4, 6, 8, 10, 12]);
        assert!(told.iter().all(|told| told.2 == 1_000 * second));
        let counted = process.export(1, 0, 0).1;
        assert_eq!(counted, Count { points: 2, samples: 5 });
        assert_eq!([0, 1, 9].map(|steps| process.series(steps)), [0, 2, 2]);
    }

    #[test]
    fn instances_have_names_of_their_own() {
        let process = &Process::all(&[export(5, 1, 1)]).unwrap()[0];
        assert_ne!(process.export(1, 0, 9).0, process.export(2, 0, 9).0);
    }
}
