//! Words of log records, as the token filters of files know them.
//!
//! A word is a run of letters, digits (of any script) and `_`, in lower case, cut to
//! [`TOKEN_BYTES_MAX`]. A search for a text can only be answered by a record that has all words of
//! that text, so a row group whose filter lacks one need not be read.
//!
//! Invariant: writing ([`each_hash`]) and asking ([`tokens`], [`hash`]) make the same words. A
//! change of either raises the format's version.

use twox_hash::XxHash3_64;

/// Longer words are known by their first bytes.
pub const TOKEN_BYTES_MAX: usize = 64;

/// The words of `text`, in order, repeated ones too.
pub fn tokens(text: &str) -> impl Iterator<Item = String> {
    let mut words = Vec::new();
    each(text, |word| words.push(word.to_owned()));
    words.into_iter()
}

/// What a filter knows of a word.
pub fn hash(token: &str) -> u64 {
    XxHash3_64::oneshot(token.as_bytes())
}

/// The hash of each word of `text`, without an allocation.
pub fn each_hash(text: &str, mut found: impl FnMut(u64)) {
    each(text, |word| found(hash(word)));
}

fn each(text: &str, mut found: impl FnMut(&str)) {
    let mut word = Word::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii() {
            at += 1;
            match LOWER[usize::from(byte)] {
                0 => word.end(&mut found),
                lower => word.push_ascii(lower),
            }
            continue;
        }
        let Some(letter) = text[at..].chars().next() else { break };
        at += letter.len_utf8();
        if letter.is_alphanumeric() {
            letter.to_lowercase().for_each(|lower| word.push(lower));
        } else {
            word.end(&mut found);
        }
    }
    word.end(&mut found);
}

/// The lower case of each ASCII letter, digit and `_`; 0 for what separates words.
const LOWER: [u8; 128] = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < 128 {
        let letter = byte as u8;
        if letter.is_ascii_alphanumeric() || letter == b'_' {
            table[byte] = letter.to_ascii_lowercase();
        }
        byte += 1;
    }
    table
};

/// The word being read.
struct Word {
    bytes: [u8; TOKEN_BYTES_MAX],
    len: usize,
    /// Set once a letter did not fit, so that no later and shorter one is taken.
    full: bool,
}

impl Word {
    fn new() -> Word {
        Word { bytes: [0; TOKEN_BYTES_MAX], len: 0, full: false }
    }

    fn push_ascii(&mut self, byte: u8) {
        if !self.full && self.len < TOKEN_BYTES_MAX {
            self.bytes[self.len] = byte;
            self.len += 1;
        } else {
            self.full = true;
        }
    }

    fn push(&mut self, letter: char) {
        let mut buffer = [0; 4];
        let encoded = letter.encode_utf8(&mut buffer).as_bytes();
        let end = self.len + encoded.len();
        if self.full || end > TOKEN_BYTES_MAX {
            self.full = true;
        } else {
            self.bytes[self.len..end].copy_from_slice(encoded);
            self.len = end;
        }
    }

    fn end(&mut self, found: &mut impl FnMut(&str)) {
        if self.len > 0 {
            // Always text: whole letters only were put in.
            if let Ok(word) = std::str::from_utf8(&self.bytes[..self.len]) {
                found(word);
            }
            self.len = 0;
        }
        self.full = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(tokens(text).collect::<Vec<_>>(), expected, "{text}");
        let mut hashes = Vec::new();
        each_hash(text, |hash| hashes.push(hash));
        let expected: Vec<u64> = expected.iter().map(|token| hash(token)).collect();
        assert_eq!(hashes, expected, "{text}");
    }

    #[test]
    fn words_are_runs_of_letters_digits_and_underscores_in_lower_case() {
        check(
            "GET /api/Orders?id=42 took 0.5ms",
            &["get", "api", "orders", "id", "42", "took", "0", "5ms"],
        );
        check("order_id=a-b  ", &["order_id", "a", "b"]);
        check("", &[]);
        check("…→ ", &[]);
    }

    #[test]
    fn words_of_other_scripts_are_words() {
        check("Größe: ÄÖÜ, 東京 down", &["größe", "äöü", "東京", "down"]);
    }

    #[test]
    fn a_long_word_is_known_by_its_first_bytes() {
        let long = "x".repeat(200);
        check(&long, &["x".repeat(64).as_str()]);
        let letters = format!("{}é", "x".repeat(63));
        check(&format!("{letters}y z"), &["x".repeat(63).as_str(), "z"]);
    }
}
