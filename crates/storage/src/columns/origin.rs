//! Whose telemetry it is: service, instance, resource and scope, rendered once for each group.

use arrow_array::ArrayRef;
use arrow_schema::ArrowError;
use model::signal::{InstrumentationScope, Resource};

use super::json;
use super::words::Words;

#[derive(Default)]
pub struct Origin {
    service: Words,
    instance: Words,
    resource: Words,
    scope: Words,
    scratch: Vec<u8>,
}

/// The words of one group in the open chunk.
#[derive(Clone, Copy)]
pub struct Keys {
    service: i32,
    instance: Option<i32>,
    resource: i32,
    scope: Option<i32>,
}

impl Origin {
    pub fn intern(&mut self, resource: &Resource, scope: &InstrumentationScope) -> Keys {
        let attributes = &resource.attributes;
        let service = attributes.str("service.name").unwrap_or("");
        let instance = attributes.str("service.instance.id");
        Keys {
            service: self.service.dictionary.intern(service),
            instance: instance.map(|instance| self.instance.dictionary.intern(instance)),
            resource: {
                self.scratch.clear();
                json::object(&mut self.scratch, attributes);
                self.resource.dictionary.intern(text(&self.scratch))
            },
            scope: (!is_empty(scope)).then(|| {
                self.scratch.clear();
                json::scope(&mut self.scratch, scope);
                self.scope.dictionary.intern(text(&self.scratch))
            }),
        }
    }

    pub fn set(&mut self, row: usize, keys: Keys) {
        self.service.set_key(row, keys.service);
        self.resource.set_key(row, keys.resource);
        if let Some(instance) = keys.instance {
            self.instance.set_key(row, instance);
        }
        if let Some(scope) = keys.scope {
            self.scope.set_key(row, scope);
        }
    }

    pub fn bytes(&self) -> usize {
        let words = [&self.service, &self.instance, &self.resource, &self.scope];
        words.into_iter().map(Words::bytes).sum()
    }

    pub fn clear(&mut self) {
        let words = [&mut self.service, &mut self.instance, &mut self.resource, &mut self.scope];
        words.into_iter().for_each(Words::clear);
    }

    /// In the order of the schema.
    pub fn arrays(&self, rows: usize) -> Result<Vec<ArrayRef>, ArrowError> {
        let words = [&self.service, &self.instance, &self.resource, &self.scope];
        words.into_iter().map(|words| words.array(rows)).collect()
    }
}

pub fn is_empty(scope: &InstrumentationScope) -> bool {
    scope.name.is_empty() && scope.version.is_empty() && scope.attributes.0.is_empty()
}

/// What `json` wrote.
pub fn text(json: &[u8]) -> &str {
    std::str::from_utf8(json).unwrap_or("")
}
