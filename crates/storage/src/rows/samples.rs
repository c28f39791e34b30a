//! Rows of the table `samples` as metrics: one metric with one series for each row.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, BooleanArray, ListArray, RecordBatch};
use model::Timestamp;
use model::signal::{ExponentialPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint};
use model::signal::{PointHeader, SummaryPoint, Temporality};
use model::text::Text;

use super::column::{Attributes, Ids, Lists, Texts, Times, list_range, optional};
use super::json::{exemplars_of, exponential_of, value_of};
use super::{StoredSeries, origin};
use crate::Error;

/// All rows of a batch, in order.
pub fn series(batch: &RecordBatch) -> Result<Vec<StoredSeries>, Error> {
    let columns = SampleColumns::of(batch)?;
    let mut origins = origin::Origins::of(batch)?;
    let mut stored = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (resource, scope) = origins.get(row);
        let metric = Metric {
            name: Text::from(columns.metric.text(row)),
            description: Text::from(columns.description.text(row)),
            unit: Text::from(columns.unit.text(row)),
            data: columns.data(row),
        };
        let arrival = columns.arrival.get(row).unwrap_or(Timestamp::ZERO);
        let series = columns.series.get(row).unwrap_or_default();
        stored.push(StoredSeries { series, resource, scope, metric, arrival });
    }
    Ok(stored)
}

/// Lists of texts, one for each point.
pub(crate) struct TextLists<'a>(Option<(&'a ListArray, Texts<'a>)>);

impl<'a> TextLists<'a> {
    fn of(batch: &'a RecordBatch, name: &str) -> Result<TextLists<'a>, Error> {
        let found = optional(batch, name, |column| {
            let lists = column.as_list_opt::<i32>()?;
            Some((lists, Texts::of_array(lists.values())?))
        })?;
        Ok(TextLists(found))
    }

    /// The texts of a row.
    pub fn iter(&self, row: usize) -> impl Iterator<Item = Option<&'a str>> + use<'a> {
        let found = self.0.and_then(|(lists, texts)| Some((list_range(lists, row)?, texts)));
        found
            .into_iter()
            .flat_map(|((start, end), texts)| (start..end).map(move |at| texts.get(at)))
    }

    fn get(&self, row: usize, index: usize) -> Option<&'a str> {
        let (lists, texts) = self.0?;
        let (start, end) = list_range(lists, row)?;
        let at = start.checked_add(index).filter(|at| *at < end)?;
        texts.get(at)
    }
}

pub(crate) struct SampleColumns<'a> {
    pub metric: Texts<'a>,
    pub kind: Texts<'a>,
    pub temporality: Texts<'a>,
    pub monotonic: Option<&'a BooleanArray>,
    pub unit: Texts<'a>,
    pub description: Texts<'a>,
    pub arrival: Times<'a>,
    pub attributes: Attributes<'a>,
    pub series: Ids<'a>,
    pub times: Lists<'a, Int64Type>,
    pub start_times: Lists<'a, Int64Type>,
    pub flags: Lists<'a, UInt32Type>,
    pub values: Lists<'a, Float64Type>,
    pub integers: Lists<'a, Int64Type>,
    pub counts: Lists<'a, UInt64Type>,
    pub bounds: Lists<'a, Float64Type>,
    pub buckets: Lists<'a, UInt64Type>,
    pub quantiles: Lists<'a, Float64Type>,
    pub minima: Lists<'a, Float64Type>,
    pub maxima: Lists<'a, Float64Type>,
    pub exponential: TextLists<'a>,
    pub exemplars: TextLists<'a>,
}

impl<'a> SampleColumns<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<SampleColumns<'a>, Error> {
        Ok(SampleColumns {
            metric: Texts::of(batch, "metric")?,
            kind: Texts::of(batch, "kind")?,
            temporality: Texts::of(batch, "temporality")?,
            monotonic: optional(batch, "monotonic", |column| column.as_boolean_opt())?,
            unit: Texts::of(batch, "unit")?,
            description: Texts::of(batch, "description")?,
            arrival: Times::of(batch, "arrival")?,
            attributes: Attributes::of(batch)?,
            series: Ids::of(batch, "series")?,
            times: Lists::of(batch, "times")?,
            start_times: Lists::of(batch, "start_times")?,
            flags: Lists::of(batch, "flags")?,
            values: Lists::of(batch, "values")?,
            integers: Lists::of(batch, "integers")?,
            counts: Lists::of(batch, "counts")?,
            bounds: Lists::of(batch, "bounds")?,
            buckets: Lists::of(batch, "buckets")?,
            quantiles: Lists::of(batch, "quantiles")?,
            minima: Lists::of(batch, "minima")?,
            maxima: Lists::of(batch, "maxima")?,
            exponential: TextLists::of(batch, "exponential")?,
            exemplars: TextLists::of(batch, "exemplars")?,
        })
    }

    fn data(&self, row: usize) -> MetricData {
        let temporality = match self.temporality.text(row) {
            "delta" => Temporality::Delta,
            "cumulative" => Temporality::Cumulative,
            _ => Temporality::Unspecified,
        };
        let monotonic = self
            .monotonic
            .is_some_and(|array| row < array.len() && array.is_valid(row) && array.value(row));
        match self.kind.text(row) {
            "gauge" => MetricData::Gauge(self.each(row, SampleColumns::number)),
            "sum" => {
                let points = self.each(row, SampleColumns::number);
                MetricData::Sum { temporality, monotonic, points }
            }
            "histogram" => MetricData::Histogram {
                temporality,
                points: self.each(row, SampleColumns::histogram),
            },
            "exponential_histogram" => {
                let points = self.each(row, SampleColumns::exponential);
                MetricData::ExponentialHistogram { temporality, points }
            }
            "summary" => MetricData::Summary(self.each(row, SampleColumns::summary)),
            _ => MetricData::Empty,
        }
    }

    fn each<T>(&self, row: usize, point: impl Fn(&Self, usize, usize) -> T) -> Vec<T> {
        // What the file says is not believed: there are as many points as times.
        let points = self.times.values(row).map_or(0, <[i64]>::len);
        (0..points).map(|index| point(self, row, index)).collect()
    }

    fn header(&self, row: usize, index: usize) -> PointHeader {
        let mut attributes = model::signal::Attributes::default();
        for (key, stored, letter) in self.attributes.iter(row) {
            attributes.0.push((Text::from(key), value_of(stored, letter)));
        }
        PointHeader {
            attributes,
            start_time_unix_nanos: self.start_times.get(row, index).unwrap_or(0) as u64,
            time_unix_nanos: self.times.get(row, index).unwrap_or(0) as u64,
            flags: self.flags.get(row, index).unwrap_or(0),
            exemplars: self.exemplars.get(row, index).and_then(exemplars_of).unwrap_or_default(),
        }
    }

    fn number(&self, row: usize, index: usize) -> NumberPoint {
        let integer = self.integers.get(row, index).map(Number::Int);
        let value = integer.or_else(|| self.values.get(row, index).map(Number::Double));
        NumberPoint { header: self.header(row, index), value }
    }

    fn histogram(&self, row: usize, index: usize) -> HistogramPoint {
        HistogramPoint {
            header: self.header(row, index),
            count: self.counts.get(row, index).unwrap_or(0),
            sum: self.values.get(row, index),
            bucket_counts: self.share(row, index, self.buckets.values(row)),
            explicit_bounds: self.bounds.values(row).map(<[f64]>::to_vec).unwrap_or_default(),
            min: self.minima.get(row, index),
            max: self.maxima.get(row, index),
        }
    }

    fn exponential(&self, row: usize, index: usize) -> ExponentialPoint {
        let mut point = ExponentialPoint {
            header: self.header(row, index),
            count: self.counts.get(row, index).unwrap_or(0),
            sum: self.values.get(row, index),
            min: self.minima.get(row, index),
            max: self.maxima.get(row, index),
            ..ExponentialPoint::default()
        };
        if let Some(json) = self.exponential.get(row, index) {
            // A point that cannot be read has no buckets.
            let _ = exponential_of(json, &mut point);
        }
        point
    }

    fn summary(&self, row: usize, index: usize) -> SummaryPoint {
        let bounds = self.bounds.values(row).unwrap_or_default();
        let quantiles = self.share(row, index, self.quantiles.values(row));
        SummaryPoint {
            header: self.header(row, index),
            count: self.counts.get(row, index).unwrap_or(0),
            sum: self.values.get(row, index).unwrap_or(0.0),
            quantiles: bounds.iter().copied().zip(quantiles).collect(),
        }
    }

    /// What of a list belongs to one point, when each has as many: the first values of all points
    /// come first.
    fn share<T: Copy>(&self, row: usize, index: usize, all: Option<&[T]>) -> Vec<T> {
        let points = self.times.values(row).map_or(0, <[i64]>::len).max(1);
        let all = all.unwrap_or_default();
        // Of a damaged row, nothing.
        let whole = all.len().is_multiple_of(points) && index < points;
        if whole { all.iter().skip(index).step_by(points).copied().collect() } else { Vec::new() }
    }
}
