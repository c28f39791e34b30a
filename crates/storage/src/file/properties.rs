//! How each column is encoded: what is small, quick to write, and quick to skip.
//!
//! Times and durations differ little from row to row: deltas. Identifiers are random: as they are,
//! but for those that many rows of a row group share (`repeated`). Texts that repeat: dictionaries.
//! Of points, times are as they are, because zstd finds those of one series again in the next;
//! counts are deltas; doubles are split into streams of their first, second, … bytes, of which the
//! first ones hardly change. Statistics only where a reader can skip by them: each costs bytes in
//! the footer of every file.

use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{
    BloomFilterPosition, BloomFilterProperties, EnabledStatistics, WriterProperties,
    WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;

use super::{Day, Options};
use crate::Error;
use crate::schema::{FORMAT_KEY, FORMAT_VERSION, Table};

pub const DAY_KEY: &str = "immune.day";
/// Offset and length of each row group's filter over tokens: `offset:length`, by commas.
pub const TOKENS_KEY: &str = "immune.tokens";

/// False answers of the filters over trace ids. There are hundreds of row groups, and each false
/// answer costs reading a column of one; ten times fewer cost half as many bits again.
const TRACE_FALSE_POSITIVES: f64 = 0.001;
/// The same of log records, of which most have a trace of their own in their service: filters have
/// a power of two of bits, and this is what eight bits for each row of a whole row group give. A
/// false answer costs the reading of one column.
const LOG_TRACE_FALSE_POSITIVES: f64 = 0.026;
/// Longest id.
const ID_BYTES_MAX: usize = 16;
/// Rows that are handed to the encoders at once, at most.
const ENCODE_ROWS: usize = 4_096;

/// As far back as zstd looks.
const TIMES_PAGE_BYTES: usize = 2 << 20;

/// Rows of a row group.
pub fn row_group_rows(table: Table, options: &Options) -> usize {
    let usual = match table {
        Table::Spans | Table::Logs => 128 * 1_024,
        Table::Samples => 16 * 1_024,
    };
    options.row_group_rows.unwrap_or(usual).max(1)
}

/// `repeated` names columns of ids that repeat.
pub fn properties(
    table: Table,
    day: Day,
    options: &Options,
    repeated: &[&'static str],
) -> Result<WriterProperties, Error> {
    let level = ZstdLevel::try_new(options.level).unwrap_or_default();
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_created_by(concat!("immune ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(None)
        .set_data_page_row_count_limit(options.page_rows.max(1))
        .set_write_batch_size(batch_rows(options))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_bloom_filter_position(BloomFilterPosition::AfterRowGroup)
        .set_key_value_metadata(Some(vec![
            KeyValue::new(FORMAT_KEY.to_owned(), FORMAT_VERSION.to_string()),
            KeyValue::new(crate::schema::TABLE_KEY.to_owned(), table.as_str().to_owned()),
            KeyValue::new(DAY_KEY.to_owned(), day.to_string()),
        ]))
        .set_sorting_columns(sorting_columns(table)?);
    builder = match table {
        Table::Spans => spans(builder, row_group_rows(table, options)),
        Table::Logs => logs(builder, row_group_rows(table, options)),
        Table::Samples => samples(builder),
    };
    for name in repeated {
        builder = with_dictionary(builder, path(name), row_group_rows(table, options));
    }
    Ok(builder.build())
}

/// Of ids: all of a row group, even if all differ. The library gives values of a fixed length a
/// dictionary in version 2 of the format only, whose own choices for other columns are not ours.
pub fn with_dictionary(
    builder: WriterPropertiesBuilder,
    column: ColumnPath,
    rows: usize,
) -> WriterPropertiesBuilder {
    builder
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_encoding(Encoding::PLAIN)
        .set_column_dictionary_enabled(column.clone(), true)
        .set_column_dictionary_page_size_limit(column, rows.saturating_mul(ID_BYTES_MAX) + 1)
}

/// Rows that are handed to the encoders at once: pages end between them only.
pub fn batch_rows(options: &Options) -> usize {
    ENCODE_ROWS.min(options.page_rows.max(1))
}

fn path(name: &str) -> ColumnPath {
    // Names of attributes have dots: the path has one part.
    ColumnPath::new(vec![name.to_owned()])
}

fn element(name: &str) -> ColumnPath {
    ColumnPath::new(vec![name.to_owned(), "list".to_owned(), "element".to_owned()])
}

fn spans(builder: WriterPropertiesBuilder, rows: usize) -> WriterPropertiesBuilder {
    let builder = ids(builder, &["span_id", "parent_span_id"]);
    let mut builder = trace_id(builder, rows, TRACE_FALSE_POSITIVES);
    for name in ["time", "duration_nanos", "arrival"] {
        builder = deltas(builder, name);
    }
    for name in ["time", "duration_nanos", "service", "name", "status"] {
        builder = skipped_by_page(builder, name);
    }
    for name in ["arrival", "kind", "http.response.status_code", "http.status_code"] {
        builder = builder.set_column_statistics_enabled(path(name), EnabledStatistics::Chunk);
    }
    plain(plain(builder, "events"), "links")
}

fn logs(builder: WriterPropertiesBuilder, rows: usize) -> WriterPropertiesBuilder {
    let mut builder = trace_id(ids(builder, &["span_id"]), rows, LOG_TRACE_FALSE_POSITIVES);
    for name in ["time", "observed_delay_nanos", "arrival"] {
        builder = deltas(builder, name);
    }
    for name in ["time", "service", "severity_number"] {
        builder = skipped_by_page(builder, name);
    }
    plain(builder, "body")
}

fn samples(mut builder: WriterPropertiesBuilder) -> WriterPropertiesBuilder {
    for name in ["time", "end_time", "arrival"] {
        builder = deltas(builder, name);
    }
    for name in ["time", "end_time", "metric", "service", "series"] {
        builder = skipped_by_page(builder, name);
    }
    builder = builder.set_column_dictionary_enabled(path("series"), false);
    for name in ["times", "start_times", "values", "quantiles", "minima", "maxima"] {
        builder = builder.set_column_dictionary_enabled(element(name), false);
    }
    for name in ["integers", "counts", "buckets"] {
        builder = builder
            .set_column_dictionary_enabled(element(name), false)
            .set_column_encoding(element(name), Encoding::DELTA_BINARY_PACKED);
    }
    // All series of a process have the same times: the longer the page, the more of them share it.
    builder = builder.set_column_data_page_size_limit(element("times"), TIMES_PAGE_BYTES);
    builder
        .set_column_encoding(element("values"), Encoding::BYTE_STREAM_SPLIT)
        .set_column_dictionary_enabled(element("exponential"), false)
        .set_column_dictionary_enabled(element("exemplars"), false)
}

fn ids(mut builder: WriterPropertiesBuilder, names: &[&str]) -> WriterPropertiesBuilder {
    for name in names {
        builder = plain(builder, name);
    }
    builder
}

fn trace_id(
    builder: WriterPropertiesBuilder,
    rows: usize,
    false_positives: f64,
) -> WriterPropertiesBuilder {
    let name = "trace_id";
    // The filter is folded to what the distinct ids need when the row group ends.
    let filter = BloomFilterProperties::builder()
        .with_fpp(false_positives)
        .with_max_ndv(rows as u64)
        .build();
    plain(builder, name).set_column_bloom_filter_properties(path(name), filter)
}

fn plain(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    builder.set_column_dictionary_enabled(path(name), false)
}

fn deltas(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    builder
        .set_column_dictionary_enabled(path(name), false)
        .set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED)
}

fn skipped_by_page(builder: WriterPropertiesBuilder, name: &str) -> WriterPropertiesBuilder {
    builder.set_column_statistics_enabled(path(name), EnabledStatistics::Page)
}

/// What the rows are sorted by, for readers that care.
fn sorting_columns(table: Table) -> Result<Option<Vec<SortingColumn>>, Error> {
    let names: &[&str] = match table {
        Table::Spans | Table::Logs => &["service", "time"],
        Table::Samples => &["metric", "service", "series", "time"],
    };
    let schema = ArrowSchemaConverter::new().convert(&table.schema()).map_err(|error| {
        let source = arrow_schema::ArrowError::ExternalError(Box::new(error));
        Error::Columns { operation: "write the schema of a table", source }
    })?;
    let leaf = |name: &str| schema.columns().iter().position(|leaf| *leaf.path() == path(name));
    let columns = names.iter().filter_map(|name| {
        let column_idx = i32::try_from(leaf(name)?).ok()?;
        Some(SortingColumn { column_idx, descending: false, nulls_first: false })
    });
    Ok(Some(columns.collect()))
}
