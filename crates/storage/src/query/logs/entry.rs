//! A log record as an answer shows it.

use std::hash::{DefaultHasher, Hash, Hasher};

use model::Timestamp;
use model::signal::{AnyValue, Attributes, InstrumentationScope, LogRecord, Resource};
use serde::Serialize;
use serde_json::Value;

use crate::columns::json;
use crate::query::language::Severity;
use crate::rows::StoredLog;
use crate::schema::kept_arrival;

/// Values of attributes are JSON; what JSON cannot say is `{"$bytes": base64}` or
/// `{"$double": "NaN"}`.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct LogEntry {
    /// The record's own time; where it has none, that of its observation or arrival.
    pub time: Timestamp,
    pub observed_time: Option<Timestamp>,
    /// To the millisecond.
    pub arrival: Timestamp,
    pub service: String,
    pub instance: Option<String>,
    pub severity: Severity,
    /// As received: 1 to 24, or 0.
    pub severity_number: i32,
    pub severity_text: Option<String>,
    pub body: Value,
    pub event_name: Option<String>,
    /// Hexadecimal, as that of the span.
    pub trace_id: Option<String>,
    pub span_id: Option<String>,
    pub flags: u32,
    /// Name of the instrumentation scope: mostly that of the logger.
    pub scope: Option<String>,
    pub attributes: Value,
    pub resource: Value,
}

impl LogEntry {
    pub fn of(
        resource: &Resource,
        scope: &InstrumentationScope,
        record: &LogRecord,
        arrival: Timestamp,
    ) -> LogEntry {
        let arrival = kept_arrival(arrival);
        let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let observed = Some(record.observed_time_unix_nanos).filter(|time| *time != 0);
        let severity = Severity::number(record.severity_number, Some(&record.severity_text));
        LogEntry {
            time: time_of(record, arrival),
            observed_time: observed.map(Timestamp),
            arrival,
            service: resource.attributes.str("service.name").unwrap_or_default().to_owned(),
            instance: resource.attributes.str("service.instance.id").map(str::to_owned),
            severity: Severity::of_number(severity),
            severity_number: record.severity_number,
            severity_text: text(&record.severity_text),
            body: value(&record.body),
            event_name: text(&record.event_name),
            trace_id: hex(&record.trace_id),
            span_id: hex(&record.span_id),
            flags: record.flags,
            scope: text(&scope.name),
            attributes: object(&record.attributes),
            resource: object(&resource.attributes),
        }
    }

    pub fn of_stored(stored: &StoredLog) -> LogEntry {
        LogEntry::of(&stored.resource, &stored.scope, &stored.record, stored.arrival)
    }

    /// Tells records of the same time apart, in an order that does not depend on where they lie.
    pub fn order(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let LogEntry { severity_number, flags, arrival, .. } = self;
        (severity_number, flags, arrival, &self.observed_time).hash(&mut hasher);
        (&self.severity_text, &self.event_name, &self.scope).hash(&mut hasher);
        (&self.trace_id, &self.span_id).hash(&mut hasher);
        for value in [&self.body, &self.attributes, &self.resource] {
            value.to_string().hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// The time under which a record is stored.
pub fn time_of(record: &LogRecord, arrival: Timestamp) -> Timestamp {
    let times = [record.time_unix_nanos, record.observed_time_unix_nanos];
    times.into_iter().find(|time| *time != 0).map_or(arrival, Timestamp)
}

fn value(value: &AnyValue) -> Value {
    let mut out = Vec::new();
    json::value(&mut out, value);
    parsed(&out)
}

fn object(attributes: &Attributes) -> Value {
    let mut out = Vec::new();
    json::object(&mut out, attributes);
    parsed(&out)
}

/// What `json` writes can be read, unless it is nested too deep: then it is shown as text.
fn parsed(json: &[u8]) -> Value {
    serde_json::from_slice(json)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(json).into_owned()))
}

fn hex(id: &[u8]) -> Option<String> {
    let present = id.iter().any(|byte| *byte != 0);
    present.then(|| id.iter().map(|byte| format!("{byte:02x}")).collect())
}
