//! The table `samples` in memory: series, each with the points that came for it.
//!
//! A point's series is found by a hash of 128 bits over all that makes the series the same; points
//! of one series whose shape differs (integers and doubles, other bounds) make rows of their own
//! with the same series id.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch, UInt32Array};
use arrow_schema::ArrowError;
use arrow_select::take::take;
use hashbrown::HashTable;
use model::Timestamp;
use model::signal::{AnyValue, Attributes, Group, InstrumentationScope, Metric, MetricData};
use model::signal::{Number, NumberPoint, PointHeader, Resource, Temporality};
use model::text::Text;
use twox_hash::XxHash3_128;

use super::attributes::Columns;
use super::column::Ids;
use super::engine::{EngineKind, EngineSample};
use super::lists::Lists;
use super::origin::{Keys, Origin};
use super::series::Points;
use super::words::Words;
use super::{CHUNK_ROWS, batch_of, json};
use crate::Error;
use crate::schema::Table;

pub struct Samples {
    /// Row of each (series, shape).
    index: HashTable<u32>,
    /// (Series, shape) of each row.
    keys: Vec<u128>,
    points: Vec<Points>,
    identity: Identity,
    scratch: Vec<u8>,
    points_total: usize,
    points_bytes: usize,
}

/// The columns that say which series a row belongs to.
#[derive(Default)]
struct Identity {
    metric: Words,
    kind: Words,
    temporality: Words,
    monotonic: Vec<bool>,
    unit: Words,
    description: Words,
    origin: Origin,
    attributes: Option<Columns>,
    series: Option<Ids<16>>,
}

/// What all points of one metric share.
struct Shared<'a> {
    /// Hash of the rest.
    hash: u128,
    origin: u128,
    keys: Keys,
    metric: &'a Metric,
    kind: &'static str,
    temporality: &'static str,
    monotonic: bool,
}

impl Samples {
    pub fn new() -> Samples {
        Samples {
            index: HashTable::new(),
            keys: Vec::new(),
            points: Vec::new(),
            identity: Identity::default(),
            scratch: Vec::new(),
            points_total: 0,
            points_bytes: 0,
        }
    }

    pub fn append(&mut self, group: &Group<Metric>, arrival: Timestamp) {
        let keys = self.identity.origin.intern(&group.resource, &group.scope);
        let origin = self.origin_hash(&group.resource, &group.scope);
        for metric in &group.items {
            self.append_metric(metric, keys, origin, arrival.as_nanos() as i64);
        }
    }

    pub fn append_engine(&mut self, samples: &[EngineSample]) {
        for sample in samples {
            let mut resource = Resource::default();
            if !sample.service.is_empty() {
                resource
                    .attributes
                    .push("service.name", AnyValue::String(Text::from(&*sample.service)));
            }
            let mut header =
                PointHeader { time_unix_nanos: sample.at.as_nanos(), ..PointHeader::default() };
            for (key, value) in &sample.attributes {
                header.attributes.push(key, AnyValue::String(Text::from(value.as_str())));
            }
            let points = vec![NumberPoint { header, value: Some(Number::Double(sample.value)) }];
            let data = match sample.kind {
                EngineKind::Gauge => MetricData::Gauge(points),
                EngineKind::DeltaSum => {
                    MetricData::Sum { temporality: Temporality::Delta, monotonic: true, points }
                }
            };
            let metric = Metric {
                name: Text::fixed(sample.metric),
                description: Text::fixed(""),
                unit: Text::fixed(sample.unit),
                data,
            };
            let scope =
                InstrumentationScope { name: Text::fixed(ENGINE_SCOPE), ..Default::default() };
            let resource = Arc::new(resource);
            self.append(&Group { resource, scope, items: vec![metric] }, sample.at);
        }
    }

    fn origin_hash(&mut self, resource: &Resource, scope: &InstrumentationScope) -> u128 {
        self.scratch.clear();
        json::object(&mut self.scratch, &resource.attributes);
        json::scope(&mut self.scratch, scope);
        XxHash3_128::oneshot(&self.scratch)
    }

    fn append_metric(&mut self, metric: &Metric, keys: Keys, origin: u128, arrival: i64) {
        let (kind, temporality, monotonic) = kind_of(&metric.data);
        self.scratch.clear();
        self.scratch.extend_from_slice(&origin.to_le_bytes());
        for text in [metric.name.as_str(), metric.unit.as_str(), kind, temporality] {
            self.scratch.extend_from_slice(&(text.len() as u32).to_le_bytes());
            self.scratch.extend_from_slice(text.as_bytes());
        }
        self.scratch.push(u8::from(monotonic));
        let hash = XxHash3_128::oneshot(&self.scratch);
        let shared = Shared { hash, origin, keys, metric, kind, temporality, monotonic };
        match &metric.data {
            MetricData::Empty => {}
            MetricData::Gauge(points) | MetricData::Sum { points, .. } => {
                for point in points {
                    let shape = u128::from(matches!(point.value, Some(Number::Int(_))));
                    let row = self.row(&shared, &point.header.attributes, shape);
                    self.push(row, |row| row.push_number(point, arrival));
                }
            }
            MetricData::Histogram { points, .. } => {
                for point in points {
                    let bounds = point.explicit_bounds.iter().copied();
                    let shape = self.shape(point.bucket_counts.len(), bounds);
                    let row = self.row(&shared, &point.header.attributes, shape);
                    self.push(row, |row| row.push_histogram(point, arrival));
                }
            }
            MetricData::ExponentialHistogram { points, .. } => {
                for point in points {
                    let row = self.row(&shared, &point.header.attributes, 0);
                    self.push(row, |row| row.push_exponential(point, arrival));
                }
            }
            MetricData::Summary(points) => {
                for point in points {
                    let quantiles = point.quantiles.iter().map(|(quantile, _)| *quantile);
                    let shape = self.shape(point.quantiles.len(), quantiles);
                    let row = self.row(&shared, &point.header.attributes, shape);
                    self.push(row, |row| row.push_summary(point, arrival));
                }
            }
        }
    }

    /// A hash of what has to be the same for all points of a row.
    fn shape(&mut self, each: usize, bounds: impl Iterator<Item = f64>) -> u128 {
        self.scratch.clear();
        self.scratch.extend_from_slice(&(each as u64).to_le_bytes());
        bounds.for_each(|bound| self.scratch.extend_from_slice(&bound.to_le_bytes()));
        XxHash3_128::oneshot(&self.scratch)
    }

    /// The row of a series and shape; a new one where there is none.
    fn row(&mut self, shared: &Shared<'_>, attributes: &Attributes, shape: u128) -> usize {
        let series = series_hash(&mut self.scratch, shared.hash, attributes);
        let series = series & !ORIGIN_MASK | shared.origin & ORIGIN_MASK;
        let key = series ^ shape.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let keys = &self.keys;
        if let Some(row) = self.index.find(key as u64, |row| keys[*row as usize] == key) {
            return *row as usize;
        }
        let row = self.keys.len();
        self.keys.push(key);
        self.points.push(Points::default());
        let keys = &self.keys;
        self.index.insert_unique(key as u64, row as u32, |row| keys[*row as usize] as u64);
        self.identity.push(row, shared, attributes, series);
        row
    }

    fn push(&mut self, row: usize, push: impl FnOnce(&mut Points)) {
        let points = &mut self.points[row];
        push(points);
        self.points_total += 1;
        // Times, start times, values; buckets as they are.
        self.points_bytes += 24
            + points.rest.as_ref().map_or(0, |rest| {
                let points = points.times.len().max(1);
                (rest.buckets.len() / points + rest.quantiles.len() / points) * 8 + 48
            });
    }

    pub fn points(&self) -> usize {
        self.points_total
    }

    pub fn bytes(&self) -> usize {
        self.points_bytes + self.identity.bytes() + self.keys.len() * (size_of::<Points>() + 24)
    }

    pub fn take(&mut self) -> Result<Vec<RecordBatch>, Error> {
        let batches = self.snapshot(None)?;
        *self = Samples::new();
        Ok(batches)
    }

    pub fn snapshot(&mut self, metric: Option<&str>) -> Result<Vec<RecordBatch>, Error> {
        let wanted: Vec<usize> = match metric {
            None => (0..self.keys.len()).collect(),
            Some(metric) => self.identity.metric.rows_of(metric).collect(),
        };
        let mut rows = Vec::with_capacity(wanted.len());
        for row in wanted {
            self.points[row].sort();
            rows.extend(self.points[row].rows().into_iter().map(|points| (row, points)));
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let operation = "gather the points of series";
        let identity = self.identity.arrays(self.keys.len());
        let identity = identity.map_err(|source| Error::Columns { operation, source })?;
        let chunk = |rows: &[(usize, std::ops::Range<usize>)]| self.batch(&identity, rows);
        rows.chunks(CHUNK_ROWS)
            .map(|rows| {
                let arrays = chunk(rows).map_err(|source| Error::Columns { operation, source })?;
                batch_of(Table::Samples, arrays)
            })
            .collect()
    }

    fn batch(
        &self,
        identity: &[ArrayRef],
        rows: &[(usize, std::ops::Range<usize>)],
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let indices = UInt32Array::from_iter_values(rows.iter().map(|(row, _)| *row as u32));
        let mut identity: Vec<ArrayRef> = identity
            .iter()
            .map(|array| take(array, &indices, None))
            .collect::<Result<_, ArrowError>>()?;
        let lists = Lists { points: &self.points, rows };
        let mut arrays: Vec<ArrayRef> = identity.drain(..IDENTITY_BEFORE_TIMES).collect();
        arrays.extend(lists.summary());
        arrays.extend(identity);
        arrays.extend(lists.arrays()?);
        Ok(arrays)
    }
}

/// The scope of what the engine itself measures.
const ENGINE_SCOPE: &str = "immune";

/// The part of a series' id that tells of its resource and scope.
const ORIGIN_MASK: u128 = 0xffff_ffff << 96;

/// metric, kind, temporality, monotonic, unit, description.
const IDENTITY_BEFORE_TIMES: usize = 6;

impl Identity {
    fn push(&mut self, row: usize, shared: &Shared<'_>, attributes: &Attributes, series: u128) {
        let columns = self.attributes.get_or_insert_with(|| Columns::new(&[], &[]));
        columns.append(row, attributes);
        self.series.get_or_insert_with(Ids::new).set(row, &series.to_be_bytes());
        self.metric.set(row, &shared.metric.name);
        self.kind.set(row, shared.kind);
        self.temporality.set_some(row, shared.temporality);
        self.monotonic.push(shared.monotonic);
        self.unit.set_some(row, &shared.metric.unit);
        self.description.set_some(row, &shared.metric.description);
        self.origin.set(row, shared.keys);
    }

    fn bytes(&self) -> usize {
        let words = [&self.metric, &self.kind, &self.temporality, &self.unit, &self.description];
        let words: usize = words.into_iter().map(Words::bytes).sum();
        let attributes = self.attributes.as_ref().map_or(0, Columns::bytes);
        words + attributes + self.origin.bytes() + self.monotonic.len() * 17
    }

    /// In the order of the schema; the times go between `description` and `service`.
    fn arrays(&self, rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut arrays = vec![
            self.metric.array(rows)?,
            self.kind.array(rows)?,
            self.temporality.array(rows)?,
            Arc::new(BooleanArray::from(self.monotonic.clone())) as ArrayRef,
            self.unit.array(rows)?,
            self.description.array(rows)?,
        ];
        arrays.extend(self.origin.arrays(rows)?);
        if let (Some(attributes), Some(series)) = (&self.attributes, &self.series) {
            arrays.extend(attributes.arrays(rows)?);
            arrays.push(series.array(rows)?);
        }
        Ok(arrays)
    }
}

/// The series of a metric's point: the order of its attributes does not matter.
fn series_hash(scratch: &mut Vec<u8>, metric: u128, attributes: &Attributes) -> u128 {
    scratch.clear();
    scratch.extend_from_slice(&metric.to_le_bytes());
    let entries = &attributes.0;
    if entries.is_sorted_by(|(left, _), (right, _)| left.as_str() <= right.as_str()) {
        entries.iter().for_each(|(key, value)| hash_attribute(scratch, key, value));
    } else {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|left, right| entries[*left].0.as_str().cmp(entries[*right].0.as_str()));
        order.iter().for_each(|at| hash_attribute(scratch, &entries[*at].0, &entries[*at].1));
    }
    XxHash3_128::oneshot(scratch)
}

fn hash_attribute(scratch: &mut Vec<u8>, key: &str, value: &AnyValue) {
    scratch.extend_from_slice(&(key.len() as u32).to_le_bytes());
    scratch.extend_from_slice(key.as_bytes());
    let start = scratch.len();
    let letter = json::typed(scratch, value);
    let length = (scratch.len() - start) as u32;
    scratch.extend_from_slice(&length.to_le_bytes());
    scratch.push(letter);
}

fn kind_of(data: &MetricData) -> (&'static str, &'static str, bool) {
    match data {
        MetricData::Empty => ("", "", false),
        MetricData::Gauge(_) => ("gauge", "", false),
        MetricData::Sum { temporality, monotonic, .. } => {
            ("sum", temporality_name(*temporality), *monotonic)
        }
        MetricData::Histogram { temporality, .. } => {
            ("histogram", temporality_name(*temporality), false)
        }
        MetricData::ExponentialHistogram { temporality, .. } => {
            ("exponential_histogram", temporality_name(*temporality), false)
        }
        MetricData::Summary(_) => ("summary", "", false),
    }
}

fn temporality_name(temporality: Temporality) -> &'static str {
    match temporality {
        Temporality::Unspecified => "unspecified",
        Temporality::Delta => "delta",
        Temporality::Cumulative => "cumulative",
    }
}

/// The rows of one metric out of closed batches.
pub fn of_metric(batches: &[RecordBatch], metric: &str) -> Result<Vec<RecordBatch>, Error> {
    let mut found = Vec::new();
    for batch in batches {
        let metrics = crate::rows::Texts::of(batch, "metric")?;
        let wanted = (0..batch.num_rows()).map(|row| metrics.get(row) == Some(metric));
        let wanted = BooleanArray::from_iter(wanted.map(Some));
        if wanted.has_true() {
            let rows = arrow_select::filter::filter_record_batch(batch, &wanted);
            found.push(rows.map_err(|source| Error::Columns { operation: "pick rows", source })?);
        }
    }
    Ok(found)
}
