//! Picks rows out of many batches into one, in any order.
//!
//! The batches' dictionaries are joined first, once, so that picking a row of a text that repeats
//! costs a number; the library's own routine would join them for each batch that is made.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int32Array, MapArray, RecordBatch, RecordBatchOptions,
    StringArray, StructArray,
};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, FieldRef, SchemaRef};
use arrow_select::interleave::interleave;

use crate::columns::Dictionary;

/// Batches of one schema, ready to be picked from.
pub struct Gather {
    schema: SchemaRef,
    columns: Vec<Column>,
}

enum Column {
    /// Nobody says anything.
    Absent,
    Words(Words),
    Map {
        field: FieldRef,
        keys: Words,
        values: Vec<StringArray>,
        offsets: Vec<OffsetBuffer<i32>>,
    },
    Other(Vec<ArrayRef>),
}

/// Keys of each batch into one dictionary.
struct Words {
    keys: Vec<Int32Array>,
    values: Arc<StringArray>,
}

/// Batch and row.
pub type Place = (u32, u32);

impl Gather {
    pub fn new(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Gather, ArrowError> {
        let columns = (0..schema.fields().len()).map(|index| {
            let arrays: Vec<&ArrayRef> = batches.iter().map(|batch| batch.column(index)).collect();
            Column::new(schema.field(index).data_type(), &arrays)
        });
        Ok(Gather { schema: Arc::clone(schema), columns: columns.collect::<Result<_, _>>()? })
    }

    pub fn pick(&self, places: &[Place]) -> Result<RecordBatch, ArrowError> {
        let wide: Vec<(usize, usize)> =
            places.iter().map(|(batch, row)| (*batch as usize, *row as usize)).collect();
        let arrays = self.columns.iter().enumerate().map(|(index, column)| {
            column.pick(self.schema.field(index).data_type(), places, &wide)
        });
        RecordBatch::try_new(Arc::clone(&self.schema), arrays.collect::<Result<_, _>>()?)
    }

    /// Some columns only, by name.
    pub fn pick_named(&self, names: &[&str], places: &[Place]) -> Result<RecordBatch, ArrowError> {
        let indices: Vec<usize> =
            names.iter().map(|name| self.schema.index_of(name)).collect::<Result<_, _>>()?;
        let mut arrays = Vec::with_capacity(names.len());
        for index in &indices {
            arrays.extend(self.pick_columns(*index..*index + 1, places)?);
        }
        let schema = Arc::new(self.schema.project(&indices)?);
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        RecordBatch::try_new_with_options(schema, arrays, &options)
    }

    /// Some columns only, each as an array.
    pub fn pick_columns(
        &self,
        columns: std::ops::Range<usize>,
        places: &[Place],
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let wide: Vec<(usize, usize)> =
            places.iter().map(|(batch, row)| (*batch as usize, *row as usize)).collect();
        columns
            .map(|index| {
                self.columns[index].pick(self.schema.field(index).data_type(), places, &wide)
            })
            .collect()
    }
}

impl Column {
    fn new(data_type: &DataType, arrays: &[&ArrayRef]) -> Result<Column, ArrowError> {
        if arrays.iter().all(|array| array.null_count() == array.len()) {
            return Ok(Column::Absent);
        }
        match data_type {
            DataType::Dictionary(..) => {
                let words = arrays.iter().map(|array| array.as_dictionary_opt::<Int32Type>());
                Ok(Column::Words(Words::join(&all(words)?)?))
            }
            DataType::Map(field, _) => {
                let maps = all(arrays.iter().map(|array| array.as_map_opt()))?;
                let keys = maps.iter().map(|map| map.keys().as_dictionary_opt::<Int32Type>());
                let values = maps.iter().map(|map| map.values().as_string_opt::<i32>());
                Ok(Column::Map {
                    field: Arc::clone(field),
                    keys: Words::join(&all(keys)?)?,
                    values: all(values)?.into_iter().cloned().collect(),
                    offsets: maps.iter().map(|map| map.offsets().clone()).collect(),
                })
            }
            _ => Ok(Column::Other(arrays.iter().map(|array| Arc::clone(array)).collect())),
        }
    }

    fn pick(
        &self,
        data_type: &DataType,
        places: &[Place],
        wide: &[(usize, usize)],
    ) -> Result<ArrayRef, ArrowError> {
        match self {
            Column::Absent => Ok(arrow_array::new_null_array(data_type, places.len())),
            Column::Words(words) => words.pick(places),
            Column::Map { field, keys, values, offsets } => {
                pick_map(field, keys, values, offsets, places)
            }
            Column::Other(arrays) => {
                let arrays: Vec<&dyn Array> = arrays.iter().map(|array| &**array).collect();
                interleave(&arrays, wide)
            }
        }
    }
}

fn all<T>(arrays: impl Iterator<Item = Option<T>>) -> Result<Vec<T>, ArrowError> {
    let wrong = || ArrowError::SchemaError("a column is not of its table's type".to_owned());
    arrays.map(|array| array.ok_or_else(wrong)).collect()
}

impl Words {
    fn join(arrays: &[&DictionaryArray<Int32Type>]) -> Result<Words, ArrowError> {
        let values = all(arrays.iter().map(|array| array.values().as_string_opt::<i32>()))?;
        if let Some(first) = values.first()
            && arrays.iter().all(|array| Arc::ptr_eq(array.values(), arrays[0].values()))
        {
            let keys = arrays.iter().map(|array| array.keys().clone()).collect();
            return Ok(Words { keys, values: Arc::new((*first).clone()) });
        }
        let mut joined = Dictionary::default();
        let mut keys = Vec::with_capacity(arrays.len());
        for (array, values) in arrays.iter().zip(values) {
            let numbers: Vec<i32> =
                (0..values.len()).map(|index| joined.intern(values.value(index))).collect();
            let number = |key: &i32| numbers.get(*key as usize).copied().unwrap_or(0);
            let mapped: Vec<i32> = array.keys().values().iter().map(number).collect();
            keys.push(Int32Array::new(mapped.into(), array.keys().nulls().cloned()));
        }
        Ok(Words { keys, values: Arc::new(joined.values()?) })
    }

    fn pick(&self, places: &[Place]) -> Result<ArrayRef, ArrowError> {
        let key = |(batch, row): &Place| self.keys[*batch as usize].values()[*row as usize];
        let keys: Vec<i32> = places.iter().map(key).collect();
        let nulls = self.keys.iter().any(|keys| keys.null_count() > 0).then(|| {
            let valid = |(batch, row): &Place| self.keys[*batch as usize].is_valid(*row as usize);
            places.iter().map(valid).collect::<NullBuffer>()
        });
        self.array(keys, nulls)
    }

    fn array(&self, keys: Vec<i32>, nulls: Option<NullBuffer>) -> Result<ArrayRef, ArrowError> {
        let keys = Int32Array::new(keys.into(), nulls.filter(|nulls| nulls.null_count() > 0));
        let values = Arc::clone(&self.values) as ArrayRef;
        Ok(Arc::new(DictionaryArray::try_new(keys, values)?))
    }
}

fn pick_map(
    field: &FieldRef,
    keys: &Words,
    values: &[StringArray],
    offsets: &[OffsetBuffer<i32>],
    places: &[Place],
) -> Result<ArrayRef, ArrowError> {
    let mut numbers = Vec::new();
    let mut ends = Vec::with_capacity(places.len() + 1);
    let mut bytes: Vec<u8> = Vec::new();
    let mut text_ends = vec![0_i32];
    ends.push(0_i32);
    for (batch, row) in places {
        let batch = *batch as usize;
        let range = |index: usize| offsets[batch][index] as usize;
        let (start, end) = (range(*row as usize), range(*row as usize + 1));
        numbers.extend_from_slice(&keys.keys[batch].values()[start..end]);
        let texts = values[batch].value_offsets();
        let base = bytes.len() as i64 - i64::from(texts[start]);
        let part = texts[start] as usize..texts[end] as usize;
        bytes.extend_from_slice(&values[batch].value_data()[part]);
        // Fits: checked below, before anything reads them.
        text_ends.extend(texts[start + 1..=end].iter().map(|end| (i64::from(*end) + base) as i32));
        ends.push(numbers.len() as i32);
    }
    if i32::try_from(bytes.len()).is_err() {
        return Err(ArrowError::OffsetOverflowError(bytes.len()));
    }
    let DataType::Struct(fields) = field.data_type() else {
        return Err(ArrowError::SchemaError("a map without entries".to_owned()));
    };
    let offsets = OffsetBuffer::new(ScalarBuffer::from(text_ends));
    let texts = StringArray::try_new(offsets, Buffer::from_vec(bytes), None)?;
    let keys = keys.array(numbers, None)?;
    let entries = StructArray::try_new(fields.clone(), vec![keys, Arc::new(texts)], None)?;
    let offsets = OffsetBuffer::new(ScalarBuffer::from(ends));
    Ok(Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, None, false)?))
}
