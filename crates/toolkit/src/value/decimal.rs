//! Exact decimals, only to be compared: the `range` tolerance compares Python's `Decimal`s, in
//! which 0.1 the text is not 0.1 the float.
//!
//! A number is its sign, its significant digits and the power of ten of the first of them, so that
//! no exponent, however large, costs memory.

use std::cmp::Ordering;

use super::Value;

/// Digits beyond which a text is not taken for a number.
const DIGITS_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decimal {
    negative: bool,
    /// Without leading or trailing zeros; empty for zero.
    digits: Vec<u8>,
    /// The first digit stands for this power of ten; 0 for zero.
    magnitude: i64,
}

impl Decimal {
    /// The exact number; `None` for what is none, NaN and infinities.
    pub fn of(value: &Value) -> Option<Decimal> {
        match value {
            Value::Bool(yes) => Decimal::parse(if *yes { "1" } else { "0" }),
            Value::Int(number) => Decimal::parse(&number.to_string()),
            // Every finite float has an end: at most 1,074 digits after the point.
            Value::Float(number) if number.is_finite() => {
                Decimal::parse(&format!("{number:.1074}"))
            }
            Value::Text(text) => Decimal::parse(text),
            _ => None,
        }
    }

    /// `Decimal(text)`: white space around and underscores between digits are allowed.
    pub fn parse(text: &str) -> Option<Decimal> {
        let text = text.trim().replace('_', "");
        if text.len() > DIGITS_MAX {
            return None;
        }
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text.as_str()),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        if all.is_empty() || !all.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let leading = all.iter().take_while(|digit| **digit == b'0').count();
        let mut digits = all[leading..].to_vec();
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Some(Decimal { negative: false, digits, magnitude: 0 });
        }
        let magnitude = whole.len() as i64 - 1 - leading as i64;
        Some(Decimal { negative, digits, magnitude: magnitude.saturating_add(exponent) })
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let by_sign = self.sign().cmp(&other.sign());
        if by_sign.is_ne() || self.sign() == 0 {
            return by_sign;
        }
        let size = self.magnitude.cmp(&other.magnitude);
        let size = size.then_with(|| self.digits.cmp(&other.digits));
        if self.negative { size.reverse() } else { size }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn texts_compare_by_their_size_whatever_their_notation() {
        let ascending = [
            "-1e9999999999",
            "-10",
            "-9.99",
            "-0.5",
            "0",
            "1e-5",
            "0.01",
            ".5",
            "9",
            "10.",
            "1e400",
        ];
        for pair in ascending.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
        }
        assert_eq!(decimal(" 1_000 "), decimal("1e3"));
        assert_eq!(decimal("-0"), decimal("0.000"));
    }

    #[test]
    fn a_float_is_what_it_is_and_not_what_it_prints() {
        assert!(Decimal::of(&Value::Float(0.1)).unwrap() > decimal("0.1"));
        assert_eq!(Decimal::of(&Value::Float(0.5)).unwrap(), decimal("0.5"));
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in ["", "-", ".", "abc", "1e", "1.2.3", "0x10"] {
            assert!(Decimal::parse(text).is_none(), "{text}");
        }
    }
}
