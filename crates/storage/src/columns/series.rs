//! The points of one series while they gather: a list for each thing that points say.
//!
//! Lists that say nothing (no flags, no start times) stay empty and are absent in the table.

use std::ops::Range;

use model::signal::{Exemplar, ExponentialPoint, HistogramPoint, Number, NumberPoint};
use model::signal::{PointHeader, SummaryPoint};

use super::json;
use super::origin::text;

/// Points of a row, at most: a row is read as a whole.
pub const ROW_POINTS_MAX: usize = 1_024;

const DAY_NANOS: i64 = 86_400_000_000_000;

#[derive(Default)]
pub struct Points {
    /// Of the latest point, nanoseconds since 1970.
    pub arrival: i64,
    pub times: Vec<i64>,
    pub start_times: Vec<i64>,
    pub values: Vec<f64>,
    pub integers: Vec<i64>,
    pub rest: Option<Box<Rest>>,
    unsorted: bool,
}

/// What few series have.
#[derive(Default)]
pub struct Rest {
    pub flags: Vec<u32>,
    /// Which of `values` are absent.
    pub absent: Vec<bool>,
    pub counts: Vec<u64>,
    pub bounds: Vec<f64>,
    pub buckets: Vec<u64>,
    pub quantiles: Vec<f64>,
    pub minima: Vec<Option<f64>>,
    pub maxima: Vec<Option<f64>>,
    pub exponential: Vec<Box<str>>,
    pub exemplars: Vec<Option<Box<str>>>,
}

impl Points {
    /// Points of one row as it was stored. Lists are empty, or have as many values for each time.
    pub fn of(
        arrival: i64,
        times: Vec<i64>,
        start_times: Vec<i64>,
        values: Vec<f64>,
        integers: Vec<i64>,
        rest: Option<Rest>,
    ) -> Points {
        let count = times.len();
        let unsorted = !times.is_sorted();
        let rest = rest.map(Box::new);
        let (start_times, values) = (fit(start_times, count), fit(values, count));
        let integers = fit(integers, count);
        Points { arrival, times, start_times, values, integers, rest, unsorted }
    }

    /// Whether points of another row of the same series can be in one row with these.
    pub fn takes(&self, other: &Points) -> bool {
        let day = |points: &Points| points.times.first().map(|time| time.div_euclid(DAY_NANOS));
        let bits = |points: &Points| {
            let bounds = points.rest.as_ref().map_or(&[][..], |rest| &rest.bounds);
            bounds.iter().map(|bound| bound.to_bits()).collect::<Vec<_>>()
        };
        self.times.len() + other.times.len() <= ROW_POINTS_MAX
            && day(self) == day(other)
            && self.integers.is_empty() == other.integers.is_empty()
            && self.values.is_empty() == other.values.is_empty()
            && self.shape() == other.shape()
            && bits(self) == bits(other)
    }

    /// Values for each point of the lists that cannot be filled up.
    fn shape(&self) -> [usize; 4] {
        let count = self.times.len().max(1);
        self.rest.as_ref().map_or([0; 4], |rest| {
            [
                rest.counts.len() / count,
                rest.buckets.len() / count,
                rest.quantiles.len() / count,
                rest.exponential.len() / count,
            ]
        })
    }

    /// Adds points that [`Points::takes`] was true of.
    pub fn append(&mut self, other: Points) {
        let (before, added) = (self.times.len(), other.times.len());
        let touches = self.times.last().zip(other.times.first());
        self.unsorted |= other.unsorted || touches.is_some_and(|(last, first)| last > first);
        self.arrival = self.arrival.max(other.arrival);
        self.times.extend(other.times);
        join(&mut self.start_times, before, other.start_times, added, 0);
        self.values.extend(other.values);
        self.integers.extend(other.integers);
        if let Some(other) = other.rest {
            let rest = self.rest();
            rest.counts.extend(other.counts);
            rest.buckets.extend(other.buckets);
            rest.quantiles.extend(other.quantiles);
            rest.exponential.extend(other.exponential);
            join(&mut rest.flags, before, other.flags, added, 0);
            join(&mut rest.absent, before, other.absent, added, false);
            join(&mut rest.minima, before, other.minima, added, None);
            join(&mut rest.maxima, before, other.maxima, added, None);
            join(&mut rest.exemplars, before, other.exemplars, added, None);
        } else if let Some(rest) = &mut self.rest {
            join(&mut rest.flags, before, Vec::new(), added, 0);
            join(&mut rest.absent, before, Vec::new(), added, false);
            join(&mut rest.minima, before, Vec::new(), added, None);
            join(&mut rest.maxima, before, Vec::new(), added, None);
            join(&mut rest.exemplars, before, Vec::new(), added, None);
        }
    }

    pub fn push_number(&mut self, point: &NumberPoint, arrival: i64) {
        let index = self.push_header(&point.header, arrival);
        match point.value {
            Some(Number::Int(integer)) => self.integers.push(integer),
            Some(Number::Double(value)) => self.push_value(index, Some(value)),
            None => self.push_value(index, None),
        }
    }

    pub fn push_histogram(&mut self, point: &HistogramPoint, arrival: i64) {
        let index = self.push_header(&point.header, arrival);
        self.push_value(index, point.sum);
        let rest = self.rest();
        if index == 0 {
            rest.bounds.clone_from(&point.explicit_bounds);
        }
        rest.counts.push(point.count);
        rest.buckets.extend_from_slice(&point.bucket_counts);
        lazily(&mut rest.minima, index, point.min, None);
        lazily(&mut rest.maxima, index, point.max, None);
    }

    pub fn push_exponential(&mut self, point: &ExponentialPoint, arrival: i64) {
        let index = self.push_header(&point.header, arrival);
        self.push_value(index, point.sum);
        let rest = self.rest();
        rest.counts.push(point.count);
        lazily(&mut rest.minima, index, point.min, None);
        lazily(&mut rest.maxima, index, point.max, None);
        let mut out = Vec::new();
        json::exponential(&mut out, point);
        rest.exponential.push(text(&out).into());
    }

    pub fn push_summary(&mut self, point: &SummaryPoint, arrival: i64) {
        let index = self.push_header(&point.header, arrival);
        self.push_value(index, Some(point.sum));
        let rest = self.rest();
        if index == 0 {
            rest.bounds = point.quantiles.iter().map(|(quantile, _)| *quantile).collect();
        }
        rest.counts.push(point.count);
        rest.quantiles.extend(point.quantiles.iter().map(|(_, value)| *value));
    }

    /// Everything of a point but its value; returns its index.
    fn push_header(&mut self, header: &PointHeader, arrival: i64) -> usize {
        let index = self.times.len();
        let time = header.time_unix_nanos as i64;
        self.unsorted |= self.times.last().is_some_and(|last| *last > time);
        self.times.push(time);
        self.arrival = self.arrival.max(arrival);
        lazily(&mut self.start_times, index, header.start_time_unix_nanos as i64, 0);
        if header.flags != 0 || !header.exemplars.is_empty() || self.rest.is_some() {
            let rest = self.rest();
            lazily(&mut rest.flags, index, header.flags, 0);
            lazily(&mut rest.exemplars, index, exemplars(&header.exemplars), None);
        }
        index
    }

    fn push_value(&mut self, index: usize, value: Option<f64>) {
        self.values.push(value.unwrap_or(0.0));
        if value.is_none() || self.rest.as_ref().is_some_and(|rest| !rest.absent.is_empty()) {
            lazily(&mut self.rest().absent, index, value.is_none(), false);
        }
    }

    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// Puts the points in the order of their times; those of one time stay as they came.
    pub fn sort(&mut self) {
        if !std::mem::take(&mut self.unsorted) {
            return;
        }
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.sort_by_key(|index| self.times[*index]);
        reorder(&mut self.times, &order);
        reorder(&mut self.start_times, &order);
        reorder(&mut self.values, &order);
        reorder(&mut self.integers, &order);
        if let Some(rest) = &mut self.rest {
            reorder(&mut rest.flags, &order);
            reorder(&mut rest.absent, &order);
            reorder(&mut rest.counts, &order);
            reorder(&mut rest.buckets, &order);
            reorder(&mut rest.quantiles, &order);
            reorder(&mut rest.minima, &order);
            reorder(&mut rest.maxima, &order);
            reorder(&mut rest.exponential, &order);
            reorder(&mut rest.exemplars, &order);
        }
    }

    /// Rows that these (sorted) points make: each within one day and not too long.
    pub fn rows(&self) -> Vec<Range<usize>> {
        let mut rows = Vec::with_capacity(1);
        let mut start = 0;
        while start < self.times.len() {
            let day = self.times[start].div_euclid(DAY_NANOS);
            let limit = self.times.len().min(start + ROW_POINTS_MAX);
            let same =
                self.times[start..limit].partition_point(|time| time.div_euclid(DAY_NANOS) == day);
            rows.push(start..start + same);
            start += same;
        }
        rows
    }
}

impl Rest {
    /// `None` where it says nothing; without lists that do not fit `count` points.
    pub fn fitting(mut self, count: usize) -> Option<Rest> {
        self.flags = fit(self.flags, count);
        self.absent = fit(self.absent, count);
        self.counts = fit(self.counts, count);
        self.buckets = fit(self.buckets, count);
        self.quantiles = fit(self.quantiles, count);
        self.minima = fit(self.minima, count);
        self.maxima = fit(self.maxima, count);
        self.exponential = fit(self.exponential, count);
        self.exemplars = fit(self.exemplars, count);
        let lists = [
            self.flags.len(),
            self.absent.len(),
            self.counts.len(),
            self.bounds.len(),
            self.buckets.len(),
            self.quantiles.len(),
            self.minima.len(),
            self.maxima.len(),
            self.exponential.len(),
            self.exemplars.len(),
        ];
        lists.iter().any(|length| *length > 0).then_some(self)
    }
}

/// Pushes `value` to a list that stays empty as long as all are `nothing`.
fn lazily<T: Clone + PartialEq>(list: &mut Vec<T>, index: usize, value: T, nothing: T) {
    if value != nothing || !list.is_empty() {
        list.resize(index, nothing);
        list.push(value);
    }
}

/// Adds a list to one that stays empty as long as all values are `nothing`.
fn join<T: Clone>(list: &mut Vec<T>, before: usize, other: Vec<T>, added: usize, nothing: T) {
    if list.is_empty() && other.is_empty() {
        return;
    }
    list.resize(before, nothing.clone());
    list.extend(other);
    list.resize(before + added, nothing);
}

/// A list of a damaged file that has not a whole number of values for each point says nothing.
fn fit<T>(list: Vec<T>, count: usize) -> Vec<T> {
    if count > 0 && list.len().is_multiple_of(count) { list } else { Vec::new() }
}

/// Brings a list, with one or more values for each point, into a new order of points.
fn reorder<T: Clone>(list: &mut Vec<T>, order: &[usize]) {
    let each = list.len() / order.len().max(1);
    if each > 0 {
        *list = order
            .iter()
            .flat_map(|index| list[index * each..(index + 1) * each].to_vec())
            .collect();
    }
}

fn exemplars(exemplars: &[Exemplar]) -> Option<Box<str>> {
    if exemplars.is_empty() {
        return None;
    }
    let mut out = Vec::new();
    json::exemplars(&mut out, exemplars);
    Some(text(&out).into())
}
