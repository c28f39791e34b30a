//! Attributes of rows: those that people search by into columns of their own, the rest into a map.
//!
//! Invariant: of a key that comes twice, what is read first is what came first. So a value goes to
//! its column only where no earlier one of its key went to the map.

use std::sync::Arc;

use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, MapArray, StructArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Fields};
use model::signal::{AnyValue, Attributes};

use super::column::{Numbers, Plain};
use super::json;
use super::words::{Dictionary, Words};

/// Where values of a key go.
#[derive(Clone, Copy)]
enum Slot {
    Text(usize),
    Integer(usize),
    Map,
}

struct Key {
    slot: Slot,
    /// The row, counted from 1, in which it last went to the map.
    mapped: usize,
}

pub struct Columns {
    promoted_texts: &'static [&'static str],
    promoted_integers: &'static [&'static str],
    pub texts: Vec<Words>,
    pub integers: Vec<Numbers<Int64Type>>,
    /// All keys seen in this chunk; the first are the promoted ones.
    names: Dictionary,
    keys: Vec<Key>,
    /// Key of each attribute of the row before: instrumentation repeats itself.
    trail: Vec<i32>,
    map: Map,
}

impl Columns {
    pub fn new(texts: &'static [&'static str], integers: &'static [&'static str]) -> Columns {
        let mut columns = Columns {
            promoted_texts: texts,
            promoted_integers: integers,
            texts: texts.iter().map(|_| Words::default()).collect(),
            integers: integers.iter().map(|_| Numbers::new()).collect(),
            names: Dictionary::default(),
            keys: Vec::new(),
            trail: Vec::new(),
            map: Map::default(),
        };
        columns.begin();
        columns
    }

    fn begin(&mut self) {
        let texts = self.promoted_texts.iter().enumerate();
        let integers = self.promoted_integers.iter().enumerate();
        let slots = texts
            .map(|(index, name)| (*name, Slot::Text(index)))
            .chain(integers.map(|(index, name)| (*name, Slot::Integer(index))));
        for (name, slot) in slots {
            self.names.intern(name);
            self.keys.push(Key { slot, mapped: 0 });
        }
    }

    pub fn append(&mut self, row: usize, attributes: &Attributes) {
        for (index, (name, value)) in attributes.0.iter().enumerate() {
            let number = self.key(index, name);
            let key = &mut self.keys[number as usize];
            let is_first = key.mapped != row + 1;
            match (key.slot, value) {
                (Slot::Text(column), AnyValue::String(text))
                    if is_first && !self.texts[column].is_set(row) =>
                {
                    self.texts[column].set(row, text);
                }
                (Slot::Integer(column), AnyValue::Int(integer))
                    if is_first && !self.integers[column].is_set(row) =>
                {
                    self.integers[column].set(row, *integer);
                }
                _ => {
                    key.mapped = row + 1;
                    self.map.push(number, value);
                }
            }
        }
        self.map.end_row(row);
    }

    /// The number of the key of the attribute at `index`.
    fn key(&mut self, index: usize, name: &str) -> i32 {
        if let Some(number) = self.trail.get(index)
            && self.names.is(*number, name)
        {
            return *number;
        }
        let number = self.names.intern(name);
        if number as usize == self.keys.len() {
            self.keys.push(Key { slot: Slot::Map, mapped: 0 });
        }
        // Bounded by the longest list of attributes, which the receivers bound.
        if index < self.trail.len() {
            self.trail[index] = number;
        } else if index == self.trail.len() {
            self.trail.push(number);
        }
        number
    }

    pub fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(Words::bytes).sum();
        let integers: usize = self.integers.iter().map(Numbers::bytes).sum();
        texts + integers + self.names.bytes() + self.map.bytes()
    }

    pub fn clear(&mut self) {
        self.texts.iter_mut().for_each(Words::clear);
        self.integers.iter_mut().for_each(Numbers::clear);
        self.names.clear();
        self.keys.clear();
        self.trail.clear();
        self.map.clear();
        self.begin();
    }

    /// In the order of the schema: texts, integers, the map, its types.
    pub fn arrays(&self, rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut arrays = Vec::new();
        for words in &self.texts {
            arrays.push(words.array(rows)?);
        }
        arrays.extend(self.integers.iter().map(|numbers| numbers.array(rows)));
        arrays.extend(self.map.arrays(&self.names, rows)?);
        Ok(arrays)
    }
}

#[derive(Default)]
struct Map {
    keys: Vec<i32>,
    values: Option<Plain>,
    /// End of each row's entries.
    ends: Vec<i32>,
    /// Letters of the open row.
    letters: Vec<u8>,
    types: Words,
}

impl Map {
    fn push(&mut self, key: i32, value: &AnyValue) {
        let entry = self.keys.len();
        let values = self.values.get_or_insert_with(Plain::new);
        self.letters.push(values.set(entry, |out| json::typed(out, value)));
        self.keys.push(key);
    }

    fn end_row(&mut self, row: usize) {
        self.ends.push(self.keys.len() as i32);
        if self.letters.iter().any(|letter| *letter != b's') {
            self.types.set(row, super::origin::text(&self.letters));
        }
        self.letters.clear();
    }

    fn bytes(&self) -> usize {
        let values = self.values.as_ref().map_or(0, Plain::bytes);
        (self.keys.len() + self.ends.len()) * 4 + values + self.types.bytes()
    }

    fn clear(&mut self) {
        self.keys.clear();
        self.values.iter_mut().for_each(Plain::clear);
        self.ends.clear();
        self.types.clear();
    }

    fn arrays(&self, names: &Dictionary, rows: usize) -> Result<[ArrayRef; 2], ArrowError> {
        let entries = self.keys.len();
        let keys = Int32Array::from(self.keys.clone());
        let keys = DictionaryArray::try_new(keys, Arc::new(names.values()?))?;
        let values = match &self.values {
            Some(values) => values.strings(entries)?,
            None => Plain::new().strings(entries)?,
        };
        let (field, fields) = entry_fields()?;
        let entries = StructArray::try_new(fields, vec![Arc::new(keys), Arc::new(values)], None)?;
        let offsets = std::iter::once(0).chain(self.ends.iter().copied());
        let offsets = OffsetBuffer::new(ScalarBuffer::from_iter(offsets));
        let map = MapArray::try_new(field, offsets, entries, None, false)?;
        Ok([Arc::new(map), self.types.array(rows)?])
    }
}

/// As the schema has them.
fn entry_fields() -> Result<(Arc<Field>, Fields), ArrowError> {
    if let DataType::Map(field, _) = crate::schema::attributes_type()
        && let DataType::Struct(fields) = field.data_type()
    {
        return Ok((Arc::clone(&field), fields.clone()));
    }
    Err(ArrowError::SchemaError("attributes are not a map".to_owned()))
}
