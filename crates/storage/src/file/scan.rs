//! Reading the rows of a file that a query may want, and no more of it than that needs.
//!
//! Row groups are left out by their statistics, pages by the page index, rows by filters over few
//! and cheap columns before the others are read. Row groups are read one after the other, as the
//! caller asks for batches: who stops asking reads no more.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, new_null_array};
use arrow_schema::{ArrowError, Schema, SchemaRef};
use model::Timestamp;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowPredicate, ArrowPredicateFn, ArrowReaderMetadata, ArrowReaderOptions,
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowFilter as Predicates,
};
use parquet::file::metadata::{
    PageIndexPolicy, ParquetMetaData, ParquetMetaDataBuilder, ParquetMetaDataReader,
};

use super::footer::{Chunks, guarded, unread, unread_columns};
use super::open::{Inner, OpenFile};
use super::pages;
use crate::Error;
use crate::rows::Texts;
use crate::schema::Table;

/// Which columns a scan gives, in the order of the table's schema. A column that the file does not
/// have is all absent.
#[derive(Clone, Debug, Default)]
pub enum Projection {
    #[default]
    All,
    Columns(Vec<&'static str>),
}

impl Projection {
    pub fn of(names: &[&'static str]) -> Projection {
        Projection::Columns(names.to_vec())
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Projection::All => true,
            Projection::Columns(names) => names.contains(&name),
        }
    }
}

/// Which rows of a batch to keep: as long as the batch, absent meaning no.
pub type Keep = Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray, Error> + Send + Sync>;

/// A question to a few columns, asked before the others are read.
#[derive(Clone)]
pub struct RowFilter {
    pub columns: Vec<&'static str>,
    pub keep: Keep,
}

/// What to read. The default is everything.
#[derive(Clone, Default)]
pub struct Scan {
    /// All of them where `None`.
    pub row_groups: Option<Vec<usize>>,
    pub columns: Projection,
    /// Rows with `time` in this range, its end excluded; series with a point that may be.
    pub time: Option<Range<Timestamp>>,
    pub service: Option<String>,
    /// Of samples.
    pub metric: Option<String>,
    /// Asked one after the other, each only of the rows that those before kept.
    pub filters: Vec<RowFilter>,
    /// Rows of a batch; `None` for what suits the table.
    pub batch_rows: Option<usize>,
}

/// Rows of a batch of spans or log records; series are long.
const BATCH_ROWS: usize = 8_192;
const BATCH_SERIES: usize = 512;

impl OpenFile {
    /// The rows that `scan` asks for, in the order of the file.
    pub fn scan(&self, scan: Scan) -> Scanned {
        let groups: VecDeque<usize> = match &scan.row_groups {
            Some(groups) => groups.iter().copied().filter(|at| *at < self.row_groups()).collect(),
            None => (0..self.row_groups()).collect(),
        };
        let groups = groups.into_iter().filter(|index| self.may_match(*index, &scan)).collect();
        let known = self.table().schema();
        let fields = known.fields().iter().filter(|field| scan.columns.has(field.name()));
        let schema = Arc::new(Schema::new(fields.cloned().collect::<Vec<_>>()));
        Scanned { file: self.clone(), scan, schema, groups, reader: None }
    }

    fn may_match(&self, index: usize, scan: &Scan) -> bool {
        let (first, last) = self.row_group_times(index);
        let in_time = scan.time.as_ref().is_none_or(|time| first < time.end && last >= time.start);
        let encloses = |wanted: &Option<String>, found: Option<(&str, &str)>| match (wanted, found)
        {
            (Some(wanted), Some((first, last))) => {
                first <= wanted.as_str() && wanted.as_str() <= last
            }
            _ => true,
        };
        in_time
            && encloses(&scan.service, self.row_group_services(index))
            && encloses(&scan.metric, self.row_group_metrics(index))
    }
}

/// Batches of a scan, read as they are asked for. After an error there is nothing more.
pub struct Scanned {
    file: OpenFile,
    scan: Scan,
    schema: SchemaRef,
    groups: VecDeque<usize>,
    reader: Option<ParquetRecordBatchReader>,
}

impl Scanned {
    /// Of each batch.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn advance(&mut self) -> Result<Option<RecordBatch>, Error> {
        loop {
            if let Some(reader) = &mut self.reader {
                match reader.next() {
                    Some(Ok(batch)) if batch.num_rows() > 0 => {
                        return self.aligned(&batch).map(Some);
                    }
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Err(self.broken(error)),
                    None => self.reader = None,
                }
            }
            let Some(group) = self.groups.pop_front() else { return Ok(None) };
            self.reader = self.file.inner.reader(group, &self.scan)?;
        }
    }

    /// The batch with all columns that were asked for, in their order.
    fn aligned(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let columns =
            self.schema.fields().iter().map(|field| match batch.column_by_name(field.name()) {
                Some(column) => Arc::clone(column),
                None => new_null_array(field.data_type(), batch.num_rows()),
            });
        let fields = self.schema.fields().iter().map(|field| {
            let missing = batch.column_by_name(field.name()).is_none();
            if missing {
                Arc::new(field.as_ref().clone().with_nullable(true))
            } else {
                Arc::clone(field)
            }
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns: Vec<ArrayRef> = columns.collect();
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|error| self.broken(error))
    }

    fn broken(&self, error: ArrowError) -> Error {
        unread_columns(self.file.name(), error)
    }
}

impl Iterator for Scanned {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let name = self.file.name().to_owned();
        let next = guarded(&name, || self.advance()).transpose();
        if matches!(next, Some(Err(_))) {
            self.groups.clear();
            self.reader = None;
        }
        next
    }
}

impl Inner {
    /// A reader of one row group; `None` where no page of it can have a row that is asked for.
    fn reader(&self, group: usize, scan: &Scan) -> Result<Option<ParquetRecordBatchReader>, Error> {
        let failed = |error| unread(self.source.name(), error);
        let metadata = self.with_page_index(group)?;
        let selection = pages::selection(&metadata, &self.schema, self.footer.table, scan);
        if selection.as_ref().is_some_and(|selection| !selection.selects_any()) {
            return Ok(None);
        }
        let options = ArrowReaderOptions::new().with_schema(Arc::clone(&self.schema));
        let arrow = ArrowReaderMetadata::try_new(Arc::new(metadata), options).map_err(failed)?;
        let chunks = Chunks(Arc::clone(&self.source));
        let usual = if self.footer.table == Table::Samples { BATCH_SERIES } else { BATCH_ROWS };
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, arrow)
            .with_batch_size(scan.batch_rows.unwrap_or(usual).max(1))
            .with_projection(self.mask(|name| scan.columns.has(name)));
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let predicates = self.predicates(scan);
        if !predicates.is_empty() {
            builder = builder.with_row_filter(Predicates::new(predicates));
        }
        builder.build().map(Some).map_err(failed)
    }

    /// The footer of one row group alone, with its page index.
    fn with_page_index(&self, group: usize) -> Result<ParquetMetaData, Error> {
        let whole = &self.footer.metadata;
        let one = ParquetMetaDataBuilder::new(whole.file_metadata().clone())
            .add_row_group(whole.row_group(group).clone())
            .build();
        let mut reader = ParquetMetaDataReader::new_with_metadata(one)
            .with_page_index_policy(PageIndexPolicy::Optional);
        let failed = |error| unread(self.source.name(), error);
        reader.read_page_indexes(&Chunks(Arc::clone(&self.source))).map_err(failed)?;
        let metadata = reader.finish().map_err(failed)?;
        pages::check(&metadata, self.source.name())?;
        Ok(metadata)
    }

    fn mask(&self, wanted: impl Fn(&str) -> bool) -> ProjectionMask {
        let fields = self.schema.fields().iter().enumerate();
        let roots = fields.filter(|(_, field)| wanted(field.name())).map(|(index, _)| index);
        ProjectionMask::roots(self.footer.metadata.file_metadata().schema_descr(), roots)
    }

    fn predicates(&self, scan: &Scan) -> Vec<Box<dyn ArrowPredicate>> {
        let words = [("metric", &scan.metric), ("service", &scan.service)];
        let mut filters: Vec<RowFilter> = Vec::new();
        for (name, wanted) in words {
            let is_there = self.schema.field_with_name(name).is_ok();
            if let (Some(wanted), true) = (wanted.clone(), is_there) {
                let keep = move |batch: &RecordBatch| is_text(batch, name, &wanted);
                filters.push(RowFilter { columns: vec![name], keep: Arc::new(keep) });
            }
        }
        if let Some(time) = scan.time.clone() {
            let is_samples = self.footer.table == Table::Samples;
            let last = if is_samples { "end_time" } else { "time" };
            let keep = move |batch: &RecordBatch| is_within(batch, "time", last, &time);
            filters.push(RowFilter { columns: vec!["time", last], keep: Arc::new(keep) });
        }
        filters.extend(scan.filters.iter().cloned());
        let predicate = |filter: RowFilter| {
            let mask = self.mask(|name| filter.columns.contains(&name));
            let keep = move |batch: RecordBatch| {
                (filter.keep)(&batch).map_err(|error| ArrowError::ExternalError(Box::new(error)))
            };
            Box::new(ArrowPredicateFn::new(mask, keep)) as Box<dyn ArrowPredicate>
        };
        filters.into_iter().map(predicate).collect()
    }
}

fn is_text(batch: &RecordBatch, name: &str, wanted: &str) -> Result<BooleanArray, Error> {
    let texts = Texts::of(batch, name)?;
    let Some((keys, values)) = texts.words() else {
        return Ok((0..batch.num_rows()).map(|row| Some(texts.get(row) == Some(wanted))).collect());
    };
    let is_wanted: Vec<bool> = values.iter().map(|value| value == Some(wanted)).collect();
    let keep = (0..keys.len()).map(|row| {
        keys.is_valid(row) && is_wanted.get(keys.value(row) as usize).copied().unwrap_or(false)
    });
    Ok(keep.map(Some).collect())
}

fn is_within(
    batch: &RecordBatch,
    first: &str,
    last: &str,
    time: &Range<Timestamp>,
) -> Result<BooleanArray, Error> {
    let times = |name: &str| {
        let column = batch.column_by_name(name)?;
        Some(column.as_primitive_opt::<TimestampNanosecondType>()?.values().clone())
    };
    let (Some(first), Some(last)) = (times(first), times(last)) else {
        return Ok(BooleanArray::from(vec![false; batch.num_rows()]));
    };
    let bound = |time: Timestamp| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let (start, end) = (bound(time.start), bound(time.end));
    let keep = first.iter().zip(last.iter()).map(|(first, last)| *first < end && *last >= start);
    Ok(BooleanArray::from(keep.collect::<Vec<bool>>()))
}
