//! Log records in OTLP/JSON.

use model::signal::LogRecord;

use super::super::Result;
use super::super::check::Fault;
use super::super::tally::Tally;
use super::reader::Reader;
use super::value::{any_value, attributes};

const LOG_RECORD: &[&str] = &[
    "timeUnixNano",
    "observedTimeUnixNano",
    "severityNumber",
    "severityText",
    "body",
    "attributes",
    "flags",
    "traceId",
    "spanId",
    "eventName",
];

pub(super) fn log_record(
    reader: &mut Reader<'_>,
    records: &mut Vec<LogRecord>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut record = LogRecord::default();
    let mut fault = Fault::default();
    reader.object(LOG_RECORD, |reader, key| {
        match key {
            "timeUnixNano" => record.time_unix_nanos = reader.integer()?,
            "observedTimeUnixNano" => record.observed_time_unix_nanos = reader.integer()?,
            "severityNumber" => record.severity_number = reader.enum_number()?,
            "severityText" => record.severity_text = reader.text()?,
            "body" => record.body = any_value(reader, tally)?,
            "attributes" => attributes(reader, &mut record.attributes, tally)?,
            "flags" => record.flags = reader.integer()?,
            "traceId" => record.trace_id = reader.id("log record's trace id", &mut fault)?,
            "spanId" => record.span_id = reader.id("log record's span id", &mut fault)?,
            _ => record.event_name = reader.text()?,
        }
        Ok(())
    })?;
    tally.settle(records, record, fault)
}
