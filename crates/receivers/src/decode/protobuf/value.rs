//! `opentelemetry.proto.{common,resource}.v1`: attributes, values, resources, scopes.

use model::Text;
use model::signal::{AnyValue, Attributes, InstrumentationScope, Resource};

use super::super::tally::Tally;
use super::super::{NESTING_MAX, Result};
use super::wire::{Field, Message};

pub(super) fn resource(
    mut message: Message<'_>,
    resource: &mut Resource,
    tally: &mut Tally<'_>,
) -> Result<()> {
    while let Some(field) = message.next_field()? {
        if field.number == 1 {
            attribute(&field, &mut resource.attributes, tally)?;
        }
    }
    Ok(())
}

pub(super) fn scope(
    mut message: Message<'_>,
    scope: &mut InstrumentationScope,
    tally: &mut Tally<'_>,
) -> Result<()> {
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => scope.name = field.text(tally)?,
            2 => scope.version = field.text(tally)?,
            3 => attribute(&field, &mut scope.attributes, tally)?,
            _ => {}
        }
    }
    Ok(())
}

/// Reads one `KeyValue` and adds it to `attributes`.
pub(super) fn attribute(
    field: &Field<'_>,
    attributes: &mut Attributes,
    tally: &mut Tally<'_>,
) -> Result<()> {
    nested_attribute(field, attributes, 0, tally)
}

pub(super) fn any_value(
    message: Message<'_>,
    value: &mut AnyValue,
    tally: &mut Tally<'_>,
) -> Result<()> {
    nested_value(message, value, 0, tally)
}

fn nested_attribute(
    field: &Field<'_>,
    attributes: &mut Attributes,
    depth: usize,
    tally: &mut Tally<'_>,
) -> Result<()> {
    field.make_room(&mut attributes.0, tally)?;
    let mut message = field.message()?;
    let mut key = Text::default();
    let mut value = AnyValue::Empty;
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => key = field.text(tally)?,
            2 => nested_value(field.message()?, &mut value, depth, tally)?,
            _ => {}
        }
    }
    tally.push(&mut attributes.0, (key, value))
}

/// `depth` counts the arrays and maps around this value.
fn nested_value(
    mut message: Message<'_>,
    value: &mut AnyValue,
    depth: usize,
    tally: &mut Tally<'_>,
) -> Result<()> {
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => *value = AnyValue::String(field.text(tally)?),
            2 => *value = AnyValue::Bool(field.varint()? != 0),
            3 => *value = AnyValue::Int(field.varint()? as i64),
            4 => *value = AnyValue::Double(field.double()?),
            5 | 6 if depth == NESTING_MAX => return Err(field.nested_too_deep()),
            5 => {
                let mut elements = match std::mem::take(value) {
                    AnyValue::Array(elements) => elements,
                    _ => Vec::new(),
                };
                array(field.message()?, &mut elements, depth + 1, tally)?;
                *value = AnyValue::Array(elements);
            }
            6 => {
                let mut entries = match std::mem::take(value) {
                    AnyValue::Map(entries) => entries,
                    _ => Attributes::default(),
                };
                map(field.message()?, &mut entries, depth + 1, tally)?;
                *value = AnyValue::Map(entries);
            }
            7 => *value = AnyValue::Bytes(field.bytes()?.to_vec()),
            _ => {}
        }
    }
    Ok(())
}

fn array(
    mut message: Message<'_>,
    elements: &mut Vec<AnyValue>,
    depth: usize,
    tally: &mut Tally<'_>,
) -> Result<()> {
    while let Some(field) = message.next_field()? {
        if field.number == 1 {
            field.make_room(elements, tally)?;
            let mut element = AnyValue::Empty;
            nested_value(field.message()?, &mut element, depth, tally)?;
            tally.push(elements, element)?;
        }
    }
    Ok(())
}

fn map(
    mut message: Message<'_>,
    entries: &mut Attributes,
    depth: usize,
    tally: &mut Tally<'_>,
) -> Result<()> {
    while let Some(field) = message.next_field()? {
        if field.number == 1 {
            nested_attribute(&field, entries, depth, tally)?;
        }
    }
    Ok(())
}
