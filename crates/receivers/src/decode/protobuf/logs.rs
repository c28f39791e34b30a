//! `opentelemetry.proto.logs.v1`: log records.

use model::signal::LogRecord;

use super::super::Result;
use super::super::check::Fault;
use super::super::tally::Tally;
use super::value::{any_value, attribute};
use super::wire::Message;

pub(super) fn log_record(
    mut message: Message<'_>,
    records: &mut Vec<LogRecord>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut record = LogRecord::default();
    let mut fault = Fault::default();
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => record.time_unix_nanos = field.fixed64()?,
            2 => record.severity_number = field.enum_number()?,
            3 => record.severity_text = field.text(tally)?,
            5 => any_value(field.message()?, &mut record.body, tally)?,
            6 => attribute(&field, &mut record.attributes, tally)?,
            8 => record.flags = field.fixed32()?,
            9 => record.trace_id = field.id("log record's trace id", &mut fault)?,
            10 => record.span_id = field.id("log record's span id", &mut fault)?,
            11 => record.observed_time_unix_nanos = field.fixed64()?,
            12 => record.event_name = field.text(tally)?,
            _ => {}
        }
    }
    tally.settle(records, record, fault)
}
