//! `opentelemetry.proto.trace.v1`: spans, their events and links.

use model::signal::{Span, SpanEvent, SpanLink};

use super::super::Result;
use super::super::check::{self, Fault};
use super::super::tally::Tally;
use super::value::attribute;
use super::wire::Message;

pub(super) fn span(
    mut message: Message<'_>,
    spans: &mut Vec<Span>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut span = Span::default();
    let mut fault = Fault::default();
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => span.trace_id = field.id("trace id", &mut fault)?,
            2 => span.span_id = field.id("span id", &mut fault)?,
            3 => span.trace_state = field.text(tally)?,
            4 => span.parent_span_id = field.id("parent span id", &mut fault)?,
            5 => span.name = field.text(tally)?,
            6 => span.kind = check::span_kind(field.enum_number()?),
            7 => span.start_unix_nanos = field.fixed64()?,
            8 => span.end_unix_nanos = field.fixed64()?,
            9 => attribute(&field, &mut span.attributes, tally)?,
            11 => event(field.message()?, &mut span.events, tally)?,
            13 => link(field.message()?, &mut span.links, &mut fault, tally)?,
            15 => status(field.message()?, &mut span, tally)?,
            16 => span.flags = field.fixed32()?,
            _ => {}
        }
    }
    check::span(&span, &mut fault);
    tally.settle(spans, span, fault)
}

fn event(
    mut message: Message<'_>,
    events: &mut Vec<SpanEvent>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut event = SpanEvent::default();
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => event.time_unix_nanos = field.fixed64()?,
            2 => event.name = field.text(tally)?,
            3 => attribute(&field, &mut event.attributes, tally)?,
            _ => {}
        }
    }
    tally.push(events, event)
}

fn link(
    mut message: Message<'_>,
    links: &mut Vec<SpanLink>,
    fault: &mut Fault,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let mut link = SpanLink::default();
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => link.trace_id = field.id("link's trace id", fault)?,
            2 => link.span_id = field.id("link's span id", fault)?,
            3 => link.trace_state = field.text(tally)?,
            4 => attribute(&field, &mut link.attributes, tally)?,
            6 => link.flags = field.fixed32()?,
            _ => {}
        }
    }
    tally.push(links, link)
}

fn status(mut message: Message<'_>, span: &mut Span, tally: &Tally<'_>) -> Result<()> {
    while let Some(field) = message.next_field()? {
        match field.number {
            2 => span.status_message = field.text(tally)?,
            3 => span.status = check::span_status(field.enum_number()?),
            _ => {}
        }
    }
    Ok(())
}
