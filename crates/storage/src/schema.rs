//! How telemetry looks at rest: the tables and their columns, as Arrow schemas.
//!
//! Three tables: spans and log records with a row for each, samples with a row for each chunk (the
//! points of one series in one file's time). Columns are named so that the files explain
//! themselves to any reader of Parquet. Attributes that people search by have a column of their
//! own that bears the attribute's name ([`SPAN_TEXTS`], …); all others are in the map
//! `attributes`, so that a row says all that was received, once.
//!
//! Invariants: adding a column is compatible (it reads as absent in older files); anything else
//! raises [`FORMAT_VERSION`], which every file bears.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use model::signal::Signal;
use serde::{Deserialize, Serialize};

/// Stored in each file's key-value metadata under [`FORMAT_KEY`].
pub const FORMAT_VERSION: u32 = 1;
pub const FORMAT_KEY: &str = "immune.format";

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
        text("name", false),
        // "internal", "server", "client", "producer", "consumer", "unspecified"
        text("kind", false),
        // "unset", "ok", "error"
        text("status", false),
        text("status_message", true),
        text("trace_state", true),
        integer("flags", DataType::UInt32, false),
    ]);
    fields.extend(SPAN_TEXTS.iter().map(|name| text(name, true)));
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
        // The record's time, or the time at which it was observed where it has none.
        time("time", false),
        time("observed_time", true),
        time("arrival", false),
    ];
    fields.extend(origin());
    fields.extend([
        integer("severity_number", DataType::Int32, false),
        text("severity_text", true),
        // JSON where it is not text.
        text("body", true),
        // One letter of `attribute_types`; absent for text.
        text("body_type", true),
        id("trace_id", 16, true),
        id("span_id", 8, true),
        integer("flags", DataType::UInt32, false),
        text("event_name", true),
    ]);
    fields.extend(LOG_TEXTS.iter().map(|name| text(name, true)));
    fields.extend(attributes());
    fields
}

fn samples() -> Vec<Field> {
    let mut fields = vec![
        text("metric", false),
        // "gauge", "sum", "histogram", "exponential_histogram", "summary"
        text("kind", false),
        // "delta", "cumulative", "unspecified"; absent for gauges and summaries
        text("temporality", true),
        integer("monotonic", DataType::Boolean, false),
        text("unit", true),
        // First and last of `times`.
        time("time", false),
        time("end_time", false),
        // Number of points.
        integer("points", DataType::UInt32, false),
    ];
    fields.extend(origin());
    fields.extend([map("attributes"), text("attribute_types", true)]);
    // What makes the series the same: a hash of all the above but times.
    fields.push(id("series", 16, false));
    // One for each point, nanoseconds since 1970.
    fields.push(list("times", DataType::Int64));
    // Since when a sum or histogram counts, one for each point; absent where it never says.
    fields.push(list("start_times", DataType::Int64));
    // Gauges and sums: one for each point (NaN for "no recorded value"). Histograms: the sums,
    // NaN where absent. Summaries: the sums.
    fields.push(list("values", DataType::Float64));
    // Histograms and summaries: how many observations, one for each point.
    fields.push(list("counts", DataType::UInt64));
    // Explicit bounds of histograms, or the quantiles of summaries: the same for all points of a
    // row.
    fields.push(list("bounds", DataType::Float64));
    // Histograms: counts of buckets, `bounds` + 1 for each point.
    fields.push(list("buckets", DataType::UInt64));
    // Summaries: `bounds` values for each point.
    fields.push(list("quantiles", DataType::Float64));
    // Smallest and largest observation, one each for each point; absent where never told.
    fields.push(list("minima", DataType::Float64));
    fields.push(list("maxima", DataType::Float64));
    // Exponential histograms, as JSON, one text for each point.
    fields.push(list("exponential", DataType::Utf8));
    // JSON: [{"time": …, "value": …, "trace_id": hex, "span_id": hex, "attributes": {…}}].
    fields.push(text("exemplars", true));
    fields
}

/// Whose telemetry it is.
fn origin() -> Vec<Field> {
    vec![
        // `service.name`, or empty.
        text("service", false),
        // `service.instance.id`, or absent.
        text("instance", true),
        // JSON object of all resource attributes.
        text("resource", false),
        // JSON: {"name": …, "version": …, "attributes": {…}}; absent where the scope is empty.
        text("scope", true),
    ]
}

/// The attributes that have no column of their own, in the order in which they came. Values that
/// are not text are JSON; `attribute_types` has a letter for each: `s` text, `i` integer, `d`
/// double, `b` boolean, `a` array, `m` map, `x` bytes (base64), `e` empty; absent when all are
/// text.
fn attributes() -> Vec<Field> {
    vec![map("attributes"), text("attribute_types", true)]
}

fn text(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, nullable)
}

fn integer(name: &str, kind: DataType, nullable: bool) -> Field {
    Field::new(name, kind, nullable)
}

fn id(name: &str, bytes: i32, nullable: bool) -> Field {
    Field::new(name, DataType::FixedSizeBinary(bytes), nullable)
}

fn time(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), nullable)
}

fn list(name: &str, item: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("element", item, false))), true)
}

fn map(name: &str) -> Field {
    let entry = Fields::from(vec![text("key", false), text("value", false)]);
    let entries = Field::new("key_value", DataType::Struct(entry), false);
    Field::new(name, DataType::Map(Arc::new(entries), false), true)
}
