//! The scalars of the protobuf JSON mapping, as OTLP/JSON deviates from it.
//!
//! Source: <https://protobuf.dev/programming-guides/json/> and the section "JSON Protobuf
//! Encoding" of the OTLP specification.

use std::borrow::Cow;
use std::str::FromStr;

use model::Text;

use super::super::Result;
use super::super::check::Fault;
use super::reader::Reader;

/// Integers up to here are exact as floating-point numbers, so `1e3` and `5.0` may stand for one.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl<'a> Reader<'a> {
    pub(super) fn text(&mut self) -> Result<Text> {
        Ok(match self.string("a string")? {
            Cow::Borrowed(plain) => self.body.slice(plain),
            Cow::Owned(unescaped) => Text::from(unescaped),
        })
    }

    pub(super) fn bool(&mut self) -> Result<bool> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            _ => Err(self.expected("true or false")),
        }
    }

    /// A whole number, bare or (as the mapping writes 64-bit ones) as a string.
    pub(super) fn integer<T: FromStr + TryFrom<i64>>(&mut self) -> Result<T> {
        self.peek();
        let start = self.at;
        let number = match self.peek() {
            Some(b'"') => self.string("an integer")?,
            Some(b'-' | b'0'..=b'9') => Cow::Borrowed(self.number("an integer")?),
            _ => return Err(self.expected("an integer or a string of one")),
        };
        parse_integer(&number).ok_or_else(|| {
            self.at = start;
            self.expected("an integer in range")
        })
    }

    /// OTLP/JSON writes enums as numbers; names and strings are not valid.
    pub(super) fn enum_number(&mut self) -> Result<i32> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => self.integer(),
            _ => Err(self.expected("an integer")),
        }
    }

    pub(super) fn double(&mut self) -> Result<f64> {
        self.peek();
        let start = self.at;
        let number = match self.peek() {
            Some(b'"') => self.string("a number")?,
            Some(b'-' | b'0'..=b'9') => Cow::Borrowed(self.number("a number")?),
            _ => return Err(self.expected("a number")),
        };
        let value = match &*number {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            digits if is_number(digits) => {
                digits.parse().ok().filter(|value: &f64| value.is_finite())
            }
            _ => None,
        };
        value.ok_or_else(|| {
            self.at = start;
            self.expected("a number in range, \"NaN\", \"Infinity\" or \"-Infinity\"")
        })
    }

    /// An identifier in hexadecimal, of either case. A wrong length is the item's fault, not the
    /// request's.
    pub(super) fn id<const N: usize>(&mut self, name: &str, fault: &mut Fault) -> Result<[u8; N]> {
        self.peek();
        let start = self.at;
        let hex = self.string("a hexadecimal string")?;
        let bytes = decode_hex(&hex).ok_or_else(|| {
            self.at = start;
            self.expected("a hexadecimal string of whole bytes")
        })?;
        Ok(fault.id(&bytes, name))
    }

    /// Base64, standard or URL-safe, with or without padding.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>> {
        self.peek();
        let start = self.at;
        let base64 = self.string("a base64 string")?;
        decode_base64(&base64).ok_or_else(|| {
            self.at = start;
            self.expected("a base64 string")
        })
    }

    /// A number as it is written, checked against JSON's grammar.
    pub(super) fn number(&mut self, what: &str) -> Result<&'a str> {
        self.peek();
        let rest = &self.source[self.at..];
        let length = rest
            .bytes()
            .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'))
            .count();
        let number = &rest[..length];
        if !is_number(number) {
            return Err(self.expected(what));
        }
        self.at += length;
        Ok(number)
    }

    /// A string, borrowed from the text where it has no escapes.
    pub(super) fn string(&mut self, what: &str) -> Result<Cow<'a, str>> {
        if self.peek() != Some(b'"') {
            return Err(self.expected(what));
        }
        self.at += 1;
        let mut unescaped: Option<String> = None;
        loop {
            let plain = self.plain_run();
            match self.source.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(match unescaped {
                        None => Cow::Borrowed(plain),
                        Some(text) => Cow::Owned(text + plain),
                    });
                }
                Some(b'\\') => {
                    let text = unescaped.get_or_insert_default();
                    text.push_str(plain);
                    self.at += 1;
                    let letter = self.escape()?;
                    unescaped.get_or_insert_default().push(letter);
                }
                Some(_) => return Err(self.error("a control character in a string")),
                None => return Err(self.error("the text ends within a string")),
            }
        }
    }

    /// The letters up to the next quotation mark, backslash, control character or the end.
    fn plain_run(&mut self) -> &'a str {
        let rest = &self.source[self.at..];
        let length = rest
            .bytes()
            .position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20)
            .unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// What stands after a backslash.
    fn escape(&mut self) -> Result<char> {
        let Some(&byte) = self.source.as_bytes().get(self.at) else {
            return Err(self.error("the text ends within a string"));
        };
        let letter = match byte {
            b'"' | b'\\' | b'/' => byte as char,
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode_escape();
            }
            _ => return Err(self.error("an unknown escape in a string")),
        };
        self.at += 1;
        Ok(letter)
    }

    /// `XXXX`, or `XXXX\uXXXX` for a pair of surrogates.
    fn unicode_escape(&mut self) -> Result<char> {
        let first = self.four_hex()?;
        let code = match first {
            0xD800..=0xDBFF if self.source[self.at..].starts_with("\\u") => {
                self.at += 2;
                let second = self.four_hex()?;
                match second {
                    0xDC00..=0xDFFF => 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00),
                    _ => first,
                }
            }
            _ => first,
        };
        char::from_u32(code).ok_or_else(|| self.error("half of a surrogate pair in a string"))
    }

    fn four_hex(&mut self) -> Result<u32> {
        let digits = self.source.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| self.error("\\u without four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }
}

fn parse_integer<T: FromStr + TryFrom<i64>>(number: &str) -> Option<T> {
    if !is_number(number) {
        return None;
    }
    if let Ok(value) = number.parse() {
        return Some(value);
    }
    // `5.0` and `1e3` are integers too, says the mapping.
    if !number.contains(['.', 'e', 'E']) {
        return None;
    }
    let value: f64 = number.parse().ok()?;
    let whole = value.fract() == 0.0 && value.abs() <= EXACT_MAX;
    whole.then(|| T::try_from(value as i64).ok()).flatten()
}

/// Whether `text` is a number by JSON's grammar: no leading zeros or plus, digits around the point.
fn is_number(text: &str) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let [b'.', fraction @ ..] = rest {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = &fraction[length..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = match exponent {
            [b'+' | b'-', unsigned @ ..] => unsigned,
            unsigned => unsigned,
        };
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let (pairs, odd) = hex.as_bytes().as_chunks::<2>();
    if !odd.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

fn decode_base64(base64: &str) -> Option<Vec<u8>> {
    let unpadded = base64.trim_end_matches('=');
    let padding = base64.len() - unpadded.len();
    if unpadded.len() % 4 == 1 || (padding > 0 && (padding > 2 || !base64.len().is_multiple_of(4)))
    {
        return None;
    }
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for letter in unpadded.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    Some(bytes)
}
