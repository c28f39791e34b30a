//! Which fsync is which: classes of file names, and patterns that choose among them.

use std::fmt;

/// A name in which digits and the like stand for any: `log/00017.wal` is of class `log/*.wal`. A
/// folder's ends with a slash, the mounted folder's own is `/`.
pub fn class(path: &str) -> String {
    path.split('/').map(class_of_part).collect::<Vec<_>>().join("/")
}

fn class_of_part(part: &str) -> String {
    let mut class = String::new();
    for word in part.split_inclusive(['.', '-', '_', '=']) {
        let (word, end) = match word.char_indices().last() {
            Some((at, end)) if ".-_=".contains(end) => word.split_at(at),
            _ => (word, ""),
        };
        if !word.is_empty() && word.chars().any(|letter| letter.is_ascii_digit()) {
            if !class.ends_with('*') {
                class.push('*');
            }
        } else {
            class.push_str(word);
        }
        class.push_str(end);
    }
    // `2026-11-22` is one thing.
    while class.contains("*-*") {
        class = class.replace("*-*", "*");
    }
    class
}

/// Matches a whole path; `*` stands for anything but a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    pub fn new(text: &str) -> Pattern {
        Pattern(text.to_owned())
    }

    pub fn matches(&self, path: &str) -> bool {
        let path = if path.is_empty() { "/" } else { path };
        matches(self.0.as_bytes(), path.as_bytes())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Greedy match with one place to come back to, so that time is bounded by the product of the
/// lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at, read));
                at += 1;
            }
            Some(letter) if *letter == text[read] => {
                at += 1;
                read += 1;
            }
            _ => match retry {
                Some((star, from)) if text[from] != b'/' => {
                    retry = Some((star, from + 1));
                    at = star + 1;
                    read = from + 1;
                }
                _ => return false,
            },
        }
    }
    pattern[at..].iter().all(|letter| *letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_numbers_are_of_one_class() {
        for (path, expected) in [
            ("immune/log/0000000000000017.log", "immune/log/*.log"),
            ("telemetry/spans/2026-11-22/17-3.parquet", "telemetry/spans/*/*.parquet"),
            ("telemetry/day=20779/a3f.parquet.part", "telemetry/day=*/*.parquet.part"),
            ("journal.db-wal", "journal.db-wal"),
            ("log/", "log/"),
            ("/", "/"),
        ] {
            assert_eq!(class(path), expected);
        }
    }

    #[test]
    fn a_star_stands_for_anything_within_a_name() {
        let pattern = Pattern::new("immune/log/*.log");
        assert!(pattern.matches("immune/log/17.log"));
        assert!(!pattern.matches("immune/log/old/17.log"));
        assert!(!pattern.matches("immune/log/17.log.part"));
        assert!(Pattern::new("immune/*/").matches("immune/log/"));
        assert!(!Pattern::new("immune/*").matches("immune/log/"));
        assert!(Pattern::new("/").matches("/"));
        assert!(Pattern::new("a*b*c").matches("a-b-b-c"));
    }

    #[test]
    fn a_class_matches_what_is_of_it() {
        for path in ["immune/log/17.log", "t/2026-11-22/9.parquet", "immune/log/", "/"] {
            assert!(Pattern::new(&class(path)).matches(path), "{path}");
        }
    }
}
