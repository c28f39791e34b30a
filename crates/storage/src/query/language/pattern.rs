//! Patterns that are looked for inside a text: words, phrases, words with wildcards, and regexes.
//!
//! A word matches a whole token of the text, whatever its case. A phrase matches as it is written,
//! spaces and punctuation too, whatever its case; where it begins or ends with a letter, digit or
//! `_`, a token begins or ends there too. So whoever contains the pattern contains its tokens,
//! which is what row groups can be asked for. `*` stands for any number of letters, digits and
//! `_`.
//!
//! Invariant: a match implies that each token of the pattern that is whole (not cut by a `*`) is,
//! in lower case, a token of the text.

use std::fmt::Write;
use std::ops::Range;

use regex::{Regex, RegexBuilder, bytes};

/// Bytes that a compiled regex may take.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Bytes that the tables of a regex may take while it is matched.
const REGEX_CACHE_BYTES_MAX: usize = 2 << 20;
const REGEX_DEPTH_MAX: u32 = 50;
/// A token's character, as a regex: [`is_token_char`].
const TOKEN_CHAR: &str = r"\p{Alphabetic}\p{Nd}\p{Nl}\p{No}_";

/// A word, a word with wildcards, or a phrase.
#[derive(Clone, Debug)]
pub struct TextPattern {
    /// What stands between the wildcards, as written.
    pieces: Vec<String>,
    /// Begins with a wildcard.
    open_left: bool,
    /// Ends with a wildcard.
    open_right: bool,
    finder: Finder,
}

#[derive(Clone, Debug)]
enum Finder {
    /// One piece of ASCII: found by its bytes, borders checked by hand.
    Ascii(bytes::Regex),
    /// All else, borders included.
    Unicode(Regex),
}

/// A regex with the source that it was made of.
#[derive(Clone, Debug)]
pub struct RegexPattern {
    source: String,
    ignore_case: bool,
    regex: Regex,
}

pub fn is_token_char(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

impl TextPattern {
    /// As written, without wildcards.
    pub fn phrase(text: &str) -> Result<TextPattern, String> {
        TextPattern::new(vec![text.to_owned()], false, false)
    }

    /// A word in which `*` is a wildcard. Not only of wildcards.
    pub fn wildcard(text: &str) -> Result<TextPattern, String> {
        let pieces = text.split('*').filter(|piece| !piece.is_empty()).map(str::to_owned);
        TextPattern::new(pieces.collect(), text.starts_with('*'), text.ends_with('*'))
    }

    fn new(pieces: Vec<String>, open_left: bool, open_right: bool) -> Result<TextPattern, String> {
        let finder = match &pieces[..] {
            [piece] if piece.is_ascii() => {
                let finder = bytes::RegexBuilder::new(&regex::escape(piece))
                    .case_insensitive(true)
                    .unicode(false)
                    .size_limit(REGEX_BYTES_MAX)
                    .build();
                Finder::Ascii(finder.map_err(|_| "the text is too long".to_owned())?)
            }
            _ => {
                let finder = RegexBuilder::new(&regex_of(&pieces, open_left, open_right))
                    .size_limit(REGEX_BYTES_MAX)
                    .dfa_size_limit(REGEX_CACHE_BYTES_MAX)
                    .build();
                Finder::Unicode(
                    finder.map_err(|_| "the text is too long, or has too many `*`".to_owned())?,
                )
            }
        };
        Ok(TextPattern { pieces, open_left, open_right, finder })
    }

    pub fn pieces(&self) -> &[String] {
        &self.pieces
    }

    pub fn open_left(&self) -> bool {
        self.open_left
    }

    pub fn open_right(&self) -> bool {
        self.open_right
    }

    pub fn is_match(&self, text: &str) -> bool {
        let finder = match &self.finder {
            Finder::Unicode(finder) => return finder.is_match(text),
            Finder::Ascii(finder) => finder,
        };
        let mut from = 0;
        while let Some(found) = finder.find_at(text.as_bytes(), from) {
            if self.has_borders(text, found.start(), found.end()) {
                return true;
            }
            from = found.start() + 1;
        }
        false
    }

    /// Whether it can be found by [`TextPattern::find_ascii`].
    pub fn is_ascii(&self) -> bool {
        matches!(self.finder, Finder::Ascii(_))
    }

    /// The next place from `from` on where the pattern stands, whatever is before and after it.
    pub fn find_ascii(&self, bytes: &[u8], from: usize) -> Option<Range<usize>> {
        match &self.finder {
            Finder::Ascii(finder) if from <= bytes.len() => {
                finder.find_at(bytes, from).map(|found| found.range())
            }
            _ => None,
        }
    }

    /// Whether tokens begin and end where they must. The pattern is ASCII, so that its ends are
    /// ends of characters.
    pub fn has_borders(&self, text: &str, start: usize, end: usize) -> bool {
        let (before, found, after) = (&text[..start], &text[start..end], &text[end..]);
        let begins = found.starts_with(is_token_char) && before.ends_with(is_token_char);
        let ends = found.ends_with(is_token_char) && after.starts_with(is_token_char);
        (self.open_left || !begins) && (self.open_right || !ends)
    }
}

impl PartialEq for TextPattern {
    fn eq(&self, other: &TextPattern) -> bool {
        let flags = (self.open_left, self.open_right) == (other.open_left, other.open_right);
        flags && self.pieces == other.pieces
    }
}

/// The pattern with its borders as a regex.
fn regex_of(pieces: &[String], open_left: bool, open_right: bool) -> String {
    let first = pieces.first().is_some_and(|piece| piece.starts_with(is_token_char));
    let last = pieces.last().is_some_and(|piece| piece.ends_with(is_token_char));
    let mut regex = String::new();
    if first && !open_left {
        // Writing into a `String` cannot fail, here and below.
        let _ = write!(regex, "(?:^|[^{TOKEN_CHAR}])");
    }
    for (index, piece) in pieces.iter().enumerate() {
        if index > 0 {
            let _ = write!(regex, "[{TOKEN_CHAR}]*");
        }
        for letter in piece.chars() {
            regex.push_str(&regex_of_letter(letter));
        }
    }
    if last && !open_right {
        let _ = write!(regex, "(?:$|[^{TOKEN_CHAR}])");
    }
    regex
}

/// All letters whose lower case is that of `letter`, as far as one letter's cases go. Narrower than
/// a regex's `i`, which also takes `ſ` for `s`: tokens are told apart by their lower case.
fn regex_of_letter(letter: char) -> String {
    let lower: Vec<char> = letter.to_lowercase().collect();
    let mut cases = vec![letter];
    let others = letter.to_lowercase().chain(letter.to_uppercase());
    for other in others.filter(|other| other.to_lowercase().eq(lower.iter().copied())) {
        if !cases.contains(&other) {
            cases.push(other);
        }
    }
    let escaped = cases.iter().map(|case| regex::escape(&case.to_string()));
    format!("(?:{})", escaped.collect::<Vec<_>>().join("|"))
}

impl RegexPattern {
    /// The error is the regex library's own words.
    pub fn new(source: &str, ignore_case: bool) -> Result<RegexPattern, String> {
        let regex = RegexBuilder::new(source)
            .case_insensitive(ignore_case)
            .size_limit(REGEX_BYTES_MAX)
            .dfa_size_limit(REGEX_CACHE_BYTES_MAX)
            .nest_limit(REGEX_DEPTH_MAX)
            .build()
            .map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => {
                    "it is too large; use smaller numbers in `{…}`".to_owned()
                }
                // The last line says what; those above draw the regex again.
                error => {
                    let text = error.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    last.strip_prefix("error: ").unwrap_or(last).to_owned()
                }
            })?;
        Ok(RegexPattern { source: source.to_owned(), ignore_case, regex })
    }

    pub fn source(&self) -> &str {
        &self.source
    }

    pub fn ignore_case(&self) -> bool {
        self.ignore_case
    }

    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

impl PartialEq for RegexPattern {
    fn eq(&self, other: &RegexPattern) -> bool {
        (&self.source, self.ignore_case) == (&other.source, other.ignore_case)
    }
}
