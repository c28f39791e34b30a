//! OTLP/JSON that fills `model::signal` while it is read: the protobuf JSON mapping with OTLP's
//! deviations.
//!
//! Hexadecimal identifiers, enums as integers only, keys in lowerCamelCase only, unknown keys
//! ignored, `null` as absence, 64-bit integers as numbers or strings. Loud about what it refuses:
//! every error names the place (`resourceSpans[0].scopeSpans[2].spans[17].kind`), what was
//! expected and what was found. A key given twice in an object, or two members of a `oneof`, are
//! errors: neither has one meaning.

mod reader;

mod scalar;

mod value;

mod traces;

mod metrics;

mod logs;

use std::sync::Arc;

use model::signal::{Batch, Group, InstrumentationScope, Resource, Signal};

use self::reader::Reader;
use super::tally::Tally;
use super::{DecodeError, Result};

/// Reads one item and settles it into the list.
type ReadItem<T> = fn(&mut Reader<'_>, &mut Vec<T>, &mut Tally<'_>) -> Result<()>;

/// Keys of the outer layers, which are the same for the three signals but for their names.
struct Layout {
    request: &'static [&'static str],
    resource: &'static [&'static str],
    scope: &'static [&'static str],
}

const TRACES: Layout = Layout {
    request: &["resourceSpans"],
    resource: &["resource", "scopeSpans"],
    scope: &["scope", "spans"],
};
const METRICS: Layout = Layout {
    request: &["resourceMetrics"],
    resource: &["resource", "scopeMetrics"],
    scope: &["scope", "metrics"],
};
const LOGS: Layout = Layout {
    request: &["resourceLogs"],
    resource: &["resource", "scopeLogs"],
    scope: &["scope", "logRecords"],
};

pub(super) fn batch(tally: &mut Tally<'_>) -> Result<Batch> {
    let body = tally.body().clone();
    let text = std::str::from_utf8(body.bytes()).map_err(|error| DecodeError::Json {
        path: "$".to_owned(),
        what: format!("not UTF-8 at byte {}", error.valid_up_to()),
    })?;
    let reader = &mut Reader::new(text, &body);
    let batch = match tally.signal() {
        Signal::Traces => Batch::Traces(groups(reader, &TRACES, traces::span, tally)?),
        Signal::Metrics => Batch::Metrics(groups(reader, &METRICS, metrics::metric, tally)?),
        Signal::Logs => Batch::Logs(groups(reader, &LOGS, logs::log_record, tally)?),
    };
    reader.end()?;
    Ok(batch)
}

fn groups<T>(
    reader: &mut Reader<'_>,
    layout: &Layout,
    read_item: ReadItem<T>,
    tally: &mut Tally<'_>,
) -> Result<Vec<Group<T>>> {
    let mut groups = Vec::new();
    reader.object(layout.request, |reader, _| {
        reader.array(|reader| resource_groups(reader, layout, read_item, &mut groups, tally))
    })?;
    Ok(groups)
}

fn resource_groups<T>(
    reader: &mut Reader<'_>,
    layout: &Layout,
    read_item: ReadItem<T>,
    groups: &mut Vec<Group<T>>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let first = groups.len();
    let mut resource = Resource::default();
    let unknown_yet = Arc::new(Resource::default());
    reader.object(layout.resource, |reader, key| match key {
        "resource" => value::resource(reader, &mut resource, tally),
        _ => reader.array(|reader| {
            let (scope, items) = scope_items(reader, layout, read_item, tally)?;
            if items.is_empty() {
                return Ok(());
            }
            tally.push(groups, Group { resource: Arc::clone(&unknown_yet), scope, items })
        }),
    })?;
    // The resource may follow its scopes in the text.
    let resource = Arc::new(resource);
    for group in &mut groups[first..] {
        group.resource = Arc::clone(&resource);
    }
    Ok(())
}

fn scope_items<T>(
    reader: &mut Reader<'_>,
    layout: &Layout,
    read_item: ReadItem<T>,
    tally: &mut Tally<'_>,
) -> Result<(InstrumentationScope, Vec<T>)> {
    let mut scope = InstrumentationScope::default();
    let mut items = Vec::new();
    reader.object(layout.scope, |reader, key| match key {
        "scope" => value::scope(reader, &mut scope, tally),
        _ => reader.array(|reader| read_item(reader, &mut items, tally)),
    })?;
    Ok((scope, items))
}
