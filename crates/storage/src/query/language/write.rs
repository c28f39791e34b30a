//! Writes a query so that it reads back as the same query.

use std::fmt::{Formatter, Result, Write};

use super::parse::{RESOURCE_PREFIX, is_bare_key, is_bare_value, is_bare_word};
use super::value::Test;
use super::{Expression, Field, Level, RegexPattern, Term, TextField, TextPattern, ValuePattern};

pub fn query(f: &mut Formatter<'_>, expression: &Expression) -> Result {
    match expression {
        Expression::All => f.write_char('*'),
        Expression::And(parts) => join(f, parts, " ", operand),
        // AND binds closer: no parentheses, so that nesting does not grow.
        Expression::Or(parts) => join(f, parts, " OR ", |f, part| match part {
            Expression::And(_) => query(f, part),
            _ => operand(f, part),
        }),
        Expression::Not(part) => {
            f.write_char('-')?;
            operand(f, part)
        }
        Expression::Term(term) => write_term(f, term),
    }
}

fn join(
    f: &mut Formatter<'_>,
    parts: &[Expression],
    between: &str,
    write: fn(&mut Formatter<'_>, &Expression) -> Result,
) -> Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        write(f, part)?;
    }
    Ok(())
}

fn operand(f: &mut Formatter<'_>, expression: &Expression) -> Result {
    if matches!(expression, Expression::And(_) | Expression::Or(_)) {
        f.write_char('(')?;
        query(f, expression)?;
        return f.write_char(')');
    }
    query(f, expression)
}

fn write_term(f: &mut Formatter<'_>, term: &Term) -> Result {
    match term {
        Term::Text(field, pattern) => {
            text_field(f, *field)?;
            text_pattern(f, *field, pattern)
        }
        Term::Regex(field, pattern) => {
            text_field(f, *field)?;
            regex(f, pattern)
        }
        Term::Field(field, test) => {
            write_field(f, field)?;
            f.write_char(':')?;
            write_test(f, test)
        }
        Term::Severity(comparison, level) => {
            write!(f, "severity:{}", comparison.as_str())?;
            match level {
                Level::Class(class) => f.write_str(class.as_str()),
                Level::Number(number) => write!(f, "{number}"),
            }
        }
        Term::Trace(id) => write_id(f, "trace", id.as_ref().map(<[u8; 16]>::as_slice)),
        Term::Span(id) => write_id(f, "span", id.as_ref().map(<[u8; 8]>::as_slice)),
    }
}

fn text_field(f: &mut Formatter<'_>, field: TextField) -> Result {
    match field {
        TextField::Any => Ok(()),
        TextField::Body => f.write_str("body:"),
    }
}

fn text_pattern(f: &mut Formatter<'_>, field: TextField, pattern: &TextPattern) -> Result {
    if let ([piece], false, false) = (pattern.pieces(), pattern.open_left(), pattern.open_right()) {
        let bare = match field {
            TextField::Any => is_bare_word(piece),
            TextField::Body => is_bare_value(piece),
        };
        return if bare { f.write_str(piece) } else { quoted(f, piece) };
    }
    if pattern.open_left() {
        f.write_char('*')?;
    }
    f.write_str(&pattern.pieces().join("*"))?;
    if pattern.open_right() {
        f.write_char('*')?;
    }
    Ok(())
}

fn write_field(f: &mut Formatter<'_>, field: &Field) -> Result {
    match field {
        Field::Service => f.write_str("service"),
        Field::Instance => f.write_str("instance"),
        Field::Event => f.write_str("event"),
        Field::Scope => f.write_str("scope"),
        Field::Attribute(key) if is_bare_key(key) => f.write_str(key),
        Field::Attribute(key) => quoted(f, key),
        Field::Resource(key) => {
            f.write_str(RESOURCE_PREFIX)?;
            // What follows the prefix may well be a reserved name.
            let bare = key.is_empty() || !is_bare_word(key);
            if bare { quoted(f, key) } else { f.write_str(key) }
        }
    }
}

fn write_test(f: &mut Formatter<'_>, test: &Test) -> Result {
    match test {
        Test::Exists => f.write_char('*'),
        Test::Is(pattern) => value(f, pattern),
        Test::Matches(pattern) => regex(f, pattern),
        Test::Compares(comparison, number) => write!(f, "{}{number}", comparison.as_str()),
    }
}

fn value(f: &mut Formatter<'_>, pattern: &ValuePattern) -> Result {
    match pattern.as_literal() {
        Some(literal) if is_bare_value(literal) => f.write_str(literal),
        Some(literal) => quoted(f, literal),
        None => f.write_str(&pattern.pieces().join("*")),
    }
}

fn regex(f: &mut Formatter<'_>, pattern: &RegexPattern) -> Result {
    f.write_char('/')?;
    let mut escaped = false;
    for letter in pattern.source().chars() {
        if letter == '/' && !escaped {
            f.write_char('\\')?;
        }
        escaped = letter == '\\' && !escaped;
        f.write_char(letter)?;
    }
    f.write_str(if pattern.ignore_case() { "/i" } else { "/" })
}

fn write_id(f: &mut Formatter<'_>, field: &str, id: Option<&[u8]>) -> Result {
    write!(f, "{field}:")?;
    match id {
        None => f.write_char('*'),
        Some(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> Result {
    f.write_char('"')?;
    for letter in text.chars() {
        match letter {
            '"' | '\\' => {
                f.write_char('\\')?;
                f.write_char(letter)?;
            }
            '\n' => f.write_str("\\n")?,
            '\t' => f.write_str("\\t")?,
            letter => f.write_char(letter)?,
        }
    }
    f.write_char('"')
}
