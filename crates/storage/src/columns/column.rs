//! Columns of plain values that are filled row by row; rows that are never set are absent.

use std::sync::Arc;

use arrow_array::types::{ArrowPrimitiveType, ArrowTimestampType};
use arrow_array::{ArrayRef, FixedSizeBinaryArray, PrimitiveArray, StringArray};
use arrow_buffer::{Buffer, NullBuffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;

/// Numbers and times.
pub struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    nulls: Nulls,
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    pub fn new() -> Self {
        Numbers { values: Vec::new(), nulls: Nulls::new() }
    }

    /// Rows are set in ascending order, each at most once.
    pub fn set(&mut self, row: usize, value: T::Native) {
        self.values.resize(row, T::Native::default());
        self.values.push(value);
        self.nulls.set(row);
    }

    pub fn is_set(&self, row: usize) -> bool {
        self.values.len() > row
    }

    pub fn bytes(&self) -> usize {
        self.values.len() * size_of::<T::Native>()
    }

    pub fn clear(&mut self) {
        self.values.clear();
        self.nulls.clear();
    }

    pub fn primitive(&self, rows: usize) -> PrimitiveArray<T> {
        let mut values = self.values.clone();
        values.resize(rows, T::Native::default());
        PrimitiveArray::new(ScalarBuffer::from(values), self.nulls.buffer(rows))
    }

    pub fn array(&self, rows: usize) -> ArrayRef {
        Arc::new(self.primitive(rows))
    }
}

impl<T: ArrowTimestampType> Numbers<T> {
    pub fn times(&self, rows: usize) -> ArrayRef {
        Arc::new(self.primitive(rows).with_timezone("UTC"))
    }
}

/// Identifiers of `N` bytes.
pub struct Ids<const N: usize> {
    bytes: Vec<u8>,
    nulls: Nulls,
}

impl<const N: usize> Ids<N> {
    pub fn new() -> Self {
        Ids { bytes: Vec::new(), nulls: Nulls::new() }
    }

    pub fn set(&mut self, row: usize, id: &[u8; N]) {
        self.bytes.resize(row * N, 0);
        self.bytes.extend_from_slice(id);
        self.nulls.set(row);
    }

    /// Sets it unless it is all zero, which OpenTelemetry takes for absent.
    pub fn set_some(&mut self, row: usize, id: &[u8; N]) {
        if *id != [0; N] {
            self.set(row, id);
        }
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.nulls.clear();
    }

    pub fn array(&self, rows: usize) -> Result<ArrayRef, ArrowError> {
        let mut bytes = self.bytes.clone();
        bytes.resize(rows * N, 0);
        let nulls = self.nulls.buffer(rows);
        Ok(Arc::new(FixedSizeBinaryArray::try_new(N as i32, bytes.into(), nulls)?))
    }
}

/// Texts that seldom repeat.
pub struct Plain {
    bytes: Vec<u8>,
    /// End of each row's text.
    ends: Vec<i32>,
    nulls: Nulls,
}

impl Plain {
    pub fn new() -> Plain {
        Plain { bytes: Vec::new(), ends: Vec::new(), nulls: Nulls::new() }
    }

    /// `write` appends UTF-8 and nothing else; the chunk's bound keeps offsets within 31 bits.
    pub fn set<R>(&mut self, row: usize, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        self.ends.resize(row, self.bytes.len() as i32);
        let result = write(&mut self.bytes);
        self.ends.push(self.bytes.len() as i32);
        self.nulls.set(row);
        result
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.nulls.clear();
    }

    pub fn array(&self, rows: usize) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(self.strings(rows)?))
    }

    pub fn strings(&self, rows: usize) -> Result<StringArray, ArrowError> {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        offsets.extend_from_slice(&self.ends);
        offsets.resize(rows + 1, self.bytes.len() as i32);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        StringArray::try_new(offsets, Buffer::from_slice_ref(&self.bytes), self.nulls.buffer(rows))
    }
}

/// Which rows were set.
pub struct Nulls {
    builder: NullBufferBuilder,
}

impl Nulls {
    pub fn new() -> Nulls {
        Nulls { builder: NullBufferBuilder::new(0) }
    }

    pub fn set(&mut self, row: usize) {
        let missing = row - self.builder.len();
        if missing > 0 {
            self.builder.append_n_nulls(missing);
        }
        self.builder.append_non_null();
    }

    pub fn clear(&mut self) {
        self.builder = NullBufferBuilder::new(0);
    }

    /// `None` where all rows are set.
    pub fn buffer(&self, rows: usize) -> Option<NullBuffer> {
        let set = self.builder.len();
        if set == 0 && rows > 0 {
            return Some(NullBuffer::new_null(rows));
        }
        let known = self.builder.finish_cloned();
        if set >= rows {
            return known;
        }
        let is_set =
            |row: usize| row < set && known.as_ref().is_none_or(|known| known.is_valid(row));
        Some((0..rows).map(is_set).collect())
    }
}
