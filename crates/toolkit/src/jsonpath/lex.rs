//! The words of a JSON path.

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// One of `$ @ .. . * = >= > <= < != [ ] : , ( ) ? { }`.
    Mark(&'static str),
    /// A name, or one of the words `and or not true false null`.
    Word(String),
    /// What stands between the quotes, as it is written.
    Text(String),
    Number(String),
}

/// Longest first, so that `>=` is not taken for `>`.
const MARKS: &[&str] = &[
    "..", ">=", "<=", "!=", "$", "@", ".", "*", "=", ">", "<", "[", "]", ":", ",", "(", ")", "?",
    "{", "}",
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start_matches(is_space);
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first == '"' {
            string(rest)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let is_inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = rest.find(|c| !is_inside(c)).unwrap_or(rest.len());
            (Token::Word(rest[..length].to_owned()), length)
        } else if let Some(length) = number(rest) {
            (Token::Number(rest[..length].to_owned()), length)
        } else if let Some(mark) = MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            (Token::Mark(mark), mark.len())
        } else {
            return Err(format!("`{first}` has no meaning in a JSON path"));
        };
        tokens.push(token);
        rest = rest[length..].trim_start_matches(is_space);
    }
    Ok(tokens)
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn string(text: &str) -> Result<(Token, usize), String> {
    let mut escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok((Token::Text(text[1..at].to_owned()), at + 1)),
            _ => {}
        }
    }
    Err("a quoted text does not end".to_owned())
}

/// The length of the number that `text` begins with: JSON's, so `01` is `0` and then `1`.
fn number(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut end = usize::from(bytes.first() == Some(&b'-'));
    end += match bytes.get(end)? {
        b'0' => 1,
        b'1'..=b'9' => digits(end),
        _ => return None,
    };
    if bytes.get(end) == Some(&b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits((end + 1 + sign).min(bytes.len()));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    Some(end)
}
