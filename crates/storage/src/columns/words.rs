//! A column of texts that repeat: each distinct text once, and a key for each row.

use std::hash::BuildHasher;
use std::sync::Arc;

use arrow_array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::ArrowError;
use hashbrown::{DefaultHashBuilder, HashTable};

/// Distinct texts, numbered in the order in which they came.
#[derive(Default)]
pub struct Dictionary {
    table: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// All texts, one after the other.
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Dictionary {
    /// The number of `text`. The caller bounds how many bytes come in before [`Dictionary::clear`].
    pub fn intern(&mut self, text: &str) -> i32 {
        let hash = self.hasher.hash_one(text.as_bytes());
        let Dictionary { table, bytes, ends, .. } = self;
        let equal = |number: &u32| slice(bytes, ends, *number) == text.as_bytes();
        if let Some(number) = table.find(hash, equal) {
            return *number as i32;
        }
        let number = ends.len() as u32;
        bytes.extend_from_slice(text.as_bytes());
        ends.push(bytes.len() as u32);
        let hasher = &self.hasher;
        table.insert_unique(hash, number, |other| hasher.hash_one(slice(bytes, ends, *other)));
        number as i32
    }

    pub fn number_of(&self, text: &str) -> Option<i32> {
        let hash = self.hasher.hash_one(text.as_bytes());
        let equal = |number: &u32| slice(&self.bytes, &self.ends, *number) == text.as_bytes();
        self.table.find(hash, equal).map(|number| *number as i32)
    }

    pub fn is(&self, number: i32, text: &str) -> bool {
        (number as usize) < self.ends.len()
            && slice(&self.bytes, &self.ends, number as u32) == text.as_bytes()
    }

    pub fn bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 12
    }

    pub fn clear(&mut self) {
        self.table.clear();
        self.bytes.clear();
        self.ends.clear();
    }

    pub fn values(&self) -> Result<StringArray, ArrowError> {
        let offsets = std::iter::once(0).chain(self.ends.iter().map(|end| *end as i32));
        let offsets = OffsetBuffer::new(ScalarBuffer::from_iter(offsets));
        StringArray::try_new(offsets, Buffer::from_slice_ref(&self.bytes), None)
    }
}

fn slice<'a>(bytes: &'a [u8], ends: &[u32], number: u32) -> &'a [u8] {
    let number = number as usize;
    let start = if number == 0 { 0 } else { ends[number - 1] as usize };
    &bytes[start..ends[number] as usize]
}

/// No text in this row.
const ABSENT: i32 = -1;

/// The column: rows that are never set are absent.
#[derive(Default)]
pub struct Words {
    pub dictionary: Dictionary,
    keys: Vec<i32>,
}

impl Words {
    /// Rows are set in ascending order, each at most once.
    pub fn set(&mut self, row: usize, text: &str) {
        let key = self.dictionary.intern(text);
        self.set_key(row, key);
    }

    pub fn set_key(&mut self, row: usize, key: i32) {
        self.keys.resize(row, ABSENT);
        self.keys.push(key);
    }

    /// Sets it unless it is empty.
    pub fn set_some(&mut self, row: usize, text: &str) {
        if !text.is_empty() {
            self.set(row, text);
        }
    }

    pub fn is_set(&self, row: usize) -> bool {
        self.keys.len() > row
    }

    /// Rows that have this text.
    pub fn rows_of(&self, text: &str) -> impl Iterator<Item = usize> {
        let rows = self.keys.iter().enumerate();
        let number = self.dictionary.number_of(text);
        rows.filter(move |(_, key)| Some(**key) == number).map(|(row, _)| row)
    }

    pub fn bytes(&self) -> usize {
        self.dictionary.bytes() + self.keys.len() * 4
    }

    pub fn clear(&mut self) {
        self.dictionary.clear();
        self.keys.clear();
    }

    pub fn array(&self, rows: usize) -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(DictionaryArray::try_new(
            self.keys(rows),
            Arc::new(self.dictionary.values()?),
        )?))
    }

    fn keys(&self, rows: usize) -> Int32Array {
        if self.keys.is_empty() {
            return Int32Array::new(vec![0; rows].into(), Some(NullBuffer::new_null(rows)));
        }
        let mut keys = self.keys.clone();
        keys.resize(rows, ABSENT);
        let nulls = keys
            .contains(&ABSENT)
            .then(|| keys.iter().map(|key| *key != ABSENT).collect::<NullBuffer>());
        if nulls.is_some() {
            keys.iter_mut().filter(|key| **key == ABSENT).for_each(|key| *key = 0);
        }
        Int32Array::new(keys.into(), nulls)
    }
}
