//! `opentelemetry.proto.metrics.v1`: metrics of all five kinds and their data points.

use model::signal::{
    ExponentialBuckets, ExponentialPoint, HistogramPoint, Metric, MetricData, Number, NumberPoint,
    PointHeader, SummaryPoint, Temporality,
};

use super::super::Result;
use super::super::check::{self, Fault};
use super::super::tally::Tally;
use super::value::attribute;
use super::wire::{Field, Message};

pub(super) fn metric(
    mut message: Message<'_>,
    metrics: &mut Vec<Metric>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut metric = Metric::default();
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => metric.name = field.text(tally)?,
            2 => metric.description = field.text(tally)?,
            3 => metric.unit = field.text(tally)?,
            5 => gauge(field.message()?, &mut metric.data, tally)?,
            7 => sum(field.message()?, &mut metric.data, tally)?,
            9 => histogram(field.message()?, &mut metric.data, tally)?,
            10 => exponential_histogram(field.message()?, &mut metric.data, tally)?,
            11 => summary(field.message()?, &mut metric.data, tally)?,
            _ => {}
        }
    }
    if metric.name.is_empty() {
        tally.reject(metric.len(), "a metric has no name");
        return Ok(());
    }
    tally.push(metrics, metric)
}

// Each of these goes on with what is there if it is of the same kind (pieces of one message are
// merged), and replaces it otherwise (of a `oneof`, the last wins).

fn gauge(mut message: Message<'_>, data: &mut MetricData, tally: &mut Tally<'_>) -> Result<()> {
    let mut points = match std::mem::take(data) {
        MetricData::Gauge(points) => points,
        _ => Vec::new(),
    };
    while let Some(field) = message.next_field()? {
        if field.number == 1 {
            number_point(&field, &mut points, tally)?;
        }
    }
    *data = MetricData::Gauge(points);
    Ok(())
}

fn sum(mut message: Message<'_>, data: &mut MetricData, tally: &mut Tally<'_>) -> Result<()> {
    let (mut temporality, mut monotonic, mut points) = match std::mem::take(data) {
        MetricData::Sum { temporality, monotonic, points } => (temporality, monotonic, points),
        _ => (Temporality::Unspecified, false, Vec::new()),
    };
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => number_point(&field, &mut points, tally)?,
            2 => temporality = check::temporality(field.enum_number()?),
            3 => monotonic = field.varint()? != 0,
            _ => {}
        }
    }
    *data = MetricData::Sum { temporality, monotonic, points };
    Ok(())
}

fn histogram(mut message: Message<'_>, data: &mut MetricData, tally: &mut Tally<'_>) -> Result<()> {
    let (mut temporality, mut points) = match std::mem::take(data) {
        MetricData::Histogram { temporality, points } => (temporality, points),
        _ => (Temporality::Unspecified, Vec::new()),
    };
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => histogram_point(&field, &mut points, tally)?,
            2 => temporality = check::temporality(field.enum_number()?),
            _ => {}
        }
    }
    *data = MetricData::Histogram { temporality, points };
    Ok(())
}

fn exponential_histogram(
    mut message: Message<'_>,
    data: &mut MetricData,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let (mut temporality, mut points) = match std::mem::take(data) {
        MetricData::ExponentialHistogram { temporality, points } => (temporality, points),
        _ => (Temporality::Unspecified, Vec::new()),
    };
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => exponential_point(&field, &mut points, tally)?,
            2 => temporality = check::temporality(field.enum_number()?),
            _ => {}
        }
    }
    *data = MetricData::ExponentialHistogram { temporality, points };
    Ok(())
}

fn summary(mut message: Message<'_>, data: &mut MetricData, tally: &mut Tally<'_>) -> Result<()> {
    let mut points = match std::mem::take(data) {
        MetricData::Summary(points) => points,
        _ => Vec::new(),
    };
    while let Some(field) = message.next_field()? {
        if field.number == 1 {
            summary_point(&field, &mut points, tally)?;
        }
    }
    *data = MetricData::Summary(points);
    Ok(())
}

fn number_point(
    field: &Field<'_>,
    points: &mut Vec<NumberPoint>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    field.make_room(points, tally)?;
    let mut message = field.message()?;
    let mut point = NumberPoint { header: PointHeader::default(), value: None };
    let mut fault = Fault::default();
    while let Some(field) = message.next_field()? {
        let header = &mut point.header;
        match field.number {
            2 => header.start_time_unix_nanos = field.fixed64()?,
            3 => header.time_unix_nanos = field.fixed64()?,
            4 => point.value = Some(Number::Double(field.double()?)),
            5 => exemplar(field.message()?, header, &mut fault, tally)?,
            6 => point.value = Some(Number::Int(field.fixed64()? as i64)),
            7 => attribute(&field, &mut header.attributes, tally)?,
            8 => header.flags = field.varint32()?,
            _ => {}
        }
    }
    check::number(&mut point, &mut fault);
    tally.settle(points, point, fault)
}

fn histogram_point(
    field: &Field<'_>,
    points: &mut Vec<HistogramPoint>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    field.make_room(points, tally)?;
    let mut message = field.message()?;
    let mut point = HistogramPoint::default();
    let mut fault = Fault::default();
    while let Some(field) = message.next_field()? {
        let header = &mut point.header;
        match field.number {
            2 => header.start_time_unix_nanos = field.fixed64()?,
            3 => header.time_unix_nanos = field.fixed64()?,
            4 => point.count = field.fixed64()?,
            5 => point.sum = Some(field.double()?),
            6 => field.each_fixed64(&mut point.bucket_counts, tally, |count| count)?,
            7 => field.each_fixed64(&mut point.explicit_bounds, tally, f64::from_bits)?,
            8 => exemplar(field.message()?, header, &mut fault, tally)?,
            9 => attribute(&field, &mut header.attributes, tally)?,
            10 => header.flags = field.varint32()?,
            11 => point.min = Some(field.double()?),
            12 => point.max = Some(field.double()?),
            _ => {}
        }
    }
    check::histogram(&point, &mut fault);
    tally.settle(points, point, fault)
}

fn exponential_point(
    field: &Field<'_>,
    points: &mut Vec<ExponentialPoint>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    field.make_room(points, tally)?;
    let mut message = field.message()?;
    let mut point = ExponentialPoint::default();
    let mut fault = Fault::default();
    while let Some(field) = message.next_field()? {
        let header = &mut point.header;
        match field.number {
            1 => attribute(&field, &mut header.attributes, tally)?,
            2 => header.start_time_unix_nanos = field.fixed64()?,
            3 => header.time_unix_nanos = field.fixed64()?,
            4 => point.count = field.fixed64()?,
            5 => point.sum = Some(field.double()?),
            6 => point.scale = field.sint32()?,
            7 => point.zero_count = field.fixed64()?,
            8 => buckets(field.message()?, &mut point.positive, tally)?,
            9 => buckets(field.message()?, &mut point.negative, tally)?,
            10 => header.flags = field.varint32()?,
            11 => exemplar(field.message()?, header, &mut fault, tally)?,
            12 => point.min = Some(field.double()?),
            13 => point.max = Some(field.double()?),
            14 => point.zero_threshold = field.double()?,
            _ => {}
        }
    }
    check::exponential(&point, &mut fault);
    tally.settle(points, point, fault)
}

fn buckets(
    mut message: Message<'_>,
    buckets: &mut ExponentialBuckets,
    tally: &mut Tally<'_>,
) -> Result<()> {
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => buckets.offset = field.sint32()?,
            2 => field.each_varint(&mut buckets.bucket_counts, tally)?,
            _ => {}
        }
    }
    Ok(())
}

fn summary_point(
    field: &Field<'_>,
    points: &mut Vec<SummaryPoint>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    field.make_room(points, tally)?;
    let mut message = field.message()?;
    let mut point = SummaryPoint::default();
    while let Some(field) = message.next_field()? {
        let header = &mut point.header;
        match field.number {
            2 => header.start_time_unix_nanos = field.fixed64()?,
            3 => header.time_unix_nanos = field.fixed64()?,
            4 => point.count = field.fixed64()?,
            5 => point.sum = field.double()?,
            6 => {
                let quantile = quantile(field.message()?)?;
                tally.push(&mut point.quantiles, quantile)?;
            }
            7 => attribute(&field, &mut header.attributes, tally)?,
            8 => header.flags = field.varint32()?,
            _ => {}
        }
    }
    tally.settle(points, point, Fault::default())
}

fn quantile(mut message: Message<'_>) -> Result<(f64, f64)> {
    let (mut quantile, mut value) = (0.0, 0.0);
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => quantile = field.double()?,
            2 => value = field.double()?,
            _ => {}
        }
    }
    Ok((quantile, value))
}

fn exemplar(
    mut message: Message<'_>,
    header: &mut PointHeader,
    fault: &mut Fault,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut exemplar = check::BLANK_EXEMPLAR;
    let mut value = None;
    while let Some(field) = message.next_field()? {
        match field.number {
            2 => exemplar.time_unix_nanos = field.fixed64()?,
            3 => value = Some(Number::Double(field.double()?)),
            4 => exemplar.span_id = field.id("exemplar's span id", fault)?,
            5 => exemplar.trace_id = field.id("exemplar's trace id", fault)?,
            6 => value = Some(Number::Int(field.fixed64()? as i64)),
            7 => attribute(&field, &mut exemplar.filtered_attributes, tally)?,
            _ => {}
        }
    }
    check::exemplar(header, exemplar, value, tally)
}
