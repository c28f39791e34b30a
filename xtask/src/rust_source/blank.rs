//! Blanks out comments and the contents of literals, so that the rest can be searched for words.
//!
//! Lines stay where they are: every character that goes becomes a space, every line end remains.

/// The text with spaces in the place of comments, strings and character literals.
pub fn code_only(text: &str) -> String {
    let mut blanker = Blanker { rest: text, code: String::with_capacity(text.len()) };
    while !blanker.rest.is_empty() {
        blanker.step();
    }
    blanker.code
}

struct Blanker<'a> {
    rest: &'a str,
    code: String,
}

impl Blanker<'_> {
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            self.blank(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.blank(block_comment_length(self.rest));
        } else if let Some(length) = self.raw_string_length() {
            self.blank(length);
        } else if self.rest.starts_with('"') {
            self.blank(quoted_length(self.rest, '"'));
        } else if is_character_literal(self.rest) {
            self.blank(quoted_length(self.rest, '\''));
        } else {
            self.keep();
        }
    }

    fn keep(&mut self) {
        let mut characters = self.rest.chars();
        self.code.extend(characters.next());
        self.rest = characters.as_str();
    }

    fn blank(&mut self, length: usize) {
        let (gone, rest) = self.rest.split_at(length);
        self.code.extend(gone.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }

    /// The length of `r"…"`, `r#"…"#` and so on, if one begins here.
    fn raw_string_length(&self) -> Option<usize> {
        let after_r = self.rest.strip_prefix('r')?;
        // `br` and `cr` are string prefixes too; any other letter before makes `r` part of a name.
        let mut before = self.code.chars().rev().skip_while(|c| matches!(c, 'b' | 'c'));
        if before.next().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let hashes = after_r.len() - after_r.trim_start_matches('#').len();
        let content = after_r[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let content_length = content.find(&end).map_or(content.len(), |at| at + end.len());
        Some(1 + hashes + 1 + content_length)
    }
}

/// `'a'` and `'\n'`, but not the lifetime `'a`.
fn is_character_literal(rest: &str) -> bool {
    let mut characters = rest.chars();
    characters.next() == Some('\'')
        && match characters.next() {
            Some('\\') => true,
            Some(_) => characters.next() == Some('\''),
            None => false,
        }
}

fn quoted_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (position, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return position + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn block_comment_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut position = 0;
    while position < rest.len() {
        let here = &rest[position..];
        if here.starts_with("/*") {
            depth += 1;
            position += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            position += 2;
            if depth == 0 {
                return position;
            }
        } else {
            position += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}
