//! The tables in memory: what was received lately, in columns, until it is written to files.
//!
//! One [`Hot`] belongs to one writer thread. Spans and log records fill chunks of [`CHUNK_ROWS`]
//! rows, each closed into a shared `RecordBatch` when it is full, so that a query's snapshot costs
//! no more than the open chunk. Samples are gathered by series, so that a file has a row for each
//! series and not for each sample. Texts that repeat are kept once for each chunk.
//!
//! Invariants: nothing that was appended is dropped or changed (`rows` gives it back); a chunk's
//! dictionaries have at most as many words as the chunk has values.
//!
//! Not here: bounds on memory. [`Hot::bytes`] says how much there is; who owns it decides.

mod attributes;
mod chunks;
mod column;
mod engine;
mod lists;
mod logs;
mod origin;
mod samples;
mod series;
mod spans;
mod words;

pub(crate) mod json;

#[cfg(test)]
pub(crate) mod tests;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::Batch;

pub(crate) use lists::Lists as ListColumns;
pub(crate) use series::{Points, Rest};
pub(crate) use words::Dictionary;

pub use engine::{EngineKind, EngineSample};

use crate::Error;
use crate::schema::Table;

/// Rows of a chunk.
pub const CHUNK_ROWS: usize = 8_192;
/// A chunk of large rows is closed earlier, about here: offsets into its texts have 31 bits.
const CHUNK_BYTES: usize = 16 << 20;

/// The three tables of one writer.
pub struct Hot {
    spans: spans::Spans,
    logs: logs::Logs,
    samples: samples::Samples,
}

impl Default for Hot {
    fn default() -> Self {
        Hot::new()
    }
}

impl Hot {
    pub fn new() -> Hot {
        Hot {
            spans: spans::Spans::new(spans::Open::new()),
            logs: logs::Logs::new(logs::Open::new()),
            samples: samples::Samples::new(),
        }
    }

    pub fn append(&mut self, batch: &Batch, arrival: Timestamp) -> Result<(), Error> {
        match batch {
            Batch::Traces(groups) => {
                groups.iter().try_for_each(|group| self.spans.append(group, arrival))
            }
            Batch::Logs(groups) => {
                groups.iter().try_for_each(|group| self.logs.append(group, arrival))
            }
            Batch::Metrics(groups) => {
                groups.iter().for_each(|group| self.samples.append(group, arrival));
                Ok(())
            }
        }
    }

    pub fn append_engine(&mut self, samples: &[EngineSample]) {
        self.samples.append_engine(samples);
    }

    /// Memory in use, about.
    pub fn bytes(&self) -> usize {
        self.spans.bytes() + self.logs.bytes() + self.samples.bytes()
    }

    /// Spans, log records and points.
    pub fn rows(&self) -> usize {
        self.spans.rows() + self.logs.rows() + self.samples.points()
    }

    /// All of it; nothing remains here.
    pub fn take(&mut self) -> Result<Sealed, Error> {
        Ok(Sealed {
            spans: self.spans.take()?,
            logs: self.logs.take()?,
            samples: self.samples.take()?,
        })
    }

    /// What there is of a table at this moment; of samples, those of `metric` where one is named.
    pub fn snapshot(
        &mut self,
        table: Table,
        metric: Option<&str>,
    ) -> Result<Vec<RecordBatch>, Error> {
        match table {
            Table::Spans => self.spans.snapshot(),
            Table::Logs => self.logs.snapshot(),
            Table::Samples => self.samples.snapshot(metric),
        }
    }
}

/// What one writer had gathered when it was sealed.
#[derive(Clone, Debug, Default)]
pub struct Sealed {
    pub spans: Vec<RecordBatch>,
    pub logs: Vec<RecordBatch>,
    pub samples: Vec<RecordBatch>,
}

impl Sealed {
    pub fn table(&self, table: Table) -> &[RecordBatch] {
        match table {
            Table::Spans => &self.spans,
            Table::Logs => &self.logs,
            Table::Samples => &self.samples,
        }
    }

    /// As [`Hot::snapshot`].
    pub fn snapshot(&self, table: Table, metric: Option<&str>) -> Result<Vec<RecordBatch>, Error> {
        match (table, metric) {
            (Table::Samples, Some(metric)) => samples::of_metric(&self.samples, metric),
            _ => Ok(self.table(table).to_vec()),
        }
    }

    pub fn rows(&self) -> usize {
        Table::ALL.iter().flat_map(|table| self.table(*table)).map(RecordBatch::num_rows).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.rows() == 0
    }

    /// Memory in use, about.
    pub fn bytes(&self) -> usize {
        let batches = Table::ALL.iter().flat_map(|table| self.table(*table));
        batches.map(RecordBatch::get_array_memory_size).sum()
    }
}

/// A chunk as a batch of its table.
fn batch_of(table: Table, columns: Vec<arrow_array::ArrayRef>) -> Result<RecordBatch, Error> {
    RecordBatch::try_new(table.schema(), columns)
        .map_err(|source| Error::Columns { operation: "close a chunk of rows", source })
}
