//! How telemetry looks at rest: the tables and their columns, as Arrow schemas.
//!
//! Three tables: spans and log records with a row for each, samples with a row for each chunk (the
//! points of one series in one file's time). Columns are named so that the files explain
//! themselves to any reader of Parquet. Attributes that people search by have a column of their
//! own that bears the attribute's name ([`SPAN_TEXTS`], …); all others are in the map
//! `attributes`, so that a row says all that was received, once.
//!
//! Texts that repeat are dictionaries here, in memory and as they are read from a file; the file's
//! own schema calls them texts. `rows::Texts` reads either.
//!
//! Invariants: adding a column is compatible (it reads as absent in older files); anything else
//! raises [`FORMAT_VERSION`], which every file bears.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use model::Timestamp;
use model::signal::Signal;
use serde::{Deserialize, Serialize};

/// Stored in each file's key-value metadata under [`FORMAT_KEY`].
pub const FORMAT_VERSION: u32 = 2;
/// In nanoseconds.
pub const MILLISECOND: u64 = 1_000_000;
pub const FORMAT_KEY: &str = "immune.format";
/// Key of the table's name in a file's metadata.
pub const TABLE_KEY: &str = "immune.table";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    Spans,
    Logs,
    Samples,
}

impl Table {
    pub const ALL: &[Table] = &[Table::Spans, Table::Logs, Table::Samples];

    pub fn of(signal: Signal) -> Table {
        match signal {
            Signal::Traces => Table::Spans,
            Signal::Logs => Table::Logs,
            Signal::Metrics => Table::Samples,
        }
    }

    /// Also the name of its folder.
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Spans => "spans",
            Table::Logs => "logs",
            Table::Samples => "samples",
        }
    }

    pub fn parse(name: &str) -> Option<Table> {
        Table::ALL.iter().copied().find(|table| table.as_str() == name)
    }

    pub fn schema(self) -> SchemaRef {
        let fields = match self {
            Table::Spans => spans(),
            Table::Logs => logs(),
            Table::Samples => samples(),
        };
        Arc::new(Schema::new(fields))
    }
}

/// Text attributes of spans with a column of their own. A value of another type stays in the map.
pub const SPAN_TEXTS: &[&str] = &[
    "http.request.method",
    "http.method",
    "http.route",
    "url.path",
    "url.full",
    "http.target",
    "http.url",
    "server.address",
    "net.peer.name",
    "db.system.name",
    "db.system",
    "db.query.text",
    "db.statement",
    "db.operation.name",
    "db.operation",
    "db.name",
    "rpc.service",
    "rpc.method",
    "messaging.destination.name",
    "error.type",
];

/// Integer attributes of spans with a column of their own.
pub const SPAN_INTEGERS: &[&str] =
    &["http.response.status_code", "http.status_code", "server.port", "net.peer.port"];

/// Text attributes of log records with a column of their own.
pub const LOG_TEXTS: &[&str] = &["exception.type", "exception.message", "exception.stacktrace"];

/// The arrival of a log record, as it is kept and shown everywhere.
pub fn kept_arrival(arrival: Timestamp) -> Timestamp {
    Timestamp(arrival.as_nanos() / MILLISECOND * MILLISECOND)
}

fn spans() -> Vec<Field> {
    let mut fields = vec![
        id("trace_id", 16, false),
        id("span_id", 8, false),
        // Absent for a root.
        id("parent_span_id", 8, true),
        // The span's start.
        time("time", false),
        integer("duration_nanos", DataType::Int64, false),
        time("arrival", false),
    ];
    fields.extend(origin());
    fields.extend([
        word("name", false),
        // "internal", "server", "client", "producer", "consumer", "unspecified"
        word("kind", false),
        // "unset", "ok", "error"
        word("status", false),
        word("status_message", true),
        word("trace_state", true),
        integer("flags", DataType::UInt32, false),
    ]);
    fields.extend(SPAN_TEXTS.iter().map(|name| word(name, true)));
    fields.extend(SPAN_INTEGERS.iter().map(|name| integer(name, DataType::Int64, true)));
    fields.extend(attributes());
    // JSON: [{"time": nanoseconds, "name": …, "attributes": {…}}]; absent when there are none.
    fields.push(text("events", true));
    // JSON: [{"trace_id": hex, "span_id": hex, "trace_state": …, "flags": …, "attributes": {…}}].
    fields.push(text("links", true));
    fields
}

fn logs() -> Vec<Field> {
    let mut fields = vec![
        time("time", false),
        // Whose time that is where it is not the record's own: "observed" for a record without
        // one, "arrival" for a record without either.
        word("time_from", true),
        // How long after `time` it was observed, which is seldom long; absent for a record without
        // such a time.
        integer("observed_delay_nanos", DataType::Int64, true),
        // To the millisecond (`kept_arrival`): records that lie together come from several
        // requests, and each further digit would be noise that no compression takes away.
        Field::new("arrival", timestamp(TimeUnit::Millisecond), false),
    ];
    fields.extend(origin());
    fields.extend([
        integer("severity_number", DataType::Int32, false),
        word("severity_text", true),
        // JSON where it is not text.
        text("body", true),
        // One letter of `attribute_types`; absent for text.
        word("body_type", true),
        id("trace_id", 16, true),
        id("span_id", 8, true),
        integer("flags", DataType::UInt32, false),
        word("event_name", true),
    ]);
    fields.extend(LOG_TEXTS.iter().map(|name| word(name, true)));
    fields.extend(attributes());
    fields
}

fn samples() -> Vec<Field> {
    let mut fields = vec![
        word("metric", false),
        // "gauge", "sum", "histogram", "exponential_histogram", "summary"
        word("kind", false),
        // "delta", "cumulative", "unspecified"; absent for gauges and summaries
        word("temporality", true),
        integer("monotonic", DataType::Boolean, false),
        word("unit", true),
        word("description", true),
        // First and last of `times`.
        time("time", false),
        time("end_time", false),
        // When the latest of the points arrived.
        time("arrival", false),
        // Number of points.
        integer("points", DataType::UInt32, false),
    ];
    fields.extend(origin());
    fields.extend(attributes());
    // What makes the series the same: a hash of all the above but description, times and points.
    // Its first four bytes are of resource and scope alone, so that series of one process, which
    // share their times, lie together.
    fields.push(id("series", 16, false));
    // One for each point, nanoseconds since 1970, ascending.
    fields.push(list("times", DataType::Int64, false));
    // Since when a sum or histogram counts, one for each point, 0 where it does not say; absent
    // where none says.
    fields.push(list("start_times", DataType::Int64, false));
    // OpenTelemetry's flags, one for each point; absent where all are 0.
    fields.push(list("flags", DataType::UInt32, false));
    // Gauges and sums of doubles: one for each point (null for "no recorded value"). Histograms
    // and summaries: the sums, null where they are not told.
    fields.push(list("values", DataType::Float64, true));
    // Gauges and sums of integers: one for each point, instead of `values`.
    fields.push(list("integers", DataType::Int64, false));
    // Histograms and summaries: how many observations, one for each point.
    fields.push(list("counts", DataType::UInt64, false));
    // Explicit bounds of histograms, or the quantiles of summaries: the same for all points of a
    // row.
    fields.push(list("bounds", DataType::Float64, false));
    // Histograms: counts of buckets, as many for each point (`bounds` + 1): those of the first
    // bucket for all points, of the second for all points, …
    fields.push(list("buckets", DataType::UInt64, false));
    // Summaries: `bounds` values for each point, in the same order.
    fields.push(list("quantiles", DataType::Float64, false));
    // Smallest and largest observation, one each for each point, null where a point does not say;
    // absent where none says.
    fields.push(list("minima", DataType::Float64, true));
    fields.push(list("maxima", DataType::Float64, true));
    // Exponential histograms: scale, zero bucket, buckets as JSON, one text for each point.
    fields.push(list("exponential", DataType::Utf8, false));
    // One for each point, null for most; absent where no point has any. JSON:
    // [{"time": …, "value": …, "trace_id": hex, "span_id": hex, "attributes": {…}}].
    fields.push(list("exemplars", DataType::Utf8, true));
    fields
}

/// Whose telemetry it is.
fn origin() -> Vec<Field> {
    vec![
        // `service.name`, or empty.
        word("service", false),
        // `service.instance.id`, or absent.
        word("instance", true),
        // JSON object of all resource attributes.
        word("resource", false),
        // JSON: {"name": …, "version": …, "attributes": {…}}; absent where the scope is empty.
        word("scope", true),
    ]
}

/// The attributes that have no column of their own, in the order in which they came. Values that
/// are not text are JSON; `attribute_types` has a letter for each: `s` text, `i` integer, `d`
/// double, `b` boolean, `a` array, `m` map, `x` bytes (base64), `e` empty; absent when all are
/// text.
fn attributes() -> Vec<Field> {
    vec![map("attributes"), word("attribute_types", true)]
}

/// A text that repeats.
fn word(name: &str, nullable: bool) -> Field {
    Field::new(name, dictionary(), nullable)
}

/// A text that is often new.
fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn dictionary() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

fn integer(name: &str, kind: DataType, nullable: bool) -> Field {
    Field::new(name, kind, nullable)
}

fn id(name: &str, bytes: i32, nullable: bool) -> Field {
    Field::new(name, DataType::FixedSizeBinary(bytes), nullable)
}

fn time(name: &str, nullable: bool) -> Field {
    Field::new(name, timestamp(TimeUnit::Nanosecond), nullable)
}

fn timestamp(unit: TimeUnit) -> DataType {
    DataType::Timestamp(unit, Some("UTC".into()))
}

fn list(name: &str, item: DataType, item_nullable: bool) -> Field {
    let element = Field::new("element", item, item_nullable);
    Field::new(name, DataType::List(Arc::new(element)), true)
}

fn map(name: &str) -> Field {
    Field::new(name, attributes_type(), false)
}

/// Of the column `attributes`.
pub(crate) fn attributes_type() -> DataType {
    let key = Field::new("key", dictionary(), false);
    let entry = Fields::from(vec![key, Field::new("value", DataType::Utf8, false)]);
    let entries = Field::new("key_value", DataType::Struct(entry), false);
    DataType::Map(Arc::new(entries), false)
}
