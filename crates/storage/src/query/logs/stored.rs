//! Stored log records, as a query sees them: columns of a batch, read without a copy.
//!
//! Only the columns that [`columns_of`] names are needed; others read as absent.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use arrow_array::RecordBatch;
use model::Timestamp;
use model::signal::{Attributes, SpanId, TraceId};

use super::arrived::any;
use crate::Error;
use crate::query::language::{Expression, Field, Query, Row, Severity, Term, TextField};
use crate::rows::{self, Ids, Integers, Texts, Times};
use crate::schema::LOG_TEXTS;

pub struct StoredRows<'a> {
    time: Times<'a>,
    service: Texts<'a>,
    instance: Texts<'a>,
    severity_number: Integers<'a>,
    severity_text: Texts<'a>,
    trace_id: Ids<'a>,
    span_id: Ids<'a>,
    event_name: Texts<'a>,
    body: Texts<'a>,
    scope: Texts<'a>,
    resource: Texts<'a>,
    promoted: Vec<(&'static str, Texts<'a>)>,
    attributes: rows::Attributes<'a>,
    /// JSON objects of the batch that were parsed before.
    objects: RefCell<HashMap<&'a str, Rc<Attributes>>>,
}

/// One row of them.
pub struct StoredRow<'a, 'b> {
    rows: &'b StoredRows<'a>,
    index: usize,
}

impl<'a> StoredRows<'a> {
    pub fn of(batch: &'a RecordBatch) -> Result<StoredRows<'a>, Error> {
        let text = |name: &str| Texts::of(batch, name);
        let promoted = LOG_TEXTS.iter().map(|name| Ok((*name, text(name)?)));
        Ok(StoredRows {
            time: Times::of(batch, "time")?,
            service: text("service")?,
            instance: text("instance")?,
            severity_number: Integers::of(batch, "severity_number")?,
            severity_text: text("severity_text")?,
            trace_id: Ids::of(batch, "trace_id")?,
            span_id: Ids::of(batch, "span_id")?,
            event_name: text("event_name")?,
            body: text("body")?,
            scope: text("scope")?,
            resource: text("resource")?,
            promoted: promoted.collect::<Result<_, Error>>()?,
            attributes: rows::Attributes::of(batch)?,
            objects: RefCell::default(),
        })
    }

    pub fn row(&self, index: usize) -> StoredRow<'a, '_> {
        StoredRow { rows: self, index }
    }

    pub fn time(&self, index: usize) -> Timestamp {
        self.time.get(index).unwrap_or_default()
    }

    pub fn severity(&self, index: usize) -> Severity {
        let row = self.row(index);
        Severity::of_number(Severity::number(row.severity_number(), row.severity_text()))
    }

    fn object(&self, json: &'a str) -> Rc<Attributes> {
        let mut objects = self.objects.borrow_mut();
        let parsed = objects
            .entry(json)
            .or_insert_with(|| Rc::new(rows::attributes_of(json).unwrap_or_default()));
        Rc::clone(parsed)
    }
}

impl Row for StoredRow<'_, '_> {
    fn service(&self) -> &str {
        self.rows.service.text(self.index)
    }

    fn instance(&self) -> Option<&str> {
        self.rows.instance.get(self.index)
    }

    fn severity_number(&self) -> i32 {
        let number = self.rows.severity_number.get(self.index);
        number.and_then(|number| i32::try_from(number).ok()).unwrap_or(0)
    }

    fn severity_text(&self) -> Option<&str> {
        self.rows.severity_text.get(self.index)
    }

    fn trace_id(&self) -> Option<TraceId> {
        self.rows.trace_id.get(self.index)
    }

    fn span_id(&self) -> Option<SpanId> {
        self.rows.span_id.get(self.index)
    }

    fn event_name(&self) -> Option<&str> {
        self.rows.event_name.get(self.index)
    }

    fn body(&self) -> Option<Cow<'_, str>> {
        self.rows.body.get(self.index).map(Cow::Borrowed)
    }

    fn scope_name(&self) -> Option<Cow<'_, str>> {
        let object = self.rows.object(self.rows.scope.get(self.index)?);
        object.str("name").map(|name| Cow::Owned(name.to_owned()))
    }

    fn any_attribute(&self, test: &mut dyn FnMut(&str, &str) -> bool) -> bool {
        let mut promoted = self.rows.promoted.iter();
        let found = promoted
            .any(|(name, texts)| texts.get(self.index).is_some_and(|value| test(name, value)));
        found || self.rows.attributes.iter(self.index).any(|(key, value, _)| test(key, value))
    }

    fn any_resource_attribute(&self, test: &mut dyn FnMut(&str, &str) -> bool) -> bool {
        any(&self.rows.object(self.rows.resource.text(self.index)), test)
    }
}

/// The columns that a query reads.
pub fn columns_of(query: &Query) -> BTreeSet<&'static str> {
    query.terms().into_iter().flat_map(columns_of_term).collect()
}

pub fn columns_of_term(term: &Term) -> Vec<&'static str> {
    match term {
        Term::Text(TextField::Body, _) | Term::Regex(TextField::Body, _) => vec!["body"],
        Term::Text(TextField::Any, _) | Term::Regex(TextField::Any, _) => {
            let mut columns = vec!["body", "event_name", "attributes"];
            columns.extend(LOG_TEXTS);
            columns
        }
        Term::Field(Field::Service, _) => vec!["service"],
        Term::Field(Field::Instance, _) => vec!["instance"],
        Term::Field(Field::Event, _) => vec!["event_name"],
        Term::Field(Field::Scope, _) => vec!["scope"],
        Term::Field(Field::Resource(_), _) => vec!["resource"],
        Term::Field(Field::Attribute(key), _) => {
            // A value of another type is in the map.
            let promoted = LOG_TEXTS.iter().find(|name| *name == key);
            promoted.into_iter().copied().chain(["attributes"]).collect()
        }
        Term::Severity(..) => vec!["severity_number", "severity_text"],
        Term::Trace(_) => vec!["trace_id"],
        Term::Span(_) => vec!["span_id"],
    }
}

/// A query in at most two parts, of which both have to match: first what reads small columns only,
/// for most rows fall by that before any text is read.
pub fn in_stages(query: &Query) -> Vec<Query> {
    const CHEAP: &[&str] =
        &["service", "instance", "severity_number", "severity_text", "trace_id", "span_id"];
    let parts = match query.expression() {
        Expression::All => return Vec::new(),
        Expression::And(parts) => parts.clone(),
        other => vec![other.clone()],
    };
    let (cheap, costly): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| {
        let columns = columns_of(&Query::from(part.clone()));
        columns.iter().all(|column| CHEAP.contains(column))
    });
    let joined = |mut parts: Vec<Expression>| match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Expression::And(parts)),
    };
    [joined(cheap), joined(costly)].into_iter().flatten().map(Query::from).collect()
}
