//! Tests of a field's whole value: equal to a text (with wildcards), matched by a regex, compared
//! with a number, or just there.
//!
//! Values are compared as the texts in which they are stored: numbers in decimal, everything else
//! that is not text as JSON.

use super::RegexPattern;

#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The field is present.
    Exists,
    Is(ValuePattern),
    Matches(RegexPattern),
    /// The value is a number, and compares so with this one.
    Compares(Comparison, f64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A whole value, case included, in which wildcards stand for any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuePattern {
    /// What stands between the wildcards: one piece when there are none; else the first and the
    /// last may be empty.
    pieces: Vec<String>,
}

impl Test {
    pub fn is_match(&self, value: &str) -> bool {
        match self {
            Test::Exists => true,
            Test::Is(pattern) => pattern.is_match(value),
            Test::Matches(regex) => regex.is_match(value),
            Test::Compares(comparison, than) => {
                let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
                number.is_some_and(|number| comparison.holds(&number, than))
            }
        }
    }
}

impl Comparison {
    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        }
    }

    /// As it is written after the colon; nothing for equality.
    pub fn as_str(self) -> &'static str {
        match self {
            Comparison::Equal => "",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        }
    }
}

impl ValuePattern {
    pub fn literal(text: &str) -> ValuePattern {
        ValuePattern { pieces: vec![text.to_owned()] }
    }

    /// In which `*` is a wildcard.
    pub fn wildcard(text: &str) -> ValuePattern {
        let mut pieces: Vec<String> = text.split('*').map(str::to_owned).collect();
        // Wildcards side by side say the same as one.
        let last = pieces.len() - 1;
        let mut index = 0;
        pieces.retain(|piece| {
            index += 1;
            !piece.is_empty() || index == 1 || index == last + 1
        });
        ValuePattern { pieces }
    }

    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }

    /// The one text that matches, where there is but one.
    pub fn as_literal(&self) -> Option<&str> {
        match &self.pieces[..] {
            [literal] => Some(literal),
            _ => None,
        }
    }

    pub fn is_match(&self, value: &str) -> bool {
        let (first, rest) = match &self.pieces[..] {
            [] => return true,
            [literal] => return value == literal,
            [first, rest @ ..] => (first, rest),
        };
        let Some((last, middle)) = rest.split_last() else { return false };
        let Some(mut value) = value.strip_prefix(first.as_str()) else { return false };
        for piece in middle {
            // The leftmost is best: it leaves most for the others.
            let Some(at) = value.find(piece.as_str()) else { return false };
            value = &value[at + piece.len()..];
        }
        value.ends_with(last.as_str())
    }
}
