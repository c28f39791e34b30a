//! One file while it is written: sorted rows in, a durable file out.

use std::io;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{TimestampNanosecondType, UInt32Type};
use arrow_array::{Array, RecordBatch};
use model::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;

use super::bloom::Distinct;
use super::properties::{TOKENS_KEY, properties, row_group_rows};
use super::{Day, Options, Written};
use crate::Error;
use crate::durable::Durable;
use crate::rows::{Attributes, Texts};
use crate::schema::{LOG_TEXTS, Table};
use crate::tokens;

pub struct Writer {
    table: Table,
    day: Day,
    path: std::path::PathBuf,
    arrow: ArrowWriter<Durable>,
    group_rows: usize,
    rows_in_group: usize,
    /// Words of the row group; of log records only.
    words: Option<Distinct>,
    /// Offset and length of each row group's filter.
    filters: Vec<String>,
    rows: u64,
    points: u64,
    times: Option<(i64, i64)>,
}

impl Writer {
    /// `repeated` names the columns of ids that get a dictionary (`repeated`).
    pub fn create(
        table: Table,
        path: &Path,
        day: Day,
        options: &Options,
        repeated: &[&'static str],
    ) -> Result<Writer, Error> {
        let options_of_arrow = ArrowWriterOptions::new()
            .with_properties(properties(table, day, options, repeated)?)
            // Types are those of `schema`, whoever wrote the file; others see plain Parquet.
            .with_skip_arrow_metadata(true);
        let durable = Durable::create(path)?;
        let arrow = ArrowWriter::try_new_with_options(durable, table.schema(), options_of_arrow)
            .map_err(|error| failed("write", path, error))?;
        Ok(Writer {
            table,
            day,
            path: path.to_owned(),
            arrow,
            group_rows: row_group_rows(table, options),
            rows_in_group: 0,
            words: (table == Table::Logs).then(Distinct::new),
            filters: Vec::new(),
            rows: 0,
            points: 0,
            times: None,
        })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let mut at = 0;
        while at < batch.num_rows() {
            let rows = (batch.num_rows() - at).min(self.group_rows - self.rows_in_group);
            let part = batch.slice(at, rows);
            self.count(&part);
            if let Some(words) = &mut self.words {
                gather_words(&part, words)?;
            }
            self.arrow.write(&part).map_err(|error| failed("write", &self.path, error))?;
            self.rows_in_group += rows;
            at += rows;
            if self.rows_in_group == self.group_rows {
                self.end_group()?;
            }
        }
        Ok(())
    }

    fn count(&mut self, batch: &RecordBatch) {
        let times = |name: &str| {
            let column = batch.column_by_name(name)?;
            Some(column.as_primitive_opt::<TimestampNanosecondType>()?.values().clone())
        };
        let first = times("time").and_then(|times| times.iter().min().copied());
        let last = times(if self.table == Table::Samples { "end_time" } else { "time" });
        let last = last.and_then(|times| times.iter().max().copied());
        if let (Some(first), Some(last)) = (first, last) {
            let (min, max) = self.times.unwrap_or((first, last));
            self.times = Some((min.min(first), max.max(last)));
        }
        self.rows += batch.num_rows() as u64;
        let points = batch.column_by_name("points");
        let points = points.and_then(|points| points.as_primitive_opt::<UInt32Type>());
        self.points += points.map_or(batch.num_rows() as u64, |points| {
            points.values().iter().map(|count| u64::from(*count)).sum()
        });
    }

    /// What is written next begins a row group.
    pub fn end_group(&mut self) -> Result<(), Error> {
        if self.rows_in_group == 0 {
            return Ok(());
        }
        self.rows_in_group = 0;
        self.arrow.flush().map_err(|error| failed("write", &self.path, error))?;
        if let Some(words) = &mut self.words {
            let filter = words.take_filter();
            self.filters.push(format!("{}:{}", self.arrow.bytes_written(), filter.len()));
            self.arrow.write_all(&filter).map_err(Error::io("write", &self.path))?;
        }
        Ok(())
    }

    /// Makes the file durable under its name.
    pub fn finish(mut self) -> Result<Written, Error> {
        self.end_group()?;
        if self.words.is_some() {
            let filters = KeyValue::new(TOKENS_KEY.to_owned(), self.filters.join(","));
            self.arrow.append_key_value_metadata(filters);
        }
        let durable =
            self.arrow.into_inner().map_err(|error| failed("write", &self.path, error))?;
        let bytes = durable.commit()?;
        let (first, last) = self.times.unwrap_or_default();
        Ok(Written {
            path: self.path,
            day: self.day,
            rows: self.rows,
            bytes,
            // Times after 2262 are negative here; they are in no range that anybody asks for.
            time_min: Timestamp(first.max(0) as u64),
            time_max: Timestamp(last.max(0) as u64),
            points: self.points,
        })
    }
}

/// The words of body, exception, event name and attribute values.
fn gather_words(batch: &RecordBatch, words: &mut Distinct) -> Result<(), Error> {
    let rows = batch.num_rows();
    for name in ["body", "event_name"].iter().chain(LOG_TEXTS) {
        let texts = Texts::of(batch, name)?;
        match texts.words() {
            Some((keys, values)) => {
                let mut used = vec![false; values.len()];
                let keys = (0..rows).filter(|row| keys.is_valid(*row)).map(|row| keys.value(row));
                keys.for_each(|key| used[key as usize] = true);
                let used = (0..values.len()).filter(|index| used[*index]);
                used.for_each(|index| {
                    tokens::each_hash(values.value(index), |hash| words.insert(hash));
                });
            }
            None => (0..rows).for_each(|row| {
                tokens::each_hash(texts.text(row), |hash| words.insert(hash));
            }),
        }
    }
    let attributes = Attributes::of(batch)?;
    for row in 0..rows {
        for (_, value, _) in attributes.iter(row) {
            tokens::each_hash(value, |hash| words.insert(hash));
        }
    }
    Ok(())
}

/// The library hides the cause of a failed write; who handles a full disk needs it.
pub fn failed(operation: &'static str, path: &Path, error: ParquetError) -> Error {
    let source = match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    };
    Error::Io { operation, path: path.to_owned(), source }
}
