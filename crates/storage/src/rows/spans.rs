//! Rows of the table `spans` as spans.

use model::Timestamp;
use model::signal::{AnyValue, Attributes, Span, SpanKind, SpanStatus};
use model::text::Text;

use super::column::{self, Ids, Integers, Texts, Times};
use super::json::{events_of, links_of};
use super::{StoredSpan, origin};
use crate::Error;
use crate::schema::{SPAN_INTEGERS, SPAN_TEXTS};

/// All rows of a batch, in order.
pub fn spans(batch: &arrow_array::RecordBatch) -> Result<Vec<StoredSpan>, Error> {
    let mut origins = origin::Origins::of(batch)?;
    let trace_id = Ids::of(batch, "trace_id")?;
    let span_id = Ids::of(batch, "span_id")?;
    let parent = Ids::of(batch, "parent_span_id")?;
    let time = Times::of(batch, "time")?;
    let duration = Integers::of(batch, "duration_nanos")?;
    let arrival = Times::of(batch, "arrival")?;
    let flags = Integers::of(batch, "flags")?;
    let text = |name: &str| Texts::of(batch, name);
    let (name, kind, status) = (text("name")?, text("kind")?, text("status")?);
    let (message, state) = (text("status_message")?, text("trace_state")?);
    let (events, links) = (text("events")?, text("links")?);
    let promoted = Promoted::of(batch, SPAN_TEXTS, SPAN_INTEGERS)?;
    let mut stored = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let (resource, scope) = origins.get(row);
        let start = time.get(row).unwrap_or_default().as_nanos();
        let span = Span {
            trace_id: trace_id.get(row).unwrap_or_default(),
            span_id: span_id.get(row).unwrap_or_default(),
            parent_span_id: parent.get(row).unwrap_or_default(),
            trace_state: Text::from(state.text(row)),
            flags: flags.get(row).unwrap_or(0) as u32,
            name: Text::from(name.text(row)),
            kind: kind_of(kind.text(row)),
            start_unix_nanos: start,
            end_unix_nanos: start.wrapping_add(duration.get(row).unwrap_or(0) as u64),
            attributes: promoted.attributes(row),
            events: events.get(row).and_then(events_of).unwrap_or_default(),
            links: links.get(row).and_then(links_of).unwrap_or_default(),
            status: status_of(status.text(row)),
            status_message: Text::from(message.text(row)),
        };
        let arrival = arrival.get(row).unwrap_or(Timestamp::ZERO);
        stored.push(StoredSpan { resource, scope, span, arrival });
    }
    Ok(stored)
}

fn kind_of(text: &str) -> SpanKind {
    match text {
        "internal" => SpanKind::Internal,
        "server" => SpanKind::Server,
        "client" => SpanKind::Client,
        "producer" => SpanKind::Producer,
        "consumer" => SpanKind::Consumer,
        _ => SpanKind::Unspecified,
    }
}

fn status_of(text: &str) -> SpanStatus {
    match text {
        "ok" => SpanStatus::Ok,
        "error" => SpanStatus::Error,
        _ => SpanStatus::Unset,
    }
}

/// Attributes, those with a column of their own first.
pub(super) struct Promoted<'a> {
    texts: Vec<(&'static str, Texts<'a>)>,
    integers: Vec<(&'static str, Integers<'a>)>,
    rest: column::Attributes<'a>,
}

impl<'a> Promoted<'a> {
    pub(super) fn of(
        batch: &'a arrow_array::RecordBatch,
        texts: &[&'static str],
        integers: &[&'static str],
    ) -> Result<Promoted<'a>, Error> {
        let texts = texts.iter().map(|name| Ok((*name, Texts::of(batch, name)?)));
        let integers = integers.iter().map(|name| Ok((*name, Integers::of(batch, name)?)));
        Ok(Promoted {
            texts: texts.collect::<Result<_, Error>>()?,
            integers: integers.collect::<Result<_, Error>>()?,
            rest: column::Attributes::of(batch)?,
        })
    }

    pub(super) fn attributes(&self, row: usize) -> Attributes {
        let mut attributes = Attributes::default();
        for (name, texts) in &self.texts {
            if let Some(text) = texts.get(row) {
                attributes.0.push((Text::fixed(name), AnyValue::String(Text::from(text))));
            }
        }
        for (name, integers) in &self.integers {
            if let Some(number) = integers.get(row) {
                attributes.0.push((Text::fixed(name), AnyValue::Int(number)));
            }
        }
        for (key, stored, letter) in self.rest.iter(row) {
            attributes.0.push((Text::from(key), super::json::value_of(stored, letter)));
        }
        attributes
    }
}
