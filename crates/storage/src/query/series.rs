//! Series of metrics: the engine's own and those of OpenTelemetry, by name and labels over time.
//!
//! [`series`] gives raw points, or one value for each window of time and function. Rows of one
//! series come from memory and from several files; they are joined by the series' id and sorted by
//! time. [`metrics`], [`labels`] and [`label_values`] tell what there is to ask for.
//!
//! A series' labels are its attributes, `service`, `instance`, and its resource's attributes as
//! `resource.…`. An answer of a part would mislead, so at a limit there is none; only the number of
//! series is cut, and told.

mod distribution;
mod function;
mod gather;
mod increase;
mod labels;
mod listing;
mod windows;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use model::Timestamp;
use serde::Serialize;

pub use function::Function;
pub use increase::LOOKBACK;
pub use listing::{Listed, MetricRecord, label_values, labels, metrics};

use super::grid::Grid;
use super::matchers::Selector;
use super::reading::Sources;
use super::spans::check_limit;
use super::{Limits, Scanned};
use crate::Error;
use distribution::{Buckets, Distribution};
use gather::{Gathered, Kind, Observed};
use increase::{Increase, Timed};

/// Most series of an answer.
pub const SERIES_MAX: usize = 10_000;
/// Most functions of a question.
pub const FUNCTIONS_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq)]
pub struct SeriesQuery {
    pub selector: Selector,
    pub from: Timestamp,
    /// Exclusive.
    pub to: Timestamp,
    /// Length of a window; `None` for the points as they came.
    pub step: Option<Duration>,
    /// What is told of each window; each makes a series of its own in the answer. None of them is
    /// for what suits the metric.
    pub functions: Vec<Function>,
    /// At most [`SERIES_MAX`].
    pub series_max: usize,
}

impl SeriesQuery {
    /// What a view has to cover: the points beyond the borders tell what grew up to them.
    pub fn view_times(&self) -> Range<Timestamp> {
        let beyond = self.step.map_or(Duration::ZERO, |step| step + LOOKBACK);
        self.from - beyond..self.to + beyond
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SeriesFound {
    /// By metric and labels.
    pub series: Vec<SeriesRecord>,
    /// Absent for raw points.
    pub step_nanos: Option<u64>,
    /// There are more series than these.
    pub truncated: bool,
    pub scanned: Scanned,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct SeriesRecord {
    pub metric: String,
    /// "gauge", "sum", "histogram", "exponential_histogram", "summary"
    pub kind: String,
    pub unit: String,
    /// "delta", "cumulative", "unspecified", or empty.
    pub temporality: String,
    pub monotonic: bool,
    pub labels: BTreeMap<String, String>,
    /// What the values tell; absent for raw points.
    pub function: Option<String>,
    /// By time. Windows about which nothing is known are left out.
    pub points: Vec<Point>,
    /// Raw points of histograms and summaries.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub distributions: Vec<DistributionRecord>,
}

/// Written as `[milliseconds since 1970, value]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub time: Timestamp,
    /// NaN for "no recorded value"; written as null.
    pub value: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct DistributionRecord {
    pub time: Timestamp,
    /// Since when it counts, where it says so.
    pub start: Option<Timestamp>,
    pub count: f64,
    pub sum: Option<f64>,
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Pairs of upper bound (absent for the last one, which has none) and count. Of summaries: of
    /// quantile and value.
    pub buckets: Vec<(Option<f64>, f64)>,
}

impl Serialize for Point {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let value = Some(self.value).filter(|value| value.is_finite());
        (self.time.as_nanos() / 1_000_000, value).serialize(serializer)
    }
}

impl schemars::JsonSchema for Point {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Point".into()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        <(u64, Option<f64>)>::json_schema(generator)
    }
}

/// The series that the selector names, over a time.
pub fn series(
    sources: &Sources<'_>,
    query: &SeriesQuery,
    limits: &Limits,
) -> Result<SeriesFound, Error> {
    check_limit(query.series_max, SERIES_MAX)?;
    let bad = |reason: String| Error::BadQuery { reason };
    if query.from >= query.to {
        return Err(bad(format!("the time from {} to {} is empty", query.from, query.to)));
    }
    if query.selector.metric.is_none() {
        return Err(bad("name the metric, for example http.server.request.duration".to_owned()));
    }
    if query.functions.len() > FUNCTIONS_MAX {
        return Err(bad(format!("more than the {FUNCTIONS_MAX} functions allowed")));
    }
    let grid = match query.step {
        Some(step) => Some(Grid::new(query.from, query.to, step)?),
        None if query.functions.is_empty() => None,
        None => return Err(bad("a function needs a step".to_owned())),
    };
    let gauge = sources.gauge(limits);
    // How much grew from the first border on, and until the last one, is told by the points beyond.
    let (from, to) = match &grid {
        None => (query.from, query.to),
        Some(grid) => (grid.time(0) - LOOKBACK, grid.end() + LOOKBACK),
    };
    let (gathered, truncated) = gather::gather(sources, query, from..to, &gauge)?;
    let mut series = Vec::with_capacity(gathered.len());
    for mut one in gathered {
        gauge.check()?;
        one.sort();
        match &grid {
            None => series.push(raw(one)),
            Some(grid) => align(&one, query, grid, from, &mut series)?,
        }
    }
    series.sort_by(|one, other| {
        let key = |record: &SeriesRecord| (record.metric.clone(), record.labels.clone());
        key(one).cmp(&key(other))
    });
    let step_nanos = grid.map(|grid| grid.step_nanos());
    Ok(SeriesFound { series, step_nanos, truncated, scanned: gauge.scanned() })
}

fn raw(one: Gathered) -> SeriesRecord {
    let mut record = one.record();
    let point =
        |sample: &gather::Sample| Point { time: Timestamp(sample.time), value: sample.value };
    record.points = one.samples.iter().map(point).collect();
    record.distributions = one.observed.iter().map(distribution_record).collect();
    record
}

fn distribution_record(observed: &Observed) -> DistributionRecord {
    let Distribution { count, sum, min, max, buckets } = &observed.distribution;
    let buckets = match buckets {
        Buckets::Unknown => Vec::new(),
        Buckets::Explicit { bounds, counts } => {
            let bounds = bounds.iter().copied().map(Some).chain([None]);
            bounds.zip(counts.iter().copied()).collect()
        }
        Buckets::Exponential(exponential) => {
            exponential.bounds().into_iter().map(|(bound, count)| (Some(bound), count)).collect()
        }
        Buckets::Quantiles(pairs) => pairs.iter().map(|(q, value)| (Some(*q), *value)).collect(),
    };
    let start = Some(Timestamp(observed.start)).filter(|start| *start > Timestamp::ZERO);
    let sum = Some(*sum).filter(|sum| sum.is_finite());
    let time = Timestamp(observed.time);
    DistributionRecord { time, start, count: *count, sum, min: *min, max: *max, buckets }
}

/// A series of the answer for each function.
fn align(
    one: &Gathered,
    query: &SeriesQuery,
    grid: &Grid,
    seen_from: Timestamp,
    answer: &mut Vec<SeriesRecord>,
) -> Result<(), Error> {
    let suits;
    let functions = if query.functions.is_empty() {
        suits = one.kind.suits(one.monotonic);
        suits
    } else {
        query.functions.as_slice()
    };
    let values = if one.kind.is_number() {
        of_numbers(one, grid, functions, seen_from)
    } else {
        of_distributions(one, grid, functions, seen_from)?
    };
    for (function, values) in functions.iter().zip(values) {
        let mut record = one.record();
        record.function = Some(function.to_string());
        let known = values.into_iter().enumerate();
        record.points = known
            .filter_map(|(window, value)| Some(Point { time: grid.time(window), value: value? }))
            .collect();
        answer.push(record);
    }
    Ok(())
}

fn of_numbers(
    one: &Gathered,
    grid: &Grid,
    functions: &[Function],
    seen_from: Timestamp,
) -> Vec<windows::Values> {
    let increases: Vec<Increase<f64>> = if !functions.iter().any(|function| function.is_growth()) {
        Vec::new()
    } else {
        let told: Vec<gather::Sample> =
            one.samples.iter().filter(|sample| !sample.value.is_nan()).copied().collect();
        if one.temporality == "delta" {
            increase::of_deltas(&told, |sample| sample.value)
        } else {
            let may_shrink = !one.monotonic;
            let since = |now: &gather::Sample, before: &gather::Sample| {
                let grew = now.value - before.value;
                (may_shrink || grew >= 0.0).then_some(grew)
            };
            let whole = |sample: &gather::Sample| sample.value;
            increase::of_cumulative(&told, seen_from.as_nanos(), since, whole)
        }
    };
    let values = |function: &Function| match function {
        Function::Rate | Function::Increase => {
            windows::of_increases(grid, &increases, *function == Function::Rate)
        }
        function => windows::of_samples(grid, &one.samples, *function),
    };
    functions.iter().map(values).collect()
}

fn of_distributions(
    one: &Gathered,
    grid: &Grid,
    functions: &[Function],
    seen_from: Timestamp,
) -> Result<Vec<windows::Values>, Error> {
    if functions.contains(&Function::Last) {
        let reason = format!(
            "{} is a {}: ask for quantile(0.95), avg, count, sum, min, max, rate or increase",
            one.metric,
            one.kind.as_str()
        );
        return Err(Error::BadQuery { reason });
    }
    let whole = |observed: &Observed| observed.distribution.clone();
    let increases = if one.temporality == "delta" {
        increase::of_deltas(&one.observed, whole)
    } else {
        let since =
            |now: &Observed, before: &Observed| now.distribution.since(&before.distribution);
        increase::of_cumulative(&one.observed, seen_from.as_nanos(), since, |observed| {
            let mut whole = whole(observed);
            // Of all time since it counts, and so not of a window.
            (whole.min, whole.max) = (None, None);
            whole
        })
    };
    let mut values = windows::of_distributions(grid, &increases, functions);
    if one.kind == Kind::Summary {
        for (function, values) in functions.iter().zip(&mut values) {
            if let Function::Quantile(q) = function {
                *values = windows::of_quantiles(grid, &one.observed, *q);
            }
        }
    }
    Ok(values)
}

impl Timed for gather::Sample {
    fn time(&self) -> u64 {
        self.time
    }
    fn start(&self) -> u64 {
        self.start
    }
}

impl Timed for Observed {
    fn time(&self) -> u64 {
        self.time
    }
    fn start(&self) -> u64 {
        self.start
    }
}
