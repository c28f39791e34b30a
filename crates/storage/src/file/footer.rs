//! What a file says of itself, read once when it is opened, and not believed before it is checked.
//!
//! The Parquet library asserts some of what a footer should say; a damaged one must be an error
//! instead, so every offset, length and count is checked here against the size of the file.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_schema::ArrowError;
use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::reader::{ChunkReader, Length};

use super::properties::{DAY_KEY, TOKENS_KEY};
use super::{Day, Source};
use crate::Error;
use crate::schema::{FORMAT_KEY, FORMAT_VERSION, TABLE_KEY, Table};

/// Longest footer that is read.
const FOOTER_BYTES_MAX: u64 = 64 << 20;
/// Row groups of a file, at most.
const ROW_GROUPS_MAX: usize = 32 * 1_024;
/// Read at once by who reads on and on.
const READ_AHEAD: usize = 64 << 10;

/// A checked footer.
pub struct Footer {
    pub table: Table,
    pub day: Day,
    pub metadata: Arc<ParquetMetaData>,
    /// Offset and length of each row group's filter over tokens; none where there is no filter.
    pub tokens: Vec<(u64, u64)>,
}

/// A source as the Parquet library wants it.
#[derive(Clone)]
pub struct Chunks(pub Arc<dyn Source>);

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Chunks {
    type T = Onward;

    fn get_read(&self, start: u64) -> Result<Onward, ParquetError> {
        Ok(Onward { source: Arc::clone(&self.0), at: start, ahead: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        self.0.read(start, length).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads on from a place to the end of the source.
pub struct Onward {
    source: Arc<dyn Source>,
    at: u64,
    ahead: Bytes,
}

impl Read for Onward {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let left = self.source.len().saturating_sub(self.at);
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(READ_AHEAD);
            self.ahead = self.source.read(self.at, length)?;
            self.at += length as u64;
        }
        let length = out.len().min(self.ahead.len());
        out[..length].copy_from_slice(&self.ahead.split_to(length));
        Ok(length)
    }
}

pub fn read(source: &Arc<dyn Source>) -> Result<Footer, Error> {
    let name = source.name();
    let length = source.len();
    let tail = length.checked_sub(8).ok_or_else(|| damaged(name, "it is too short"))?;
    let tail = source.read(tail, 8).map_err(|error| unreadable(name, error))?;
    let footer = tail.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    if u64::from(footer) > FOOTER_BYTES_MAX.min(length - 8) {
        return Err(damaged(name, "its footer is longer than it may be"));
    }
    let metadata = ParquetMetaDataReader::new()
        .with_page_index_policy(PageIndexPolicy::Skip)
        .parse_and_finish(&Chunks(Arc::clone(source)))
        .map_err(|error| unread(name, error))?;
    check(name, length, &metadata)?;
    let value = |key: &str| {
        let pairs = metadata.file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    };
    let format = value(FORMAT_KEY).ok_or_else(|| damaged(name, "it does not say its format"))?;
    if format != FORMAT_VERSION.to_string() {
        return Err(Error::FileVersion { file: name.to_owned(), found: shortened(format) });
    }
    let table = value(TABLE_KEY).and_then(Table::parse);
    let table = table.ok_or_else(|| damaged(name, "it does not say its table"))?;
    let day = value(DAY_KEY).and_then(Day::parse);
    let day = day.ok_or_else(|| damaged(name, "it does not say its day"))?;
    let tokens = tokens(value(TOKENS_KEY).unwrap_or(""), metadata.num_row_groups(), length)
        .ok_or_else(|| damaged(name, "its filters over tokens are not where they should be"))?;
    Ok(Footer { table, day, tokens, metadata: Arc::new(metadata) })
}

fn shortened(text: &str) -> String {
    text.chars().take(20).collect()
}

fn tokens(text: &str, row_groups: usize, length: u64) -> Option<Vec<(u64, u64)>> {
    if text.is_empty() {
        return Some(vec![(0, 0); row_groups]);
    }
    let filter = |part: &str| {
        let (offset, bytes) = part.split_once(':')?;
        let (offset, bytes) = (offset.parse::<u64>().ok()?, bytes.parse::<u64>().ok()?);
        let fits = offset.checked_add(bytes)? <= length && bytes % super::bloom::BLOCK as u64 == 0;
        fits.then_some((offset, bytes))
    };
    let filters: Vec<(u64, u64)> = text.split(',').map(filter).collect::<Option<_>>()?;
    (filters.len() == row_groups).then_some(filters)
}

fn check(name: &str, length: u64, metadata: &ParquetMetaData) -> Result<(), Error> {
    if metadata.num_row_groups() > ROW_GROUPS_MAX {
        return Err(damaged(name, "it has too many row groups"));
    }
    let within = |start: Option<i64>, bytes: Option<i64>| match (start, bytes) {
        (None, _) => true,
        (Some(start), bytes) => {
            let end = u64::try_from(start).ok().zip(u64::try_from(bytes.unwrap_or(0)).ok());
            end.and_then(|(start, bytes)| start.checked_add(bytes)).is_some_and(|end| end <= length)
        }
    };
    let mut rows = 0_i64;
    for group in metadata.row_groups() {
        rows = rows.saturating_add(group.num_rows());
        let columns = group.columns().iter().all(|column| {
            let start = column.dictionary_page_offset().unwrap_or(column.data_page_offset());
            within(Some(start), Some(column.compressed_size()))
                && within(Some(column.data_page_offset()), None)
                && column.num_values() >= 0
                && within(column.bloom_filter_offset(), column.bloom_filter_length().map(i64::from))
                && within(column.column_index_offset(), column.column_index_length().map(i64::from))
                && within(column.offset_index_offset(), column.offset_index_length().map(i64::from))
        });
        if group.num_rows() < 0 || !columns {
            return Err(damaged(name, "its footer points outside of it"));
        }
    }
    if rows != metadata.file_metadata().num_rows() {
        return Err(damaged(name, "its row groups have not as many rows as it says"));
    }
    Ok(())
}

pub fn damaged(name: &str, reason: &str) -> Error {
    Error::Damaged { file: name.to_owned(), reason: reason.to_owned() }
}

/// What an error of the library means: our own, or one of the medium, that passed through it; else
/// the content is damaged.
pub fn unread(name: &str, error: ParquetError) -> Error {
    match error {
        ParquetError::External(error) => unread_cause(name, error),
        ParquetError::ArrowError(reason) | ParquetError::General(reason) => damaged(name, &reason),
        error => damaged(name, &error.to_string()),
    }
}

/// The same of the errors that its readers of columns give.
pub fn unread_columns(name: &str, error: ArrowError) -> Error {
    match error {
        ArrowError::ExternalError(error) => unread_cause(name, error),
        error => damaged(name, &error.to_string()),
    }
}

fn unread_cause(name: &str, error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    let error = match error.downcast::<Error>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    let error = match error.downcast::<io::Error>() {
        Ok(error) => return unreadable(name, *error),
        Err(error) => error,
    };
    let error = match error.downcast::<ArrowError>() {
        Ok(error) => return unread_columns(name, *error),
        Err(error) => error,
    };
    match error.downcast::<ParquetError>() {
        Ok(error) => unread(name, *error),
        Err(error) => damaged(name, &error.to_string()),
    }
}

/// Calls the library, which trusts some of what it decodes more than a damaged file deserves: where
/// it panics, the file is damaged.
pub fn guarded<T>(name: &str, call: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // Nothing of ours is half changed then: what the call worked on is dropped by the caller.
    catch_unwind(AssertUnwindSafe(call))
        .unwrap_or_else(|_| Err(damaged(name, "what it says contradicts itself")))
}

pub fn unreadable(name: &str, error: io::Error) -> Error {
    Error::io("read", std::path::Path::new(name))(error)
}
