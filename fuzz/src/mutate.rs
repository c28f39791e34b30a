//! Changes of an input that keep its form, for `fuzz/run`.
//!
//! libFuzzer changes bytes. In a format whose parts say how long they are, or stand inside each
//! other, almost every such change ends at the first check; what lies behind several is found by
//! changes of parts: a field, a subtree, a block of lines is dropped, doubled, moved, given another
//! value, or taken from another input at the same place. A quarter of all changes stay libFuzzer's,
//! because spoilt form has to be withstood too, and so do those of texts and bytes inside of parts,
//! with its dictionary and the words it has learnt.
//!
//! Invariants: the same seed gives the same change (as far as libFuzzer's part does); what cannot
//! be read in the form is left to libFuzzer. No change knows what any field means.

use crate::Form;

mod lines;

mod seeded;

#[cfg(test)]
mod tests;

mod tree;

mod wire;

use seeded::Seeded;

/// libFuzzer's own change, of a text or bytes inside of a part.
pub type Spoil<'a> = &'a mut dyn FnMut(&mut Vec<u8>);

/// Whether the bytes are protobuf with such a field, in any message.
pub fn holds_varint(bytes: &[u8], number: u64) -> bool {
    wire::read(bytes).is_some_and(|fields| wire::holds_varint(&fields, number))
}

impl Form {
    /// Another input of the same form: one change, because libFuzzer tries what comes out after
    /// each of several. `None` leaves it to libFuzzer.
    pub fn changed(self, input: &[u8], seed: u32, spoil: Spoil<'_>) -> Option<Vec<u8>> {
        let mut dice = Seeded::new(seed);
        if dice.below(4) == 0 {
            return None;
        }
        let (head, body) = input.split_at_checked(self.head())?;
        let body = match self.reading(&mut dice) {
            Reading::Bytes => return None,
            Reading::Lines => {
                let mut lines = lines::read(body)?;
                lines::change(&mut lines, &mut dice, spoil);
                lines::write(&lines)
            }
            Reading::Wire => {
                let mut fields = wire::read(body)?;
                wire::change(&mut fields, &mut dice, spoil);
                wire::write(&fields)
            }
            Reading::Tree { read, write } => {
                let mut tree = read(body)?;
                tree::change(&mut tree, &mut dice, spoil);
                write(&tree)?
            }
        };
        Some([head, &body].concat())
    }

    /// An input with a part of `other` in it; `None` where the form has no parts.
    pub fn crossed(self, input: &[u8], other: &[u8], seed: u32) -> Option<Vec<u8>> {
        let mut dice = Seeded::new(seed);
        let (head, body) = input.split_at_checked(self.head())?;
        let (_, other) = other.split_at_checked(self.head())?;
        let body = match self.reading(&mut dice) {
            Reading::Bytes => return None,
            Reading::Lines => {
                let mut lines = lines::read(body)?;
                lines::graft(&mut lines, &lines::read(other)?, &mut dice);
                lines::write(&lines)
            }
            Reading::Wire => {
                let mut fields = wire::read(body)?;
                wire::graft(&mut fields, &wire::read(other)?, &mut dice);
                wire::write(&fields)
            }
            Reading::Tree { read, write } => {
                let mut tree = read(body)?;
                tree::graft(&mut tree, &read(other)?, &mut dice);
                write(&tree)?
            }
        };
        Some([head, &body].concat())
    }

    /// Bytes in front that are of no form.
    fn head(self) -> usize {
        match self {
            Form::Lines { head } | Form::Wire { head } | Form::Json { head } => head,
            Form::Bytes | Form::Yaml => 0,
        }
    }

    /// YAML is both: lines keep its ways of writing, a tree reaches more.
    fn reading(self, dice: &mut Seeded) -> Reading {
        match self {
            Form::Bytes => Reading::Bytes,
            Form::Lines { .. } => Reading::Lines,
            Form::Wire { .. } => Reading::Wire,
            Form::Json { .. } => Reading::Tree { read: tree::read_json, write: tree::write_json },
            Form::Yaml if dice.below(4) == 0 => Reading::Lines,
            Form::Yaml => Reading::Tree { read: tree::read_yaml, write: tree::write_yaml },
        }
    }
}

enum Reading {
    Bytes,
    Lines,
    Wire,
    Tree {
        read: fn(&[u8]) -> Option<serde_json::Value>,
        write: fn(&serde_json::Value) -> Option<Vec<u8>>,
    },
}
