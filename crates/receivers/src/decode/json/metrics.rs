//! Metrics of all five kinds and their data points in OTLP/JSON.

use model::signal::{
    ExponentialBuckets, ExponentialPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint,
    PointHeader, SummaryPoint, Temporality,
};

use super::super::Result;
use super::super::check::{self, Fault};
use super::super::tally::Tally;
use super::reader::Reader;
use super::value::attributes;

const METRIC: &[&str] = &[
    "name",
    "description",
    "unit",
    "gauge",
    "sum",
    "histogram",
    "exponentialHistogram",
    "summary",
];

pub(super) fn metric(
    reader: &mut Reader<'_>,
    metrics: &mut Vec<Metric>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut metric = Metric::default();
    reader.object(METRIC, |reader, key| {
        match key {
            "name" => metric.name = reader.text()?,
            "description" => metric.description = reader.text()?,
            "unit" => metric.unit = reader.text()?,
            _ if metric.data != MetricData::Empty => {
                return Err(reader.error("a metric has one kind, and another was given before"));
            }
            kind => metric.data = data(reader, kind, tally)?,
        }
        Ok(())
    })?;
    if metric.name.is_empty() {
        tally.reject(metric.len(), "a metric has no name");
        return Ok(());
    }
    tally.push(metrics, metric)
}

fn data(reader: &mut Reader<'_>, kind: &str, tally: &mut Tally<'_>) -> Result<MetricData> {
    Ok(match kind {
        "gauge" => MetricData::Gauge(points(reader, number_point, tally)?.points),
        "sum" => {
            let Points { temporality, monotonic, points } = points(reader, number_point, tally)?;
            MetricData::Sum { temporality, monotonic, points }
        }
        "histogram" => {
            let Points { temporality, points, .. } = points(reader, histogram_point, tally)?;
            MetricData::Histogram { temporality, points }
        }
        "exponentialHistogram" => {
            let Points { temporality, points, .. } = points(reader, exponential_point, tally)?;
            MetricData::ExponentialHistogram { temporality, points }
        }
        _ => MetricData::Summary(points(reader, summary_point, tally)?.points),
    })
}

/// What the five kinds of data hold between them.
struct Points<T> {
    temporality: Temporality,
    monotonic: bool,
    points: Vec<T>,
}

/// Kinds that have no temporality ignore the key, as any that they do not know.
fn points<T>(
    reader: &mut Reader<'_>,
    read_point: fn(&mut Reader<'_>, &mut Vec<T>, &mut Tally<'_>) -> Result<()>,
    tally: &mut Tally<'_>,
) -> Result<Points<T>> {
    let mut data =
        Points { temporality: Temporality::Unspecified, monotonic: false, points: Vec::new() };
    reader.object(&["dataPoints", "aggregationTemporality", "isMonotonic"], |reader, key| {
        match key {
            "dataPoints" => reader.array(|reader| read_point(reader, &mut data.points, tally))?,
            "isMonotonic" => data.monotonic = reader.bool()?,
            _ => data.temporality = check::temporality(reader.enum_number()?),
        }
        Ok(())
    })?;
    Ok(data)
}

const NUMBER_POINT: &[&str] =
    &["asDouble", "asInt", "attributes", "startTimeUnixNano", "timeUnixNano", "flags", "exemplars"];

fn number_point(
    reader: &mut Reader<'_>,
    points: &mut Vec<NumberPoint>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut point = NumberPoint { header: PointHeader::default(), value: None };
    let mut fault = Fault::default();
    reader.object(NUMBER_POINT, |reader, key| match key {
        "asDouble" | "asInt" => number(reader, key, &mut point.value),
        _ => header(reader, key, &mut point.header, &mut fault, tally),
    })?;
    check::number(&mut point, &mut fault);
    tally.settle(points, point, fault)
}

const HISTOGRAM_POINT: &[&str] = &[
    "count",
    "sum",
    "bucketCounts",
    "explicitBounds",
    "min",
    "max",
    "attributes",
    "startTimeUnixNano",
    "timeUnixNano",
    "flags",
    "exemplars",
];

fn histogram_point(
    reader: &mut Reader<'_>,
    points: &mut Vec<HistogramPoint>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut point = HistogramPoint::default();
    let mut fault = Fault::default();
    reader.object(HISTOGRAM_POINT, |reader, key| {
        match key {
            "count" => point.count = reader.integer()?,
            "sum" => point.sum = Some(reader.double()?),
            "bucketCounts" => counts(reader, &mut point.bucket_counts, tally)?,
            "explicitBounds" => reader.array(|reader| {
                let bound = reader.double()?;
                tally.push(&mut point.explicit_bounds, bound)
            })?,
            "min" => point.min = Some(reader.double()?),
            "max" => point.max = Some(reader.double()?),
            _ => header(reader, key, &mut point.header, &mut fault, tally)?,
        }
        Ok(())
    })?;
    check::histogram(&point, &mut fault);
    tally.settle(points, point, fault)
}

const EXPONENTIAL_POINT: &[&str] = &[
    "count",
    "sum",
    "scale",
    "zeroCount",
    "zeroThreshold",
    "positive",
    "negative",
    "min",
    "max",
    "attributes",
    "startTimeUnixNano",
    "timeUnixNano",
    "flags",
    "exemplars",
];

fn exponential_point(
    reader: &mut Reader<'_>,
    points: &mut Vec<ExponentialPoint>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut point = ExponentialPoint::default();
    let mut fault = Fault::default();
    reader.object(EXPONENTIAL_POINT, |reader, key| {
        match key {
            "count" => point.count = reader.integer()?,
            "sum" => point.sum = Some(reader.double()?),
            "scale" => point.scale = reader.integer()?,
            "zeroCount" => point.zero_count = reader.integer()?,
            "zeroThreshold" => point.zero_threshold = reader.double()?,
            "positive" => buckets(reader, &mut point.positive, tally)?,
            "negative" => buckets(reader, &mut point.negative, tally)?,
            "min" => point.min = Some(reader.double()?),
            "max" => point.max = Some(reader.double()?),
            _ => header(reader, key, &mut point.header, &mut fault, tally)?,
        }
        Ok(())
    })?;
    check::exponential(&point, &mut fault);
    tally.settle(points, point, fault)
}

fn buckets(
    reader: &mut Reader<'_>,
    buckets: &mut ExponentialBuckets,
    tally: &mut Tally<'_>,
) -> Result<()> {
    reader.object(&["offset", "bucketCounts"], |reader, key| {
        match key {
            "offset" => buckets.offset = reader.integer()?,
            _ => counts(reader, &mut buckets.bucket_counts, tally)?,
        }
        Ok(())
    })
}

const SUMMARY_POINT: &[&str] =
    &["count", "sum", "quantileValues", "attributes", "startTimeUnixNano", "timeUnixNano", "flags"];

fn summary_point(
    reader: &mut Reader<'_>,
    points: &mut Vec<SummaryPoint>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut point = SummaryPoint::default();
    let mut fault = Fault::default();
    reader.object(SUMMARY_POINT, |reader, key| {
        match key {
            "count" => point.count = reader.integer()?,
            "sum" => point.sum = reader.double()?,
            "quantileValues" => reader.array(|reader| {
                let quantile = quantile(reader)?;
                tally.push(&mut point.quantiles, quantile)
            })?,
            _ => header(reader, key, &mut point.header, &mut fault, tally)?,
        }
        Ok(())
    })?;
    tally.settle(points, point, fault)
}

fn quantile(reader: &mut Reader<'_>) -> Result<(f64, f64)> {
    let (mut quantile, mut value) = (0.0, 0.0);
    reader.object(&["quantile", "value"], |reader, key| {
        match key {
            "quantile" => quantile = reader.double()?,
            _ => value = reader.double()?,
        }
        Ok(())
    })?;
    Ok((quantile, value))
}

fn counts(reader: &mut Reader<'_>, counts: &mut Vec<u64>, tally: &mut Tally<'_>) -> Result<()> {
    reader.array(|reader| {
        let count = reader.integer()?;
        tally.push(counts, count)
    })
}

/// The keys that all data points share.
fn header(
    reader: &mut Reader<'_>,
    key: &str,
    header: &mut PointHeader,
    fault: &mut Fault,
    tally: &mut Tally<'_>,
) -> Result<()> {
    match key {
        "attributes" => attributes(reader, &mut header.attributes, tally)?,
        "startTimeUnixNano" => header.start_time_unix_nanos = reader.integer()?,
        "timeUnixNano" => header.time_unix_nanos = reader.integer()?,
        "flags" => header.flags = reader.integer()?,
        _ => reader.array(|reader| exemplar(reader, header, fault, tally))?,
    }
    Ok(())
}

const EXEMPLAR: &[&str] =
    &["filteredAttributes", "timeUnixNano", "asDouble", "asInt", "spanId", "traceId"];

fn exemplar(
    reader: &mut Reader<'_>,
    header: &mut PointHeader,
    fault: &mut Fault,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut exemplar = check::BLANK_EXEMPLAR;
    let mut value = None;
    reader.object(EXEMPLAR, |reader, key| {
        match key {
            "filteredAttributes" => attributes(reader, &mut exemplar.filtered_attributes, tally)?,
            "timeUnixNano" => exemplar.time_unix_nanos = reader.integer()?,
            "spanId" => exemplar.span_id = reader.id("exemplar's span id", fault)?,
            "traceId" => exemplar.trace_id = reader.id("exemplar's trace id", fault)?,
            _ => number(reader, key, &mut value)?,
        }
        Ok(())
    })?;
    check::exemplar(header, exemplar, value, tally)
}

/// `asDouble` or `asInt`, of which there may be one.
fn number(reader: &mut Reader<'_>, key: &str, value: &mut Option<Number>) -> Result<()> {
    if value.is_some() {
        return Err(reader.error("there is one value, and another was given before"));
    }
    *value = Some(match key {
        "asDouble" => Number::Double(reader.double()?),
        _ => Number::Int(reader.integer()?),
    });
    Ok(())
}
