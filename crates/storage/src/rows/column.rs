//! One column of a batch, read without a copy: whatever its encoding, absent where it is missing.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int32Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType,
    UInt32Type,
};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeBinaryArray, ListArray, MapArray, PrimitiveArray,
    RecordBatch, StringArray,
};
use arrow_schema::{ArrowError, DataType};
use model::Timestamp;

use crate::Error;
use crate::schema::MILLISECOND;

/// Texts, plain or in a dictionary.
#[derive(Clone, Copy)]
pub struct Texts<'a>(TextKind<'a>);

#[derive(Clone, Copy)]
enum TextKind<'a> {
    Absent,
    Plain(&'a StringArray),
    Words(&'a DictionaryArray<Int32Type>, &'a StringArray),
}

impl<'a> Texts<'a> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Texts<'a>, Error> {
        match batch.column_by_name(name) {
            None => Ok(Texts(TextKind::Absent)),
            Some(column) => Texts::of_array(column).ok_or_else(|| wrong_type(name, column)),
        }
    }

    pub(crate) fn of_array(column: &'a ArrayRef) -> Option<Texts<'a>> {
        if let Some(plain) = column.as_string_opt::<i32>() {
            return Some(Texts(TextKind::Plain(plain)));
        }
        let words = column.as_dictionary_opt::<Int32Type>()?;
        Some(Texts(TextKind::Words(words, words.values().as_string_opt::<i32>()?)))
    }

    pub fn get(&self, row: usize) -> Option<&'a str> {
        match self.0 {
            TextKind::Absent => None,
            TextKind::Plain(texts) => {
                (row < texts.len() && texts.is_valid(row)).then(|| texts.value(row))
            }
            TextKind::Words(words, values) => {
                let key = (row < words.len()).then(|| words.key(row))??;
                (key < values.len() && values.is_valid(key)).then(|| values.value(key))
            }
        }
    }

    /// The text, or the empty one where it is absent.
    pub fn text(&self, row: usize) -> &'a str {
        self.get(row).unwrap_or("")
    }

    /// Keys and values of a dictionary, for who wants to judge each value once. `None` where the
    /// texts are plain or absent.
    pub fn words(&self) -> Option<(&'a PrimitiveArray<Int32Type>, &'a StringArray)> {
        match self.0 {
            TextKind::Words(words, values) => Some((words.keys(), values)),
            _ => None,
        }
    }
}

/// Times since 1970, in nanoseconds or milliseconds.
#[derive(Clone, Copy)]
pub struct Times<'a>(Option<TimeKind<'a>>);

#[derive(Clone, Copy)]
enum TimeKind<'a> {
    Nanos(&'a PrimitiveArray<TimestampNanosecondType>),
    Millis(&'a PrimitiveArray<TimestampMillisecondType>),
}

impl<'a> Times<'a> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Times<'a>, Error> {
        let kind = optional(batch, name, |column| {
            let nanos = column.as_primitive_opt().map(TimeKind::Nanos);
            nanos.or_else(|| column.as_primitive_opt().map(TimeKind::Millis))
        })?;
        Ok(Times(kind))
    }

    pub fn get(&self, row: usize) -> Option<Timestamp> {
        match self.0? {
            // The bits are those that came: times after 2262 are negative here.
            TimeKind::Nanos(array) => primitive(Some(array), row).map(|at| Timestamp(at as u64)),
            TimeKind::Millis(array) => {
                let millis = primitive(Some(array), row)?.max(0) as u64;
                Some(Timestamp(millis.saturating_mul(MILLISECOND)))
            }
        }
    }
}

/// Whole numbers of any width.
#[derive(Clone, Copy)]
pub struct Integers<'a>(Option<IntegerKind<'a>>);

#[derive(Clone, Copy)]
enum IntegerKind<'a> {
    I32(&'a PrimitiveArray<Int32Type>),
    I64(&'a PrimitiveArray<Int64Type>),
    U32(&'a PrimitiveArray<UInt32Type>),
}

impl<'a> Integers<'a> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Integers<'a>, Error> {
        let kind = optional(batch, name, |column| match column.data_type() {
            DataType::Int32 => column.as_primitive_opt().map(IntegerKind::I32),
            DataType::Int64 => column.as_primitive_opt().map(IntegerKind::I64),
            DataType::UInt32 => column.as_primitive_opt().map(IntegerKind::U32),
            _ => None,
        })?;
        Ok(Integers(kind))
    }

    pub fn get(&self, row: usize) -> Option<i64> {
        match self.0? {
            IntegerKind::I32(array) => primitive(Some(array), row).map(i64::from),
            IntegerKind::I64(array) => primitive(Some(array), row),
            IntegerKind::U32(array) => primitive(Some(array), row).map(i64::from),
        }
    }
}

/// Identifiers of a fixed length.
#[derive(Clone, Copy)]
pub struct Ids<'a>(Option<&'a FixedSizeBinaryArray>);

impl<'a> Ids<'a> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Ids<'a>, Error> {
        optional(batch, name, |column| column.as_fixed_size_binary_opt()).map(Ids)
    }

    /// `None` where it is absent, or not `N` bytes long.
    pub fn get<const N: usize>(&self, row: usize) -> Option<[u8; N]> {
        let ids = self.0?;
        let bytes = (row < ids.len() && ids.is_valid(row)).then(|| ids.value(row))?;
        bytes.try_into().ok()
    }
}

/// A list of numbers in each row.
#[derive(Clone, Copy)]
pub struct Lists<'a, T: ArrowPrimitiveType>(Option<(&'a ListArray, &'a PrimitiveArray<T>)>);

impl<'a, T: ArrowPrimitiveType> Lists<'a, T> {
    pub fn of(batch: &'a RecordBatch, name: &str) -> Result<Lists<'a, T>, Error> {
        let found = optional(batch, name, |column| {
            let lists = column.as_list_opt::<i32>()?;
            Some((lists, lists.values().as_primitive_opt::<T>()?))
        })?;
        Ok(Lists(found))
    }

    /// The numbers of a row; absent ones have any value ([`Lists::get`] tells them apart).
    pub fn values(&self, row: usize) -> Option<&'a [T::Native]> {
        let (start, end) = self.range(row)?;
        self.0?.1.values().get(start..end)
    }

    /// One number of a row; `None` where it is absent.
    pub fn get(&self, row: usize, index: usize) -> Option<T::Native> {
        let (start, end) = self.range(row)?;
        let at = start.checked_add(index).filter(|at| *at < end)?;
        primitive(Some(self.0?.1), at)
    }

    fn range(&self, row: usize) -> Option<(usize, usize)> {
        list_range(self.0?.0, row)
    }
}

pub(crate) fn list_range(lists: &ListArray, row: usize) -> Option<(usize, usize)> {
    if row >= lists.len() || lists.is_null(row) {
        return None;
    }
    let offsets = lists.value_offsets();
    Some((usize::try_from(offsets[row]).ok()?, usize::try_from(offsets[row + 1]).ok()?))
}

/// The map of attributes that have no column of their own.
#[derive(Clone, Copy)]
pub struct Attributes<'a> {
    map: Option<(&'a MapArray, Texts<'a>, Texts<'a>)>,
    types: Texts<'a>,
}

impl<'a> Attributes<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<Attributes<'a>, Error> {
        let map = optional(batch, "attributes", |column| {
            let map = column.as_map_opt()?;
            Some((map, Texts::of_array(map.keys())?, Texts::of_array(map.values())?))
        })?;
        Ok(Attributes { map, types: Texts::of(batch, "attribute_types")? })
    }

    /// Key, value as stored, and the letter of its type (`schema`), in order.
    pub fn iter(&self, row: usize) -> impl Iterator<Item = (&'a str, &'a str, u8)> + use<'a> {
        let map = self.map.filter(|(map, ..)| row < map.len() && map.is_valid(row));
        let types = self.types.get(row).map(str::as_bytes);
        let range = map.map_or(0..0, |(map, ..)| {
            let offsets = map.value_offsets();
            let at = |index: usize| usize::try_from(offsets[index]).unwrap_or(0);
            at(row)..at(row + 1)
        });
        let start = range.start;
        range.filter_map(move |at| {
            let (_, keys, values) = map?;
            let letter = types.and_then(|types| types.get(at - start)).copied().unwrap_or(b's');
            Some((keys.text(at), values.text(at), letter))
        })
    }

    /// The first value of `key` as stored; text for text and digits for numbers.
    pub fn get(&self, row: usize, key: &str) -> Option<&'a str> {
        self.iter(row).find(|(name, ..)| *name == key).map(|(_, value, _)| value)
    }
}

pub(crate) fn primitive<T: ArrowPrimitiveType>(
    array: Option<&PrimitiveArray<T>>,
    row: usize,
) -> Option<T::Native> {
    let array = array?;
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

pub(crate) fn optional<'a, T>(
    batch: &'a RecordBatch,
    name: &str,
    read: impl FnOnce(&'a ArrayRef) -> Option<T>,
) -> Result<Option<T>, Error> {
    match batch.column_by_name(name) {
        None => Ok(None),
        Some(column) => read(column).map(Some).ok_or_else(|| wrong_type(name, column)),
    }
}

fn wrong_type(name: &str, column: &ArrayRef) -> Error {
    let source = ArrowError::SchemaError(format!("column {name} is of {}", column.data_type()));
    Error::Columns { operation: "read rows", source }
}
