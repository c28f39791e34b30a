//! A pull reader of JSON text (RFC 8259) that knows where it is.
//!
//! Written by hand, where `serde_json` would do for most, because a tree of values takes up to
//! sixteen times the text and its streaming interface loses the path of an error. Values that
//! nobody asks for are skipped without recursion, but checked as strictly. Scalars are read in
//! `scalar`.

use model::text::Body;

use super::super::{DecodeError, Result};

/// Deepest nesting of objects and arrays. A value of `NESTING_MAX` levels needs four of these a
/// level.
const DEPTH_MAX: usize = 192;

/// Longest quotation of what was found in an error, in characters.
const QUOTE_MAX: usize = 40;

pub(in crate::decode) struct Reader<'a> {
    pub(super) source: &'a str,
    pub(super) at: usize,
    /// What `source` is the text of.
    pub(super) body: &'a Body,
    path: Vec<Step>,
}

enum Step {
    Key(&'static str),
    Index(usize),
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, body: &'a Body) -> Self {
        Reader { source: text, at: 0, body, path: Vec::new() }
    }

    /// Reads an object, calling `each` for every key of `known` with a value other than `null`.
    /// `each` must read exactly that value. Other keys are skipped.
    pub(super) fn object(
        &mut self,
        known: &'static [&'static str],
        mut each: impl FnMut(&mut Self, &'static str) -> Result<()>,
    ) -> Result<()> {
        self.open(b'{', "an object")?;
        let mut seen = 0_u32;
        let mut first = true;
        while !self.close_or_comma(b'}', first)? {
            first = false;
            let key = self.string("a key")?;
            self.expect(b':', "a colon")?;
            match known.iter().position(|name| *name == key) {
                None => self.skip()?,
                Some(at) => {
                    self.path.push(Step::Key(known[at]));
                    if seen & (1 << at) != 0 {
                        return Err(self.error("this key is given twice"));
                    }
                    seen |= 1 << at;
                    if !self.null()? {
                        each(self, known[at])?;
                    }
                    self.path.pop();
                }
            }
        }
        Ok(())
    }

    /// Reads an array; `each` must read exactly one element.
    pub(super) fn array(&mut self, mut each: impl FnMut(&mut Self) -> Result<()>) -> Result<()> {
        self.open(b'[', "an array")?;
        let mut index = 0;
        while !self.close_or_comma(b']', index == 0)? {
            self.path.push(Step::Index(index));
            each(self)?;
            self.path.pop();
            index += 1;
        }
        Ok(())
    }

    /// Nothing but white space may follow.
    pub(super) fn end(&mut self) -> Result<()> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the text")),
        }
    }

    /// Reads any value and forgets it.
    fn skip(&mut self) -> Result<()> {
        // One closing bracket for each open container.
        let mut open: Vec<u8> = Vec::new();
        let mut first = true;
        loop {
            if let Some(&closing) = open.last() {
                if self.close_or_comma(closing, first)? {
                    open.pop();
                    first = false;
                    if open.is_empty() {
                        return Ok(());
                    }
                    continue;
                }
                if closing == b'}' {
                    self.string("a key")?;
                    self.expect(b':', "a colon")?;
                }
            }
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    self.at += 1;
                    if self.path.len() + open.len() >= DEPTH_MAX {
                        return Err(self.too_deep());
                    }
                    open.push(bracket + 2);
                    first = true;
                    continue;
                }
                Some(b'"') => drop(self.string("a value")?),
                Some(b'-' | b'0'..=b'9') => drop(self.number("a value")?),
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                Some(b'n') => self.word("null")?,
                _ => return Err(self.expected("a value")),
            }
            first = false;
            if open.is_empty() {
                return Ok(());
            }
        }
    }

    fn open(&mut self, bracket: u8, what: &str) -> Result<()> {
        if self.path.len() >= DEPTH_MAX {
            return Err(self.too_deep());
        }
        self.expect(bracket, what)
    }

    /// `true` at the closing bracket; otherwise stands at the next element, past its comma.
    fn close_or_comma(&mut self, closing: u8, first: bool) -> Result<bool> {
        match self.peek() {
            Some(byte) if byte == closing => {
                self.at += 1;
                return Ok(true);
            }
            Some(b',') if !first => {
                self.at += 1;
                self.peek();
            }
            Some(_) if first => {}
            _ => return Err(self.expected(&format!("a comma or `{}`", closing as char))),
        }
        Ok(false)
    }

    /// Takes `null` if it is next.
    fn null(&mut self) -> Result<bool> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null")?;
        Ok(true)
    }

    pub(super) fn word(&mut self, word: &'static str) -> Result<()> {
        if !self.source[self.at..].starts_with(word) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(self.expected(what));
        }
        self.at += 1;
        Ok(())
    }

    /// The next byte that is not white space, where the reader then stands.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.source.as_bytes()[self.at..];
        let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        self.at += blank.count();
        self.source.as_bytes().get(self.at).copied()
    }

    pub(super) fn error(&self, what: impl Into<String>) -> DecodeError {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if path.is_empty() => path.push_str(key),
                Step::Key(key) => path.extend([".", key]),
                Step::Index(index) => path.push_str(&format!("[{index}]")),
            }
        }
        if path.is_empty() {
            path.push('$');
        }
        DecodeError::Json { path, what: what.into() }
    }

    /// The error that names what stands at the reader's place instead of `what`.
    pub(super) fn expected(&mut self, what: &str) -> DecodeError {
        let found = match self.peek() {
            None => "the end of the text".to_owned(),
            Some(b'{') => "an object".to_owned(),
            Some(b'[') => "an array".to_owned(),
            Some(_) => self.quote(),
        };
        self.error(format!("expected {what}, found {found} (byte {})", self.at))
    }

    /// The string or bare word that stands here, cut to [`QUOTE_MAX`].
    fn quote(&self) -> String {
        let rest = &self.source[self.at..];
        let end = match rest.strip_prefix('"') {
            Some(inside) => inside.find('"').map(|length| length + 2),
            None => rest.find([',', ']', '}', ':', ' ', '\t', '\r', '\n']),
        };
        let word = &rest[..end.unwrap_or(rest.len())];
        match word.char_indices().nth(QUOTE_MAX) {
            Some((cut, _)) => format!("{}…", &word[..cut]),
            None => word.to_owned(),
        }
    }

    fn too_deep(&self) -> DecodeError {
        self.error(format!("nested deeper than {DEPTH_MAX} objects and arrays"))
    }
}
