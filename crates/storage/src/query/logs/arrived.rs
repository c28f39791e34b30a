//! A log record on arrival, as a query sees it.
//!
//! Invariant: it looks as it will once it is stored.

use std::borrow::Cow;

use model::signal::{
    AnyValue, Attributes, InstrumentationScope, LogRecord, Resource, SpanId, TraceId,
};

use crate::columns::json;
use crate::query::language::Row;

pub struct ArrivedRow<'a> {
    pub resource: &'a Resource,
    pub scope: &'a InstrumentationScope,
    pub record: &'a LogRecord,
}

impl Row for ArrivedRow<'_> {
    fn service(&self) -> &str {
        self.resource.attributes.str("service.name").unwrap_or_default()
    }

    fn instance(&self) -> Option<&str> {
        self.resource.attributes.str("service.instance.id")
    }

    fn severity_number(&self) -> i32 {
        self.record.severity_number
    }

    fn severity_text(&self) -> Option<&str> {
        present(&self.record.severity_text)
    }

    fn trace_id(&self) -> Option<TraceId> {
        Some(self.record.trace_id).filter(|id| *id != [0; 16])
    }

    fn span_id(&self) -> Option<SpanId> {
        Some(self.record.span_id).filter(|id| *id != [0; 8])
    }

    fn event_name(&self) -> Option<&str> {
        present(&self.record.event_name)
    }

    fn body(&self) -> Option<Cow<'_, str>> {
        match &self.record.body {
            AnyValue::Empty => None,
            body => Some(stored(body)),
        }
    }

    fn scope_name(&self) -> Option<Cow<'_, str>> {
        present(&self.scope.name).map(Cow::Borrowed)
    }

    fn any_attribute(&self, test: &mut dyn FnMut(&str, &str) -> bool) -> bool {
        any(&self.record.attributes, test)
    }

    fn any_resource_attribute(&self, test: &mut dyn FnMut(&str, &str) -> bool) -> bool {
        any(&self.resource.attributes, test)
    }
}

/// Whether `test` holds for any attribute, its value as it is stored.
pub fn any(attributes: &Attributes, test: &mut dyn FnMut(&str, &str) -> bool) -> bool {
    attributes.0.iter().any(|(key, value)| test(key, &stored(value)))
}

fn stored(value: &AnyValue) -> Cow<'_, str> {
    if let AnyValue::String(text) = value {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::new();
    json::typed(&mut out, value);
    // What it writes is text; should it not be, nothing but this row is shown wrongly.
    Cow::Owned(String::from_utf8(out).unwrap_or_default())
}

fn present(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
