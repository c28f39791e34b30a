//! The open chunk of the table `spans`.

use arrow_array::ArrayRef;
use arrow_array::types::{Int64Type, TimestampNanosecondType, UInt32Type};
use arrow_schema::ArrowError;
use model::Timestamp;
use model::signal::{InstrumentationScope, Resource, Span, SpanKind, SpanStatus};

use super::attributes::Columns;
use super::chunks::{Chunks, Rows};
use super::column::{Ids, Numbers, Plain};
use super::json;
use super::origin::{Keys, Origin};
use super::words::Words;
use crate::schema::{SPAN_INTEGERS, SPAN_TEXTS, Table};

pub type Spans = Chunks<Open>;

pub struct Open {
    trace_id: Ids<16>,
    span_id: Ids<8>,
    parent_span_id: Ids<8>,
    time: Numbers<TimestampNanosecondType>,
    duration: Numbers<Int64Type>,
    arrival: Numbers<TimestampNanosecondType>,
    origin: Origin,
    name: Words,
    kind: Words,
    status: Words,
    status_message: Words,
    trace_state: Words,
    flags: Numbers<UInt32Type>,
    attributes: Columns,
    events: Plain,
    links: Plain,
}

impl Open {
    pub fn new() -> Open {
        Open {
            trace_id: Ids::new(),
            span_id: Ids::new(),
            parent_span_id: Ids::new(),
            time: Numbers::new(),
            duration: Numbers::new(),
            arrival: Numbers::new(),
            origin: Origin::default(),
            name: Words::default(),
            kind: Words::default(),
            status: Words::default(),
            status_message: Words::default(),
            trace_state: Words::default(),
            flags: Numbers::new(),
            attributes: Columns::new(SPAN_TEXTS, SPAN_INTEGERS),
            events: Plain::new(),
            links: Plain::new(),
        }
    }
}

impl Rows for Open {
    type Item = Span;
    const TABLE: Table = Table::Spans;

    fn intern(&mut self, resource: &Resource, scope: &InstrumentationScope) -> Keys {
        self.origin.intern(resource, scope)
    }

    fn append(&mut self, row: usize, keys: Keys, span: &Span, arrival: Timestamp) {
        self.trace_id.set(row, &span.trace_id);
        self.span_id.set(row, &span.span_id);
        self.parent_span_id.set_some(row, &span.parent_span_id);
        // The bits are kept: a time after 2262 comes back as it was.
        self.time.set(row, span.start_unix_nanos as i64);
        let duration = span.end_unix_nanos.wrapping_sub(span.start_unix_nanos);
        self.duration.set(row, duration as i64);
        self.arrival.set(row, arrival.as_nanos() as i64);
        self.origin.set(row, keys);
        self.name.set(row, &span.name);
        self.kind.set(row, kind(span.kind));
        self.status.set(row, status(span.status));
        self.status_message.set_some(row, &span.status_message);
        self.trace_state.set_some(row, &span.trace_state);
        self.flags.set(row, span.flags);
        self.attributes.append(row, &span.attributes);
        if !span.events.is_empty() {
            self.events.set(row, |out| json::events(out, &span.events));
        }
        if !span.links.is_empty() {
            self.links.set(row, |out| json::links(out, &span.links));
        }
    }

    fn bytes(&self) -> usize {
        let ids = self.trace_id.bytes() + self.span_id.bytes() + self.parent_span_id.bytes();
        let numbers = self.time.bytes() * 3 + self.flags.bytes();
        let texts = self.name.bytes() * 3 + self.status_message.bytes() + self.trace_state.bytes();
        let json = self.events.bytes() + self.links.bytes();
        ids + numbers + texts + json + self.origin.bytes() + self.attributes.bytes()
    }

    fn clear(&mut self) {
        let words = [
            &mut self.name,
            &mut self.kind,
            &mut self.status,
            &mut self.status_message,
            &mut self.trace_state,
        ];
        words.into_iter().for_each(Words::clear);
        self.trace_id.clear();
        self.span_id.clear();
        self.parent_span_id.clear();
        self.time.clear();
        self.duration.clear();
        self.arrival.clear();
        self.origin.clear();
        self.flags.clear();
        self.attributes.clear();
        self.events.clear();
        self.links.clear();
    }

    fn arrays(&self, rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut arrays = vec![
            self.trace_id.array(rows)?,
            self.span_id.array(rows)?,
            self.parent_span_id.array(rows)?,
            self.time.times(rows),
            self.duration.array(rows),
            self.arrival.times(rows),
        ];
        arrays.extend(self.origin.arrays(rows)?);
        let words = [&self.name, &self.kind, &self.status, &self.status_message, &self.trace_state];
        for words in words {
            arrays.push(words.array(rows)?);
        }
        arrays.push(self.flags.array(rows));
        arrays.extend(self.attributes.arrays(rows)?);
        arrays.push(self.events.array(rows)?);
        arrays.push(self.links.array(rows)?);
        Ok(arrays)
    }
}

fn kind(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "unspecified",
        SpanKind::Internal => "internal",
        SpanKind::Server => "server",
        SpanKind::Client => "client",
        SpanKind::Producer => "producer",
        SpanKind::Consumer => "consumer",
    }
}

fn status(status: SpanStatus) -> &'static str {
    match status {
        SpanStatus::Unset => "unset",
        SpanStatus::Ok => "ok",
        SpanStatus::Error => "error",
    }
}
