//! The smallest row of many sorted files or row groups, again and again.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampNanosecondType};
use arrow_array::{Array, FixedSizeBinaryArray, Int32Array, RecordBatch, StringArray};
use arrow_buffer::ScalarBuffer;

use super::super::gather::Place;
use super::super::scan::{Scan, Scanned};
use super::super::{OpenFile, Projection};
use crate::Error;
use crate::schema::Table;

/// Rows of an input in memory.
const INPUT_ROWS: usize = 4_096;
/// The same of samples, whose rows have up to a thousand points.
const INPUT_SERIES: usize = 256;

/// A whole file, or one of its row groups: sorted.
pub type Part<'a> = (&'a OpenFile, Option<usize>);

pub struct Cursors {
    inputs: Vec<Input>,
    /// Batches that rows were taken of since the last release; inputs point into it.
    held: Vec<RecordBatch>,
}

struct Input {
    scan: Scanned,
    name: String,
    head: Option<Head>,
}

/// The next row of an input.
struct Head {
    /// In `held`.
    batch: u32,
    row: usize,
    rows: usize,
    keys: SortKeys,
}

struct SortKeys {
    metric: Option<Words>,
    service: Words,
    series: Option<FixedSizeBinaryArray>,
    time: ScalarBuffer<i64>,
}

struct Words {
    keys: Int32Array,
    values: StringArray,
}

impl Words {
    fn of(batch: &RecordBatch, name: &str) -> Option<Words> {
        let words = batch.column_by_name(name)?.as_dictionary_opt::<Int32Type>()?;
        let values = words.values().as_string_opt::<i32>()?.clone();
        Some(Words { keys: words.keys().clone(), values })
    }

    fn text(&self, row: usize) -> &str {
        let key = self.keys.is_valid(row).then(|| self.keys.value(row) as usize);
        key.filter(|key| *key < self.values.len()).map_or("", |key| self.values.value(key))
    }
}

impl SortKeys {
    fn of(batch: &RecordBatch, table: Table) -> Option<SortKeys> {
        let time = batch.column_by_name("time")?.as_primitive_opt::<TimestampNanosecondType>()?;
        let (metric, series) = match table {
            Table::Spans | Table::Logs => (None, None),
            Table::Samples => {
                let series = batch.column_by_name("series")?.as_fixed_size_binary_opt()?;
                (Some(Words::of(batch, "metric")?), Some(series.clone()))
            }
        };
        let service = Words::of(batch, "service")?;
        Some(SortKeys { metric, service, series, time: time.values().clone() })
    }
}

impl Head {
    fn compare(&self, other: &Head) -> Ordering {
        let (left, right) = (self.row, other.row);
        let words = |a: &Words, b: &Words| a.text(left).cmp(b.text(right));
        let metric = match (&self.keys.metric, &other.keys.metric) {
            (Some(a), Some(b)) => words(a, b),
            _ => Ordering::Equal,
        };
        metric
            .then_with(|| words(&self.keys.service, &other.keys.service))
            .then_with(|| match (&self.keys.series, &other.keys.series) {
                (Some(a), Some(b)) => a.value(left).cmp(b.value(right)),
                _ => Ordering::Equal,
            })
            .then_with(|| self.keys.time[left].cmp(&other.keys.time[right]))
    }
}

impl Cursors {
    pub fn open(parts: &[Part<'_>], table: Table) -> Result<Cursors, Error> {
        let batch_rows = Some(if table == Table::Samples { INPUT_SERIES } else { INPUT_ROWS });
        let open = |(file, group): &Part<'_>| Input {
            scan: file.scan(Scan {
                row_groups: group.map(|group| vec![group]),
                columns: Projection::All,
                batch_rows,
                ..Scan::default()
            }),
            name: file.name().to_owned(),
            head: None,
        };
        let inputs: Vec<Input> = parts.iter().map(open).collect();
        let mut cursors = Cursors { inputs, held: Vec::new() };
        for index in 0..cursors.inputs.len() {
            cursors.fill(index, table)?;
        }
        Ok(cursors)
    }

    /// Takes the smallest row; its batch is held until the next release.
    pub fn next(&mut self) -> Result<Option<Place>, Error> {
        let heads = self.inputs.iter().enumerate();
        let heads = heads.filter_map(|(index, input)| Some((index, input.head.as_ref()?)));
        let first = heads.min_by(|(_, left), (_, right)| left.compare(right));
        let Some((index, head)) = first else { return Ok(None) };
        let place = (head.batch, head.row as u32);
        let table = if head.keys.metric.is_some() { Table::Samples } else { Table::Spans };
        if let Some(head) = &mut self.inputs[index].head {
            head.row += 1;
            if head.row == head.rows {
                self.fill(index, table)?;
            }
        }
        Ok(Some(place))
    }

    fn fill(&mut self, index: usize, table: Table) -> Result<(), Error> {
        let input = &mut self.inputs[index];
        input.head = match input.scan.next().transpose()? {
            None => None,
            Some(batch) => {
                let keys = SortKeys::of(&batch, table).ok_or_else(|| Error::Damaged {
                    file: input.name.clone(),
                    reason: "it lacks columns that rows are sorted by".to_owned(),
                })?;
                let (number, rows) = (self.held.len() as u32, batch.num_rows());
                self.held.push(batch);
                Some(Head { batch: number, row: 0, rows, keys })
            }
        };
        Ok(())
    }

    /// Batches that places point into.
    pub fn held(&self) -> &[RecordBatch] {
        &self.held
    }

    /// Memory of those, about.
    pub fn held_bytes(&self) -> usize {
        self.held.iter().map(RecordBatch::get_array_memory_size).sum()
    }

    /// Forgets the batches of which nothing is to come, but for those of `places`, which are
    /// changed to where the rows are then. All other places mean nothing any more.
    pub fn release(&mut self, places: &mut [Place]) {
        let mut numbers: Vec<Option<u32>> = vec![None; self.held.len()];
        let mut kept = Vec::new();
        let mut keep = |batch: &mut u32, held: &[RecordBatch]| {
            *batch = *numbers[*batch as usize].get_or_insert_with(|| {
                kept.push(held[*batch as usize].clone());
                kept.len() as u32 - 1
            });
        };
        for head in self.inputs.iter_mut().filter_map(|input| input.head.as_mut()) {
            keep(&mut head.batch, &self.held);
        }
        places.iter_mut().for_each(|place| keep(&mut place.0, &self.held));
        self.held = kept;
    }
}
