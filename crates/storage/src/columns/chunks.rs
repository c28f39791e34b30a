//! Rows that fill chunks: an open one that grows, and those that are full.

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;
use model::Timestamp;
use model::signal::{Group, InstrumentationScope, Resource};

use super::origin::Keys;
use super::{CHUNK_BYTES, CHUNK_ROWS, batch_of};
use crate::Error;
use crate::schema::Table;

/// The open chunk of a table with a row for each item.
pub trait Rows {
    type Item;
    const TABLE: Table;

    fn intern(&mut self, resource: &Resource, scope: &InstrumentationScope) -> Keys;
    fn append(&mut self, row: usize, keys: Keys, item: &Self::Item, arrival: Timestamp);
    fn bytes(&self) -> usize;
    fn clear(&mut self);
    /// In the order of the schema.
    fn arrays(&self, rows: usize) -> Result<Vec<ArrayRef>, ArrowError>;
}

pub struct Chunks<R> {
    open: R,
    open_rows: usize,
    closed: Vec<RecordBatch>,
    closed_rows: usize,
    closed_bytes: usize,
}

impl<R: Rows> Chunks<R> {
    pub fn new(open: R) -> Self {
        Chunks { open, open_rows: 0, closed: Vec::new(), closed_rows: 0, closed_bytes: 0 }
    }

    pub fn append(&mut self, group: &Group<R::Item>, arrival: Timestamp) -> Result<(), Error> {
        let mut items = group.items.as_slice();
        while !items.is_empty() {
            let keys = self.open.intern(&group.resource, &group.scope);
            let (now, later) = items.split_at(items.len().min(CHUNK_ROWS - self.open_rows));
            let mut appended = 0;
            for item in now {
                self.open.append(self.open_rows, keys, item, arrival);
                self.open_rows += 1;
                appended += 1;
                if appended % 64 == 0 && self.open.bytes() > CHUNK_BYTES {
                    break;
                }
            }
            items = if appended == now.len() { later } else { &items[appended..] };
            if self.open_rows == CHUNK_ROWS || self.open.bytes() > CHUNK_BYTES {
                self.close()?;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Error> {
        if self.open_rows == 0 {
            return Ok(());
        }
        let batch = self.open_batch()?;
        self.closed_bytes += self.open.bytes();
        self.closed_rows += self.open_rows;
        self.closed.push(batch);
        self.open.clear();
        self.open_rows = 0;
        Ok(())
    }

    fn open_batch(&self) -> Result<RecordBatch, Error> {
        let arrays = self.open.arrays(self.open_rows);
        let arrays = arrays
            .map_err(|source| Error::Columns { operation: "close a chunk of rows", source })?;
        batch_of(R::TABLE, arrays)
    }

    pub fn rows(&self) -> usize {
        self.closed_rows + self.open_rows
    }

    pub fn bytes(&self) -> usize {
        self.closed_bytes + self.open.bytes()
    }

    pub fn take(&mut self) -> Result<Vec<RecordBatch>, Error> {
        self.close()?;
        self.closed_rows = 0;
        self.closed_bytes = 0;
        Ok(std::mem::take(&mut self.closed))
    }

    pub fn snapshot(&self) -> Result<Vec<RecordBatch>, Error> {
        let mut batches = self.closed.clone();
        if self.open_rows > 0 {
            batches.push(self.open_batch()?);
        }
        Ok(batches)
    }
}
