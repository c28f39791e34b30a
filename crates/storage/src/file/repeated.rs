//! Which columns of ids get a dictionary: those that are smaller with one. Tried, not guessed.
//!
//! A random id takes all its bytes. Where several rows of a row group have the same one, a
//! dictionary holds it once, and each row takes a number of some 17 bits. zstd finds an id again as
//! well, but only within a page, and it skips ahead where nothing repeats. What a system's records
//! are like changes little, so one row group speaks for its file.

use arrow_array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use super::Options;
use super::properties::{batch_rows, with_dictionary};
use crate::Error;
use crate::schema::Table;

/// Columns that may repeat or not, as systems differ.
pub fn id_columns(table: Table) -> &'static [&'static str] {
    match table {
        Table::Logs => &["trace_id", "span_id"],
        Table::Spans | Table::Samples => &[],
    }
}

/// Those columns of a row group's ids that are smaller with a dictionary.
pub fn repeated(ids: &RecordBatch, options: &Options) -> Result<Vec<&'static str>, Error> {
    let mut names = Vec::new();
    for name in id_columns(Table::Logs) {
        let Ok(index) = ids.schema().index_of(name) else { continue };
        let failed = |source| Error::Columns { operation: "try a dictionary", source };
        let column = ids.project(&[index]).map_err(failed)?;
        let size = |dictionary| {
            size(&column, name, options, dictionary).map_err(|error| failed(error.into()))
        };
        if size(true)? < size(false)? {
            names.push(*name);
        }
    }
    Ok(names)
}

/// Bytes of one column as a file has it.
fn size(
    column: &RecordBatch,
    name: &str,
    options: &Options,
    dictionary: bool,
) -> Result<usize, parquet::errors::ParquetError> {
    let level = ZstdLevel::try_new(options.level).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(options.page_rows.max(1))
        .set_write_batch_size(batch_rows(options))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false);
    if dictionary {
        let path = ColumnPath::new(vec![name.to_owned()]);
        builder = with_dictionary(builder, path, column.num_rows());
    }
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, column.schema(), Some(builder.build()))?;
    writer.write(column)?;
    writer.close()?;
    Ok(bytes.len())
}
