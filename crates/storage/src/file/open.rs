//! A finished file, ready to answer.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampNanosecondType};
use arrow_schema::{Field, Schema, SchemaRef};
use model::Timestamp;
use model::signal::TraceId;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::ParquetMetaData;
use twox_hash::XxHash64;

use super::bloom::{self, BLOCK};
use super::footer::{self, Footer, damaged, unread, unreadable};
use super::{Day, Source};
use crate::Error;
use crate::rows::Texts;
use crate::schema::Table;

/// A file whose footer has been read and checked. Cheap to clone; many threads may read at once.
#[derive(Clone)]
pub struct OpenFile {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub source: Arc<dyn Source>,
    pub footer: Footer,
    /// Types of the file's columns, as `schema` has them.
    pub schema: SchemaRef,
    times: Vec<(Timestamp, Timestamp)>,
    services: Vec<Option<(String, String)>>,
    metrics: Vec<Option<(String, String)>>,
    severities: Vec<Option<(i32, i32)>>,
}

impl OpenFile {
    pub fn open(source: Arc<dyn Source>) -> Result<OpenFile, Error> {
        let name = source.name().to_owned();
        footer::guarded(&name, || OpenFile::open_unguarded(source))
    }

    fn open_unguarded(source: Arc<dyn Source>) -> Result<OpenFile, Error> {
        let footer = footer::read(&source)?;
        let name = source.name().to_owned();
        let schema = schema(&footer).map_err(|error| unread(&name, error))?;
        // Shows at once whether the types are those that this program reads.
        let options = ArrowReaderOptions::new().with_schema(Arc::clone(&schema));
        ArrowReaderMetadata::try_new(Arc::clone(&footer.metadata), options)
            .map_err(|error| unread(&name, error))?;
        let end = if footer.table == Table::Samples { "end_time" } else { "time" };
        let first = times(&footer.metadata, &schema, "time", false);
        let last = times(&footer.metadata, &schema, end, true);
        let times = first.into_iter().zip(last).collect();
        let services = texts(&footer.metadata, &schema, "service");
        let metrics = texts(&footer.metadata, &schema, "metric");
        let severities = severities(&footer.metadata, &schema);
        let inner = Inner { source, footer, schema, times, services, metrics, severities };
        Ok(OpenFile { inner: Arc::new(inner) })
    }

    pub fn name(&self) -> &str {
        self.inner.source.name()
    }

    pub fn table(&self) -> Table {
        self.inner.footer.table
    }

    pub fn day(&self) -> Day {
        self.inner.footer.day
    }

    pub fn rows(&self) -> u64 {
        u64::try_from(self.inner.footer.metadata.file_metadata().num_rows()).unwrap_or(0)
    }

    pub fn row_groups(&self) -> usize {
        self.inner.footer.metadata.num_row_groups()
    }

    /// Rows of one row group.
    pub fn row_group_rows(&self, index: usize) -> u64 {
        let groups = self.inner.footer.metadata.row_groups();
        groups.get(index).map_or(0, |group| u64::try_from(group.num_rows()).unwrap_or(0))
    }

    /// First and last time of a row group's rows (of samples: of their points), inclusive; all
    /// times where the file does not say.
    pub fn row_group_times(&self, index: usize) -> (Timestamp, Timestamp) {
        let all = (Timestamp::ZERO, Timestamp(u64::MAX));
        self.inner.times.get(index).copied().unwrap_or(all)
    }

    /// Smallest and largest `service` of a row group; they may be longer or shorter than the real
    /// ones, but always enclose them.
    pub fn row_group_services(&self, index: usize) -> Option<(&str, &str)> {
        enclosing(&self.inner.services, index)
    }

    /// The same of `metric`.
    pub fn row_group_metrics(&self, index: usize) -> Option<(&str, &str)> {
        enclosing(&self.inner.metrics, index)
    }

    /// Smallest and largest `severity_number` of a row group of log records.
    pub fn row_group_severities(&self, index: usize) -> Option<(i32, i32)> {
        self.inner.severities.get(index).copied().flatten()
    }

    /// Whether a row group may have rows of a trace. Reads one block of its filter.
    pub fn may_hold_trace(&self, index: usize, trace_id: &TraceId) -> Result<bool, Error> {
        let Some(group) = self.inner.footer.metadata.row_groups().get(index) else {
            return Ok(false);
        };
        let column = group
            .columns()
            .iter()
            .find(|column| matches!(column.column_path().parts(), [name] if name == "trace_id"));
        let filter = column.and_then(|column| {
            let offset = u64::try_from(column.bloom_filter_offset()?).ok()?;
            Some((offset, u64::try_from(column.bloom_filter_length()?).ok()?))
        });
        let Some((offset, length)) = filter.filter(|(_, length)| *length >= BLOCK as u64) else {
            return Ok(true);
        };
        // The header comes first and is shorter than any power of two that is left for the bits.
        let bits = 1_u64 << length.ilog2();
        let header = length - bits;
        let hash = XxHash64::oneshot(0, trace_id);
        self.may_hold(offset + header, bits, hash)
    }

    /// Whether a row group may have a log record with the word that has this hash (`tokens`).
    pub fn may_hold_token(&self, index: usize, hash: u64) -> Result<bool, Error> {
        match self.inner.footer.tokens.get(index) {
            None => Ok(false),
            // There is no filter.
            Some((_, 0)) => Ok(true),
            Some((offset, length)) => self.may_hold(*offset, *length, hash),
        }
    }

    fn may_hold(&self, offset: u64, length: u64, hash: u64) -> Result<bool, Error> {
        let blocks = length / BLOCK as u64;
        let at = offset + bloom::block_of(hash, blocks) * BLOCK as u64;
        let block = self.inner.source.read(at, BLOCK);
        let block = block.map_err(|error| unreadable(self.name(), error))?;
        let block = block.first_chunk().ok_or_else(|| damaged(self.name(), "a filter is cut"))?;
        Ok(bloom::may_hold(block, hash))
    }
}

fn enclosing(texts: &[Option<(String, String)>], index: usize) -> Option<(&str, &str)> {
    let (first, last) = texts.get(index)?.as_ref()?;
    Some((first.as_str(), last.as_str()))
}

/// The file's columns with the types of `schema`; columns that this program does not know as they
/// are.
fn schema(footer: &Footer) -> Result<SchemaRef, parquet::errors::ParquetError> {
    let file = footer.metadata.file_metadata();
    let found = parquet_to_arrow_schema(file.schema_descr(), None)?;
    let known = footer.table.schema();
    let fields = found.fields().iter().map(|field| match known.field_with_name(field.name()) {
        Ok(known) => Arc::new(Field::clone(known)),
        Err(_) => Arc::clone(field),
    });
    Ok(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
}

/// The earliest (or latest) time in a column, for each row group.
fn times(metadata: &ParquetMetaData, schema: &Schema, name: &str, latest: bool) -> Vec<Timestamp> {
    let unknown = if latest { Timestamp(u64::MAX) } else { Timestamp::ZERO };
    let found = || {
        let descr = metadata.file_metadata().schema_descr();
        let statistics = StatisticsConverter::try_new(name, schema, descr).ok()?;
        let groups = metadata.row_groups();
        let array = if latest {
            statistics.row_group_maxes(groups)
        } else {
            statistics.row_group_mins(groups)
        };
        let array = array.ok()?;
        let array = array.as_primitive_opt::<TimestampNanosecondType>()?;
        let time = |time: Option<i64>| time.map_or(unknown, |time| Timestamp(time.max(0) as u64));
        Some(array.iter().map(time).collect::<Vec<_>>())
    };
    found().unwrap_or_else(|| vec![unknown; metadata.num_row_groups()])
}

fn texts(metadata: &ParquetMetaData, schema: &Schema, name: &str) -> Vec<Option<(String, String)>> {
    let found = || {
        let descr = metadata.file_metadata().schema_descr();
        let statistics = StatisticsConverter::try_new(name, schema, descr).ok()?;
        let first = statistics.row_group_mins(metadata.row_groups()).ok()?;
        let last = statistics.row_group_maxes(metadata.row_groups()).ok()?;
        let (first, last) = (Texts::of_array(&first)?, Texts::of_array(&last)?);
        let both = |row| Some((first.get(row)?.to_owned(), last.get(row)?.to_owned()));
        Some((0..metadata.num_row_groups()).map(both).collect::<Vec<_>>())
    };
    found().unwrap_or_else(|| vec![None; metadata.num_row_groups()])
}

fn severities(metadata: &ParquetMetaData, schema: &Schema) -> Vec<Option<(i32, i32)>> {
    let found = || {
        let descr = metadata.file_metadata().schema_descr();
        let statistics = StatisticsConverter::try_new("severity_number", schema, descr).ok()?;
        let first = statistics.row_group_mins(metadata.row_groups()).ok()?;
        let last = statistics.row_group_maxes(metadata.row_groups()).ok()?;
        let first = first.as_primitive_opt::<Int32Type>()?;
        let last = last.as_primitive_opt::<Int32Type>()?;
        Some(first.iter().zip(last).map(|(first, last)| Some((first?, last?))).collect::<Vec<_>>())
    };
    found().unwrap_or_else(|| vec![None; metadata.num_row_groups()])
}
