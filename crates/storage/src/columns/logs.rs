//! The open chunk of the table `logs`.

use arrow_array::ArrayRef;
use arrow_array::types::{
    Int32Type, Int64Type, TimestampMillisecondType, TimestampNanosecondType, UInt32Type,
};
use arrow_schema::ArrowError;
use model::Timestamp;
use model::signal::{AnyValue, InstrumentationScope, LogRecord, Resource};

use super::attributes::Columns;
use super::chunks::{Chunks, Rows};
use super::column::{Ids, Numbers, Plain};
use super::json;
use super::origin::{Keys, Origin};
use super::words::Words;
use crate::schema::{LOG_TEXTS, MILLISECOND, Table, kept_arrival};

pub type Logs = Chunks<Open>;

pub struct Open {
    time: Numbers<TimestampNanosecondType>,
    time_from: Words,
    observed_delay: Numbers<Int64Type>,
    arrival: Numbers<TimestampMillisecondType>,
    origin: Origin,
    severity_number: Numbers<Int32Type>,
    severity_text: Words,
    body: Plain,
    body_type: Words,
    trace_id: Ids<16>,
    span_id: Ids<8>,
    flags: Numbers<UInt32Type>,
    event_name: Words,
    attributes: Columns,
}

impl Open {
    pub fn new() -> Open {
        Open {
            time: Numbers::new(),
            time_from: Words::default(),
            observed_delay: Numbers::new(),
            arrival: Numbers::new(),
            origin: Origin::default(),
            severity_number: Numbers::new(),
            severity_text: Words::default(),
            body: Plain::new(),
            body_type: Words::default(),
            trace_id: Ids::new(),
            span_id: Ids::new(),
            flags: Numbers::new(),
            event_name: Words::default(),
            attributes: Columns::new(LOG_TEXTS, &[]),
        }
    }

    fn set_body(&mut self, row: usize, body: &AnyValue) {
        if *body == AnyValue::Empty {
            return;
        }
        let letter = self.body.set(row, |out| json::typed(out, body));
        if letter != b's' {
            self.body_type.set(row, super::origin::text(&[letter]));
        }
    }
}

impl Rows for Open {
    type Item = LogRecord;
    const TABLE: Table = Table::Logs;

    fn intern(&mut self, resource: &Resource, scope: &InstrumentationScope) -> Keys {
        self.origin.intern(resource, scope)
    }

    fn append(&mut self, row: usize, keys: Keys, record: &LogRecord, arrival: Timestamp) {
        let arrival = kept_arrival(arrival);
        let observed = record.observed_time_unix_nanos as i64;
        let (time, from) = match (record.time_unix_nanos as i64, observed) {
            (0, 0) => (arrival.as_nanos() as i64, "arrival"),
            (0, observed) => (observed, "observed"),
            (time, _) => (time, ""),
        };
        self.time.set(row, time);
        self.time_from.set_some(row, from);
        if observed != 0 {
            self.observed_delay.set(row, observed.wrapping_sub(time));
        }
        // Fits: a u64 of nanoseconds.
        self.arrival.set(row, (arrival.as_nanos() / MILLISECOND) as i64);
        self.origin.set(row, keys);
        self.severity_number.set(row, record.severity_number);
        self.severity_text.set_some(row, &record.severity_text);
        self.set_body(row, &record.body);
        self.trace_id.set_some(row, &record.trace_id);
        self.span_id.set_some(row, &record.span_id);
        self.flags.set(row, record.flags);
        self.event_name.set_some(row, &record.event_name);
        self.attributes.append(row, &record.attributes);
    }

    fn bytes(&self) -> usize {
        let numbers = self.time.bytes() * 3 + self.flags.bytes() * 2;
        let ids = self.trace_id.bytes() + self.span_id.bytes();
        let texts = self.severity_text.bytes() + self.body.bytes() + self.event_name.bytes();
        numbers + ids + texts + self.origin.bytes() + self.attributes.bytes()
    }

    fn clear(&mut self) {
        let words = [
            &mut self.time_from,
            &mut self.severity_text,
            &mut self.body_type,
            &mut self.event_name,
        ];
        words.into_iter().for_each(Words::clear);
        self.time.clear();
        self.observed_delay.clear();
        self.arrival.clear();
        self.origin.clear();
        self.severity_number.clear();
        self.body.clear();
        self.trace_id.clear();
        self.span_id.clear();
        self.flags.clear();
        self.attributes.clear();
    }

    fn arrays(&self, rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut arrays = vec![
            self.time.times(rows),
            self.time_from.array(rows)?,
            self.observed_delay.array(rows),
            self.arrival.times(rows),
        ];
        arrays.extend(self.origin.arrays(rows)?);
        arrays.extend([
            self.severity_number.array(rows),
            self.severity_text.array(rows)?,
            self.body.array(rows)?,
            self.body_type.array(rows)?,
            self.trace_id.array(rows)?,
            self.span_id.array(rows)?,
            self.flags.array(rows),
            self.event_name.array(rows)?,
        ]);
        arrays.extend(self.attributes.arrays(rows)?);
        Ok(arrays)
    }
}
