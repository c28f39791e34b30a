//! Rows of the table `logs` as log records.

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::{AnyValue, LogRecord};
use model::text::Text;

use super::column::{Ids, Integers, Texts, Times};
use super::spans::Promoted;
use super::{StoredLog, json, origin};
use crate::Error;
use crate::schema::LOG_TEXTS;

/// All rows of a batch, in order.
pub fn logs(batch: &RecordBatch) -> Result<Vec<StoredLog>, Error> {
    let mut origins = origin::Origins::of(batch)?;
    let time = Times::of(batch, "time")?;
    let observed_delay = Integers::of(batch, "observed_delay_nanos")?;
    let arrival = Times::of(batch, "arrival")?;
    let severity = Integers::of(batch, "severity_number")?;
    let flags = Integers::of(batch, "flags")?;
    let (trace_id, span_id) = (Ids::of(batch, "trace_id")?, Ids::of(batch, "span_id")?);
    let text = |name: &str| Texts::of(batch, name);
    let (time_from, severity_text) = (text("time_from")?, text("severity_text")?);
    let (body, body_type) = (text("body")?, text("body_type")?);
    let event_name = text("event_name")?;
    let promoted = Promoted::of(batch, LOG_TEXTS, &[])?;
    let mut stored = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (resource, scope) = origins.get(row);
        let own_time = time_from.get(row).is_none();
        let time = time.get(row).unwrap_or_default().as_nanos();
        let observed = observed_delay.get(row).map(|delay| time.wrapping_add_signed(delay));
        let body = match (body.get(row), body_type.text(row).bytes().next()) {
            (None, _) => AnyValue::Empty,
            (Some(body), letter) => json::value_of(body, letter.unwrap_or(b's')),
        };
        let record = LogRecord {
            time_unix_nanos: if own_time { time } else { 0 },
            observed_time_unix_nanos: observed.unwrap_or(0),
            severity_number: severity.get(row).unwrap_or(0) as i32,
            severity_text: Text::from(severity_text.text(row)),
            body,
            attributes: promoted.attributes(row),
            flags: flags.get(row).unwrap_or(0) as u32,
            trace_id: trace_id.get(row).unwrap_or_default(),
            span_id: span_id.get(row).unwrap_or_default(),
            event_name: Text::from(event_name.text(row)),
        };
        let arrival = arrival.get(row).unwrap_or(Timestamp::ZERO);
        stored.push(StoredLog { resource, scope, record, arrival });
    }
    Ok(stored)
}
