//! Filters of spans by one attribute: `http.route=/checkout`, `db.system!=redis`, `user.id`,
//! `!user.id`, `http.response.status_code>=500`, `url.path=~/api/.*`, `resource.host.name=web-1`.
//!
//! A value is compared as the text in which it is stored: numbers in decimal, everything else that
//! is not text as JSON. A regex has to match the whole value. `!=` and `!~` hold for spans without
//! the attribute too, as they do for labels in Prometheus.
//!
//! Invariants: parsing is bounded in bytes and in size of the regex, and never panics; what
//! `Display` writes parses to the same filter.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use model::signal::AnyValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::language::{Comparison, Invalid, RegexPattern};
use crate::columns::json;

/// Longest filter, in bytes.
pub const FILTER_BYTES_MAX: usize = 2048;
/// Keys with this before them are attributes of the resource.
const RESOURCE: &str = "resource.";

#[derive(Clone, Debug, PartialEq)]
pub struct AttributeFilter {
    pub key: Key,
    pub test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Attribute(String),
    Resource(String),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    Exists,
    Absent,
    Equal(String),
    NotEqual(String),
    Matches(RegexPattern),
    NotMatches(RegexPattern),
    /// The value is a number, and compares so with this one.
    Compares(Comparison, f64),
}

impl AttributeFilter {
    pub fn parse(text: &str) -> Result<AttributeFilter, Invalid> {
        let invalid = |at: usize, message: String| Invalid {
            column: text[..at].chars().count() + 1,
            message,
        };
        if text.len() > FILTER_BYTES_MAX {
            return Err(invalid(0, format!("longer than the {FILTER_BYTES_MAX} bytes allowed")));
        }
        let trimmed = text.trim();
        if let Some(key) = trimmed.strip_prefix('!') {
            let key = parse_key(key).map_err(|message| invalid(0, message))?;
            return Ok(AttributeFilter { key, test: Test::Absent });
        }
        let Some(at) = trimmed.find(['=', '!', '<', '>']) else {
            let key = parse_key(trimmed).map_err(|message| invalid(0, message))?;
            return Ok(AttributeFilter { key, test: Test::Exists });
        };
        let key = parse_key(&trimmed[..at]).map_err(|message| invalid(0, message))?;
        let offset = text.len() - text.trim_start().len() + at;
        let test = parse_test(&trimmed[at..]).map_err(|message| invalid(offset, message))?;
        Ok(AttributeFilter { key, test })
    }

    /// Whether a span passes whose attribute has this value.
    pub fn is_match(&self, value: Option<&str>) -> bool {
        match (&self.test, value) {
            (Test::Exists, value) => value.is_some(),
            (Test::Absent, value) => value.is_none(),
            (Test::Equal(text), value) => value == Some(text),
            (Test::NotEqual(text), value) => value != Some(text),
            (Test::Matches(regex), value) => value.is_some_and(|value| regex.is_match(value)),
            (Test::NotMatches(regex), value) => !value.is_some_and(|value| regex.is_match(value)),
            (Test::Compares(comparison, than), value) => {
                let number = value.and_then(|value| value.parse::<f64>().ok());
                number.is_some_and(|number| number.is_finite() && comparison.holds(&number, than))
            }
        }
    }

    /// Whether spans without the attribute pass.
    pub fn takes_absent(&self) -> bool {
        self.is_match(None)
    }
}

/// A value as it is stored in the map of attributes.
pub fn text_of(value: &AnyValue) -> Cow<'_, str> {
    if let AnyValue::String(text) = value {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::new();
    json::typed(&mut out, value);
    // What it writes is text; should it not be, the value is shown as empty and nothing breaks.
    Cow::Owned(String::from_utf8(out).unwrap_or_default())
}

/// A regex that has to match the whole text.
pub(super) fn whole(source: &str) -> Result<RegexPattern, String> {
    // Checked by itself first: `)(` would otherwise pass between the parentheses.
    RegexPattern::new(source, false)?;
    RegexPattern::new(&format!("^(?s:{source})$"), false)
}

/// What was given to [`whole`].
pub(super) fn source_of(regex: &RegexPattern) -> &str {
    let source = regex.source();
    source.strip_prefix("^(?s:").and_then(|rest| rest.strip_suffix(")$")).unwrap_or(source)
}

fn parse_key(text: &str) -> Result<Key, String> {
    let text = text.trim();
    let key = match text.strip_prefix(RESOURCE) {
        Some(key) => Key::Resource(key.to_owned()),
        None => Key::Attribute(text.to_owned()),
    };
    let (Key::Attribute(name) | Key::Resource(name)) = &key;
    if name.is_empty() {
        return Err("name an attribute, for example http.route=/checkout".to_owned());
    }
    if name.contains(['=', '!', '<', '>', '"']) {
        return Err(format!("`{name}` cannot be the name of an attribute"));
    }
    Ok(key)
}

/// `text` begins with an operator.
fn parse_test(text: &str) -> Result<Test, String> {
    const OPERATORS: &[&str] = &["!=", "!~", "=~", ">=", "<=", "=", ">", "<"];
    let Some(operator) = OPERATORS.iter().find(|operator| text.starts_with(**operator)) else {
        return Err("write one of = != =~ !~ > >= < <=".to_owned());
    };
    let value = parse_value(&text[operator.len()..])?;
    let number = || {
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| format!("`{value}` is not a number"))
    };
    Ok(match *operator {
        "!=" => Test::NotEqual(value),
        "!~" => Test::NotMatches(whole(&value)?),
        "=~" => Test::Matches(whole(&value)?),
        ">=" => Test::Compares(Comparison::GreaterOrEqual, number()?),
        "<=" => Test::Compares(Comparison::LessOrEqual, number()?),
        ">" => Test::Compares(Comparison::Greater, number()?),
        "<" => Test::Compares(Comparison::Less, number()?),
        _ => Test::Equal(value),
    })
}

/// A bare value is taken as it is; one in quotes may begin with anything, and has `\"` and `\\`.
fn parse_value(text: &str) -> Result<String, String> {
    let text = text.trim();
    let Some(quoted) = text.strip_prefix('"') else { return Ok(text.to_owned()) };
    let mut value = String::with_capacity(quoted.len());
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if letters.as_str().is_empty() => return Ok(value),
            '"' => return Err("there is more after the closing quote".to_owned()),
            '\\' => match letters.next() {
                Some(escaped @ ('"' | '\\')) => value.push(escaped),
                // A regex is full of backslashes: they stay.
                Some(other) => value.extend(['\\', other]),
                None => break,
            },
            _ => value.push(letter),
        }
    }
    Err("the quote is not closed".to_owned())
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Attribute(name) => f.write_str(name),
            Key::Resource(name) => write!(f, "{RESOURCE}{name}"),
        }
    }
}

impl fmt::Display for AttributeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        match &self.test {
            Test::Exists => write!(f, "{key}"),
            Test::Absent => write!(f, "!{key}"),
            Test::Equal(text) => write!(f, "{key}=\"{}\"", quoted(text)),
            Test::NotEqual(text) => write!(f, "{key}!=\"{}\"", quoted(text)),
            Test::Matches(regex) => write!(f, "{key}=~\"{}\"", quoted(source_of(regex))),
            Test::NotMatches(regex) => write!(f, "{key}!~\"{}\"", quoted(source_of(regex))),
            Test::Compares(comparison, than) => write!(f, "{key}{}{than}", comparison.as_str()),
        }
    }
}

impl FromStr for AttributeFilter {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<AttributeFilter, Invalid> {
        AttributeFilter::parse(text)
    }
}

impl Serialize for AttributeFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for AttributeFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AttributeFilter, D::Error> {
        let text = String::deserialize(deserializer)?;
        AttributeFilter::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn takes(filter: &str, value: Option<&str>) -> bool {
        AttributeFilter::parse(filter).unwrap().is_match(value)
    }

    #[test]
    fn a_filter_means_what_it_says() {
        let key = |filter: &str| AttributeFilter::parse(filter).unwrap().key;
        assert_eq!(key("resource.host.name=a"), Key::Resource("host.name".to_owned()));
        assert_eq!(key(" http.route = /a=b "), Key::Attribute("http.route".to_owned()));
        for (filter, value, expected) in [
            ("a=/x=y", Some("/x=y"), true),
            ("a=\"=~ \\\"q\\\"\"", Some("=~ \"q\""), true),
            ("a!=x", None, true),
            ("a!=x", Some("x"), false),
            ("a=", Some(""), true),
            ("a", Some(""), true),
            ("!a", None, true),
            ("!a", Some("1"), false),
            ("a>=500", Some("503"), true),
            ("a>=500", Some("499"), false),
            ("a<500", Some("many"), false),
            ("a=~5..", Some("503"), true),
            ("a=~5..", Some("1503"), false),
            ("a=~x|y", Some("xz"), false),
            (r#"a=~"\d+""#, Some("12"), true),
            ("a!~5..", None, true),
        ] {
            assert_eq!(takes(filter, value), expected, "{filter} of {value:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (filter, column) in [
            ("", 1),
            ("=x", 1),
            ("a>x", 2),
            ("a=~(", 2),
            ("a=~x)(y", 2),
            ("  a=\"x", 4),
            ("a=\"x\"y", 2),
            ("a!x", 2),
            (&"x".repeat(FILTER_BYTES_MAX + 1), 1),
            ("a=~(x{1000}){1000}", 2),
        ] {
            assert_eq!(AttributeFilter::parse(filter).unwrap_err().column, column, "{filter}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_parses_to_the_same(text in "[a-c.]{1,3}(!=|=~|!~|>|<=|=)?\\PC{0,8}") {
            if let Ok(filter) = AttributeFilter::parse(&text) {
                prop_assert_eq!(AttributeFilter::parse(&filter.to_string()).unwrap(), filter);
            }
        }

        #[test]
        fn no_text_is_harm(text in "\\PC{0,40}") {
            let _ = AttributeFilter::parse(&text);
        }
    }
}
