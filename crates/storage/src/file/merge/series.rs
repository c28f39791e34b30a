//! Rows of samples joined: what came of one series in many short times becomes long rows.

use arrow_array::ArrayRef;
use arrow_array::types::{ArrowPrimitiveType, Float64Type};

use super::super::gather::{Gather, Place};
use super::super::writer::Writer;
use super::cursor::Cursors;
use crate::Error;
use crate::columns::{ListColumns, Points, Rest};
use crate::rows::{Lists, SampleColumns};
use crate::schema::Table;

/// Input rows that are joined at once.
const ROWS: usize = 4_096;
/// Memory of the batches that they lie in, about.
const BYTES: usize = 64 << 20;

pub fn merge(
    cursors: &mut Cursors,
    writer: &mut Writer,
    cancelled: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let mut places: Vec<Place> = Vec::new();
    loop {
        let next = cursors.next()?;
        places.extend(next);
        let is_full = places.len() >= ROWS || cursors.held_bytes() >= BYTES;
        if is_full || next.is_none() {
            if cancelled() {
                return Err(Error::Cancelled);
            }
            join(cursors, &mut places, next.is_none(), writer)?;
            cursors.release(&mut places);
        }
        if next.is_none() {
            return Ok(());
        }
    }
}

/// Writes the rows at `places`, joined; unless they are the last, leaves those of the last series,
/// of which more may come.
fn join(
    cursors: &Cursors,
    places: &mut Vec<Place>,
    are_last: bool,
    writer: &mut Writer,
) -> Result<(), Error> {
    let batches = cursors.held();
    let columns: Vec<SampleColumns<'_>> =
        batches.iter().map(SampleColumns::of).collect::<Result<_, _>>()?;
    let mut firsts: Vec<Place> = Vec::new();
    let mut joined: Vec<Points> = Vec::new();
    let mut begin = 0;
    let mut open: Option<([u8; 16], Points)> = None;
    for (at, place) in places.iter().enumerate() {
        let columns = &columns[place.0 as usize];
        let series = columns.series.get(place.1 as usize).unwrap_or_default();
        let row = points(columns, place.1 as usize);
        match &mut open {
            Some((same, points)) if *same == series && points.takes(&row) => points.append(row),
            _ => {
                if let Some((_, points)) = open.replace((series, row)) {
                    firsts.push(places[begin]);
                    joined.push(points);
                }
                begin = at;
            }
        }
    }
    match open {
        Some((_, points)) if are_last => {
            firsts.push(places[begin]);
            joined.push(points);
            places.clear();
        }
        // Nothing was joined yet, or the last row may still grow.
        _ => drop(places.drain(..begin)),
    }
    if joined.is_empty() {
        return Ok(());
    }
    let operation = "join the points of series";
    let gather = Gather::new(&Table::Samples.schema(), batches)
        .map_err(|source| Error::Columns { operation, source })?;
    let batch = batch(&gather, &firsts, &mut joined);
    let batch = batch.map_err(|source| Error::Columns { operation, source })?;
    writer.write(&batch)
}

/// Identity from the first row of each series, points from all.
fn batch(
    gather: &Gather,
    firsts: &[Place],
    joined: &mut [Points],
) -> Result<arrow_array::RecordBatch, arrow_schema::ArrowError> {
    joined.iter_mut().for_each(Points::sort);
    let rows: Vec<_> =
        joined.iter().enumerate().map(|(row, points)| (row, 0..points.times.len())).collect();
    let lists = ListColumns { points: joined, rows: &rows };
    let schema = Table::Samples.schema();
    let index = |name: &str| schema.index_of(name);
    let (time, service, times) = (index("time")?, index("service")?, index("times")?);
    let mut arrays: Vec<ArrayRef> = gather.pick_columns(0..time, firsts)?;
    arrays.extend(lists.summary());
    arrays.extend(gather.pick_columns(service..times, firsts)?);
    arrays.extend(lists.arrays()?);
    arrow_array::RecordBatch::try_new(schema, arrays)
}

/// The points of one row.
fn points(columns: &SampleColumns<'_>, row: usize) -> Points {
    let times = all(&columns.times, row);
    let count = times.len();
    let (values, absent) = some(&columns.values, row);
    let rest = Rest {
        flags: all(&columns.flags, row),
        absent,
        counts: all(&columns.counts, row),
        bounds: all(&columns.bounds, row),
        buckets: turned(all(&columns.buckets, row), count),
        quantiles: turned(all(&columns.quantiles, row), count),
        minima: optional(&columns.minima, row),
        maxima: optional(&columns.maxima, row),
        exponential: columns.exponential.iter(row).map(|text| text.unwrap_or("").into()).collect(),
        exemplars: columns.exemplars.iter(row).map(|text| text.map(Box::from)).collect(),
    };
    let arrival = columns.arrival.get(row).unwrap_or_default().as_nanos() as i64;
    let start_times = all(&columns.start_times, row);
    let integers = all(&columns.integers, row);
    Points::of(arrival, times, start_times, values, integers, rest.fitting(count))
}

fn all<T: ArrowPrimitiveType>(lists: &Lists<'_, T>, row: usize) -> Vec<T::Native> {
    lists.values(row).map(<[T::Native]>::to_vec).unwrap_or_default()
}

/// Values point by point, of those that lie the first of each, the second of each, ….
fn turned<T: Copy>(list: Vec<T>, count: usize) -> Vec<T> {
    if count < 2 || list.len() == count || !list.len().is_multiple_of(count) {
        return list;
    }
    let each = list.len() / count;
    (0..list.len()).map(|at| list[at % each * count + at / each]).collect()
}

/// Values, and which of them are absent; no flags where none is.
fn some(lists: &Lists<'_, Float64Type>, row: usize) -> (Vec<f64>, Vec<bool>) {
    let values = all(lists, row);
    let absent: Vec<bool> =
        (0..values.len()).map(|index| lists.get(row, index).is_none()).collect();
    if absent.contains(&true) { (values, absent) } else { (values, Vec::new()) }
}

fn optional(lists: &Lists<'_, Float64Type>, row: usize) -> Vec<Option<f64>> {
    let count = lists.values(row).map_or(0, <[f64]>::len);
    (0..count).map(|index| lists.get(row, index)).collect()
}
