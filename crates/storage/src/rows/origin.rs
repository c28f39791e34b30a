//! Resource and scope of rows, parsed once for each distinct text in a row.

use std::sync::Arc;

use arrow_array::RecordBatch;
use model::signal::{InstrumentationScope, Resource};

use super::column::Texts;
use super::json::{attributes_of, scope_of};
use crate::Error;

/// Neighbouring rows mostly have the same origin; this remembers the last few.
const REMEMBERED: usize = 16;

pub(super) struct Origins<'a> {
    resource: Texts<'a>,
    scope: Texts<'a>,
    resources: Vec<(&'a str, Arc<Resource>)>,
    scopes: Vec<(&'a str, Arc<InstrumentationScope>)>,
}

impl<'a> Origins<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Result<Origins<'a>, Error> {
        let (resource, scope) = (Texts::of(batch, "resource")?, Texts::of(batch, "scope")?);
        Ok(Origins { resource, scope, resources: Vec::new(), scopes: Vec::new() })
    }

    pub(super) fn get(&mut self, row: usize) -> (Arc<Resource>, Arc<InstrumentationScope>) {
        let resource = find(&mut self.resources, self.resource.text(row), |json| Resource {
            attributes: attributes_of(json).unwrap_or_default(),
        });
        let scope =
            find(&mut self.scopes, self.scope.text(row), |json| scope_of(json).unwrap_or_default());
        (resource, scope)
    }
}

fn find<'a, T>(
    known: &mut Vec<(&'a str, Arc<T>)>,
    json: &'a str,
    parse: impl FnOnce(&str) -> T,
) -> Arc<T> {
    if let Some((_, value)) = known.iter().find(|(text, _)| *text == json) {
        return Arc::clone(value);
    }
    let value = Arc::new(parse(json));
    if known.len() == REMEMBERED {
        known.remove(0);
    }
    known.push((json, Arc::clone(&value)));
    value
}
