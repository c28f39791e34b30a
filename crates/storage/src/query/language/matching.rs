//! What a query means: whether it matches a record.
//!
//! [`Row`] is a record as a query sees it; stored rows and records on arrival both are one.

use std::borrow::Cow;

use model::signal::{SpanId, TraceId};
use serde::{Deserialize, Serialize};

use super::value::Comparison;
use super::{Expression, Field, Level, Query, Term, TextField};

/// A log record as a query sees it. Values that are not text are seen as the text in which they
/// are stored.
pub trait Row {
    /// `service.name`, or empty.
    fn service(&self) -> &str;
    fn instance(&self) -> Option<&str>;
    fn severity_number(&self) -> i32;
    fn severity_text(&self) -> Option<&str>;
    fn trace_id(&self) -> Option<TraceId>;
    fn span_id(&self) -> Option<SpanId>;
    fn event_name(&self) -> Option<&str>;
    fn body(&self) -> Option<Cow<'_, str>>;
    fn scope_name(&self) -> Option<Cow<'_, str>>;
    /// Calls `test` with each attribute's key and value until it says true; says whether it did.
    fn any_attribute(&self, test: &mut dyn FnMut(&str, &str) -> bool) -> bool;
    /// Likewise for the attributes of the resource.
    fn any_resource_attribute(&self, test: &mut dyn FnMut(&str, &str) -> bool) -> bool;
}

/// The classes of severity of OpenTelemetry's log data model.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "LogSeverity")]
pub enum Severity {
    /// Not told.
    None,
    Trace,
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Severity {
    pub const ALL: [Severity; 7] = [
        Severity::None,
        Severity::Trace,
        Severity::Debug,
        Severity::Info,
        Severity::Warn,
        Severity::Error,
        Severity::Fatal,
    ];
    pub const NUMBER_MAX: u8 = 24;

    /// The number of a record: its own, else the first of the class that its text names, else 0.
    pub fn number(number: i32, text: Option<&str>) -> u8 {
        match u8::try_from(number) {
            Ok(1..) => u8::try_from(number).unwrap_or(0).min(Severity::NUMBER_MAX),
            _ if number > 0 => Severity::NUMBER_MAX,
            _ => text.and_then(Severity::of_name).map_or(0, |class| class.numbers().0),
        }
    }

    pub fn of_number(number: u8) -> Severity {
        match number {
            0 => Severity::None,
            1..=4 => Severity::Trace,
            5..=8 => Severity::Debug,
            9..=12 => Severity::Info,
            13..=16 => Severity::Warn,
            17..=20 => Severity::Error,
            21.. => Severity::Fatal,
        }
    }

    /// By the names that loggers use, whatever their case.
    pub fn of_name(name: &str) -> Option<Severity> {
        const NAMES: &[(&str, Severity)] = &[
            ("none", Severity::None),
            ("trace", Severity::Trace),
            ("debug", Severity::Debug),
            ("info", Severity::Info),
            ("information", Severity::Info),
            ("notice", Severity::Info),
            ("warn", Severity::Warn),
            ("warning", Severity::Warn),
            ("error", Severity::Error),
            ("err", Severity::Error),
            ("fatal", Severity::Fatal),
            ("critical", Severity::Fatal),
            ("crit", Severity::Fatal),
            ("alert", Severity::Fatal),
            ("emerg", Severity::Fatal),
            ("panic", Severity::Fatal),
        ];
        let found = NAMES.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
        found.map(|(_, severity)| *severity)
    }

    /// First and last number of the class.
    pub fn numbers(self) -> (u8, u8) {
        match self {
            Severity::None => (0, 0),
            Severity::Trace => (1, 4),
            Severity::Debug => (5, 8),
            Severity::Info => (9, 12),
            Severity::Warn => (13, 16),
            Severity::Error => (17, 20),
            Severity::Fatal => (21, Severity::NUMBER_MAX),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Severity::None => "none",
            Severity::Trace => "trace",
            Severity::Debug => "debug",
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Error => "error",
            Severity::Fatal => "fatal",
        }
    }
}

impl Query {
    pub fn matches(&self, row: &impl Row) -> bool {
        expression_matches(&self.expression, row)
    }
}

fn expression_matches(expression: &Expression, row: &impl Row) -> bool {
    match expression {
        Expression::All => true,
        Expression::And(parts) => parts.iter().all(|part| expression_matches(part, row)),
        Expression::Or(parts) => parts.iter().any(|part| expression_matches(part, row)),
        Expression::Not(part) => !expression_matches(part, row),
        Expression::Term(term) => term_matches(term, row),
    }
}

/// Whether a record matches one term.
pub fn term_matches(term: &Term, row: &impl Row) -> bool {
    match term {
        Term::Text(field, pattern) => text_matches(*field, row, &|text| pattern.is_match(text)),
        Term::Regex(field, regex) => text_matches(*field, row, &|text| regex.is_match(text)),
        Term::Field(field, test) => field_matches(field, row, &|value| test.is_match(value)),
        Term::Severity(comparison, level) => {
            let number = Severity::number(row.severity_number(), row.severity_text());
            severity_matches(*comparison, *level, number)
        }
        Term::Trace(wanted) => match (row.trace_id(), wanted) {
            (Some(id), Some(wanted)) => id == *wanted,
            (id, _) => id.is_some() && wanted.is_none(),
        },
        Term::Span(wanted) => match (row.span_id(), wanted) {
            (Some(id), Some(wanted)) => id == *wanted,
            (id, _) => id.is_some() && wanted.is_none(),
        },
    }
}

fn text_matches(field: TextField, row: &impl Row, test: &dyn Fn(&str) -> bool) -> bool {
    if row.body().is_some_and(|body| test(&body)) {
        return true;
    }
    match field {
        TextField::Body => false,
        TextField::Any => {
            row.event_name().is_some_and(test) || row.any_attribute(&mut |_, value| test(value))
        }
    }
}

fn field_matches(field: &Field, row: &impl Row, test: &dyn Fn(&str) -> bool) -> bool {
    match field {
        Field::Service => test(row.service()),
        Field::Instance => row.instance().is_some_and(test),
        Field::Event => row.event_name().is_some_and(test),
        Field::Scope => row.scope_name().is_some_and(|name| test(&name)),
        Field::Attribute(wanted) => {
            row.any_attribute(&mut |key, value| key == wanted && test(value))
        }
        Field::Resource(wanted) => {
            row.any_resource_attribute(&mut |key, value| key == wanted && test(value))
        }
    }
}

/// Whether a record of this number is of the severity asked for. A record without a severity is
/// neither less nor greater than any.
pub fn severity_matches(comparison: Comparison, level: Level, number: u8) -> bool {
    let (first, last) = match level {
        Level::Class(class) => class.numbers(),
        Level::Number(number) => (number, number),
    };
    match comparison {
        Comparison::Equal => (first..=last).contains(&number),
        _ if number == 0 => false,
        Comparison::Less => number < first,
        Comparison::LessOrEqual => number <= last,
        Comparison::Greater => number > last,
        Comparison::GreaterOrEqual => number >= first,
    }
}
