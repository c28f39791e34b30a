//! The language in which log records are asked for: words, phrases, regexes and fields, joined by
//! AND, OR and NOT. `docs/logs.md` explains it to users.
//!
//! A query is parsed once into an [`Expression`] whose terms are ready to be tested. What a term
//! means is said once, by [`Query::matches`] over a [`Row`]: searches and live tails both use it,
//! so they cannot differ. `needs` says what must be present in a row group for a term to match.
//!
//! Invariants: parsing is bounded in bytes, depth, terms and size of regexes, and never panics;
//! what `Display` writes parses to the same query.

mod matching;
mod needs;
mod parse;
mod pattern;
mod value;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use model::signal::{SpanId, TraceId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use matching::{Row, Severity, term_matches};
pub use needs::{Hints, Needs};
pub use pattern::{RegexPattern, TextPattern};
pub use value::{Comparison, Test, ValuePattern};

/// Longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 4096;
/// Deepest nesting of parentheses and NOTs.
pub const DEPTH_MAX: usize = 32;
/// Most terms in a query.
pub const TERMS_MAX: usize = 64;
/// Most regexes in a query.
pub const REGEXES_MAX: usize = 8;

/// A parsed log query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    expression: Expression,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Every record.
    All,
    /// At least two.
    And(Vec<Expression>),
    /// At least two.
    Or(Vec<Expression>),
    Not(Box<Expression>),
    Term(Term),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// A word, a word with wildcards, or a phrase.
    Text(TextField, TextPattern),
    Regex(TextField, RegexPattern),
    Field(Field, Test),
    Severity(Comparison, Level),
    /// Of a trace; of any trace where absent.
    Trace(Option<TraceId>),
    /// Of a span; of any span where absent.
    Span(Option<SpanId>),
}

/// In which texts of a record a pattern is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// Body, name of the event, and values of attributes.
    Any,
    Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    Service,
    Instance,
    Event,
    /// Name of the instrumentation scope, which is the logger's name in most languages.
    Scope,
    Attribute(String),
    Resource(String),
}

/// A severity as it is asked for: by the name of its class, or by OpenTelemetry's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Class(Severity),
    Number(u8),
}

/// Why a text is not a query, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("column {column}: {message}")]
pub struct Invalid {
    /// Counted in characters, from 1.
    pub column: usize,
    /// What is wrong and what to write.
    pub message: String,
}

impl Query {
    /// Every record.
    pub fn all() -> Query {
        Query { expression: Expression::All }
    }

    /// An empty text asks for every record.
    pub fn parse(text: &str) -> Result<Query, Invalid> {
        parse::parse(text).map(|expression| Query { expression })
    }

    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// This query for the records of one service.
    pub fn of_service(self, service: &str) -> Query {
        let is = Test::Is(ValuePattern::literal(service));
        let of = Expression::Term(Term::Field(Field::Service, is));
        let expression = match self.expression {
            Expression::All => of,
            other => Expression::And(vec![of, other]),
        };
        Query { expression }
    }

    /// All terms, from left to right.
    pub fn terms(&self) -> Vec<&Term> {
        let mut terms = Vec::new();
        let mut rest = vec![&self.expression];
        while let Some(expression) = rest.pop() {
            match expression {
                Expression::All => {}
                Expression::And(parts) | Expression::Or(parts) => rest.extend(parts.iter().rev()),
                Expression::Not(part) => rest.push(part),
                Expression::Term(term) => terms.push(term),
            }
        }
        terms
    }
}

impl From<Expression> for Query {
    fn from(expression: Expression) -> Query {
        Query { expression }
    }
}

impl FromStr for Query {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Query, Invalid> {
        Query::parse(text)
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::query(f, &self.expression)
    }
}

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Query, D::Error> {
        let text = String::deserialize(deserializer)?;
        Query::parse(&text).map_err(serde::de::Error::custom)
    }
}
