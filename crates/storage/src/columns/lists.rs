//! Points of series as list columns, in the order of the schema.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::ArrayBuilder as _;
use arrow_array::builder::StringBuilder;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int64Type, TimestampNanosecondType};
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, ListArray, PrimitiveArray};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field};

use super::series::{Points, Rest};

/// Rows of a batch: which points of which series.
pub struct Lists<'a> {
    pub points: &'a [Points],
    pub rows: &'a [(usize, Range<usize>)],
}

impl<'a> Lists<'a> {
    /// time, end_time, arrival, points.
    pub fn summary(&self) -> [ArrayRef; 4] {
        let time = |pick: fn(&Points, &Range<usize>) -> i64| {
            let times = self.rows.iter().map(|(row, range)| pick(&self.points[*row], range));
            let times = PrimitiveArray::<TimestampNanosecondType>::from_iter_values(times);
            Arc::new(times.with_timezone("UTC")) as ArrayRef
        };
        let counts = self.rows.iter().map(|(_, range)| range.len() as u32);
        [
            time(|points, range| points.times[range.start]),
            time(|points, range| points.times[range.end - 1]),
            time(|points, _| points.arrival),
            Arc::new(PrimitiveArray::<UInt32Type>::from_iter_values(counts)),
        ]
    }

    pub fn arrays(&self) -> Result<Vec<ArrayRef>, ArrowError> {
        Ok(vec![
            self.numbers::<Int64Type>(|points| &points.times)?,
            self.numbers::<Int64Type>(|points| &points.start_times)?,
            self.numbers::<UInt32Type>(|points| rest(points, |rest| &rest.flags))?,
            self.values()?,
            self.numbers::<Int64Type>(|points| &points.integers)?,
            self.numbers::<UInt64Type>(|points| rest(points, |rest| &rest.counts))?,
            self.bounds()?,
            self.turned::<UInt64Type>(|points| rest(points, |rest| &rest.buckets))?,
            self.turned::<Float64Type>(|points| rest(points, |rest| &rest.quantiles))?,
            self.optional(|rest| &rest.minima)?,
            self.optional(|rest| &rest.maxima)?,
            self.texts(false, |rest| Box::new(rest.exponential.iter().map(|text| Some(&**text))))?,
            self.texts(true, |rest| Box::new(rest.exemplars.iter().map(Option::as_deref)))?,
        ])
    }

    /// A list with the same number of values for each point: the first of each, the second of
    /// each, …, so that neighbours differ little.
    fn turned<T: ArrowPrimitiveType>(
        &self,
        list: impl Fn(&'a Points) -> &'a [T::Native],
    ) -> Result<ArrayRef, ArrowError> {
        let mut values: Vec<T::Native> = Vec::new();
        let mut lengths = Vec::with_capacity(self.rows.len());
        for (row, range) in self.rows {
            let points = &self.points[*row];
            let list = list(points);
            let each = list.len() / points.times.len().max(1);
            for nth in 0..each {
                values.extend(range.clone().map(|point| list[point * each + nth]));
            }
            lengths.push(range.len() * each);
        }
        let values = PrimitiveArray::<T>::new(values.into(), None);
        list_array(T::DATA_TYPE, false, &lengths, Arc::new(values))
    }

    /// A list with a value for each point.
    fn numbers<T: ArrowPrimitiveType>(
        &self,
        list: impl Fn(&'a Points) -> &'a [T::Native],
    ) -> Result<ArrayRef, ArrowError> {
        let mut values: Vec<T::Native> = Vec::new();
        let mut lengths = Vec::with_capacity(self.rows.len());
        for (row, range) in self.rows {
            let points = &self.points[*row];
            let part = list(points).get(range.clone()).unwrap_or_default();
            values.extend_from_slice(part);
            lengths.push(part.len());
        }
        let values = PrimitiveArray::<T>::new(values.into(), None);
        list_array(T::DATA_TYPE, false, &lengths, Arc::new(values))
    }

    /// Values and sums, of which some are absent.
    fn values(&self) -> Result<ArrayRef, ArrowError> {
        let mut values = Vec::new();
        let mut present = Vec::new();
        let mut lengths = Vec::with_capacity(self.rows.len());
        for (row, range) in self.rows {
            let points = &self.points[*row];
            let part = points.values.get(range.clone()).unwrap_or_default();
            let absent = rest(points, |rest| &rest.absent).get(range.clone());
            values.extend_from_slice(part);
            if absent.is_some() && present.is_empty() {
                present.resize(values.len() - part.len(), true);
            }
            match absent {
                Some(absent) => present.extend(absent.iter().map(|absent| !absent)),
                None if !present.is_empty() => present.resize(values.len(), true),
                None => {}
            }
            lengths.push(part.len());
        }
        let nulls = (!present.is_empty()).then(|| NullBuffer::from(present));
        let values = PrimitiveArray::<Float64Type>::new(values.into(), nulls);
        list_array(DataType::Float64, true, &lengths, Arc::new(values))
    }

    fn optional(&self, list: impl Fn(&Rest) -> &Vec<Option<f64>>) -> Result<ArrayRef, ArrowError> {
        let mut values = Vec::new();
        let mut lengths = Vec::with_capacity(self.rows.len());
        for (row, range) in self.rows {
            let part = rest(&self.points[*row], &list).get(range.clone()).unwrap_or_default();
            values.extend_from_slice(part);
            lengths.push(part.len());
        }
        let values = PrimitiveArray::<Float64Type>::from(values);
        list_array(DataType::Float64, true, &lengths, Arc::new(values))
    }

    /// The same for all points of a row.
    fn bounds(&self) -> Result<ArrayRef, ArrowError> {
        let mut values = Vec::new();
        let mut lengths = Vec::with_capacity(self.rows.len());
        for (row, _) in self.rows {
            let bounds = rest(&self.points[*row], |rest| &rest.bounds);
            values.extend_from_slice(bounds);
            lengths.push(bounds.len());
        }
        let values = PrimitiveArray::<Float64Type>::new(values.into(), None);
        list_array(DataType::Float64, false, &lengths, Arc::new(values))
    }

    fn texts(
        &self,
        nullable: bool,
        list: impl for<'r> Fn(&'r Rest) -> Box<dyn Iterator<Item = Option<&'r str>> + 'r>,
    ) -> Result<ArrayRef, ArrowError> {
        let mut texts = StringBuilder::new();
        let mut lengths = Vec::with_capacity(self.rows.len());
        for (row, range) in self.rows {
            let before = texts.len();
            if let Some(rest) = &self.points[*row].rest {
                let part = list(rest).skip(range.start).take(range.len());
                part.for_each(|text| texts.append_option(text));
            }
            lengths.push(texts.len() - before);
        }
        list_array(DataType::Utf8, nullable, &lengths, Arc::new(texts.finish()))
    }
}

fn rest<'a, T>(points: &'a Points, list: impl Fn(&'a Rest) -> &'a Vec<T>) -> &'a [T] {
    points.rest.as_ref().map_or(&[], |rest| list(rest).as_slice())
}

/// Rows of no length are absent.
fn list_array(
    item: DataType,
    item_nullable: bool,
    lengths: &[usize],
    values: ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    let mut end = 0_i32;
    let mut offsets = Vec::with_capacity(lengths.len() + 1);
    offsets.push(0);
    for length in lengths {
        let next = i32::try_from(*length).ok().and_then(|length| end.checked_add(length));
        end = next.ok_or_else(|| ArrowError::OffsetOverflowError(*length))?;
        offsets.push(end);
    }
    let nulls = lengths.contains(&0).then(|| lengths.iter().map(|length| *length > 0).collect());
    let field = Arc::new(Field::new("element", item, item_nullable));
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(ListArray::try_new(field, offsets, values, nulls)?))
}
