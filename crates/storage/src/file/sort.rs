//! The order of rows in a file, and which day's file they go to.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, FixedSizeBinaryArray, RecordBatch};
use model::Timestamp;

use super::gather::Place;
use super::properties::row_group_rows;
use super::{Day, Options};
use crate::Error;
use crate::rows::{Texts, Times};
use crate::schema::Table;

/// What rows are sorted by: (metric, service), series, time. Spans and log records have neither
/// metric nor series.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key<S> {
    rank: u64,
    series: S,
    time: i64,
    place: Place,
}

/// The places of the rows of each day, in runs that are sorted each. Log records lie in runs of
/// about a row group that follow each other in time; other rows in one run.
pub fn by_day(
    table: Table,
    batches: &[RecordBatch],
    options: &Options,
) -> Result<BTreeMap<Day, Vec<Vec<Place>>>, Error> {
    let group_rows = row_group_rows(table, options);
    match table {
        Table::Samples => order(batches, options, &["metric", "service"], series_of, usize::MAX),
        Table::Spans => order(batches, options, &["service"], |_| Ok(|_| ()), usize::MAX),
        Table::Logs => order(batches, options, &["service"], |_| Ok(|_| ()), group_rows),
    }
}

fn order<S: Ord + Copy, F: Fn(usize) -> S>(
    batches: &[RecordBatch],
    options: &Options,
    words: &[&str],
    series: impl Fn(RecordBatch) -> Result<F, Error>,
    run_rows: usize,
) -> Result<BTreeMap<Day, Vec<Vec<Place>>>, Error> {
    let mut ranks = vec![Vec::new(); batches.len()];
    for name in words {
        rank(batches, name, &mut ranks)?;
    }
    let mut days: BTreeMap<Day, Vec<Key<S>>> = BTreeMap::new();
    for (number, batch) in batches.iter().enumerate() {
        let series = series(batch.clone())?;
        let times = times(batch, "time")?;
        let arrivals = Times::of(batch, "arrival")?;
        // Neighbours mostly are of one day: look up the day's list once for each run.
        let mut run: Option<(Day, Vec<Key<S>>)> = None;
        for row in 0..batch.num_rows() {
            let time = times[row];
            let arrival = arrivals.get(row).map_or(time, |arrival| arrival.as_nanos() as i64);
            let day = day_of(time, arrival, options);
            let place = (number as u32, row as u32);
            let key = Key { rank: ranks[number][row], series: series(row), time, place };
            match &mut run {
                Some((same, keys)) if *same == day => keys.push(key),
                _ => {
                    if let Some((day, keys)) = run.replace((day, vec![key])) {
                        days.entry(day).or_default().extend(keys);
                    }
                }
            }
        }
        if let Some((day, keys)) = run {
            days.entry(day).or_default().extend(keys);
        }
    }
    let sorted = days.into_iter().map(|(day, keys)| (day, runs(keys, run_rows)));
    Ok(sorted.collect())
}

/// Rows in runs of about the same length, at most `run_rows`, that follow each other in time.
fn runs<S: Ord + Copy>(mut keys: Vec<Key<S>>, run_rows: usize) -> Vec<Vec<Place>> {
    let count = keys.len().div_ceil(run_rows).max(1);
    if count > 1 {
        keys.sort_unstable_by_key(|key| (key.time, key.place));
    }
    let rows = keys.len().div_ceil(count).max(1);
    let sorted = keys.chunks_mut(rows).map(|run| {
        run.sort_unstable();
        run.iter().map(|key| key.place).collect()
    });
    sorted.collect()
}

/// The day of a row: that of its time, or of its arrival where its time cannot be believed (it lies
/// more than a day ahead) or is no longer kept.
fn day_of(time: i64, arrival: i64, options: &Options) -> Day {
    const DAY: i64 = 86_400_000_000_000;
    let keep = i64::try_from(options.keep.as_nanos()).unwrap_or(i64::MAX);
    let is_ahead = time > arrival.saturating_add(DAY);
    let is_old = time < arrival.saturating_sub(keep);
    let day = if is_ahead || is_old { arrival } else { time };
    Day::of(Timestamp(day.max(0) as u64))
}

/// Refines the rank of each row by the alphabetical rank of its text in a column.
fn rank(batches: &[RecordBatch], name: &str, ranks: &mut [Vec<u64>]) -> Result<(), Error> {
    let columns: Vec<Texts<'_>> =
        batches.iter().map(|batch| Texts::of(batch, name)).collect::<Result<_, _>>()?;
    let mut texts: BTreeSet<&str> = BTreeSet::new();
    for (batch, column) in batches.iter().zip(&columns) {
        match column.words() {
            Some((_, values)) => texts.extend(values.iter().flatten()),
            None => texts.extend((0..batch.num_rows()).map(|row| column.text(row))),
        }
    }
    texts.insert("");
    let texts: Vec<&str> = texts.into_iter().collect();
    let rank_of = |text: &str| texts.binary_search(&text).unwrap_or(0) as u64;
    for ((batch, column), ranks) in batches.iter().zip(&columns).zip(ranks) {
        ranks.resize(batch.num_rows(), 0);
        let of_value: Option<Vec<u64>> = column
            .words()
            .map(|(_, values)| (0..values.len()).map(|at| rank_of(values.value(at))).collect());
        for (row, rank) in ranks.iter_mut().enumerate() {
            let last = match (&of_value, column.words()) {
                (Some(of_value), Some((keys, _))) if keys.is_valid(row) => {
                    of_value.get(keys.value(row) as usize).copied().unwrap_or(0)
                }
                _ => rank_of(column.text(row)),
            };
            *rank = *rank << 32 | last;
        }
    }
    Ok(())
}

fn series_of(batch: RecordBatch) -> Result<impl Fn(usize) -> u128, Error> {
    let column = batch.column_by_name("series");
    let ids: FixedSizeBinaryArray =
        column.and_then(|column| column.as_fixed_size_binary_opt()).cloned().ok_or_else(wrong)?;
    Ok(move |row| ids.value(row).try_into().map_or(0, u128::from_be_bytes))
}

fn times(batch: &RecordBatch, name: &str) -> Result<Vec<i64>, Error> {
    let column = batch.column_by_name(name).and_then(|column| {
        Some(column.as_primitive_opt::<TimestampNanosecondType>()?.values().to_vec())
    });
    column.ok_or_else(wrong)
}

fn wrong() -> Error {
    let source = arrow_schema::ArrowError::SchemaError("not the columns of the table".to_owned());
    Error::Columns { operation: "sort rows", source }
}
