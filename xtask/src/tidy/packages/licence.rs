//! Reads SPDX licence expressions: `(MIT OR Apache-2.0) AND Unicode-3.0`.
//!
//! `AND` binds tighter than `OR`; the old form `MIT/Apache-2.0` means `OR`. A licence `WITH` an
//! exception is allowed when the licence is: exceptions only ever give more rights. Whatever cannot
//! be read is not allowed.

/// Can the terms be met with the allowed licences alone?
pub fn is_allowed(terms: &str, allowed: &[&str]) -> bool {
    let spaced = terms.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, allowed };
    let verdict = reader.any();
    verdict == Some(true) && reader.words.is_empty()
}

struct Reader<'a> {
    words: &'a [&'a str],
    allowed: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn any(&mut self) -> Option<bool> {
        let mut verdict = self.every()?;
        while self.take("OR") {
            verdict |= self.every()?;
        }
        Some(verdict)
    }

    fn every(&mut self) -> Option<bool> {
        let mut verdict = self.one()?;
        while self.take("AND") {
            verdict &= self.one()?;
        }
        Some(verdict)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let verdict = self.any();
            return if self.take(")") { verdict } else { None };
        }
        let name = self.next()?;
        if self.take("WITH") {
            self.next()?;
        }
        Some(self.allowed.contains(&name))
    }

    fn take(&mut self, word: &str) -> bool {
        let is_next = self.words.first() == Some(&word);
        if is_next {
            self.words = &self.words[1..];
        }
        is_next
    }

    fn next(&mut self) -> Option<&'a str> {
        let (word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::is_allowed;

    fn check(terms: &str, expected: bool) {
        assert_eq!(is_allowed(terms, &["MIT", "Apache-2.0", "Unicode-3.0"]), expected, "{terms}");
    }

    #[test]
    fn one_allowed_alternative_is_enough() {
        check("GPL-3.0 OR MIT", true);
        check("Apache-2.0/MIT", true);
        check("GPL-3.0 OR LGPL-2.1", false);
    }

    #[test]
    fn all_parts_of_a_conjunction_must_be_allowed() {
        check("(MIT OR GPL-3.0) AND Unicode-3.0", true);
        check("MIT AND GPL-3.0", false);
        check("MIT OR Apache-2.0 AND GPL-3.0", true);
        check("(MIT OR Apache-2.0) AND GPL-3.0", false);
    }

    #[test]
    fn an_exception_takes_nothing_away() {
        check("Apache-2.0 WITH LLVM-exception", true);
        check("GPL-3.0 WITH Classpath-exception", false);
    }

    #[test]
    fn what_cannot_be_read_is_not_allowed() {
        check("", false);
        check("MIT MIT", false);
        check("(MIT", false);
        check("MIT AND", false);
    }
}
