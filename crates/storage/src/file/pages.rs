//! Which rows of a row group lie in pages that may have what a scan asks for.

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampNanosecondType;
use arrow_array::{Array, ArrayRef};
use arrow_schema::Schema;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::page_index::offset_index::OffsetIndexMetaData;

use super::footer::damaged;
use super::scan::Scan;
use crate::Error;
use crate::rows::Texts;
use crate::schema::Table;

/// The metadata has one row group. `None` where nothing can be left out.
pub fn selection(
    metadata: &ParquetMetaData,
    schema: &Schema,
    table: Table,
    scan: &Scan,
) -> Option<RowSelection> {
    let pages = Pages { metadata, schema };
    let mut selection: Option<RowSelection> = None;
    let mut narrow = |found: Option<RowSelection>| {
        selection = match (selection.take(), found) {
            (Some(before), Some(found)) => Some(before.intersection(&found)),
            (before, found) => before.or(found),
        };
    };
    for (name, wanted) in [("metric", &scan.metric), ("service", &scan.service)] {
        if let Some(wanted) = wanted {
            narrow(pages.select(name, |first, last, page| {
                let (first, last) = (Texts::of_array(first)?, Texts::of_array(last)?);
                Some(first.get(page)? <= wanted.as_str() && wanted.as_str() <= last.get(page)?)
            }));
        }
    }
    if let Some(time) = &scan.time {
        let bound = |time: model::Timestamp| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        let (start, end) = (bound(time.start), bound(time.end));
        narrow(pages.select("time", |first, _, page| Some(value(first, page)? < end)));
        let last = if table == Table::Samples { "end_time" } else { "time" };
        narrow(pages.select(last, |_, last, page| Some(value(last, page)? >= start)));
    }
    selection
}

fn value(array: &ArrayRef, page: usize) -> Option<i64> {
    let array = array.as_primitive_opt::<TimestampNanosecondType>()?;
    (page < array.len() && array.is_valid(page)).then(|| array.value(page))
}

struct Pages<'a> {
    metadata: &'a ParquetMetaData,
    schema: &'a Schema,
}

impl Pages<'_> {
    /// Rows of the pages of a column whose smallest and largest value satisfy `may`; a page of
    /// which that is not known counts as well.
    fn select(
        &self,
        name: &str,
        may: impl Fn(&ArrayRef, &ArrayRef, usize) -> Option<bool>,
    ) -> Option<RowSelection> {
        let (indexes, offsets) = (self.metadata.column_index()?, self.metadata.offset_index()?);
        let descr = self.metadata.file_metadata().schema_descr();
        let statistics = StatisticsConverter::try_new(name, self.schema, descr).ok()?;
        let group = [0];
        let first = statistics.data_page_mins(indexes, offsets, group.iter()).ok()?;
        let last = statistics.data_page_maxes(indexes, offsets, group.iter()).ok()?;
        let counts =
            statistics.data_page_row_counts(offsets, self.metadata.row_groups(), group.iter());
        let counts = counts.ok()??;
        if counts.len() != first.len() || counts.len() != last.len() {
            return None;
        }
        let selectors = (0..counts.len()).map(|page| {
            let rows = usize::try_from(counts.value(page)).unwrap_or(0);
            match may(&first, &last, page) {
                Some(false) => RowSelector::skip(rows),
                _ => RowSelector::select(rows),
            }
        });
        Some(selectors.collect::<Vec<_>>().into())
    }
}

/// The library trusts the page index: pages that follow each other within their column, and whose
/// first rows ascend within the row group.
pub fn check(metadata: &ParquetMetaData, name: &str) -> Result<(), Error> {
    let Some(offsets) = metadata.offset_index() else { return Ok(()) };
    for (group, columns) in metadata.row_groups().iter().zip(offsets) {
        let is_complete = columns.len() == group.num_columns();
        let are_right = group.columns().iter().zip(columns).all(|(column, index)| {
            // Cannot be negative: that was checked when the file was opened.
            let (start, length) = column.byte_range();
            follow_each_other(index, start, start.saturating_add(length), group.num_rows())
        });
        if !is_complete || !are_right {
            return Err(damaged(name, "its page index is wrong"));
        }
    }
    Ok(())
}

fn follow_each_other(index: &OffsetIndexMetaData, start: u64, end: u64, rows: i64) -> bool {
    let (mut free_from, mut row_from) = (start, 0);
    for page in index.page_locations() {
        let (Ok(offset), Ok(size)) =
            (u64::try_from(page.offset), u64::try_from(page.compressed_page_size))
        else {
            return false;
        };
        let is_first = row_from == 0;
        let in_order = page.first_row_index >= row_from && !(is_first && page.first_row_index != 0);
        if !in_order || page.first_row_index >= rows.max(1) || offset < free_from {
            return false;
        }
        (free_from, row_from) = (offset.saturating_add(size), page.first_row_index + 1);
    }
    free_from <= end
}
