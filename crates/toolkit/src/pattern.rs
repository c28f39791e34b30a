//! Regular expressions as Python writes them, searched by `fancy-regex` in bounded time.
//!
//! Three things differ in their notation and are translated: `$` also matches before a last line
//! feed (so does a shell's output end), `\Z` is the very end, and braces that are no repetition and
//! brackets inside of a class are plain characters.

use fancy_regex::{Regex, RegexBuilder};

/// Steps back while searching; beyond, the search ends with an error.
const BACKTRACKS_MAX: usize = 1_000_000;
const COMPILED_BYTES_MAX: usize = 4 << 20;

#[derive(Debug)]
pub struct Pattern {
    regex: Regex,
    /// `$` is the very end here: the text is also searched without a last line feed. Patterns that
    /// look around or go on after a `$` have it spelled out instead, which takes steps back.
    also_shortened: bool,
}

impl Pattern {
    /// Compiles a pattern of Python's.
    pub fn compile(pattern: &str) -> Result<Pattern, String> {
        let also_shortened = ends_plainly(pattern);
        let end = if also_shortened { "$" } else { "(?:$|(?=\\n\\z))" };
        let regex = RegexBuilder::new(&translate(pattern, end))
            .backtrack_limit(BACKTRACKS_MAX)
            .delegate_size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Pattern { regex, also_shortened })
    }

    /// Whether the text has a match anywhere. An error: it took too long.
    pub fn search(&self, text: &str) -> Result<bool, String> {
        let search = |text: &str| self.regex.is_match(text).map_err(|error| error.to_string());
        if search(text)? {
            return Ok(true);
        }
        match text.strip_suffix('\n') {
            Some(shortened) if self.also_shortened => search(shortened),
            _ => Ok(false),
        }
    }
}

/// Whether nothing in the pattern looks at what follows a `$`, or at the very end.
fn ends_plainly(pattern: &str) -> bool {
    let looks_around = ["(?=", "(?!", "(?<", "\\Z"];
    let goes_on = |rest: &str| {
        let rest = rest.trim_start_matches(')');
        !rest.is_empty() && !rest.starts_with('|')
    };
    !looks_around.iter().any(|looks| pattern.contains(looks))
        && !pattern.match_indices('$').any(|(at, _)| goes_on(&pattern[at + 1..]))
}

fn translate(pattern: &str, end: &str) -> String {
    let mut translated = String::with_capacity(pattern.len() + 16);
    let mut class_start = None;
    let mut characters = pattern.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        let in_class = class_start.is_some();
        match character {
            '\\' => match characters.next() {
                Some((_, 'Z')) if !in_class => translated.push_str("\\z"),
                Some((
                    _,
                    plain @ ('<' | '>' | '"' | '\'' | ',' | ' ' | '/' | ':' | ';' | '=' | '!' | '@'
                    | '%' | '`' | '_'),
                )) => translated.push(plain),
                Some((_, escaped)) => translated.extend(['\\', escaped]),
                None => translated.push('\\'),
            },
            '[' if !in_class => {
                class_start = Some(at + 1);
                translated.push('[');
                if characters.peek().is_some_and(|(_, next)| *next == '^') {
                    characters.next();
                    translated.push('^');
                    class_start = Some(at + 2);
                }
            }
            // A class cannot be empty: a bracket that would close it at once is a member.
            ']' if class_start == Some(at) => translated.push_str("\\]"),
            ']' if in_class => {
                class_start = None;
                translated.push(']');
            }
            '[' | '&' | '~' if in_class => translated.extend(['\\', character]),
            '$' if !in_class => translated.push_str(end),
            '{' if !in_class && !is_repetition(&pattern[at..]) => translated.push_str("\\{"),
            other => translated.push(other),
        }
    }
    translated
}

/// `{2}`, `{2,}`, `{,3}` or `{2,3}`.
fn is_repetition(text: &str) -> bool {
    let Some(end) = text.find('}') else { return false };
    let inner = &text[1..end];
    let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    digits(least) && digits(most) && inner.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_python() {
        let cases = [
            ("^ok$", "ok\n", true),
            ("^ok\\Z", "ok\n", false),
            ("^ok$", "ok\n\n", false),
            ("(?m)^b$", "a\nb\nc", true),
            ("b", "abc", true),
            ("^b", "abc", false),
            ("{\"a\": 1}", "x{\"a\": 1}", true),
            ("a{2,3}", "baab", true),
            ("[]a]+", "]", true),
            ("[[]x", "[x", true),
            ("[^]]", "]", false),
            ("(?i)OK", "ok", true),
            ("(a)\\1", "aa", true),
            ("a(?!b)", "ab", false),
            ("(?P<x>a)(?P=x)", "aa", true),
            ("\\d+ \\w+\\/", "12 é/", true),
            ("$", "", true),
            ("[$]", "a", false),
            ("(ok|$)", "no\n", true),
            ("ok$\n", "ok\n", true),
            ("a(?!\n)$", "a\n", false),
            ("^a$|^b$", "b\n", true),
        ];
        for (pattern, text, found) in cases {
            let compiled =
                Pattern::compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
            assert_eq!(compiled.search(text).unwrap(), found, "{pattern} in {text:?}");
        }
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        for pattern in ["(", "[a", "*", "a\\"] {
            assert!(Pattern::compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn long_output_is_searched_to_its_end() {
        let long = format!("{}ok\n", "some line of a log\n".repeat(500_000));
        let search = |pattern: &str| Pattern::compile(pattern).unwrap().search(&long).unwrap();
        assert!(search("ok$"));
        assert!(!search("^ok$"));
        assert!(search("(?m)^ok$"));
    }

    #[test]
    fn a_hostile_pattern_ends() {
        let hostile = Pattern::compile("(a+)+\\1b").unwrap();
        assert!(!hostile.search(&"a".repeat(60)).unwrap_or(false));
    }
}
