//! A CLIENT span and a duration around each piece of work with SQLite.
//!
//! Attributes follow the database semantic conventions (stable since 1.33).

use std::time::Instant;

use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _};
use opentelemetry::{KeyValue, global};

use super::{INSTRUMENTS, SCOPE};
use crate::clock::steady_now;
use crate::store::{Query, StoreError};

/// A running piece of work.
pub struct QuerySpan {
    span: global::BoxedSpan,
    started: Instant,
    attributes: Vec<KeyValue>,
}

impl QuerySpan {
    /// Starts the span of `query` on the database called `namespace`.
    pub fn start(namespace: &str, query: Query) -> QuerySpan {
        let attributes = vec![
            KeyValue::new("db.system.name", "sqlite"),
            KeyValue::new("db.namespace", namespace.to_owned()),
            KeyValue::new("db.operation.name", query.operation),
            KeyValue::new("db.query.summary", query.summary),
        ];
        let tracer = global::tracer(SCOPE);
        let builder = tracer.span_builder(query.summary).with_kind(SpanKind::Client);
        let span = builder.with_attributes(attributes.clone()).start(&tracer);
        QuerySpan { span, started: steady_now(), attributes }
    }

    /// Ends the span; with an error where the database failed.
    pub fn end(mut self, error: Option<&StoreError>) {
        if let Some(error) = error {
            let kind = KeyValue::new("error.type", error_type(error));
            self.span.set_attribute(kind.clone());
            self.attributes.push(kind);
            self.span.set_status(Status::error(crate::problem::chain(error)));
        }
        let elapsed_s = self.started.elapsed().as_secs_f64();
        INSTRUMENTS.database_duration.record(elapsed_s, &self.attributes);
        self.span.end();
    }
}

fn error_type(error: &StoreError) -> String {
    match error {
        StoreError::Query(_, error) => match error.sqlite_error_code() {
            Some(code) => format!("{code:?}"),
            None => "_OTHER".to_owned(),
        },
        _ => "_OTHER".to_owned(),
    }
}
