//! Spans, their events and links in OTLP/JSON.

use model::signal::{Span, SpanEvent, SpanLink};

use super::super::Result;
use super::super::check::{self, Fault};
use super::super::tally::Tally;
use super::reader::Reader;
use super::value::attributes;

const SPAN: &[&str] = &[
    "traceId",
    "spanId",
    "traceState",
    "parentSpanId",
    "flags",
    "name",
    "kind",
    "startTimeUnixNano",
    "endTimeUnixNano",
    "attributes",
    "events",
    "links",
    "status",
];

pub(super) fn span(
    reader: &mut Reader<'_>,
    spans: &mut Vec<Span>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut span = Span::default();
    let mut fault = Fault::default();
    reader.object(SPAN, |reader, key| {
        match key {
            "traceId" => span.trace_id = reader.id("trace id", &mut fault)?,
            "spanId" => span.span_id = reader.id("span id", &mut fault)?,
            "traceState" => span.trace_state = reader.text()?,
            "parentSpanId" => span.parent_span_id = reader.id("parent span id", &mut fault)?,
            "flags" => span.flags = reader.integer()?,
            "name" => span.name = reader.text()?,
            "kind" => span.kind = check::span_kind(reader.enum_number()?),
            "startTimeUnixNano" => span.start_unix_nanos = reader.integer()?,
            "endTimeUnixNano" => span.end_unix_nanos = reader.integer()?,
            "attributes" => attributes(reader, &mut span.attributes, tally)?,
            "events" => reader.array(|reader| event(reader, &mut span.events, tally))?,
            "links" => reader.array(|reader| link(reader, &mut span.links, &mut fault, tally))?,
            _ => status(reader, &mut span)?,
        }
        Ok(())
    })?;
    check::span(&span, &mut fault);
    tally.settle(spans, span, fault)
}

fn event(
    reader: &mut Reader<'_>,
    events: &mut Vec<SpanEvent>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut event = SpanEvent::default();
    reader.object(&["timeUnixNano", "name", "attributes"], |reader, key| {
        match key {
            "timeUnixNano" => event.time_unix_nanos = reader.integer()?,
            "name" => event.name = reader.text()?,
            _ => attributes(reader, &mut event.attributes, tally)?,
        }
        Ok(())
    })?;
    tally.push(events, event)
}

const LINK: &[&str] = &["traceId", "spanId", "traceState", "attributes", "flags"];

fn link(
    reader: &mut Reader<'_>,
    links: &mut Vec<SpanLink>,
    fault: &mut Fault,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut link = SpanLink::default();
    reader.object(LINK, |reader, key| {
        match key {
            "traceId" => link.trace_id = reader.id("link's trace id", fault)?,
            "spanId" => link.span_id = reader.id("link's span id", fault)?,
            "traceState" => link.trace_state = reader.text()?,
            "attributes" => attributes(reader, &mut link.attributes, tally)?,
            _ => link.flags = reader.integer()?,
        }
        Ok(())
    })?;
    tally.push(links, link)
}

fn status(reader: &mut Reader<'_>, span: &mut Span) -> Result<()> {
    reader.object(&["message", "code"], |reader, key| {
        match key {
            "message" => span.status_message = reader.text()?,
            _ => span.status = check::span_status(reader.enum_number()?),
        }
        Ok(())
    })
}
