//! Attributes, values, resources and scopes in OTLP/JSON.

use model::Text;
use model::signal::{AnyValue, Attributes, InstrumentationScope, Resource};

use super::super::tally::Tally;
use super::super::{NESTING_MAX, Result};
use super::reader::Reader;

pub(super) fn resource(
    reader: &mut Reader<'_>,
    resource: &mut Resource,
    tally: &mut Tally<'_>,
) -> Result<()> {
    reader.object(&["attributes"], |reader, _| attributes(reader, &mut resource.attributes, tally))
}

pub(super) fn scope(
    reader: &mut Reader<'_>,
    scope: &mut InstrumentationScope,
    tally: &mut Tally<'_>,
) -> Result<()> {
    reader.object(&["name", "version", "attributes"], |reader, key| {
        match key {
            "name" => scope.name = reader.text()?,
            "version" => scope.version = reader.text()?,
            _ => attributes(reader, &mut scope.attributes, tally)?,
        }
        Ok(())
    })
}

pub(super) fn attributes(
    reader: &mut Reader<'_>,
    attributes: &mut Attributes,
    tally: &mut Tally<'_>,
) -> Result<()> {
    nested_attributes(reader, attributes, 0, tally)
}

pub(super) fn any_value(reader: &mut Reader<'_>, tally: &mut Tally<'_>) -> Result<AnyValue> {
    nested_value(reader, 0, tally)
}

fn nested_attributes(
    reader: &mut Reader<'_>,
    attributes: &mut Attributes,
    depth: usize,
    tally: &mut Tally<'_>,
) -> Result<()> {
    reader.array(|reader| {
        let mut attribute_key = Text::default();
        let mut value = AnyValue::Empty;
        reader.object(&["key", "value"], |reader, key| {
            match key {
                "key" => attribute_key = reader.text()?,
                _ => value = nested_value(reader, depth, tally)?,
            }
            Ok(())
        })?;
        tally.push(&mut attributes.0, (attribute_key, value))
    })
}

const VALUE: &[&str] = &[
    "stringValue",
    "boolValue",
    "intValue",
    "doubleValue",
    "arrayValue",
    "kvlistValue",
    "bytesValue",
];

/// `depth` counts the arrays and maps around this value.
fn nested_value(reader: &mut Reader<'_>, depth: usize, tally: &mut Tally<'_>) -> Result<AnyValue> {
    let mut value = AnyValue::Empty;
    let mut given = false;
    reader.object(VALUE, |reader, key| {
        if given {
            return Err(reader.error("a value has one type, and another was given before"));
        }
        given = true;
        value = match key {
            "stringValue" => AnyValue::String(reader.text()?),
            "boolValue" => AnyValue::Bool(reader.bool()?),
            "intValue" => AnyValue::Int(reader.integer()?),
            "doubleValue" => AnyValue::Double(reader.double()?),
            "bytesValue" => AnyValue::Bytes(reader.bytes()?),
            _ if depth == NESTING_MAX => {
                return Err(reader.error(format!("nested deeper than {NESTING_MAX} levels")));
            }
            "arrayValue" => AnyValue::Array(array(reader, depth + 1, tally)?),
            _ => AnyValue::Map(map(reader, depth + 1, tally)?),
        };
        Ok(())
    })?;
    Ok(value)
}

fn array(reader: &mut Reader<'_>, depth: usize, tally: &mut Tally<'_>) -> Result<Vec<AnyValue>> {
    let mut elements = Vec::new();
    reader.object(&["values"], |reader, _| {
        reader.array(|reader| {
            let element = nested_value(reader, depth, tally)?;
            tally.push(&mut elements, element)
        })
    })?;
    Ok(elements)
}

fn map(reader: &mut Reader<'_>, depth: usize, tally: &mut Tally<'_>) -> Result<Attributes> {
    let mut entries = Attributes::default();
    reader
        .object(&["values"], |reader, _| nested_attributes(reader, &mut entries, depth, tally))?;
    Ok(entries)
}
