//! A walk over protobuf's wire bytes that fills `model::signal`, without generated code.
//!
//! Field numbers and types are those of `opentelemetry-proto` 1.x; each function reads one message
//! into a value that may hold something already, because protobuf allows a message to come in
//! pieces that are merged. Unknown fields are skipped. A known field of the wrong wire type is an
//! error.

mod wire;

mod value;

mod traces;

mod metrics;

mod logs;

use std::sync::Arc;

use model::signal::{Batch, Group, InstrumentationScope, Resource, Signal};

use self::wire::Message;
use super::Result;
use super::tally::Tally;

/// Reads one item out of a message and settles it into the list.
type ReadItem<T> = fn(Message<'_>, &mut Vec<T>, &mut Tally<'_>) -> Result<()>;

pub(super) fn batch(tally: &mut Tally<'_>) -> Result<Batch> {
    let body = tally.body().clone();
    let request = Message::new(body.bytes());
    Ok(match tally.signal() {
        Signal::Traces => Batch::Traces(groups(request, traces::span, tally)?),
        Signal::Metrics => Batch::Metrics(groups(request, metrics::metric, tally)?),
        Signal::Logs => Batch::Logs(groups(request, logs::log_record, tally)?),
    })
}

/// The three requests share their outer layers: resources, scopes, items.
fn groups<T>(
    mut request: Message<'_>,
    read_item: ReadItem<T>,
    tally: &mut Tally<'_>,
) -> Result<Vec<Group<T>>> {
    let mut groups = Vec::new();
    while let Some(field) = request.next_field()? {
        if field.number == 1 {
            resource_groups(field.message()?, read_item, &mut groups, tally)?;
        }
    }
    Ok(groups)
}

fn resource_groups<T>(
    mut message: Message<'_>,
    read_item: ReadItem<T>,
    groups: &mut Vec<Group<T>>,
    tally: &mut Tally<'_>,
) -> Result<()> {
    let first = groups.len();
    let mut resource = Resource::default();
    let unknown_yet = Arc::new(Resource::default());
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => value::resource(field.message()?, &mut resource, tally)?,
            2 => {
                let (scope, items) = scope_items(field.message()?, read_item, tally)?;
                if !items.is_empty() {
                    let group = Group { resource: Arc::clone(&unknown_yet), scope, items };
                    tally.push(groups, group)?;
                }
            }
            _ => {}
        }
    }
    // The resource may follow its scopes on the wire.
    let resource = Arc::new(resource);
    for group in &mut groups[first..] {
        group.resource = Arc::clone(&resource);
    }
    Ok(())
}

fn scope_items<T>(
    mut message: Message<'_>,
    read_item: ReadItem<T>,
    tally: &mut Tally<'_>,
) -> Result<(InstrumentationScope, Vec<T>)> {
    let mut scope = InstrumentationScope::default();
    let mut items = Vec::new();
    while let Some(field) = message.next_field()? {
        match field.number {
            1 => value::scope(field.message()?, &mut scope, tally)?,
            2 => {
                field.make_room(&mut items, tally)?;
                read_item(field.message()?, &mut items, tally)?;
            }
            _ => {}
        }
    }
    Ok((scope, items))
}
