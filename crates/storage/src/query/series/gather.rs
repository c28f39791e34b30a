//! The points of the series that are asked for, from wherever they are.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use model::Timestamp;
use model::signal::{ExponentialPoint, HistogramPoint, MetricData, PointHeader, SummaryPoint};

use super::distribution::{Buckets, Distribution, Exponential};
use super::labels::{self, LabelColumns};
use super::{Function, SeriesQuery, SeriesRecord};
use crate::Error;
use crate::query::Gauge;
use crate::query::reading::{Ask, Sources};
use crate::rows::{self, Ids, Lists, Texts};

/// A number at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Nanoseconds since 1970.
    pub time: u64,
    /// Since when it counts; 0 where it does not say.
    pub start: u64,
    /// NaN for "no recorded value".
    pub value: f64,
}

/// What was observed by a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    pub time: u64,
    pub start: u64,
    pub distribution: Distribution,
}

/// A series and its points, of all the rows that were read.
#[derive(Clone, Debug)]
pub struct Gathered {
    pub metric: String,
    pub kind: Kind,
    pub unit: String,
    pub temporality: String,
    pub monotonic: bool,
    pub labels: BTreeMap<String, String>,
    pub samples: Vec<Sample>,
    pub observed: Vec<Observed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

impl Kind {
    fn parse(text: &str) -> Kind {
        match text {
            "sum" => Kind::Sum,
            "histogram" => Kind::Histogram,
            "exponential_histogram" => Kind::ExponentialHistogram,
            "summary" => Kind::Summary,
            _ => Kind::Gauge,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Gauge => "gauge",
            Kind::Sum => "sum",
            Kind::Histogram => "histogram",
            Kind::ExponentialHistogram => "exponential_histogram",
            Kind::Summary => "summary",
        }
    }

    pub fn is_number(self) -> bool {
        matches!(self, Kind::Gauge | Kind::Sum)
    }

    /// What is told of it where nothing is asked for.
    pub fn suits(self, monotonic: bool) -> &'static [Function] {
        match self {
            Kind::Sum if monotonic => &[Function::Rate],
            Kind::Gauge | Kind::Sum => &[Function::Last],
            Kind::Histogram | Kind::ExponentialHistogram => {
                &[Function::Rate, Function::Quantile(0.5), Function::Quantile(0.95)]
            }
            Kind::Summary => &[Function::Rate, Function::Average],
        }
    }
}

impl Gathered {
    /// Puts the points in order. Those of one time stay as they came.
    pub fn sort(&mut self) {
        self.samples.sort_by_key(|sample| sample.time);
        self.observed.sort_by_key(|observed| observed.time);
    }

    /// Without points.
    pub fn record(&self) -> SeriesRecord {
        SeriesRecord {
            metric: self.metric.clone(),
            kind: self.kind.as_str().to_owned(),
            unit: self.unit.clone(),
            temporality: self.temporality.clone(),
            monotonic: self.monotonic,
            labels: self.labels.clone(),
            function: None,
            points: Vec::new(),
            distributions: Vec::new(),
        }
    }
}

type SeriesId = [u8; 16];

/// By id, and whether there are more than `query.series_max`: then those with the least ids, so
/// that the answer does not depend on where they are stored.
pub fn gather(
    sources: &Sources<'_>,
    query: &SeriesQuery,
    time: Range<Timestamp>,
    gauge: &Arc<Gauge>,
) -> Result<(Vec<Gathered>, bool), Error> {
    let (from, to) = (time.start, time.end);
    let stages = labels::stages(&query.selector, from, to);
    let metric = query.selector.metric.as_deref();
    let ask = Ask { metric, ..Ask::of(from, to) };
    let mut gathering = Gathering {
        series: BTreeMap::new(),
        series_max: query.series_max,
        truncated: false,
        asked: from.as_nanos()..to.as_nanos(),
        gauge,
    };
    sources.newest_first(from, to, gauge, |part| {
        part.read(&ask, &stages, &[], gauge, &mut |batch| gathering.take(&batch))?;
        Ok(true)
    })?;
    Ok((gathering.series.into_values().collect(), gathering.truncated))
}

struct Gathering<'a> {
    series: BTreeMap<SeriesId, Gathered>,
    series_max: usize,
    truncated: bool,
    asked: Range<u64>,
    gauge: &'a Gauge,
}

impl Gathering<'_> {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let ids = Ids::of(batch, "series")?;
        for row in 0..batch.num_rows() {
            self.gauge.check()?;
            let id: SeriesId = ids.get(row).unwrap_or_default();
            if !self.series.contains_key(&id) && !self.admit(id, batch, row)? {
                continue;
            }
            let Some(series) = self.series.get_mut(&id) else { continue };
            let bytes = if series.kind.is_number() {
                samples(batch, row, &self.asked, &mut series.samples)?
            } else {
                observed(batch, row, &self.asked, &mut series.observed)?
            };
            self.gauge.hold(bytes)?;
        }
        Ok(())
    }

    /// Makes room for a series that was not met before, if its id is among the least.
    fn admit(&mut self, id: SeriesId, batch: &RecordBatch, row: usize) -> Result<bool, Error> {
        if self.series.len() >= self.series_max {
            self.truncated = true;
            if self.series.last_key_value().is_some_and(|(last, _)| *last < id) {
                return Ok(false);
            }
            self.series.pop_last();
        }
        let labels = LabelColumns::of(batch)?.all(row);
        let bytes: usize = labels.iter().map(|(key, value)| key.len() + value.len() + 64).sum();
        self.gauge.hold(bytes as u64)?;
        let text = |name: &str| Ok::<String, Error>(Texts::of(batch, name)?.text(row).to_owned());
        let kind = Kind::parse(Texts::of(batch, "kind")?.text(row));
        let series = Gathered {
            metric: text("metric")?,
            kind,
            unit: text("unit")?,
            temporality: text("temporality")?,
            monotonic: is_true(batch, "monotonic", row),
            labels,
            samples: Vec::new(),
            observed: Vec::new(),
        };
        self.series.insert(id, series);
        Ok(true)
    }
}

pub fn is_true(batch: &RecordBatch, column: &str, row: usize) -> bool {
    use arrow_array::cast::AsArray;
    let column = batch.column_by_name(column).and_then(|column| column.as_boolean_opt());
    column.is_some_and(|truths| truths.is_valid(row) && truths.value(row))
}

/// Reads the numbers of a row. Returns how many bytes they take.
fn samples(
    batch: &RecordBatch,
    row: usize,
    asked: &Range<u64>,
    samples: &mut Vec<Sample>,
) -> Result<u64, Error> {
    let times = Lists::<Int64Type>::of(batch, "times")?;
    let starts = Lists::<Int64Type>::of(batch, "start_times")?;
    let values = Lists::<Float64Type>::of(batch, "values")?;
    let integers = Lists::<Int64Type>::of(batch, "integers")?;
    let before = samples.len();
    for (at, time) in times.values(row).unwrap_or_default().iter().enumerate() {
        // The bits are those that came.
        let time = *time as u64;
        if !asked.contains(&time) {
            continue;
        }
        let integer = integers.get(row, at).map(|integer| integer as f64);
        let value = integer.or_else(|| values.get(row, at)).unwrap_or(f64::NAN);
        let start = starts.get(row, at).unwrap_or(0) as u64;
        samples.push(Sample { time, start, value });
    }
    Ok(((samples.len() - before) * size_of::<Sample>()) as u64)
}

/// The same of histograms and summaries.
fn observed(
    batch: &RecordBatch,
    row: usize,
    asked: &Range<u64>,
    observed: &mut Vec<Observed>,
) -> Result<u64, Error> {
    let mut bytes = 0;
    // One row at a time: its points are large.
    for stored in rows::series(&batch.slice(row, 1))? {
        let mut push = |header: &PointHeader, distribution: Distribution| {
            let time = header.time_unix_nanos;
            const NO_RECORDED_VALUE: u32 = 1;
            if asked.contains(&time) && header.flags & NO_RECORDED_VALUE == 0 {
                bytes += size_of::<Observed>() + buckets_bytes(&distribution.buckets);
                observed.push(Observed { time, start: header.start_time_unix_nanos, distribution });
            }
        };
        match &stored.metric.data {
            MetricData::Histogram { points, .. } => {
                let mut bounds: Arc<[f64]> = Arc::default();
                for point in points {
                    if *bounds != *point.explicit_bounds {
                        bounds = point.explicit_bounds.as_slice().into();
                    }
                    push(&point.header, of_histogram(point, &bounds));
                }
            }
            MetricData::ExponentialHistogram { points, .. } => {
                points.iter().for_each(|point| push(&point.header, of_exponential(point)));
            }
            MetricData::Summary(points) => {
                points.iter().for_each(|point| push(&point.header, of_summary(point)));
            }
            MetricData::Empty | MetricData::Gauge(_) | MetricData::Sum { .. } => {}
        }
    }
    Ok(bytes as u64)
}

fn buckets_bytes(buckets: &Buckets) -> usize {
    match buckets {
        Buckets::Unknown => 0,
        Buckets::Explicit { counts, .. } => counts.len() * 8,
        Buckets::Exponential(exponential) => exponential.buckets() * 24,
        Buckets::Quantiles(pairs) => pairs.len() * 16,
    }
}

fn of_histogram(point: &HistogramPoint, bounds: &Arc<[f64]>) -> Distribution {
    let counts: Vec<f64> = point.bucket_counts.iter().map(|count| *count as f64).collect();
    let is_whole = counts.len() == bounds.len() + 1;
    let buckets = match is_whole {
        true => Buckets::Explicit { bounds: Arc::clone(bounds), counts },
        false => Buckets::Unknown,
    };
    Distribution {
        count: point.count as f64,
        sum: point.sum.unwrap_or(f64::NAN),
        min: point.min,
        max: point.max,
        buckets,
    }
}

fn of_exponential(point: &ExponentialPoint) -> Distribution {
    let exponential = Exponential::new(
        point.scale,
        point.zero_threshold,
        point.zero_count,
        (point.positive.offset, &point.positive.bucket_counts),
        (point.negative.offset, &point.negative.bucket_counts),
    );
    Distribution {
        count: point.count as f64,
        sum: point.sum.unwrap_or(f64::NAN),
        min: point.min,
        max: point.max,
        buckets: exponential.map_or(Buckets::Unknown, Buckets::Exponential),
    }
}

fn of_summary(point: &SummaryPoint) -> Distribution {
    Distribution {
        count: point.count as f64,
        sum: point.sum,
        min: None,
        max: None,
        buckets: Buckets::Quantiles(point.quantiles.clone()),
    }
}
