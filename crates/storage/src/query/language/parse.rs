//! Reads a query: a parser by hand, one function for each rule of the grammar.
//!
//! ```text
//! or    = and {"OR" and}
//! and   = unary {["AND"] unary}
//! unary = ("NOT" | "-") unary | "(" or ")" | term
//! term  = word | phrase | regex | field ":" value
//! ```
//!
//! Errors point at a column and say what to write.

use super::value::{Comparison, Test, ValuePattern};
use super::{
    DEPTH_MAX, Expression, Field, Invalid, Level, QUERY_BYTES_MAX, REGEXES_MAX, RegexPattern,
    Severity, TERMS_MAX, Term, TextField, TextPattern,
};

/// Names that mean something other than an attribute; in quotes they are attributes too.
pub const RESERVED: &[&str] = &[
    "body", "event", "instance", "scope", "service", "severity", "span", "span_id", "trace",
    "trace_id",
];
pub const RESOURCE_PREFIX: &str = "resource.";
const KEYWORDS: &[&str] = &["AND", "OR", "NOT"];
/// Wildcards in one word or value.
const WILDCARDS_MAX: usize = 8;

pub fn parse(text: &str) -> Result<Expression, Invalid> {
    let mut parser = Parser { text, at: 0, depth: 0, terms: 0, regexes: 0 };
    if text.len() > QUERY_BYTES_MAX {
        return Err(parser.invalid(0, format!("a query has at most {QUERY_BYTES_MAX} bytes")));
    }
    parser.skip_space();
    if parser.rest().is_empty() {
        return Ok(Expression::All);
    }
    let expression = parser.or()?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.invalid(parser.at, "`)` without a `(` before it: leave it out")),
    }
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes; always between characters.
    at: usize,
    depth: usize,
    terms: usize,
    regexes: usize,
}

impl<'a> Parser<'a> {
    fn or(&mut self) -> Result<Expression, Invalid> {
        let mut parts = vec![self.and()?];
        while self.keyword("OR") {
            parts.push(self.and()?);
        }
        Ok(joined(parts, Expression::Or))
    }

    fn and(&mut self) -> Result<Expression, Invalid> {
        let mut parts = vec![self.unary()?];
        loop {
            let explicit = self.keyword("AND");
            let more = self.peek().is_some_and(|next| next != ')') && !self.at_keyword("OR");
            if !explicit && !more {
                return Ok(joined(parts, Expression::And));
            }
            parts.push(self.unary()?);
        }
    }

    fn unary(&mut self) -> Result<Expression, Invalid> {
        self.skip_space();
        let start = self.at;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            let message = format!("at most {DEPTH_MAX} parentheses and NOTs inside each other");
            return Err(self.invalid(start, message));
        }
        let expression = if self.keyword("NOT") {
            Expression::Not(Box::new(self.unary()?))
        } else if self.take("-") {
            if self.peek_raw().is_none_or(char::is_whitespace) {
                return Err(self.invalid(start, "write what to leave out directly after the `-`"));
            }
            Expression::Not(Box::new(self.unary()?))
        } else if self.take("(") {
            let inner = self.or()?;
            self.skip_space();
            if !self.take(")") {
                return Err(self.invalid(start, "this `(` is not closed: write a `)` at its end"));
            }
            inner
        } else {
            self.term()?
        };
        self.depth -= 1;
        self.skip_space();
        Ok(expression)
    }

    fn term(&mut self) -> Result<Expression, Invalid> {
        let start = self.at;
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(self.invalid(start, format!("a query has at most {TERMS_MAX} terms")));
        }
        for keyword in KEYWORDS {
            if self.at_keyword(keyword) {
                let message = format!(
                    "`{keyword}` stands between terms: write one before it, or \"{keyword}\" in \
                     quotes for the word"
                );
                return Err(self.invalid(start, message));
            }
        }
        match self.peek_raw() {
            None | Some(')') => {
                Err(self.invalid(start, "a term is missing: write a word, or field:value"))
            }
            Some('"') => {
                let text = self.quoted()?;
                if self.take(":") {
                    return self.field(start, Field::Attribute(text));
                }
                self.phrase(start, TextField::Any, &text)
            }
            Some('/') => Ok(Expression::Term(Term::Regex(TextField::Any, self.regex()?))),
            Some(_) => self.word_or_field(start),
        }
    }

    fn word_or_field(&mut self, start: usize) -> Result<Expression, Invalid> {
        let run = self.run(|letter| letter != ':');
        if run == RESOURCE_PREFIX && self.peek_raw() == Some('"') {
            let key = self.quoted()?;
            if !self.take(":") {
                return Err(self.invalid(self.at, "write `:` and a value after the field"));
            }
            return self.field(start, Field::Resource(key));
        }
        if !self.take(":") {
            return self.word(start, TextField::Any, run);
        }
        if run.contains('*') || !run.starts_with(|c: char| c.is_alphabetic() || "_@".contains(c)) {
            let message = format!(
                "`{run}` is no name of a field: put the text in quotes if you look for the text"
            );
            return Err(self.invalid(start, message));
        }
        match run {
            "body" => self.body(),
            "severity" => self.severity(),
            "trace" | "trace_id" => Ok(Expression::Term(Term::Trace(self.id("trace")?))),
            "span" | "span_id" => Ok(Expression::Term(Term::Span(self.id("span")?))),
            "service" => self.field(start, Field::Service),
            "instance" => self.field(start, Field::Instance),
            "event" => self.field(start, Field::Event),
            "scope" => self.field(start, Field::Scope),
            name => match name.strip_prefix(RESOURCE_PREFIX) {
                Some(key) => self.field(start, Field::Resource(key.to_owned())),
                None => self.field(start, Field::Attribute(name.to_owned())),
            },
        }
    }

    fn word(&mut self, start: usize, field: TextField, run: &str) -> Result<Expression, Invalid> {
        if run.bytes().all(|byte| byte == b'*') && field == TextField::Any {
            return Ok(Expression::All);
        }
        if run.bytes().all(|byte| byte == b'*') {
            return Err(self.invalid(start, "write a word, a \"phrase\" or a /regex/ after `:`"));
        }
        self.check_wildcards(start, run)?;
        let pattern = TextPattern::wildcard(run).map_err(|why| self.invalid(start, why))?;
        Ok(Expression::Term(Term::Text(field, pattern)))
    }

    fn phrase(
        &mut self,
        start: usize,
        field: TextField,
        text: &str,
    ) -> Result<Expression, Invalid> {
        if text.is_empty() {
            return Err(self.invalid(start, "the quotes are empty: write a phrase between them"));
        }
        let pattern = TextPattern::phrase(text).map_err(|why| self.invalid(start, why))?;
        Ok(Expression::Term(Term::Text(field, pattern)))
    }

    fn body(&mut self) -> Result<Expression, Invalid> {
        let start = self.at;
        match self.peek_raw() {
            Some('"') => {
                let text = self.quoted()?;
                self.phrase(start, TextField::Body, &text)
            }
            Some('/') => Ok(Expression::Term(Term::Regex(TextField::Body, self.regex()?))),
            _ => {
                let run = self.run(|_| true);
                self.word(start, TextField::Body, run)
            }
        }
    }

    /// The test after `field:`.
    fn field(&mut self, start: usize, field: Field) -> Result<Expression, Invalid> {
        if matches!(&field, Field::Attribute(key) | Field::Resource(key) if key.is_empty()) {
            return Err(self.invalid(start, "the name of the field is missing before the `:`"));
        }
        let value = self.at;
        let test = match self.peek_raw() {
            Some('"') => Test::Is(ValuePattern::literal(&self.quoted()?)),
            Some('/') => Test::Matches(self.regex()?),
            Some('<' | '>') => {
                let comparison = self.comparison();
                let run = self.run(|_| true);
                let number = run.parse::<f64>().ok().filter(|number| number.is_finite());
                let Some(number) = number else {
                    let message = format!(
                        "`{run}` is not a number: write one after `{}`, without a unit",
                        comparison.as_str()
                    );
                    return Err(self.invalid(value, message));
                };
                Test::Compares(comparison, number)
            }
            _ => {
                let run = self.run(|_| true);
                if run.is_empty() {
                    let written = self.text.get(start..value).unwrap_or_default();
                    let message = format!(
                        "a value is missing: write it directly after `{written}`, or `{written}*` \
                         for any"
                    );
                    return Err(self.invalid(value, message));
                }
                self.check_wildcards(value, run)?;
                match run.bytes().all(|byte| byte == b'*') {
                    true => Test::Exists,
                    false => Test::Is(ValuePattern::wildcard(run)),
                }
            }
        };
        Ok(Expression::Term(Term::Field(field, test)))
    }

    fn severity(&mut self) -> Result<Expression, Invalid> {
        let start = self.at;
        let comparison = self.comparison();
        let run = self.run(|_| true);
        let level = match run.parse::<u8>() {
            Ok(number) if number <= Severity::NUMBER_MAX => Some(Level::Number(number)),
            Ok(_) => None,
            Err(_) => Severity::of_name(run).map(Level::Class),
        };
        let Some(level) = level else {
            let message = format!(
                "`{run}` is no severity: write trace, debug, info, warn, error, fatal, none, or a \
                 number to {}",
                Severity::NUMBER_MAX
            );
            return Err(self.invalid(start, message));
        };
        Ok(Expression::Term(Term::Severity(comparison, level)))
    }

    fn id<const N: usize>(&mut self, what: &str) -> Result<Option<[u8; N]>, Invalid> {
        let start = self.at;
        let run = self.run(|_| true);
        if run == "*" {
            return Ok(None);
        }
        from_hex(run).map(Some).ok_or_else(|| {
            let digits = N * 2;
            let message =
                format!("`{run}` is no id of a {what}: write its {digits} digits 0-9 a-f, or `*`");
            self.invalid(start, message)
        })
    }

    fn comparison(&mut self) -> Comparison {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual};
        let longest_first = [GreaterOrEqual, LessOrEqual, Greater, Less];
        longest_first.into_iter().find(|one| self.take(one.as_str())).unwrap_or(Equal)
    }

    /// At the opening quote.
    fn quoted(&mut self) -> Result<String, Invalid> {
        let start = self.at;
        let mut text = String::new();
        let mut escaped = false;
        for (index, letter) in self.rest().char_indices().skip(1) {
            match (escaped, letter) {
                (false, '\\') => escaped = true,
                (false, '"') => {
                    self.at = start + index + 1;
                    return Ok(text);
                }
                (false, letter) => text.push(letter),
                (true, letter) => {
                    escaped = false;
                    match letter {
                        'n' => text.push('\n'),
                        't' => text.push('\t'),
                        '"' | '\\' => text.push(letter),
                        // Windows's paths are not escapes.
                        letter => text.extend(['\\', letter]),
                    }
                }
            }
        }
        Err(self.invalid(start, "this quote is not closed: write a `\"` at its end"))
    }

    /// At the opening slash.
    fn regex(&mut self) -> Result<RegexPattern, Invalid> {
        let start = self.at;
        self.regexes += 1;
        if self.regexes > REGEXES_MAX {
            return Err(self.invalid(start, format!("a query has at most {REGEXES_MAX} regexes")));
        }
        let mut source = String::new();
        let mut escaped = false;
        let mut end = None;
        for (index, letter) in self.rest().char_indices().skip(1) {
            match (escaped, letter) {
                (false, '\\') => escaped = true,
                (false, '/') => {
                    end = Some(start + index + 1);
                    break;
                }
                (false, letter) | (true, letter @ '/') => {
                    source.push(letter);
                    escaped = false;
                }
                (true, letter) => {
                    source.extend(['\\', letter]);
                    escaped = false;
                }
            }
        }
        let Some(end) = end else {
            let message = "this regex is not closed: write a `/` at its end, or put a path in \
                           quotes";
            return Err(self.invalid(start, message));
        };
        self.at = end;
        let ignore_case = self.take("i");
        if self.peek_raw().is_some_and(|next| !next.is_whitespace() && next != ')') {
            let message = "after a regex comes only an `i`, then a space: write `\\/` for a slash \
                           inside, or put a path in quotes";
            return Err(self.invalid(self.at, message));
        }
        if source.is_empty() {
            return Err(self.invalid(start, "the regex is empty: write one between the slashes"));
        }
        RegexPattern::new(&source, ignore_case)
            .map_err(|why| self.invalid(start, format!("the regex cannot be read: {why}")))
    }

    fn check_wildcards(&self, start: usize, run: &str) -> Result<(), Invalid> {
        if run.matches('*').count() > WILDCARDS_MAX {
            let message = format!("at most {WILDCARDS_MAX} `*`: put it in quotes to look for `*`");
            return Err(self.invalid(start, message));
        }
        Ok(())
    }

    /// Takes the characters of a bare word.
    fn run(&mut self, also: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !is_bare(letter) || !also(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_space();
        self.peek_raw()
    }

    fn peek_raw(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn at_keyword(&self, keyword: &str) -> bool {
        let after = self.rest().strip_prefix(keyword);
        after.is_some_and(|after| !after.starts_with(is_bare))
    }

    fn keyword(&mut self, keyword: &str) -> bool {
        self.skip_space();
        self.at_keyword(keyword) && self.take(keyword)
    }

    fn invalid(&self, at: usize, message: impl Into<String>) -> Invalid {
        let before = self.text.get(..at).unwrap_or(self.text);
        Invalid { column: before.chars().count() + 1, message: message.into() }
    }
}

fn joined(mut parts: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Expression {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn is_bare(letter: char) -> bool {
    !letter.is_whitespace() && !matches!(letter, '(' | ')' | '"')
}

/// Whether a word means itself without quotes.
pub fn is_bare_word(word: &str) -> bool {
    let inside = word.chars().all(|letter| is_bare(letter) && !matches!(letter, ':' | '*'));
    inside && !word.is_empty() && !word.starts_with(['-', '/']) && !KEYWORDS.contains(&word)
}

/// Whether a value means itself without quotes.
pub fn is_bare_value(value: &str) -> bool {
    let inside = value.chars().all(|letter| is_bare(letter) && letter != '*');
    inside && !value.is_empty() && !value.starts_with(['/', '<', '>'])
}

/// Whether the name of an attribute means it without quotes.
pub fn is_bare_key(key: &str) -> bool {
    let plain =
        is_bare_word(key) && key.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '@');
    plain && !RESERVED.contains(&key) && !key.starts_with(RESOURCE_PREFIX)
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(bytes)
}
