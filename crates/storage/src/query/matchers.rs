//! Which series are asked for: `http.server.duration{service="cart",code=~"5.."}`, in Prometheus's
//! way of writing.
//!
//! Names of metrics and labels may have dots, as OpenTelemetry's have; others are written in
//! quotes. A label that a series does not have is the same as an empty one; a regex has to match
//! the whole value.
//!
//! Invariants: parsing is bounded in bytes, matchers and size of regexes, and never panics; what
//! `Display` writes parses to the same selector.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::attributes::{source_of, whole};
use super::language::{Invalid, RegexPattern};

/// Longest selector, in bytes.
pub const SELECTOR_BYTES_MAX: usize = 4096;
/// Most matchers of a selector.
pub const MATCHERS_MAX: usize = 32;
/// The label by which Prometheus names the metric.
const NAME: &str = "__name__";

/// A metric's name, which may be absent, and what its labels have to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    pub metric: Option<String>,
    pub matchers: Vec<Matcher>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Matcher {
    pub label: String,
    pub test: MatcherTest,
}

#[derive(Clone, Debug, PartialEq)]
pub enum MatcherTest {
    Equal(String),
    NotEqual(String),
    Matches(RegexPattern),
    NotMatches(RegexPattern),
}

impl Matcher {
    /// `value` is empty where the series does not have the label.
    pub fn is_match(&self, value: &str) -> bool {
        match &self.test {
            MatcherTest::Equal(text) => text == value,
            MatcherTest::NotEqual(text) => text != value,
            MatcherTest::Matches(regex) => regex.is_match(value),
            MatcherTest::NotMatches(regex) => !regex.is_match(value),
        }
    }
}

impl Selector {
    pub fn of_metric(metric: &str) -> Selector {
        Selector { metric: Some(metric.to_owned()), matchers: Vec::new() }
    }

    pub fn parse(text: &str) -> Result<Selector, Invalid> {
        let mut parser = Parser { text, at: 0 };
        let parsed = if text.len() > SELECTOR_BYTES_MAX {
            Err(format!("longer than the {SELECTOR_BYTES_MAX} bytes allowed"))
        } else {
            parser.selector()
        };
        parsed.map_err(|message| Invalid { column: text[..parser.at].chars().count() + 1, message })
    }
}

struct Parser<'a> {
    text: &'a str,
    /// Always at a border of characters.
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Passes over `mark` and the spaces around it, where it comes next.
    fn take(&mut self, mark: &str) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(mark);
        if found {
            self.at += mark.len();
            self.skip_spaces();
        }
        found
    }

    fn selector(&mut self) -> Result<Selector, String> {
        self.skip_spaces();
        let mut selector = Selector::default();
        if !self.rest().starts_with('{') && !self.rest().is_empty() {
            selector.metric = Some(self.name()?);
        }
        if self.take("{") {
            while !self.take("}") {
                if selector.matchers.len() == MATCHERS_MAX {
                    return Err(format!("more than the {MATCHERS_MAX} matchers allowed"));
                }
                self.matcher(&mut selector)?;
                if !self.take(",") && !self.rest().starts_with('}') {
                    return Err("write `,` or `}`".to_owned());
                }
            }
        }
        self.skip_spaces();
        if !self.rest().is_empty() {
            return Err("there is more than one selector".to_owned());
        }
        Ok(selector)
    }

    fn matcher(&mut self, selector: &mut Selector) -> Result<(), String> {
        let quoted = self.rest().starts_with(['"', '\'']);
        let label = self.name()?;
        let operators = ["!=", "=~", "!~", "="];
        let Some(operator) = operators.into_iter().find(|operator| self.take(operator)) else {
            // As Prometheus 3 writes metrics with odd names: {"my metric", label="value"}.
            if quoted && selector.metric.is_none() {
                selector.metric = Some(label);
                return Ok(());
            }
            return Err("write one of = != =~ !~ after the label".to_owned());
        };
        let value = self.string()?;
        let test = match operator {
            "!=" => MatcherTest::NotEqual(value),
            "=~" => MatcherTest::Matches(whole(&value)?),
            "!~" => MatcherTest::NotMatches(whole(&value)?),
            _ => MatcherTest::Equal(value),
        };
        match test {
            MatcherTest::Equal(name) if label == NAME && selector.metric.is_none() => {
                selector.metric = Some(name);
            }
            test => selector.matchers.push(Matcher { label, test }),
        }
        Ok(())
    }

    fn name(&mut self) -> Result<String, String> {
        if self.rest().starts_with(['"', '\'']) {
            return self.string();
        }
        let len = self.rest().find(|c: char| !is_name_char(c)).unwrap_or(self.rest().len());
        if len == 0 {
            return Err("write a name, or put it in quotes".to_owned());
        }
        let name = self.rest()[..len].to_owned();
        self.at += len;
        Ok(name)
    }

    fn string(&mut self) -> Result<String, String> {
        let mut letters = self.rest().chars();
        let quote = match letters.next() {
            Some(quote @ ('"' | '\'' | '`')) => quote,
            _ => return Err("write the value in quotes".to_owned()),
        };
        let mut value = String::new();
        while let Some(letter) = letters.next() {
            match letter {
                _ if letter == quote => {
                    self.at = self.text.len() - letters.as_str().len();
                    self.skip_spaces();
                    return Ok(value);
                }
                '\\' if quote != '`' => match letters.next() {
                    Some('n') => value.push('\n'),
                    Some('t') => value.push('\t'),
                    Some('r') => value.push('\r'),
                    Some(escaped @ ('\\' | '"' | '\'')) => value.push(escaped),
                    Some(other) => {
                        return Err(format!("`\\{other}` means nothing here; write `\\\\{other}`"));
                    }
                    None => break,
                },
                _ => value.push(letter),
            }
        }
        Err("the quote is not closed".to_owned())
    }
}

fn is_name_char(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_:./-".contains(letter)
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(metric) = &self.metric {
            write_name(f, metric)?;
        }
        if self.metric.is_some() && self.matchers.is_empty() {
            return Ok(());
        }
        f.write_str("{")?;
        for (at, matcher) in self.matchers.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            write_name(f, &matcher.label)?;
            match &matcher.test {
                MatcherTest::Equal(text) => write!(f, "={}", Quoted(text))?,
                MatcherTest::NotEqual(text) => write!(f, "!={}", Quoted(text))?,
                MatcherTest::Matches(regex) => write!(f, "=~{}", Quoted(source_of(regex)))?,
                MatcherTest::NotMatches(regex) => write!(f, "!~{}", Quoted(source_of(regex)))?,
            }
        }
        f.write_str("}")
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escaped = self.0.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        write!(f, "\"{escaped}\"")
    }
}

fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    if !name.is_empty() && name.chars().all(is_name_char) {
        f.write_str(name)
    } else {
        write!(f, "{}", Quoted(name))
    }
}

impl FromStr for Selector {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Selector, Invalid> {
        Selector::parse(text)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Selector, D::Error> {
        let text = String::deserialize(deserializer)?;
        Selector::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_selector_is_a_name_and_matchers() {
        let text = r#" http.server.duration { service="cart", code=~"5..", 'odd name'!='a"b', }"#;
        let selector = Selector::parse(text).unwrap();
        assert_eq!(selector.metric.as_deref(), Some("http.server.duration"));
        let labels: Vec<&str> =
            selector.matchers.iter().map(|matcher| matcher.label.as_str()).collect();
        assert_eq!(labels, ["service", "code", "odd name"]);
        assert!(selector.matchers[1].is_match("503"));
        assert!(!selector.matchers[1].is_match("1503"));
        assert!(selector.matchers[2].is_match(""));
        let written = r#"http.server.duration{service="cart",code=~"5..","odd name"!="a\"b"}"#;
        assert_eq!(selector.to_string(), written);
    }

    #[test]
    fn the_name_may_stand_between_the_braces() {
        for text in [r#"{"a b",x="1"}"#, r#"{__name__="a b",x="1"}"#, r#""a b"{x="1"}"#] {
            let selector = Selector::parse(text).unwrap();
            assert_eq!((selector.metric.as_deref(), selector.matchers.len()), (Some("a b"), 1));
        }
        assert_eq!(Selector::parse("").unwrap(), Selector::default());
        assert_eq!(Selector::parse("{}").unwrap(), Selector::default());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_column() {
        for (text, column) in [
            ("a{", 3),
            ("a{b}", 4),
            ("a{b=c}", 5),
            ("a{b=\"c}", 5),
            ("a{b=~\"(\"}", 9),
            ("a b", 3),
            ("é", 1),
            (r#"a{b="\d"}"#, 5),
            (r#"a{b="c" d="e"}"#, 9),
        ] {
            assert_eq!(Selector::parse(text).unwrap_err().column, column, "{text}");
        }
        let many = format!("a{{{}}}", "b=\"\",".repeat(MATCHERS_MAX + 1));
        assert!(Selector::parse(&many).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_parses_to_the_same(
            text in "[a.]{0,3}\\{([\"a-c]{1,3}(=|!=|=~|!~)\"[^\"\\\\]{0,6}\",?){0,3}\\}"
        ) {
            if let Ok(selector) = Selector::parse(&text) {
                prop_assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
            }
        }

        #[test]
        fn no_text_is_harm(text in "\\PC{0,40}") {
            let _ = Selector::parse(&text);
        }
    }
}
